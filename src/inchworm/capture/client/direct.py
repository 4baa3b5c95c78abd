"""HTTP clients for provider SDKs: through the gateway, and straight to the provider when nobody is there.

For SDKs that take an ``httpx`` (or ``httpx2``) client, such as ``openai``. Only a call whose connection could
not be made is sent again, for the gateway cannot have seen it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from inchworm.capture.client.apps import App
from inchworm.capture.client.core import OPEN, Core
from inchworm.capture.client.protocols import (
    OPENAI,
    Protocol,
    at_gateway,
    infrastructure,
    joined,
    protocol_at,
    published_url,
    understood,
)
from inchworm.capture.client.resolved import View
from inchworm.capture.headers import APP, APPLICATION, CALL, OURS
from inchworm.domain.access import KEY_BEGINS
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import InchwormError, UsageError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import render

_LIBRARIES = ("httpx2", "httpx")
_SDKS = ("openai", "anthropic")
_KEYS = ("authorization", "x-api-key", "api-key")
_SYMBOLIC = "app:"
_MEMBER = "inchworm"
_PATIENCE_S = 1.0  # for a connection to the gateway
_REST_S = 1.0  # after a failed one, before it is tried again
_TIMEOUT_S, _CONNECT_S = 600.0, 5.0  # as the SDKs wait themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, as far as the way that it takes matters."""

    url: str
    headers: list[tuple[str, str]]
    content: bytes


class Way:
    """Where calls go. Pure but for what the client knows.

    Args:
        client: knows the gateway, and what was published last.
        app: ``NAME`` or ``NAME/ENVIRONMENT`` of calls that name none; by default the client's.
        provider_url: up to and including ``/v1``; by default where the SDK wanted to go, else what
            ``inchworm.yaml`` says, else OpenAI.
    """

    def __init__(self, client: Core, app: str | None, provider_url: str | None) -> None:
        self._client, self._app = client, app if app is not None else client.app
        self._provider = None if provider_url is None else provider_url.rstrip("/")
        self._gateway = urlsplit(client.url)
        self._resting_until = 0.0

    def through(self, call: Call) -> Call | None:
        """The call as it goes to the gateway; ``None`` if it is none that a gateway takes."""
        here, url = urlsplit(call.url), call.url
        if not self._is_gateway(here):
            protocol = protocol_at(here.path) if call.content else None
            if protocol is None:
                return None
            path = self._gateway.path + at_gateway(here.path, protocol)
            url = urlunsplit((self._gateway.scheme, self._gateway.netloc, path, here.query, ""))
        named = {name.lower() for name, _ in call.headers}
        one = OPEN.get()
        ours: dict[str, str] = {} if self._app is None else {APP: self._app}
        if self._client.application is not None:
            ours[APPLICATION] = self._client.application
        if one is not None and one.client is self._client:
            ours |= one.headers
        headers = [*call.headers, *((name, value) for name, value in ours.items() if name not in named)]
        return Call(url=url, headers=headers, content=call.content)

    def first(self, call: Call) -> tuple[Call, bool]:
        """The call as it goes at first, and whether that is to the gateway."""
        through = self.through(call)
        if through is None:
            return call, False
        if time.monotonic() < self._resting_until and (straight := self.straight(call)) is not None:
            self._client.went_direct()
            return straight, False
        return through, True

    def second(self, call: Call) -> Call | None:
        """The call as it goes when nobody is at the gateway, which is not tried for the next second."""
        self._resting_until = time.monotonic() + _REST_S
        straight = self.straight(call)
        if straight is not None:
            self._client.went_direct()
        return straight

    def straight(self, call: Call) -> Call | None:
        """The call as it goes to the provider; ``None`` if only the gateway could say what is meant."""
        if _has_our_key(call):
            return None  # it is none of the provider's, and the gateway alone has the provider's key
        here = urlsplit(call.url)
        protocol = protocol_at(here.path)
        body = _json(call.content)
        app = self._app_of(call, body)
        view = None if app is None else app.stable.of(_call_of(call, body))
        content = call.content
        if body is not None and (_MEMBER in body or _is_symbolic(body)):
            said = _said_plainly(body, view, protocol, self._layers(app, view))
            if said is None:
                return None
            content = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        url = call.url
        if self._provider is not None or self._is_gateway(here):
            base = self._provider or published_url(self._layers(app, view), protocol)
            base = base or (OPENAI if protocol is None else protocol.provider)
            ours = self._gateway.path if self._is_gateway(here) else ""
            url = joined(base, here.path.removeprefix(ours))
            url += f"?{here.query}" if here.query else ""
        headers = [(name, value) for name, value in call.headers if not name.lower().startswith(OURS)]
        return Call(url=url, headers=headers, content=content)

    def _layers(self, app: App | None, view: View | None) -> Sequence[Mapping[str, Any]]:
        """What is said of the infrastructure; nothing, if the program says itself where the provider is."""
        if app is None or view is None or self._provider is not None:
            return ()
        return infrastructure(view.layers, app.infrastructure)

    def _is_gateway(self, url: Any) -> bool:
        return bool(url.netloc == self._gateway.netloc and url.path.startswith(self._gateway.path))

    def _app_of(self, call: Call, body: Mapping[str, Any] | None) -> App | None:
        named = next((value for name, value in call.headers if name.lower() == APP), None)
        if named is None and body is not None and _is_symbolic(body):
            named = str(body["model"]).removeprefix(_SYMBOLIC).partition("/")[0]
        return self._client.app_known(named or self._app)


def _is_symbolic(body: Mapping[str, Any]) -> bool:
    model = body.get("model")
    return isinstance(model, str) and model.startswith(_SYMBOLIC)


