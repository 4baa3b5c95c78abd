"""What routes depend on: who is asking, and whether that is enough."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from inchworm.app.api.access import Access, Principal
from inchworm.app.api.errors import LoginNeededError, RefusedError
from inchworm.app.serve.state import ServerState
from inchworm.domain.access import Scope

__all__ = ["Need", "Principal", "Scope", "access_of", "is_gateway", "need", "page_user", "state_of"]

BEARER = HTTPBearer(
    auto_error=False, description="An API key (`inchworm keys add`), or the token in serve.json."
)
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"


def state_of(request: Request) -> ServerState:
    """What the routes of this server share."""
    state: ServerState = request.app.state.server
    return state


def access_of(request: Request) -> Access:
    """Who tells who is asking."""
    access: Access = request.app.state.access
    return access


@dataclass(frozen=True, slots=True)
class Need:
    """The dependency that lets through whoever has a scope.

    Attributes:
        scope: the least that is needed.
    """

    scope: Scope

    async def __call__(self, request: Request, credentials: _Credentials = None) -> Principal:
        """Who is asking.

        Raises:
            RefusedError: 401 if nobody known does, 403 if it may not, or if a change that comes with a
                session's cookie does not show that one of our own pages asked for it.
        """
        principal = await _who(request, credentials)
        if principal is None:
            raise _unknown(request, credentials)
        _check_scope(principal, self.scope)
        if principal.csrf is not None and request.method not in _SAFE:
            await _check_csrf(request, principal.csrf)
        request.state.principal = principal
        return principal


def need(scope: Scope) -> Need:
    """The dependency that lets through whoever has ``scope`` (see :class:`Need`)."""
    return Need(scope)


async def page_user(request: Request, credentials: _Credentials = None) -> Principal:
    """Who looks at a page; whoever has no session is sent to log in, and comes back after it.

    Raises:
        LoginNeededError: without a session; handled as a redirect.
        RefusedError: 401 where a program asks and not a person: for JSON, for events; 403 with a key that
            may only send.
    """
    principal = await _who(request, credentials)
    if principal is not None:
        _check_scope(principal, Scope.VIEWER)
        request.state.principal = principal
        return principal
    program = credentials is not None or request.url.path.endswith((".json", "/events"))
    if program or request.method not in _SAFE:
        raise _unknown(request, credentials)
    query = f"?{request.url.query}" if request.url.query else ""
    raise LoginNeededError(request.url.path + query)


async def is_gateway(request: Request, credentials: _Credentials = None) -> bool:
    """Let through gateways of this installation, and whoever may look; whether it is a gateway.

    Raises:
        RefusedError: 401 or 403.
    """
    if credentials is not None and access_of(request).is_gateway(credentials.credentials):
        return True
    await Need(Scope.VIEWER)(request, credentials)
    return False


async def _who(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Principal | None:
    access = access_of(request)
    if credentials is not None:
        return await run_in_threadpool(access.bearer, credentials.credentials)
    cookie = request.cookies.get(access.cookie)
    return None if cookie is None else await run_in_threadpool(access.session, cookie)


def _check_scope(principal: Principal, least: Scope) -> None:
    if not principal.scope.includes(least):
        raise RefusedError(
            403,
            "forbidden",
            f'{principal.name} has the scope {principal.scope}, and this takes "{least}"',
            hint="ask an admin for another key: inchworm keys add",
        )


def _unknown(request: Request, credentials: HTTPAuthorizationCredentials | None) -> RefusedError:
    if credentials is not None:
        message = "this key opens nothing: it is none of ours, was revoked, or has expired"
    elif access_of(request).cookie in request.cookies:
        message = "this session is over"
    else:
        message = "nobody said who is asking"
    return RefusedError(
        401,
        "unauthorized",
        message,
        hint="send a key as: Authorization: Bearer iw_…  (make one: inchworm keys add), or log in at /login",
        headers={"www-authenticate": "Bearer"},
    )


async def _check_csrf(request: Request, expected: str) -> None:
    check_origin(request)
    said = request.headers.get(CSRF_HEADER)
    if said is None and request.headers.get("content-type", "").startswith(_FORMS):
        field = (await request.form()).get(CSRF_FIELD)
        said = field if isinstance(field, str) else None
    if said is None or not hmac.compare_digest(said.encode(), expected.encode()):
        raise RefusedError(
            403,
            "csrf",
            "the request does not show that a page of this session asked for it",
            hint=f"load the page again; programs send a key, or the header {CSRF_HEADER}",
        )


def check_origin(request: Request) -> None:
    """Refuse what a browser says that another site asked for.

    Under our referrer policy a form's ``Origin`` is ``null``; then ``Sec-Fetch-Site``, which pages cannot
    set, tells.

    Raises:
        RefusedError: 403.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    foreign = site is not None and site not in {"same-origin", "none"}
    if origin is not None and not (origin == "null" and site is not None):
        foreign = foreign or origin.partition("://")[2] != request.headers.get("host", "")
    if foreign:
        raise RefusedError(403, "csrf", "another site asked for this, so nothing was done")


def secure(request: Request) -> bool:
    """Whether the browser came by https, so that its cookie may go no other way."""
    return request.url.scheme == "https"
