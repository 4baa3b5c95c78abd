"""One request of a tracing client, from the door to the answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

from inchworm.capture.spool import Spool
from inchworm.gateway.faults import FaultError, wrong_method
from inchworm.gateway.ingest.asked import Asked, Said, whose
from inchworm.gateway.ingest.doors import Door, Doors
from inchworm.gateway.ingest.keeping import Keeper
from inchworm.gateway.ingest.langfuse import Langfuse
from inchworm.gateway.ingest.langsmith import Langsmith
from inchworm.gateway.ingest.otlp import Otlp
from inchworm.gateway.ingest.questions import Questions
from inchworm.gateway.ingest.room import Room, Share
from inchworm.gateway.ingest.scores import Scores
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.recording import Recorder
from inchworm.gateway.rsgi import Exchange, Scope
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import Client

_MEMORY = 80 << 20
"""Bytes of bodies that are held at once."""
_THREADS = 2


@dataclass(slots=True, kw_only=True)
class Ingest:
    """Takes in what tracing clients send.

    Attributes:
        settings: limits.
        holder: what is served.
        doors: which path leads where.
        room: memory for bodies.
        executor: works on large ones.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
    """

    settings: Settings
    holder: Holder
    doors: Doors
    room: Room
    executor: Executor
    clock: Callable[[], float]
    metrics: Metrics

    def door(self, path: str) -> Door | None:
        """Where a path leads; ``None`` if it is none of a tracing client's."""
        return self.doors.door(path)

    async def serve(self, door: Door, scope: Scope, proto: Exchange) -> None:
        """Answer one request; what is refused is said as the protocol's clients read it, and counted."""
        headers = dict(scope.headers.items())
        try:
            said = await self._said(door, scope, proto, headers)
        except FaultError as error:
            self.metrics.ingest_refused.add(door.protocol, error.fault.code)
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            said = door.refusal(error.fault, kind)
        proto.response_bytes(said.status, [("content-type", said.kind), *said.headers], said.body)

    async def _said(self, door: Door, scope: Scope, proto: Exchange, headers: dict[str, str]) -> Said:
        handler = door.methods.get(scope.method)
        if handler is None:
            raise FaultError(wrong_method(scope.method, ", ".join(door.methods)))
        serving, app = whose(headers, self.holder.serving, self.settings)
        with Share(self.room) as share:
            return await handler(
                Asked(
                    method=scope.method,
                    path=scope.path,
                    query=scope.query_string,
                    headers=headers,
                    proto=proto,
                    settings=self.settings,
                    serving=serving,
                    app=app,
                    share=share,
                    executor=self.executor,
                    at=self.clock(),
                )
            )


def open_ingest(
    *,
    settings: Settings,
    holder: Holder,
    spool: Spool,
    recorder: Recorder,
    client: Client,
    bearer: str,
    clock: Callable[[], float],
    metrics: Metrics,
) -> Ingest:
    """Everything that ingestion needs, put together.

    Args:
        settings: limits, and where the server is.
        holder: what is served.
        spool: takes records.
        recorder: counts, and says, what could not be recorded.
        client: asks the server.
        bearer: shows the server that this gateway belongs to the installation.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
    """
    keeper = Keeper(spool=spool, recorder=recorder)
    return Ingest(
        settings=settings,
        holder=holder,
        doors=Doors(
            to_otlp=Otlp(keeper=keeper, metrics=metrics),
            to_langfuse=Langfuse(keeper=keeper, metrics=metrics),
            to_langsmith=Langsmith(keeper=keeper, metrics=metrics),
            to_scores=Scores(keeper=keeper, metrics=metrics),
            questions=Questions(client=client, control=settings.control, bearer=bearer),
        ),
        room=Room(_MEMORY),
        executor=ThreadPoolExecutor(_THREADS, "ingest"),
        clock=clock,
        metrics=metrics,
    )
