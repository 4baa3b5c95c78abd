"""``/rollouts`` and ``/rollouts/{id}``, their JSON twins, and the acts on a rollout."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from inchworm.app import asjson
from inchworm.app.api.auth import Principal, Scope, need
from inchworm.app.loop.approving import approve
from inchworm.app.loop.changing import retry
from inchworm.app.loop.freezing import freezes
from inchworm.app.serve.state import ServerState
from inchworm.app.web import drawing
from inchworm.app.web.frame import page, problem
from inchworm.app.web.views.listing import listing
from inchworm.app.web.views.rollout import RolloutPage, build
from inchworm.app.web.views.seen import find, look
from inchworm.app.web.views.words import content
from inchworm.domain.errors import InputError, NotFoundError
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act

LONGEST_REASON = 500
Deployer = Annotated[Principal, Depends(need(Scope.DEPLOYER))]


def view(state: ServerState, name: str, who: str | None = None) -> RolloutPage:
    """The view of a rollout.

    Args:
        state: what is shown.
        name: the rollout's id.
        who: who looks; whether an approval would count depends on it.

    Raises:
        NotFoundError: if there is none.
    """
    rollout = find(state.house, name)
    return build(look(state.house, state.publisher, rollout), state.house.lineage(), who)


def router(state: ServerState) -> APIRouter:
    """The pages of rollouts."""
    routes = APIRouter()

    @routes.get("/rollouts")
    def rollouts(request: Request) -> Response:
        shown = listing(state.house)
        return page(
            request, state, "rollouts.html", active="rollout", context={"view": shown, "draw": drawing}
        )

    @routes.get("/rollouts.json")
    def rollouts_json() -> Response:
        return _json(content(listing(state.house)))

    @routes.get("/rollouts/{name}.json")
    def rollout_json(request: Request, name: str) -> Response:
        return _json(content(view(state, name, request.state.principal.name)))

    @routes.get("/rollouts/{name}")
    def rollout(request: Request, name: str, gate: str | None = None) -> Response:
        try:
            shown = view(state, name, request.state.principal.name)
        except NotFoundError as error:
            return problem(request, state, error, active="rollout", back="/rollouts")
        opened = next((tile for tile in shown.tiles if tile.name == gate), None)
        context = {
            "view": shown,
            "draw": drawing,
            "opened": opened,
            "may_act": request.state.principal.scope.includes(Scope.DEPLOYER),
        }
        return page(request, state, "rollout.html", active="rollout", context=context)

    @routes.post("/rollouts/{name}/approve")
    async def agree(request: Request, name: str, who: Deployer) -> Response:
        said, program = await _said(request)
        done = await run_in_threadpool(_approve, state, name, who.name, _text(said, "reason"))
        return _json(done) if program else _to(name)

    @routes.post("/rollouts/{name}/retry")
    async def again(request: Request, name: str, who: Deployer) -> Response:
        said, program = await _said(request)
        done = await run_in_threadpool(_retry, state, name, who.name, _text(said, "reason"))
        return _json(done) if program else _to(done["rollout"])

    @routes.post("/rollouts/{name}/{wish}")
    async def do(request: Request, name: str, wish: Act, who: Deployer) -> Response:
        said, program = await _said(request)
        to = _text(said, "to") or None
        if to is not None and wish is not Act.PROMOTE:
            raise InputError(f'"to" is a rung to promote to; {wish.value} has none')
        acted = await run_in_threadpool(_do, state, name, wish, who.name, _text(said, "reason"), to=to)
        return _json(acted) if program else _to(name)

    return routes


def _to(name: str) -> Response:
    """A form came from a page without its script: back to the page."""
    return RedirectResponse(f"/rollouts/{name}", status_code=303)


def _approve(state: ServerState, name: str, actor: str, reason: str) -> dict[str, Any]:
    done = approve(state.house.acting(actor), find(state.house, name), reason=reason)
    _tell(state)
    return {"version": 1, **asjson.approved(done)}


def _retry(state: ServerState, name: str, actor: str, reason: str) -> dict[str, Any]:
    made = retry(state.house.acting(actor), find(state.house, name), reason=reason)
    _tell(state)
    return {"version": 1, **asjson.retried(made), "location": f"/rollouts/{made.id}"}


def _tell(state: ServerState) -> None:
    """The loop decides at once, and every page that is open looks again."""
    state.wake()
    state.pulse.beat()


def _do(
    state: ServerState, name: str, wish: Act, actor: str, reason: str, *, to: str | None
) -> dict[str, Any]:
    house = state.house
    rollout_id = find(house, name).id
    acted = act(
        house.control,
        rollout_id,
        wish,
        actor=actor,
        reason=reason,
        now=house.now(),
        to=to,
        frozen=freezes(house),
    )
    _tell(state)
    decision = acted.decision
    return {
        "version": 1,
        "rollout": rollout_id,
        "decision": decision.id,
        "state": decision.state.value,
        "weight": decision.weight,
        "because": decision.because,
        "undo": acted.undo,
    }


async def _said(request: Request) -> tuple[dict[str, Any], bool]:
    """What came with the act, and whether a program asked (and wants JSON), or a form."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return dict(await request.form()), False
    try:
        found = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError('the body is a JSON object, e.g. {"reason": "the provider is down"}')
    return found, True


def _text(said: dict[str, Any], name: str) -> str:
    text = said.get(name, "")
    if not isinstance(text, str) or len(text) > LONGEST_REASON:
        what = "a reason is text" if name == "reason" else f'"{name}" is text'
        raise InputError(f"{what} of at most {LONGEST_REASON} characters")
    return text


def _json(data: dict[str, Any]) -> Response:
    return JSONResponse(data, headers={"Cache-Control": "no-store"})