def _has_our_key(call: Call) -> bool:
    return any(
        value.removeprefix("Bearer ").startswith(KEY_BEGINS)
        for name, value in call.headers
        if name.lower() in _KEYS
    )


def _call_of(call: Call, body: Mapping[str, Any] | None) -> str | None:
    """The name of the call within its app, as a gateway reads it."""
    named = next((value for name, value in call.headers if name.lower() == CALL), None)
    ours = None if body is None else body.get(_MEMBER)
    said = named or (ours.get("call") if isinstance(ours, dict) else None)
    if not said and body is not None and _is_symbolic(body):
        said = str(body["model"]).removeprefix(_SYMBOLIC).partition("/")[2]
    return said if isinstance(said, str) and said else None


def _json(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _said_plainly(
    body: Mapping[str, Any],
    view: View | None,
    protocol: Protocol | None,
    layers: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """The body without what only a gateway understands: stable's last known values stand for the app."""
    out = {name: value for name, value in body.items() if name != _MEMBER}
    configuration = None if view is None else view.values
    if _is_symbolic(body):
        if view is None or configuration is None or protocol is None or not understood(layers, protocol):
            return None
        name = view.layers[Layer.MODEL].get("name")
        if not isinstance(name, str):
            return None
        out["model"] = name
        protocol.put(out, view.layers[Layer.PARAMETERS], view.layers[Layer.TOOLS].get("schemas"))
    if protocol is not None and not out.get(protocol.content) and configuration is not None:
        rendered = _rendered(configuration, body.get(_MEMBER))
        if rendered is None:
            return None
        protocol.ask(out, rendered)
    return out


def _rendered(configuration: Configuration, ours: Any) -> list[dict[str, str]] | None:
    inputs = ours.get("inputs") if isinstance(ours, dict) else None
    if not isinstance(inputs, dict):
        return None
    try:
        messages = render(configuration, inputs).messages
    except (InchwormError, KeyError, TypeError):  # what the caller sent has another shape
        return None
    return [{"role": message.role, "content": message.content} for message in messages]


class Transport:
    """A transport of ``httpx``: the gateway first, the provider if nobody is there."""

    def __init__(self, way: Way, library: Any, inner: Any) -> None:
        self._way, self._library, self._inner = way, library, inner
        self._away = (library.ConnectError, library.ConnectTimeout)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def handle_request(self, request: Any) -> Any:
        """Send one request; see :class:`Way`."""
        call = _call(request, request.read())
        first, gateway = self._way.first(call)
        try:
            return self._inner.handle_request(self._request(request, first, gateway=gateway))
        except self._away:
            second = self._way.second(call) if gateway else None
            if second is None:
                raise
        return self._inner.handle_request(self._request(request, second, gateway=False))

    def _request(self, request: Any, call: Call, *, gateway: bool) -> Any:
        extensions = dict(request.extensions)
        if gateway:
            timeout = dict(extensions.get("timeout") or {})
            given = timeout.get("connect")
            timeout["connect"] = _PATIENCE_S if given is None else min(given, _PATIENCE_S)
            extensions["timeout"] = timeout
        return self._library.Request(
            request.method, call.url, headers=call.headers, content=call.content, extensions=extensions
        )


class AsyncTransport(Transport):
    """The same for asynchronous clients."""

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send one request; see :class:`Way`."""
        call = _call(request, await request.aread())
        first, gateway = self._way.first(call)
        try:
            return await self._inner.handle_async_request(self._request(request, first, gateway=gateway))
        except self._away:
            second = self._way.second(call) if gateway else None
            if second is None:
                raise
        return await self._inner.handle_async_request(self._request(request, second, gateway=False))


def _call(request: Any, content: bytes) -> Call:
    # What follows from address and content is written anew for each.
    again = {"host", "content-length", "transfer-encoding"}
    headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in again]
    return Call(url=str(request.url), headers=headers, content=content)


def http_client(
    client: Core,
    *,
    app: str | None,
    provider_url: str | None,
    library: str | None,
    options: Mapping[str, Any],
) -> Any:
    """See :meth:`inchworm.Client.http_client`.

    Raises:
        UsageError: if neither library is installed.
    """
    found = _library(library)
    client.start()
    transport = Transport(Way(client, app, provider_url), found, found.HTTPTransport())
    return found.Client(transport=transport, **_options(found, options))


def async_http_client(
    client: Core,
    *,
    app: str | None,
    provider_url: str | None,
    library: str | None,
    options: Mapping[str, Any],
) -> Any:
    """See :meth:`inchworm.Client.async_http_client`.

    Raises:
        UsageError: if neither library is installed.
    """
    found = _library(library)
    client.start()
    transport = AsyncTransport(Way(client, app, provider_url), found, found.AsyncHTTPTransport())
    return found.AsyncClient(transport=transport, **_options(found, options))


def _options(library: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "timeout": library.Timeout(_TIMEOUT_S, connect=_CONNECT_S),
        "follow_redirects": True,
        **options,
    }


def _library(name: str | None) -> Any:
    from importlib.metadata import PackageNotFoundError, requires  # noqa: PLC0415  # slow, and rarely needed

    wanted = _LIBRARIES if name is None else (name,)
    if name is None:
        for sdk in _SDKS:
            with suppress(PackageNotFoundError):
                needs = " ".join(requires(sdk) or ())
                wanted = _LIBRARIES if "httpx2" in needs else _LIBRARIES[::-1]
                break
    for one in wanted:
        try:
            return import_module(one)
        except ModuleNotFoundError:
            continue
    raise UsageError(
        f"{' or '.join(wanted)} is not installed", hint="install your provider's SDK, e.g. pip install openai"
    )
