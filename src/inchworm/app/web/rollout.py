"""``/rollouts`` and ``/rollouts/{id}``, their JSON twins, and the acts on a rollout."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from inchworm.app.api.auth import Principal, Scope, need
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


def view(state: ServerState, name: str) -> RolloutPage:
    """The view of a rollout.

    Raises:
        NotFoundError: if there is none.
    """
    rollout = find(state.house, name)
    return build(look(state.house, state.publisher, rollout), state.house.lineage())


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
    def rollout_json(name: str) -> Response:
        return _json(content(view(state, name)))

    @routes.get("/rollouts/{name}")
    def rollout(request: Request, name: str, gate: str | None = None) -> Response:
        try:
            shown = view(state, name)
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

    @routes.post("/rollouts/{name}/{wish}")
    async def do(
        request: Request, name: str, wish: Act, who: Annotated[Principal, Depends(need(Scope.DEPLOYER))]
    ) -> Response:
        said, program = await _said(request)
        acted = await run_in_threadpool(_do, state, name, wish, who.name, _reason(said))
        if not program:
            return RedirectResponse(f"/rollouts/{name}", status_code=303)
        return _json(acted)

    return routes


def _do(state: ServerState, name: str, wish: Act, actor: str, reason: str) -> dict[str, Any]:
    house = state.house
    rollout_id = find(house, name).id
    acted = act(house.control, rollout_id, wish, actor=actor, reason=reason, now=house.now())
    state.wake()
    state.pulse.beat()
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


def _reason(said: dict[str, Any]) -> str:
    reason = said.get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise InputError(f"a reason is text of at most {LONGEST_REASON} characters")
    return reason


def _json(data: dict[str, Any]) -> Response:
    return JSONResponse(data, headers={"Cache-Control": "no-store"})
