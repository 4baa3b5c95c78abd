"""Everything that goes wrong, in one shape: ``{"error": {"code", "message", "hint"}}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from inchworm.app.codes import code_of
from inchworm.domain.errors import InchwormError

_LOG = logging.getLogger(__name__)
_OF_STATUS = {
    400: "usage",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
}


class RefusedError(Exception):
    """A request that is refused before anything is done.

    Args:
        status: of HTTP.
        code: for programs.
        message: what happened and why.
        hint: what to do next.
        headers: what goes with it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint
        self.headers = dict(headers or {})


class LoginNeededError(Exception):
    """A page that somebody without a session asks for.

    Args:
        wanted: path and query of the page.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def body(code: str, message: str, hint: str | None = None) -> dict[str, Any]:
    """The one shape."""
    return {"error": {"code": code, "message": message, "hint": hint}}


def install(app: FastAPI) -> None:
    """Have ``app`` answer every error in the one shape."""

    def known(_request: Request, error: Exception) -> Response:
        assert isinstance(error, InchwormError)  # noqa: S101  # registered for nothing else
        code, status = code_of(error)
        return JSONResponse(body(code, error.message, error.hint), status)

    def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)  # noqa: S101  # as above
        return JSONResponse(body(error.code, error.message, error.hint), error.status, error.headers)

    def login(_request: Request, error: Exception) -> Response:
        assert isinstance(error, LoginNeededError)  # noqa: S101  # as above
        return RedirectResponse(f"/login?next={quote(error.wanted, safe='')}", 303)

    def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101  # as above
        return JSONResponse(body("invalid", _said(error)), 422)

    def http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101  # as above
        code = _OF_STATUS.get(error.status_code, "error")
        return JSONResponse(body(code, str(error.detail)), error.status_code, error.headers)

    def fault(request: Request, error: Exception) -> Response:
        # The traceback belongs in the log: an answer shows nothing of the inside.
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse(
            body("fault", "this is a fault in Inchworm, not in what you did", "see the server's log"), 500
        )

    app.add_exception_handler(InchwormError, known)
    app.add_exception_handler(RefusedError, refused)
    app.add_exception_handler(LoginNeededError, login)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, fault)


def _said(error: RequestValidationError) -> str:
    """``limit: Input should be …``, one per member; what was sent is not repeated."""
    problems = []
    for one in error.errors():
        place = [str(part) for part in one["loc"]]
        where = place[1:] if place[:1] in (["body"], ["query"], ["path"], ["header"]) else place
        problems.append(f"{'.'.join(where) or 'the body'}: {one['msg']}")
    return "; ".join(problems)
