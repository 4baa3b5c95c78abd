"""From the spool to the stores: closed segments in; exposures, interactions and scores out, once in effect.

A segment is destroyed after everything in it is in the stores. Killed before that, it is drained again, and
ids keep anything from being stored twice. What cannot be read, sanitized or placed is quarantined with its
reason: it is never lost without a word, and never stops what comes behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from inchworm.app.config.load import AppSpec
from inchworm.app.house import House
from inchworm.app.loop.costing import Costs
from inchworm.app.loop.drained import Backlog, Drained
from inchworm.app.loop.exposing import record
from inchworm.app.loop.incoming import Came, Exposing, Interaction, Mirroring, Rating, Unreadable, read_record
from inchworm.app.loop.intake import BATCH, Drain, Stages
from inchworm.app.loop.mirroring import record_mirrored
from inchworm.app.loop.rating import store_ratings
from inchworm.app.loop.sanitizing import SanitizerPool
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
PATIENCE_S = 60.0
"""For how long feedback waits for its interaction: it may come first, e.g. during a stream."""
_UNKNOWN = f"No interaction by its id came within {PATIENCE_S:.0f} s, so that the score belongs to nothing."
_GROUP_BYTES = 8 << 20
_LOOK_AGAIN_S = 1.0
_TRY_AGAIN_S = 30.0

C = TypeVar("C", bound=Came)


@dataclass(frozen=True, slots=True)
class _Waiting:
    rating: Rating
    since: float


class Draining:
    """Drains the spool of one app's house. One thread may use it.

    Args:
        house: where everything goes.
        key: the spool's key.
        workers: processes that sanitize where there is much; 0 for none but this one.
    """

    def __init__(self, house: House, key: bytes, *, workers: int = 0) -> None:
        self._house = house
        self._key = key
        self._workers = workers
        self._root = house.spec.data / SPOOL
        self._apps: set[AppRef] = set()
        self._waiting: dict[Path, list[_Waiting]] = {}
        self._unreadable: dict[Path, tuple[str, float]] = {}
        self._refused: dict[str, list[bytes]] = {}
        self._looked_at = float("-inf")
        self._spec: AppSpec | None = None
        self._topics_at: float | None = None
        self._pool: SanitizerPool | None = None
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
        for paths, came in self._groups(drained):
            self._group(paths, came, drained)
            if enough():
                break
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
        ready = [path for path in closed_segments(self._root) if path not in self._waiting]
        return Backlog(
            segments=len(ready),
            bytes=spool_size(self._root),
            oldest_at=oldest_at(self._root),
            waiting=sum(map(len, self._waiting.values())),
            unreadable={str(path): reason for path, (reason, _) in self._unreadable.items()},
        )

    def close(self) -> None:
        """End the processes that sanitize. Ratings that wait are in their segments still."""
        if self._spec is not None:
            self._drain.finish()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _follow(self) -> None:
        """Go on with what is declared and known by now: metrics, what is sanitized, topics."""
        spec, app = self._house.spec, self._house.app
        topics_at = self._house.control.blob_at(app, CLUSTERING)
        if spec is self._spec and topics_at == self._topics_at:
            return
        if self._spec is None or spec.sanitize != self._spec.sanitize:
            self.close()
            self._plain = Sanitizer(custom=spec.sanitize.custom)
            if self._workers:
                self._pool = SanitizerPool(spec.sanitize.kinds, spec.sanitize.custom, workers=self._workers)
        # What a gateway recorded before it heard of another name is taken in under the old one.
        self._apps.add(app)
        if self._spec is not None:
            self._drain.finish()
        self._drain, self._costs = Drain(self._house, sanitize=self._pool), Costs(self._house)
        self._spec, self._topics_at = spec, topics_at

    def _groups(self, drained: Drained) -> Iterator[tuple[list[Path], list[Came]]]:
        """Segments in groups that are stored together, with what is in them."""
        paths: list[Path] = []
        came: list[Came] = []
        size = 0
        for path in closed_segments(self._root):
            if path in self._waiting or path in self._unreadable:
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
            count = len(contents.records)
            is_full = size + length > _GROUP_BYTES or len(came) + count > BATCH
            if paths and (is_full or contents.damage is not None):
                yield paths, came
                paths, came, size = [], [], 0
            # Not before that: what was only looked at is drained in the next round.
            drained.segments += 1
            drained.records += count
            read = self._read(contents.records, path, drained)
            if contents.damage is not None:
                # What opens is stored at once, and not waited for: the file leaves the spool with the rest.
                self._group([], read, drained)
                quarantine(self._root, path, reason=contents.damage, at=self._house.now(), records=count)
                drained.quarantined[contents.damage] += 1
                continue
            paths.append(path)
            came += read
            size += length
        if paths:
            yield paths, came

    def _read(self, records: Sequence[bytes], path: Path, drained: Drained) -> list[Came]:
        came: list[Came] = []
        for raw in records:
            try:
                became = read_record(raw, path, self._apps)
            except MISTAKES as error:  # must not stop what lies behind it
                _LOG.warning("a record could not be read: %s", where(error))
                became = Unreadable(raw, _fault(error))
            if isinstance(became, Unreadable):
                self._quarantine(became.raw, became.reason, drained)
            else:
                came.append(became)
        return came

    def _group(self, paths: Sequence[Path], came: Sequence[Came], drained: Drained) -> None:
        """Store what a group of segments holds, and destroy them; with no path, nothing waits."""
        self._each(_of(Exposing, came), self._expose, drained)
        self._each(_of(Mirroring, came), self._mirror, drained)
        self._each(_of(Interaction, came), self._take, drained)
        held: dict[Path, list[_Waiting]] = {}
        now = self._house.now()

        def rate(ratings: Sequence[Rating], made: Drained) -> list[tuple[bytes, str]]:
            made.scores, waiting = store_ratings(self._house, self._plain, ratings)
            for unknown in waiting:
                held.setdefault(unknown.path, []).append(_Waiting(unknown, now))
            return []

        self._each(_of(Rating, came), rate, drained)
        for path in held.keys() - set(paths):
            for one in held.pop(path):
                self._quarantine(one.rating.raw, _UNKNOWN, drained)
        self._write_quarantine()
        self._waiting |= held
        for path in paths:
            if path not in held:
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
                self._quarantine(came[0].raw, str(error) if known else _fault(error), drained)
                return
            middle = len(came) // 2
            self._each(came[:middle], act, drained)
            self._each(came[middle:], act, drained)
            return
        drained.traces += made.traces
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

    def _take(self, came: Sequence[Interaction], made: Drained) -> list[tuple[bytes, str]]:
        traces = [self._costs(one.trace) for one in came]
        raw = {id(trace): one.raw for trace, one in zip(traces, came, strict=True)}
        refused: list[tuple[bytes, str]] = []

        def refuse(trace: Trace, reason: str) -> None:
            refused.append((raw[id(trace)], reason))

        intake = self._drain.take(traces, refused=refuse)
        made.traces, made.duplicates = intake.new, intake.duplicate
        made.found += intake.report.by_kind
        return refused

    def _settle(self, drained: Drained) -> None:
        """Look again for the interactions that ratings wait for, and give up on those that do not come."""
        now = self._house.now()
        for path, waiting in list(self._waiting.items()):
            since = {id(one.rating): one.since for one in waiting}
            left: list[_Waiting] = []

            def rate(
                ratings: Sequence[Rating],
                made: Drained,
                since: dict[int, float] = since,
                left: list[_Waiting] = left,
            ) -> list[tuple[bytes, str]]:
                gone: list[tuple[bytes, str]] = []
                made.scores, unknown = store_ratings(self._house, self._plain, ratings)
                for one in unknown:
                    if now - since[id(one)] >= PATIENCE_S:
                        gone.append((one.raw, _UNKNOWN))
                    else:
                        left.append(_Waiting(one, since[id(one)]))
                return gone

            self._each([one.rating for one in waiting], rate, drained)
            self._write_quarantine()
            self._waiting[path] = left
            if not left:
                del self._waiting[path]
                destroy(path)

    def _quarantine(self, raw: bytes, reason: str, drained: Drained) -> None:
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
        self._refused = {}


def _of(kind: type[C], came: Iterable[Came]) -> list[C]:
    return [one for one in came if isinstance(one, kind)]


def _fault(error: Exception) -> str:
    return f"This is a fault in Inchworm, not in the record: {type(error).__name__}."
