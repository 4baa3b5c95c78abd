"""Shadow: a call that stable answers is put to the candidate too, for nobody to see.

What a caller gets, and when, does not hang on it: the candidate is asked in the background, once the caller
has all of its answer. Which calls are mirrored is settled before anything is known of any answer, and durable
before the candidate is asked, so that an answer that never comes counts as one (docs/shadow.md).
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

import msgspec

from inchworm.capture.records import Mirrored, Shadowed
from inchworm.domain.calls import for_call
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId
from inchworm.domain.layers import LAYERS
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.outcome import HARNESS_STATUSES
from inchworm.domain.serving import Candidate
from inchworm.gateway.asking import Asker
from inchworm.gateway.call import Call, Failed, Mirror, Question, Trouble
from inchworm.gateway.compiled import Compiled
from inchworm.gateway.faults import Fault, internal, stopping
from inchworm.gateway.forwarding import Unpacker
from inchworm.gateway.kept import Kept, Memory
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.recording import Recorder, durable
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import Answer, TooLateError, UpstreamError

_SERVER_ERROR = 500
_REMEMBERED = 100_000
"""Units whose first call was mirrored. One that is forgotten costs a call that is left out later."""
_encode = msgspec.json.Encoder().encode
# By its key a provider would take the mirrored request for the caller's, tried again; and it is no stream.
_NOT_SENT = frozenset({"idempotency-key", "x-idempotency-key", "accept"})


@dataclass(slots=True, kw_only=True)
class Mirrors:
    """Mirrors calls.

    Attributes:
        settings: how many at once, and whether a recording is played.
        asker: asks providers.
        recorder: writes down.
        attended: whether the server is heard from; if not, nobody would stop what costs money.
        fresh: gives ids.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
        log: says.
        memory: for what is kept of answers.
    """

    settings: Settings
    asker: Asker
    recorder: Recorder
    attended: Callable[[], bool]
    fresh: Callable[[], str]
    clock: Callable[[], float]
    metrics: Metrics
    log: Log
    memory: Memory = field(default_factory=Memory)
    _waiting: int = 0
    _bytes: int = 0
    _begun: Counter[tuple[RolloutId, int]] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _had: OrderedDict[tuple[RolloutId, str], None] = field(default_factory=OrderedDict)
    _moving: dict[tuple[ConfigurationId, ConfigurationId, str | None], bool] = field(default_factory=dict)

    @property
    def in_flight(self) -> int:
        """Calls whose mirrored one is not recorded yet."""
        return self._waiting

    def begin(self, call: Call) -> Mirror | None:
        """Settle whether a call is mirrored, and write that down, before anybody is asked.

        Returns:
            The place that is kept for it, for :meth:`go`; ``None`` if it is not mirrored. What was meant to
            be and is not, is counted with the reason.
        """
        shadow, table = call.decision.shadow, call.route.app.table
        if shadow is None or table is None or table.candidate is None:
            return None
        candidate = table.candidate
        why = self._why_not(call, shadow, candidate)
        if why is None:
            id_ = TraceId(self.fresh())
            try:
                written = self.recorder.mirror(
                    Mirrored(
                        app=call.app,
                        unit=call.decision.unit,
                        rollout=candidate.rollout_id,
                        stage=candidate.stage,
                        trace=call.id,
                        shadow=id_,
                        probability=candidate.shadow,
                        at=call.at,
                    )
                )
            except InchwormError:
                why = "spool"
            else:
                self._begun[candidate.rollout_id, candidate.stage] += 1
                self._had[candidate.rollout_id, call.decision.unit] = None
                if len(self._had) > _REMEMBERED:
                    self._had.popitem(last=False)
                self._waiting += 1
                self._bytes += len(call.raw)
                return Mirror(id_, written, len(call.raw))
        self.metrics.unmirrored.add(call.app, why)
        return None

    def go(self, call: Call) -> None:
        """The caller has its answer, or left: ask the candidate, in the background."""
        mirror, shadow, table = call.mirror, call.decision.shadow, call.route.app.table
        if mirror is None or shadow is None or table is None:
            return
        call.mirror = None
        # Nothing of the caller's connection is held: granian would not end its answer.
        question = Question(
            id=mirror.id,
            at=call.at if self.settings.replay else self.clock(),
            begun=time.perf_counter(),
            path=call.path,
            query=call.query,
            items=[
                *(item for item in call.items if item[0] not in _NOT_SENT),
                ("accept", "application/json"),
            ],
            raw=call.raw,
            body=call.body,
            wire=call.wire,
            route=call.route,
            decision=replace(
                call.decision,
                compiled=shadow,
                assignment=None,
                fresh=False,
                infrastructure=shadow.infrastructure,
                followed=False,
                token_refused=False,
                shadow=None,
            ),
            kept=Kept(self.memory),
        )
        gone = _stopped() if call.watch.stopped else uncompared(call)
        stable = call.route.app.configurations[table.stable]
        task = asyncio.get_running_loop().create_task(self._mirror(question, mirror, call.id, stable, gone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """The gateway stops: what is not answered is given up, and written down as given up."""
        loop = asyncio.get_running_loop()
        for task in self._tasks:
            # Behind its first step: a task that is cancelled before that would write nothing down.
            loop.call_soon(task.cancel)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _why_not(self, call: Call, shadow: Compiled, candidate: Candidate) -> str | None:
        if not self.attended():
            return "unattended"
        # Stable would answer twice, and look the same.
        if shadow.left_to_app:
            return "left_to_app"
        if not self._moves(call, candidate):
            return "unmoved"
        if call.wire.mirrored(call.body) is None:
            return "held"
        # The first of a unit's calls is evidence, those after it say the same again (docs/deciding.md).
        if (candidate.rollout_id, call.decision.unit) in self._had:
            return "again"
        limit = candidate.shadow_calls
        if limit is not None and self._begun[candidate.rollout_id, candidate.stage] >= limit:
            return "budget"
        full = self._waiting >= self.settings.mirrored_at_once
        return "busy" if full or self._bytes + len(call.raw) > self.settings.mirrored_bytes else None

    def _moves(self, call: Call, candidate: Candidate) -> bool:
        """Whether the candidate differs from stable for calls of this name; many changes are of one call."""
        before, whole = call.decision.compiled, call.route.app.configurations[candidate.configuration_id]
        if before is None or not whole.calls:
            return True
        name = call.route.call if call.route.call in whole.calls else None
        asked = before.configuration.id, whole.configuration.id, name
        known = self._moving.get(asked)
        if known is None:
            effective = (for_call(one.configuration, name).id for one in (before, whole))
            known = self._moving[asked] = len(set(effective)) > 1
        return known

    async def _mirror(
        self, question: Question, mirror: Mirror, trace: TraceId, stable: Compiled, gone: Failed | None
    ) -> None:
        refused: Fault | None = None
        try:
            if not await durable(mirror.durable):
                self.metrics.unmirrored.add(question.app, "spool")
                return
            got = await self._answer(question, stable) if gone is None else gone
            match got:
                case Failed():
                    gone = got
                case Fault():
                    refused = got
                case None:
                    pass
                case _:
                    assert_never(got)
        except asyncio.CancelledError:
            gone = _stopped()
        except MISTAKES as error:  # of the configuration, perhaps: it must not look like silence
            self.log.alarm("mistake", what=where(error))
            gone = Failed(Trouble.CUT, internal())
        finally:
            self._waiting -= 1
            self._bytes -= mirror.size
            if question.answer is not None:
                question.answer.abort()
        result = "refused" if refused is not None else "answered" if gone is None else gone.trouble.value
        self.metrics.mirrored.add(question.app, result)
        called = question.record(time.perf_counter(), gone, refused=refused)
        question.kept.release()
        await self.recorder.record(Shadowed(**msgspec.structs.asdict(called), shadow_of=trace))

    async def _answer(self, question: Question, stable: Compiled) -> Failed | Fault | None:
        """Ask the candidate; why there is no whole answer, if there is none."""
        body = question.wire.mirrored(question.body)
        if body is not None and body != question.body:
            question.body, question.raw = body, _encode(body)
        if (fault := self.asker.prepare(question)) is not None:
            return fault
        if layers := unapplied(question, stable):
            which = " and ".join(layers)
            said = f"the candidate's {which} could not be put into this request, so it was not asked"
            return _not_sent(Trouble.UNAPPLIED, said)
        question.begun = time.perf_counter()
        got = await self.asker.send(question, patient=False)
        if not isinstance(got, Answer):
            return got
        if question.replayed_ms is not None and question.replayed_ms > 1e3 * question.deadline_s:
            return self.asker.failed(question, TooLateError())
        unpacker = Unpacker.of(got.head, self.settings.max_body * 8)
        question.streamed = (got.head.get("content-type") or "").startswith("text/event-stream")
        try:
            while piece := await got.piece():
                question.kept.add(
                    piece if unpacker is None else unpacker.feed(piece), self.settings.recorded_bytes
                )
            if unpacker is not None:
                unpacker.end()
        except UpstreamError as error:
            return self.asker.failed(question, error)
        except zlib.error as error:
            return self.asker.failed(question, UpstreamError(f"sent what cannot be unpacked: {error}"))
        return None


def uncompared(call: Call) -> Failed | None:
    """Why there is nothing to compare with, if there is nothing: then the candidate is not asked.

    Where the harness failed on stable's side, whatever the candidate says counts for nothing. And a provider
    that is overloaded is not asked twice.
    """
    status = 0 if call.answer is None else call.answer.head.status
    if call.watch.left:
        why = "the caller left"
    elif call.trouble in {Trouble.CONNECT, Trouble.CUT}:
        why = "there is none"
    elif status in HARNESS_STATUSES or status >= _SERVER_ERROR:
        why = f"it is status {status}"
    else:
        return None
    said = f"stable's answer says nothing of stable ({why}), so the candidate was not asked"
    return _not_sent(Trouble.UNCOMPARED, said)


def unapplied(question: Question, stable: Compiled) -> tuple[str, ...]:
    """The layers in which the candidate differs from stable that are not in the request.

    Without them stable would be compared with itself, and pass.
    """
    chosen, applied = question.decision.compiled, question.applied
    if chosen is None or applied is None or not applied.unapplied:
        return ()
    call = question.route.call
    before, after = for_call(stable.configuration, call), for_call(chosen.configuration, call)
    moved = {layer.value for layer in LAYERS if before.layer(layer) != after.layer(layer)}
    return tuple(layer for layer in applied.unapplied if layer in moved)


def _stopped() -> Failed:
    return Failed(Trouble.CUT, stopping())


def _not_sent(trouble: Trouble, said: str) -> Failed:
    return Failed(trouble, Fault(status=499, code=trouble.value, message=f"{said[:1].upper()}{said[1:]}."))
