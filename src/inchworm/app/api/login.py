"""Logging in to the pages and out again: by a key, or by a link that is good once."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from inchworm.app.api.access import Access, Principal
from inchworm.app.api.auth import access_of, check_origin, need, secure
from inchworm.app.api.errors import RefusedError
from inchworm.app.api.sessions import LINK_S, SESSION_S
from inchworm.app.web.frame import login_page
from inchworm.domain.access import Scope

_MOST_TYPED = 4_096


class LoginLink(BaseModel):
    """A link that logs a browser in."""

    path: str
    """Path and query, to be put behind the server's address."""
    expires_s: float
    """For how many seconds it is good. It works once."""


def pages() -> APIRouter:
    """``/login`` and ``/logout``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/login")
    async def ask(request: Request, key: str | None = None, next: str = "/") -> Response:  # noqa: A002  # its name in the address
        wanted = safe_next(next)
        if key is None:
            return login_page(request, wanted=wanted)
        access = access_of(request)
        _refuse_too_many(request, access)
        principal = await run_in_threadpool(access.follow, key)
        if principal is None:
            access.attempts.fail(_address(request), access.now())
            problem = "This link was used before, or is too old. Ask for another: inchworm open"
            return login_page(request, problem=problem, wanted=wanted, status=401)
        return _logged_in(request, access, principal, wanted)

    @routes.post("/login")
    async def answer(request: Request) -> Response:
        check_origin(request)
        access = access_of(request)
        _refuse_too_many(request, access)
        form = await request.form(max_fields=10, max_files=0)
        key, wanted = (str(form.get(name, "")).strip()[:_MOST_TYPED] for name in ("key", "next"))
        principal = await run_in_threadpool(access.bearer, key)
        if principal is None:
            access.attempts.fail(_address(request), access.now())
            problem = "This key opens nothing: it is none of ours, was revoked, or has expired."
            return login_page(request, problem=problem, wanted=safe_next(wanted), status=401)
        if not principal.scope.includes(Scope.VIEWER):
            problem = "This key may send to the gateway and look at nothing."
            return login_page(request, problem=problem, wanted=safe_next(wanted), status=403)
        return _logged_in(request, access, principal, safe_next(wanted))

    @routes.post("/logout")
    async def leave(
        request: Request, _principal: Annotated[Principal, Depends(need(Scope.VIEWER))]
    ) -> Response:
        access = access_of(request)
        access.end_session(request.cookies.get(access.cookie, ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(
            access.cookie, path="/", secure=secure(request), httponly=True, samesite="strict"
        )
        return response

    return routes


def router() -> APIRouter:
    """``POST /login-links``."""
    routes = APIRouter(tags=["access"])

    @routes.post("/login-links", status_code=201, summary="Make a link that logs a browser in")
    async def link(
        request: Request, principal: Annotated[Principal, Depends(need(Scope.VIEWER))]
    ) -> LoginLink:
        """The link opens a session of whoever asks for it, with the same scope. It works once."""
        return LoginLink(path=f"/login?key={access_of(request).link(principal)}", expires_s=LINK_S)

    return routes


def safe_next(wanted: str) -> str:
    """Where to go after logging in: a path of this server, and never an address of another."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    plain = wanted.isprintable() and "\\" not in wanted
    here = wanted.startswith("/") and not wanted.startswith("//") and not parts.netloc and not parts.scheme
    return wanted if plain and here and not parts.path.startswith("/login") else "/"


def _logged_in(request: Request, access: Access, principal: Principal, wanted: str) -> Response:
    response = RedirectResponse(wanted, 303)
    response.set_cookie(
        access.cookie,
        access.open_session(principal),
        max_age=int(SESSION_S),
        path="/",
        httponly=True,
        samesite="strict",
        secure=secure(request),
    )
    return response


def _refuse_too_many(request: Request, access: Access) -> None:
    wait_s = access.attempts.wait_s(_address(request), access.now())
    if wait_s > 0:
        raise RefusedError(
            429,
            "too_many_requests",
            "logging in failed too often from this address",
            hint=f"try again in {wait_s:.0f} s",
            headers={"retry-after": str(int(wait_s) + 1)},
        )


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host
