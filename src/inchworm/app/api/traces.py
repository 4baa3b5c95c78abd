"""Interactions: listed, shown, rated."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from inchworm.app import asjson, filters
from inchworm.app.api import models
from inchworm.app.api.auth import state_of
from inchworm.app.api.deps import After, Limit, ToView
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Arm

MOST_WAITED_S = 30.0
"""So long one request waits for new interactions, at most."""
_LOOK_S = 5.0


class Filters:
    """The filters of the command, as a query; see :class:`inchworm.app.filters.Said`.

    Args:
        house: the app.
        configuration: answered by this configuration: stable, declared or an id.
        arm: of this arm of a rollout.
        rollout: part of this rollout.
        cluster: in this topic.
        outcome: with this outcome.
        not_ok: that failed or errored.
        finish: ended with this word of the provider's.
        below: whose latest score on the metric is below the value: ``METRIC=VALUE``.
        between: whose latest score on the metric lies there: ``METRIC=LOW..HIGH``.
        scored: with any score, or with none.
        unit: of this session, user or request.
        call: of the app's call with this name.
        model: answered by this model.
        source: that came this way.
        attribute: with this attribute: ``NAME=VALUE``.
        slower: that took so long or longer: ``2s``, ``800ms``.
        incomplete: of which spans are missing, or none.
        kind: with a span of this kind.
        span: with a span of this name.
        text: whose inputs, answer or reference contain these words.
        since: at that time or later: 2h, 7d, or 2026-11-09T14:00.
        until: before that time.
        shadow: answers to mirrored calls, which nobody saw, in place of all that somebody saw.
    """

    def __init__(
        self,
        *,
        house: ToView,
        configuration: Annotated[str | None, Query(description="stable, declared or an id.")] = None,
        arm: Arm | None = None,
        rollout: str | None = None,
        cluster: str | None = None,
        outcome: Literal["ok", "failed", "errored"] | None = None,
        not_ok: Annotated[bool, Query(description="That failed or errored.")] = False,
        finish: Annotated[str | None, Query(description="The provider's word for why it ended.")] = None,
        below: Annotated[str | None, Query(description="METRIC=VALUE.")] = None,
        between: Annotated[str | None, Query(description="METRIC=LOW..HIGH, both included.")] = None,
        scored: Annotated[bool | None, Query(description="With any score, or with none.")] = None,
        unit: Annotated[str | None, Query(description="Session, user or request.")] = None,
        call: str | None = None,
        model: str | None = None,
        source: Annotated[str | None, Query(description="A wire, or a dialect of telemetry.")] = None,
        attribute: Annotated[str | None, Query(max_length=1_000, description="NAME=VALUE.")] = None,
        slower: Annotated[str | None, Query(description="So long or longer: 2s, 800ms.")] = None,
        incomplete: Annotated[bool | None, Query(description="Spans are missing, or none is.")] = None,
        kind: Annotated[SpanKind | None, Query(description="With a span of this kind.")] = None,
        span: Annotated[str | None, Query(description="With a span of this name.")] = None,
        text: Annotated[str | None, Query(max_length=1_000)] = None,
        since: Annotated[str | None, Query(description="2h, 7d, or 2026-11-09T14:00.")] = None,
        until: Annotated[str | None, Query(description="The same.")] = None,
        shadow: Annotated[bool, Query(description="Only answers to mirrored calls.")] = False,
    ) -> None:
        self.house = house
        self.value = filters.made(
            house,
            configuration=configuration,
            arm=arm,
            rollout=rollout,
            cluster=cluster,
            outcome=outcome,
            not_ok=not_ok,
            finish=finish,
            below=below,
            between=between,
            scored=scored,
            unit=unit,
            call=call,
            model=model,
            source=source,
            attribute=attribute,
            slower=slower,
            incomplete=incomplete,
            kind=kind,
            span=span,
            text=text,
            since=since,
            until=until,
            shadow=shadow,
        )


Filtered = Annotated[Filters, Depends()]


def router() -> APIRouter:
    """Routes of interactions."""
    routes = APIRouter(tags=["traces"])

    @routes.get("/traces", summary="List interactions, newest first")
    def listed(asked: Filtered, limit: Limit = 20, after: After = None) -> models.Traces:
        house = asked.house
        page = house.traces.traces(house.app, filters=asked.value, after=after, limit=limit)
        clusters = house.traces.clusters(house.app, [one.id for one in page.traces])
        rows = [asjson.trace(one, clusters.get(one.id)) for one in page.traces]
        return models.Traces.model_validate(
            {
                "total": page.total,
                "searched": page.searched,
                "traces": rows,
                "after": page.next_cursor,
            }
        )

    @routes.get("/traces/facets", summary="Count interactions by their values")
    def facets(asked: Filtered) -> models.Anything:
        """Per facet the most frequent values, at most 100, of the interactions that pass the filters."""
        found = asked.house.traces.facets(asked.house.app, asked.value)
        rows = {name: [{"value": value, "n": n} for value, n in values] for name, values in found.items()}
        return models.told(total=asked.house.traces.count(asked.house.app, asked.value), facets=rows)

    @routes.get("/traces/follow", summary="Wait for new interactions")
    async def follow(
        request: Request,
        asked: Filtered,
        after: Annotated[
            int | None,
            Query(ge=0, le=2**62, description="`after` of the answer before; left out: from now on."),
        ] = None,
        limit: Limit = 200,
        wait_s: Annotated[float, Query(ge=0, le=MOST_WAITED_S, description="Answer by then.")] = 0.0,
    ) -> models.Arrived:
        """What arrived since, in the order of arrival; with `wait_s` it answers when something has.

        The first question, without `after`, says where to go on from.
        """
        return models.Arrived.model_validate(await _arrived(request, asked, after, limit, wait_s))

    @routes.get("/traces/{trace_id}", summary="Show one interaction")
    def shown(house: ToView, trace_id: str) -> models.OneTrace:
        """By its id, or by at least 4 characters that only its id begins with."""
        found = house.traces.trace(house.app, trace_id)
        cluster = house.traces.clusters(house.app, [found.id]).get(found.id)
        shadow = house.traces.shadow_of(house.app, found.id)
        spans = house.traces.spans(house.app, [found.id]).get(found.id, ())
        return models.OneTrace.model_validate({"trace": asjson.whole_trace(found, cluster, shadow, spans)})

    @routes.get("/traces/{trace_id}/spans", summary="List the spans of one interaction")
    def spans_of(house: ToView, trace_id: str) -> models.Spans:
        """In the order of their starts; none where it came as one piece, as calls through the gateway do."""
        found = house.traces.trace(house.app, trace_id)
        spans = house.traces.spans(house.app, [found.id]).get(found.id, ())
        return models.Spans.model_validate({"spans": [asjson.span(one) for one in spans]})

    return routes


async def _arrived(
    request: Request, asked: Filters, after: int | None, limit: int, wait_s: float
) -> dict[str, Any]:
    """What arrived, once something has or the time is over."""
    pulse, traces, app = state_of(request).pulse, asked.house.traces, asked.house.app
    ends = asyncio.get_running_loop().time() + wait_s
    while True:
        beats = pulse.count  # before the store is asked: what comes meanwhile beats again
        came = await run_in_threadpool(traces.arrived_after, app, after, filters=asked.value, limit=limit)
        left = ends - asyncio.get_running_loop().time()
        if after is None or came.traces or left <= 0 or pulse.stopped:
            break
        after = came.seen
        await pulse.after(beats, timeout_s=min(left, _LOOK_S))
    clusters = await run_in_threadpool(traces.clusters, app, [one.id for one in came.traces])
    return {
        "traces": [asjson.trace(one, clusters.get(one.id)) for one in came.traces],
        "after": came.seen,
    }
