"""Interactions: listed, shown, sent in, rated."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from inchworm.app import asjson, names
from inchworm.app.api import models
from inchworm.app.api.deps import After, Limit, ToDeploy, ToLabel, ToView, changed
from inchworm.app.api.errors import RefusedError
from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.outcome import Score, Scored
from inchworm.domain.trace import Arm
from inchworm.store.traces import TraceFilter

MOST_IMPORTED = 1 << 30
"""Bytes of a file that is sent in one request."""


class Filters:
    """The filters of the command, as a query.

    Args:
        house: the app.
        configuration: answered by this configuration: stable, declared or an id.
        arm: of this arm of a rollout.
        rollout: part of this rollout.
        cluster: in this topic.
        outcome: with this outcome.
        below: whose latest score on the metric is below the value: ``METRIC=VALUE``.
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
        below: Annotated[str | None, Query(description="METRIC=VALUE.")] = None,
        text: Annotated[str | None, Query(max_length=1_000)] = None,
        since: Annotated[str | None, Query(description="2h, 7d, or 2026-11-09T14:00.")] = None,
        until: Annotated[str | None, Query(description="The same.")] = None,
        shadow: Annotated[bool, Query(description="Only answers to mirrored calls.")] = False,
    ) -> None:
        now = house.now()
        self.house = house
        self.value = TraceFilter(
            configuration=None if configuration is None else names.configuration(house, configuration).id,
            arm=arm,
            rollout=None if rollout is None else RolloutId(rollout),
            cluster=cluster,
            outcome=outcome,
            metric_below=None if below is None else names.below(below),
            text=text,
            since=None if since is None else names.moment(since, now),
            until=None if until is None else names.moment(until, now),
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
        return models.Traces.model_validate({"total": page.total, "traces": rows, "after": page.next_cursor})

    @routes.get("/traces/facets", summary="Count interactions by their values")
    def facets(asked: Filtered) -> models.Anything:
        """Per facet the most frequent values, at most 100, of the interactions that pass the filters."""
        found = asked.house.traces.facets(asked.house.app, asked.value)
        rows = {name: [{"value": value, "n": n} for value, n in values] for name, values in found.items()}
        return models.told(facets=rows)

    @routes.get("/traces/{trace_id}", summary="Show one interaction")
    def shown(house: ToView, trace_id: str) -> models.OneTrace:
        """By its id, or by at least 4 characters that only its id begins with."""
        found = house.traces.trace(house.app, trace_id)
        cluster = house.traces.clusters(house.app, [found.id]).get(found.id)
        return models.OneTrace.model_validate(
            {"trace": asjson.whole_trace(found, cluster, house.traces.shadow_of(house.app, found.id))}
        )

    @routes.post("/scores", summary="Send feedback")
    def rated(
        request: Request, house: ToLabel, sent: Annotated[models.Score | models.Scores, Body()]
    ) -> models.Rated:
        """One score, or `{"scores": [...]}`. Sent twice with the same time, it counts once."""
        scores = sent.scores if isinstance(sent, models.Scores) else [sent]
        stored, unknown = _rate(house, scores)
        if unknown and isinstance(sent, models.Score):
            raise NotFoundError(
                f"no interaction {unknown[0]} is stored, so that the score belongs to nothing",
                hint="interactions are stored some seconds after they ended; or see their ids: GET /traces",
            )
        changed(request)
        return models.Rated(stored=stored, unknown=unknown)

    @routes.get("/imports", summary="List the files that were read in, newest first")
    def imports(house: ToView) -> models.Anything:
        return models.told(imports=[asjson.data_of(one) for one in house.control.imports(house.app)])

    @routes.post(
        "/imports",
        summary="Read a file of interactions in, sanitized",
        max_body_size=MOST_IMPORTED,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-ndjson": {},
                    "application/gzip": {},
                    "application/octet-stream": {},
                },
            }
        },
    )
    async def imported(
        request: Request,
        house: ToDeploy,
        name: Annotated[str, Query(max_length=200, description="What the file is called.")] = "upload",
        dialect: Annotated[str | None, Query(description="Recognised line by line if left out.")] = None,
        again: Annotated[bool, Query(description="Read it although it was read before.")] = False,  # noqa: FBT002  # a query
    ) -> models.Imported:
        """The body is the file: JSONL, plain or gzipped, at most 1 GiB. Answers when it is read in.

        The same file a second time adds nothing.
        """
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise RefusedError(
                415,
                "unsupported_media_type",
                "the body is the file itself, no form",
                hint="curl --data-binary @FILE",
            )
        # Without a name: what is raw in it is gone however this process ends.
        with tempfile.TemporaryFile(dir=house.spec.data) as file:
            digest = await _received(request.stream(), file)
            said = await run_in_threadpool(_import, house, file, digest, name, dialect, again=again)
        changed(request)
        return models.Imported.model_validate(said)

    return routes


def _rate(house: House, scores: list[models.Score]) -> tuple[int, list[str]]:
    from inchworm.app.loop.incoming import Rating
    from inchworm.app.loop.rating import store_ratings
    from inchworm.sanitize import Sanitizer

    settings = house.spec.sanitize
    now = house.now()
    ratings = [
        Rating(
            raw=b"",
            path=Path(),
            app=house.app,
            trace_id=TraceId(one.trace),
            score=Score(
                metric=one.metric,
                result=Scored(value=one.value),
                source=one.source,
                at=now if one.at is None else one.at,
            ),
        )
        for one in scores
    ]
    sanitizer = Sanitizer(kinds=settings.kinds, custom=settings.custom)
    stored, unknown = store_ratings(house, sanitizer, ratings)
    return stored, list(dict.fromkeys(one.trace_id for one in unknown))


async def _received(blocks: AsyncIterator[bytes], file: IO[bytes]) -> str:
    """Keep what comes, and go back to its beginning; its SHA-256.

    Raises:
        UsageError: if it does not come to its end.
    """
    digest = hashlib.sha256()
    try:
        async for block in blocks:
            digest.update(block)
            file.write(block)
    except ClientDisconnect as error:
        raise UsageError("the file did not come to its end; nothing was read in") from error
    file.seek(0)
    return digest.hexdigest()


def _import(
    house: House, file: IO[bytes], digest: str, name: str, dialect: str | None, *, again: bool
) -> dict[str, Any]:
    from inchworm.app.loop import importing
    from inchworm.app.loop.intake import Drain

    before = None if again else importing.known(house, name, digest)
    if before is not None:
        return before
    return importing.take(house, Drain(house), file, name, dialect=dialect)
