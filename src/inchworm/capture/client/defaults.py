"""The functions of ``import inchworm``: one client for the whole program, made at first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from inchworm.capture.client.client import Client
from inchworm.capture.client.counting import Counts
from inchworm.capture.client.resolved import Resolved
from inchworm.capture.client.spans import Spanning
from inchworm.capture.client.tracing import Tracing
from inchworm.capture.client.wrapping import traced as _traced

P = ParamSpec("P")
R = TypeVar("R")
_default: Client | None = None
_making = threading.Lock()


def client() -> Client:
    """The program's client.

    Raises:
        UsageError: if ``INCHWORM_URL`` is no address.
    """
    global _default  # noqa: PLW0603  # the one thing that is the whole program's
    if _default is None:
        with _making:
            if _default is None:
                _default = Client()
    return _default


def configure(
    url: str | None = None,
    *,
    app: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    application: str | None = None,
) -> Client:
    """Say where the gateway is, instead of by ``INCHWORM_URL``; replaces the program's client.

    Args:
        url: the gateway.
        app: ``NAME`` or ``NAME/ENVIRONMENT`` for calls that name none.
        cache: a file that keeps what is served for the next start of the program.
        application: the version of your program, e.g. its commit.

    Raises:
        UsageError: if the address is none.
    """
    global _default  # the one thing that is the whole program's
    made = Client(url, app=app, cache=cache, application=application)
    with _making:
        former, _default = _default, made
    if former is not None:
        former.close()
    return made


def resolve(
    app: str | None = None,
    unit: str | None = None,
    *,
    kept: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    call: str | None = None,
) -> Resolved:
    """What a unit gets; see :meth:`inchworm.Client.resolve`."""
    return (_default or client()).resolve(app, unit, kept=kept, attributes=attributes, call=call)


async def aresolve(
    app: str | None = None,
    unit: str | None = None,
    *,
    kept: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    call: str | None = None,
) -> Resolved:
    """What a unit gets; see :meth:`inchworm.Client.aresolve`."""
    return await client().aresolve(app, unit, kept=kept, attributes=attributes, call=call)


def trace(
    app: str | None = None,
    *,
    unit: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    resolved: Resolved | None = None,
) -> Tracing:
    """An interaction to record; see :meth:`inchworm.Client.trace`."""
    return client().trace(app, unit=unit, inputs=inputs, resolved=resolved)


def traced(
    app: str | None = None, *, unit: str | None = None, ignore: Sequence[str] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that records each call of a function; see :meth:`inchworm.Client.traced`."""
    return _traced(client, app, unit=unit, ignore=ignore)


def feedback(
    trace: Tracing | Spanning | str | None,
    name: str,
    value: float | str,
    *,
    unit: str | None = None,
    source: str = "user",
    comment: str | None = None,
    id: str | None = None,  # noqa: A002  # what it is called on the wire
    app: str | None = None,
) -> None:
    """What somebody thinks of an interaction; see :meth:`inchworm.Client.feedback`."""
    client().feedback(trace, name, value, unit=unit, source=source, comment=comment, id=id, app=app)


def http_client(
    *, app: str | None = None, provider_url: str | None = None, library: str | None = None, **options: Any
) -> Any:
    """An ``httpx.Client`` for an SDK; see :meth:`inchworm.Client.http_client`."""
    return client().http_client(app=app, provider_url=provider_url, library=library, **options)


def async_http_client(
    *, app: str | None = None, provider_url: str | None = None, library: str | None = None, **options: Any
) -> Any:
    """An ``httpx.AsyncClient`` for an SDK; see :meth:`inchworm.Client.async_http_client`."""
    return client().async_http_client(app=app, provider_url=provider_url, library=library, **options)


def counts() -> Counts:
    """What the program's client did so far."""
    return client().counts()


def flush(timeout_s: float = 5.0) -> bool:
    """Ship what waits; whether that succeeded within ``timeout_s`` seconds."""
    return client().flush(timeout_s)
