"""What every page has: rail, scope, keys, theme; and the fragment that is rendered again live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from inchworm.app.serve.state import ServerState
from inchworm.app.web import assets
from inchworm.app.web.formats import FILTERS
from inchworm.domain.codec import plain
from inchworm.domain.errors import InchwormError, NotFoundError
from inchworm.domain.ids import short
from inchworm.domain.rollout import RolloutState

Screen = Literal["now", "rollout", "queue", "traces"]
"""The pages that there are."""
THEME_COOKIE = "inchworm-theme"
_THEMES = {"light", "dark"}
LIVE = "live"
"""The block of a template that is rendered again when something changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A page in the rail.

    Attributes:
        href: where it is.
        name: what it is called.
        count: how many things are in it, if that is worth a look; 0 is not shown.
        current: whether it is the one that is shown.
    """

    href: str
    name: str
    count: int = 0
    current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What ``base.html`` is told.

    Attributes:
        scope: ``app/environment``.
        nav: the pages.
        here: path and query of the page that is shown.
        pulse: how many beats there were before anything was read for this page.
        now: seconds since the epoch.
        theme: ``light`` or ``dark`` if the person chose; else the system's.
        csrf: what acts must send back; empty for a principal that needs none.
        user: who is logged in, if anybody.
        scripts: whether the scripts were built; without them the pages are not live.
    """

    scope: str
    nav: tuple[Entry, ...]
    here: str
    pulse: int
    now: float
    theme: str | None
    csrf: str
    user: str | None
    scripts: bool


@cache
def environment() -> Environment:
    """The templates. Everything is escaped; a name that is not there is an error."""
    made = Environment(
        loader=PackageLoader("inchworm.app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.filters["short"] = short
    made.filters["plain"] = plain
    made.globals["asset"] = assets.url
    # As a global, because a block that is rendered alone does not see what its template imported.
    made.globals["ui"] = made.get_template("parts.html").module
    return made


def page(
    request: Request,
    state: ServerState,
    template: str,
    *,
    active: Screen,
    context: Mapping[str, Any],
    status: int = 200,
) -> HTMLResponse:
    """A page; of a request that htmx makes, only its block ``live``, with the title.

    Args:
        request: what was asked.
        state: what is shown.
        template: a file in ``templates/`` that extends ``base.html`` and has the blocks ``title`` and
            ``live``. Macros of ``parts.html`` are there as ``ui``.
        active: which entry of the rail it is.
        context: what the template is told, beside ``frame``.
        status: the HTTP status.
    """
    found = environment().get_template(template)
    told = {**context, "frame": _frame(request, state, active)}
    if request.headers.get("hx-request") == "true":
        scope = found.new_context(told)
        title, live = ("".join(found.blocks[name](scope)) for name in ("title", LIVE))
        html = f"<title>{title} · Inchworm</title>\n{live}"
    else:
        html = found.render(told)
    # The same address has two answers; neither is for a cache: traces are nobody else's business.
    headers = {"Cache-Control": "no-store", "Vary": "HX-Request"}
    return HTMLResponse(html, status_code=status, headers=headers)


def problem(
    request: Request, state: ServerState, error: InchwormError, *, active: Screen, back: str
) -> HTMLResponse:
    """A page that says what is wrong with an address, and leads back: 404 if nothing is there, else 400.

    Args:
        request: what was asked.
        state: what is shown.
        error: what went wrong.
        active: which entry of the rail it belongs to.
        back: where to go from there.
    """
    status = 404 if isinstance(error, NotFoundError) else 400
    context = {"message": error.message, "hint": error.hint, "back": back}
    return page(request, state, "problem.html", active=active, context=context, status=status)


def login_page(
    request: Request, *, problem: str | None = None, wanted: str = "/", status: int = 200
) -> HTMLResponse:
    """The page on which a person hands in a key.

    Args:
        request: what was asked.
        problem: why the last key was not taken.
        wanted: path and query to go to afterwards, checked by the caller.
        status: the HTTP status.
    """
    told = {"theme": _theme(request), "problem": problem, "wanted": wanted}
    html = environment().get_template("login.html").render(told)
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def _frame(request: Request, state: ServerState, active: Screen) -> Frame:
    lineage = state.house.control.lineage(state.house.app)
    in_flight = 0 if lineage is None or lineage.in_flight is None else 1
    waiting = len(state.house.control.rollouts(state.house.app, {RolloutState.QUEUED}))
    query = request.url.query
    principal = getattr(request.state, "principal", None)
    return Frame(
        scope=str(state.house.app),
        nav=(
            Entry(href="/", name="Now", current=active == "now"),
            Entry(href="/rollouts", name="Rollout", count=in_flight, current=active == "rollout"),
            Entry(href="/queue", name="Queue", count=waiting, current=active == "queue"),
            Entry(href="/traces", name="Traces", current=active == "traces"),
        ),
        here=request.url.path + (f"?{query}" if query else ""),
        pulse=request.state.pulse,
        now=state.house.now(),
        theme=_theme(request),
        csrf=(principal.csrf if principal is not None else None) or "",
        user=principal.name if principal is not None else None,
        scripts=not assets.missing(),
    )


def _theme(request: Request) -> str | None:
    said = request.cookies.get(THEME_COOKIE)
    return said if said in _THEMES else None
