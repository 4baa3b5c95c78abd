"""Where things stand: status, ledger, audit, gateways; and what gateways are told to serve."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from inchworm.app import asjson, names
from inchworm.app.api import models
from inchworm.app.api.auth import Principal, is_gateway, need, state_of
from inchworm.app.api.deps import After, Limit, ToView, changed, paged, version
from inchworm.app.serve.state import GatewaySeen
from inchworm.domain.access import Scope
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import WITNESS, witness
from inchworm.domain.published import version as version_of

_LONGEST_WAIT_S = 25.0
_SHORT_TEXT = 300


def router() -> APIRouter:
    """Routes that change nothing of the app."""
    routes = APIRouter(tags=["status"])

    @routes.get("/me", summary="Say who is asking")
    async def me(principal: Annotated[Principal, Depends(need(Scope.VIEWER))]) -> models.Me:
        return models.Me(name=principal.name, scope=principal.scope)

    @routes.get("/status", summary="Say where the app stands, and what to do next")
    def status(request: Request, house: ToView) -> models.Status:
        from inchworm.app.loop.standing import following, look

        seen = look(house)
        said = asjson.standing(seen, following(seen))
        return models.Status.model_validate({**said, "health": state_of(request).health()})

    @routes.get("/apps", summary="List the apps of this installation")
    def apps(house: ToView) -> models.Anything:
        every = dict.fromkeys([house.app, *house.control.apps()])
        return models.told(apps=[str(app) for app in every], declared=str(house.app))

    @routes.get("/configurations", summary="List configurations, newest first")
    def configurations(house: ToView, limit: Limit = 50, after: After = None) -> models.Anything:
        found, following = paged(
            house.control.configurations(house.app), lambda one: one.configuration.id, after, limit
        )
        rows = [{"id": one.configuration.id, "note": one.note, "at": one.at} for one in found]
        return models.told(configurations=rows, after=following)

    @routes.get("/configurations/{name}", summary="Show a configuration")
    def configuration(house: ToView, name: str) -> models.Anything:
        """By `stable`, `declared`, or the beginning of its id."""
        found = names.configuration(house, name)
        return models.told(configuration={"id": found.id, **found.content()})

    @routes.get("/ledger", summary="List what changed, newest first")
    def ledger(
        house: ToView,
        since: Annotated[str | None, Query(description="2h, 7d, or 2026-11-09T14:00.")] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> models.Entries:
        start = None if since is None else names.moment(since, house.now())
        found, following = house.control.ledger_page(house.app, since=start, after=after, limit=limit)
        return models.Entries(entries=[asjson.ledger_entry(one) for one in found], after=following)

    @routes.get("/audit", summary="List who did what, newest first")
    def audit(
        house: ToView,
        *,
        actor: Annotated[str | None, Query(description="Only what this one did.")] = None,
        action: Annotated[str | None, Query(description="rollout, rollout.pause, key, lineage, …")] = None,
        subject: Annotated[str | None, Query(description="Only about this id.")] = None,
        since: Annotated[str | None, Query(description="2h, 7d, or 2026-11-09T14:00.")] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> models.Entries:
        from inchworm.store.control import AuditFilter

        start = None if since is None else names.moment(since, house.now())
        only = AuditFilter(actor=actor, action=action, subject=subject, since=start)
        found, following = house.control.audit_page(house.app, only=only, after=after, limit=limit)
        return models.Entries(entries=[asjson.audit_entry(one) for one in found], after=following)

    @routes.get("/audit/verify", summary="Check that the audit trail is what was written")
    def verify_audit(
        house: ToView,
        expect: Annotated[
            str | None,
            Query(pattern="^[0-9a-f]{64}$", description="A head that was told before and kept elsewhere."),
        ] = None,
    ) -> models.Anything:
        """As `inchworm audit verify --json`: 200 whether it is whole or not."""
        return models.told(**asjson.audit_check(house.control.verify_audit(expect)))

    @routes.get("/gateways", summary="List the gateways that asked since the server started")
    def gateways(request: Request, _house: ToView) -> models.Anything:
        publisher = state_of(request).publisher
        rows: list[dict[str, Any]] = [
            {"name": one.name, "url": one.url, "holds": one.holds, "at": one.at, "current": one.holds == now}
            for now in (publisher.version,)
            for one in publisher.gateways()
        ]
        return models.told(version_served=publisher.version, gateways=rows)

    @routes.get(
        "/serving",
        summary="What gateways are told to serve",
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}, 304: {"description": "It is as you hold it."}},
    )
    async def serving(
        request: Request,
        *,
        from_gateway: Annotated[bool, Depends(is_gateway)],
        holds: Annotated[str | None, Query(max_length=64)] = None,
        wait: Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)] = 0.0,
        gateway: Annotated[str | None, Query(max_length=_SHORT_TEXT)] = None,
        url: Annotated[str | None, Query(max_length=_SHORT_TEXT)] = None,
        nonce: Annotated[str | None, Query(pattern="^[0-9a-f]{16,64}$")] = None,
    ) -> Response:
        """The signed document once it differs from the version that you hold; 304 after `wait` seconds.

        With a `nonce` the answer bears a witness that it was made for this very question.
        """
        state = state_of(request)
        if from_gateway and gateway is not None and url is not None:
            state.publisher.heard_from(GatewaySeen(name=gateway, url=url, holds=holds, at=state.house.now()))
        document = await state.publisher.newer_than(holds, timeout_s=wait)
        name = (holds or "") if document is None else version_of(document)
        headers = {"ETag": f'"{name}"'}
        if from_gateway and nonce is not None:
            headers[WITNESS] = witness(derive(state.master, Purpose.PUBLISHED), nonce, name)
        if document is None:
            return Response(status_code=304, headers=headers)
        return Response(document, media_type="application/json", headers=headers)

    @routes.post("/wake", summary="Ask the control loop to look now")
    def wake(
        request: Request, _principal: Annotated[Principal, Depends(need(Scope.DEPLOYER))]
    ) -> dict[str, Any]:
        changed(request)
        return version({})

    return routes
