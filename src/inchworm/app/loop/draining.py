"""From the spool to the stores: closed segments in; exposures, interactions and scores out, once in effect.

A segment is destroyed after everything in it is in the stores. Killed before that, it is drained again, and
ids keep anything from being stored twice. What cannot be read, sanitized or placed is quarantined with its
reason: it is never lost without a word, and never stops what comes behind it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from inchworm.app.config.load import AppSpec
from inchworm.app.house import House
from inchworm.app.loop.arriving import Came, Spanned, Told, arrived
from inchworm.app.loop.awaiting import Awaiting
from inchworm.app.loop.costing import Costs
from inchworm.app.loop.drained import Backlog, Drained
from inchworm.app.loop.exposing import record
from inchworm.app.loop.incoming import Exposing, Mirroring, Rating, Unreadable
from inchworm.app.loop.intake import BATCH, Drain, Stages
from inchworm.app.loop.mirroring import record_mirrored
from inchworm.app.loop.postponing import Postponed
from inchworm.app.loop.rating import store_ratings
from inchworm.app.loop.readers import ReaderPool
from inchworm.app.loop.reading import Rules, fault
from inchworm.app.loop.telemetry import store_spans, tell_anew
from inchworm.app.loop.topics import CLUSTERING
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import (
    QUARANTINE,
    adopt_orphans,
    closed_segments,
    destroy,
    oldest_at,
    quarantine,
    quarantine_records,
    read_segment,
    spool_size,
)
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InchwormError, NotFoundError, StoreError
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.trace import Trace
from inchworm.sanitize import Sanitizer, UnsanitizableError

_LOG = logging.getLogger(__name__)
_GROUP_BYTES = 8 << 20
_LOOK_AGAIN_S = 1.0
_TRY_AGAIN_S = 30.0

_Segment = tuple[Path, Sequence[bytes]]
C = TypeVar("C", bound=Came)


class Draining:
    """Drains the spool of one app's house. One thread may use it.

    Args:
        house: where everything goes.
        key: the spool's key.
        workers: processes that read and sanitize where there is much; 0 for none but this one.
    """

    def __init__(self, house: House, key: bytes, *, workers: int = 0) -> None:
        self._house = house
        self._key = key
        self._workers = workers
        self._root = house.spec.data / SPOOL
        self._apps: set[AppRef] = set()
        self._awaiting = Awaiting(self._root, key)
        self._postponed = Postponed(house)
        self._unreadable: dict[Path, tuple[str, float]] = {}
        self._refused: dict[str, list[bytes]] = {}
        self._refused_by_id: set[int] = set()
        self._looked_at = float("-inf")
        self._spec: AppSpec | None = None
        self._topics_at: float | None = None
        self._readers: ReaderPool
        self._drain: Drain
        self._costs: Costs
        self._plain: Sanitizer
        self._follow()

    def round(self, enough: Callable[[], bool] = lambda: False) -> Drained:
        """Drain what is closed by now.

        Args:
            enough: asked between groups of segments; the rest waits for the next round if it says so.

        Raises:
            StoreError: if a store or the spool cannot be used; what was not destroyed is drained again.
        """
        now, drained = self._house.now(), Drained()
        if self._house.spec is not self._spec or not 0 <= now - self._looked_at < _LOOK_AGAIN_S:
            self._looked_at = now
            self._follow()
            adopt_orphans(self._root)
            self._unreadable = {
                path: said for path, said in self._unreadable.items() if 0 <= now - said[1] < _TRY_AGAIN_S
            }
        if gone := self._awaiting.load(self._apps, now):
            for one in gone:
                self._quarantine(one.raw, one.reason, drained)
            self._write_quarantine()
            self._awaiting.settle(self._awaiting.ratings)
        for group in self._groups(drained):
            self._group(group, drained)
            if enough():
                break
        drained.retold += tell_anew(self._house, self._drain, self._costs, self._postponed)
        self._settle(drained)
        self._drain.finish(at_once=False)
        if drained.quarantined:
            _LOG.warning(
                "%d records could not be taken in and lie in %s",
                drained.quarantined.total(),
                self._root / QUARANTINE,
                extra={"known": {"reasons": dict(drained.quarantined.most_common(10))}},
            )
        return drained

    def backlog(self) -> Backlog:
        """What waits."""
        return Backlog(
            segments=len(closed_segments(self._root)),
            bytes=spool_size(self._root),
            oldest_at=oldest_at(self._root),
            waiting=len(self._awaiting),
            unreadable={str(path): reason for path, (reason, _) in self._unreadable.items()},
        )

    def close(self) -> None:
        """End the processes that sanitize. Ratings that wait lie in the spool."""
        self._drain.finish()
        self._readers.close()

    def waiting(self) -> frozenset[Path]:
        """Segments of feedback that waits; all else in the segments in which it came is drained."""
        return self._awaiting.paths

    def renew(self) -> None:
        """Forget all that is remembered of interactions, in every process; what waits is read again."""
        self.close()
        self._spec = None
        self._awaiting.forget()
        self._postponed = Postponed(self._house)
        self._follow()

    def _follow(self) -> None:
        """Go on with what is declared and known by now: metrics, what is sanitized, topics."""
        spec, app = self._house.spec, self._house.app
        topics_at = self._house.control.blob_at(app, CLUSTERING)
        if spec is self._spec and topics_at == self._topics_at:
            return
        before = self._spec
        if before is not None:
            self._drain.finish()
        if before is None or spec.sanitize != before.sanitize or app not in self._apps:
            if before is not None:
                self._readers.close()
            # What a gateway recorded before it heard of another name is taken in under the old one.
            self._apps.add(app)
            self._plain = Sanitizer(custom=spec.sanitize.custom)
            rules = Rules(
                apps=frozenset(self._apps),
                kinds=tuple(spec.sanitize.kinds),
                custom=tuple(spec.sanitize.custom),
                key=self._house.key(),
                memo=secrets.token_bytes(8),
            )
            self._readers = ReaderPool(rules, workers=self._workers)
        self._drain, self._costs = Drain(self._house), Costs(self._house)
        self._spec, self._topics_at = spec, topics_at

    def _groups(self, drained: Drained) -> Iterator[list[_Segment]]:
        """Segments in groups that are stored together."""
        group: list[_Segment] = []
        size = count = 0
        for path in closed_segments(self._root):
            if path in self._unreadable:
                continue
            try:
                length = path.stat().st_size
                contents = read_segment(path, self._key)
            except (FileNotFoundError, NotFoundError):  # somebody took it away
                continue
            except StoreError as error:
                self._unreadable[path] = (error.message, self._house.now())
                _LOG.error("a segment cannot be read for now: %s", error.message)
                continue
            more = len(contents.records)
            is_full = size + length > _GROUP_BYTES or count + more > BATCH
            if group and (is_full or contents.damage is not None):
                yield group
                group, size, count = [], 0, 0
            # Not before that: what was only looked at is drained in the next round.
            drained.segments += 1
            drained.records += more
            if contents.damage is not None:
                # What opens is stored at once: the file leaves the spool with the rest.
                self._group([(path, contents.records)], drained, damaged=True)
                quarantine(self._root, path, reason=contents.damage, at=self._house.now(), records=more)
                drained.quarantined[contents.damage] += 1
                continue
            group.append((path, contents.records))
            size, count = size + length, count + more
        if group:
            yield group

    def _group(self, segments: Sequence[_Segment], drained: Drained, *, damaged: bool = False) -> None:
        """Store what a group of segments holds, and destroy them, but for damaged ones."""
        records = [(path, raw) for path, members in segments for raw in members]
        paths = [] if damaged else [path for path, _ in segments]
        self._refused, self._refused_by_id = {}, set()  # of an attempt that failed, which is this one again
        came: list[Came] = []
        for one in arrived(records, self._readers([raw for _, raw in records]), self._apps):
            if isinstance(one, Unreadable):
                self._quarantine(one.raw, one.reason, drained)
            else:
                came.append(one)
        self._each(_of(Exposing, came), self._expose, drained)
        self._each(_of(Mirroring, came), self._mirror, drained)
        self._each(_of(Told, came), self._take, drained)
        self._each(_of(Spanned, came), self._join, drained)
        waiting: list[Rating] = []

        def rate(ratings: Sequence[Rating], made: Drained) -> list[tuple[bytes, str]]:
            stored = store_ratings(self._house, self._plain, ratings)
            made.scores = stored.new
            waiting.extend(stored.waiting)
            return [(one.raw, reason) for one, reason in stored.refused]

        self._each(_of(Rating, came), rate, drained)
        self._awaiting.keep(waiting, self._house.now())
        self._write_quarantine()
        for path in paths:
            destroy(path)

    def _each(
        self,
        came: Sequence[C],
        act: Callable[[Sequence[C], Drained], list[tuple[bytes, str]]],
        drained: Drained,
    ) -> None:
        """Do something with all of them at once; if that fails, with each half, down to the one that fails.

        Acts store all or nothing, or what is known already when they are repeated.
        """
        if not came:
            return
        made = Drained()
        try:
            refused = act(came, made)
        except StoreError:
            raise
        except (InchwormError, *MISTAKES) as error:
            if len(came) == 1:
                known = isinstance(error, InchwormError)
                if not known:
                    _LOG.warning("a record could not be taken in: %s", where(error))
                self._quarantine(came[0].raw, str(error) if known else fault(error), drained)
                return
            middle = len(came) // 2
            self._each(came[:middle], act, drained)
            self._each(came[middle:], act, drained)
            return
        drained.spans += made.spans
        drained.spans_again += made.spans_again
        drained.traces += made.traces
        drained.retold += made.retold
        drained.duplicates += made.duplicates
        drained.exposures += made.exposures
        drained.mirrored += made.mirrored
        drained.scores += made.scores
        drained.found += made.found
        for raw, reason in refused:
            self._quarantine(raw, reason, drained)

    def _expose(self, came: Sequence[Exposing], made: Drained) -> list[tuple[bytes, str]]:
        stages = Stages(self._house)
        possible: list[Exposing] = []
        refused: list[tuple[bytes, str]] = []
        for one in came:
            problem = stages.problem(one.assignment)
            if problem is None:
                possible.append(one)
            else:
                refused.append((one.raw, problem))
        made.exposures = record(
            self._house,
            [(self._house.pseudonym(one.unit_id), one.assignment, one.at) for one in possible],
        )
        return refused

    def _mirror(self, came: Sequence[Mirroring], made: Drained) -> list[tuple[bytes, str]]:
        made.mirrored, refused = record_mirrored(self._house, came)
        return refused

    def _take(self, came: Sequence[Told], made: Drained) -> list[tuple[bytes, str]]:
        traces = [self._costs(one.clean.what) for one in came]
        whole = {id(trace): one for trace, one in zip(traces, came, strict=True)}
        refused: list[tuple[bytes, str]] = []

        def refuse(trace: Trace, reason: str) -> None:
            refused.append((whole.pop(id(trace)).raw, reason))

        intake = self._drain.take_clean(traces, refused=refuse)
        made.traces, made.retold, made.duplicates = intake.new, intake.anew, intake.duplicate
        # Killed before its steps are stored, an interaction comes again: it is known then, and they are not.
        if steps := [step for one in whole.values() for step in one.clean.steps]:
            put = self._house.traces.put_spans(steps)
            made.spans, made.spans_again = put.new + put.changed, put.duplicate
        for one in came:
            made.found += one.clean.report.by_kind
        return refused

    def _join(self, came: Sequence[Spanned], made: Drained) -> list[tuple[bytes, str]]:
        stages = Stages(self._house)
        possible: list[Spanned] = []
        refused: list[tuple[bytes, str]] = []
        for one in came:
            given = one.clean.what.assignment
            problem = None if given is None else stages.problem(given)
            if problem is None:
                possible.append(one)
            else:
                refused.append((one.raw, problem))
        spans = [one.clean.what for one in possible]
        told = store_spans(self._house, self._drain, self._costs, spans, postponed=self._postponed)
        made.spans, made.spans_again = told.spans.new + told.spans.changed, told.spans.duplicate
        made.traces, made.retold = told.traces.new, told.traces.anew
        for one in possible:
            made.found += one.clean.report.by_kind
        return refused

    def _settle(self, drained: Drained) -> None:
        """Look again for the interactions that ratings wait for, and give up on those that do not come."""
        now, left = self._house.now(), list[Rating]()
        news = drained.traces + drained.retold + drained.spans > 0
        due = self._awaiting.due(now, news=news)
        if not due:
            return

        def rate(ratings: Sequence[Rating], made: Drained) -> list[tuple[bytes, str]]:
            stored = store_ratings(self._house, self._plain, ratings)
            made.scores = stored.new
            left.extend(stored.waiting)
            return [(one.raw, reason) for one, reason in stored.refused]

        self._each(due, rate, drained)
        gone = self._awaiting.given_up(left, now)
        for one, reason in gone:
            self._quarantine(one.raw, reason, drained)
        self._write_quarantine()
        over = {id(one) for one, _ in gone}
        self._awaiting.settle([one for one in left if id(one) not in over])

    def _quarantine(self, raw: bytes, reason: str, drained: Drained) -> None:
        if id(raw) in self._refused_by_id:
            # One request holds many spans: it is kept once, for the first reason, however many are refused.
            return
        self._refused_by_id.add(id(raw))  # it lives for as long as it is in ``_refused``
        # Reasons quote what is wrong, and they are kept where nothing is sealed.
        try:
            said = self._plain.unit().text(reason).text
        except UnsanitizableError:
            said = "The reason cannot be said without repeating what it is about."
        self._refused.setdefault(said, []).append(raw)
        drained.quarantined[said] += 1

    def _write_quarantine(self) -> None:
        """Everything that was refused lies in quarantine before its segment is destroyed."""
        for reason, records in self._refused.items():
            quarantine_records(self._root, self._key, records, reason=reason, at=self._house.now())
        self._refused, self._refused_by_id = {}, set()


def _of(kind: type[C], came: Iterable[Came]) -> list[C]:
    return [one for one in came if isinstance(one, kind)]
