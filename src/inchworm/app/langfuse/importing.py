"""A Langfuse server, read in: spans, then scores, page by page; ended, it goes on from the last page."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from inchworm.app.house import House
from inchworm.app.langfuse.rows import graded, spans
from inchworm.app.langfuse.server import Langfuse, address, iso
from inchworm.app.loop.incoming import Rating
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.rating import store_ratings
from inchworm.app.loop.resuming import Point, Resuming
from inchworm.app.loop.taking import Refusals, Sums, Taking
from inchworm.capture.lines import Rejected
from inchworm.capture.telemetry import Refused
from inchworm.domain.errors import InputError, NotFoundError
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.wording import counted
from inchworm.sanitize import Sanitizer

FORM: Final = "langfuse-server"
_UNKNOWN: Final = "It is of an interaction that is not stored."
_OTHERS: Final = "It is a correction, or of a run over a dataset, and no judgement of an interaction."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One list of the server's.

    Attributes:
        name: as in :data:`_PARTS`.
        path: where it is.
        asked: what is asked of it.
        times: the names of its first and last moment.
        limit: rows of a page; the server's own limits are 1,000 and 100.
        paged: whether its pages are numbered; else each names the next.
        older: the part of an older server that says the same.
        then: the part after it.
    """

    name: str
    path: str
    asked: Mapping[str, str]
    times: tuple[str, str]
    limit: int = 100
    paged: bool = False
    older: str | None = None
    then: str | None = None


_BY_START, _BY_TIME = ("fromStartTime", "toStartTime"), ("fromTimestamp", "toTimestamp")
_PARTS: Final = {
    one.name: one
    for one in (
        _Part(
            name="observations",
            path="/api/public/v2/observations",
            asked={"fields": "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context"},
            times=_BY_START,
            limit=500,
            older="traces_v1",
            then="scores",
        ),
        _Part(
            name="scores",
            path="/api/public/v3/scores",
            asked={"fields": "details,subject"},
            times=_BY_TIME,
            older="scores_v2",
        ),
        _Part(
            name="traces_v1",
            path="/api/public/traces",
            asked={},
            times=_BY_TIME,
            paged=True,
            then="observations_v1",
        ),
        _Part(
            name="observations_v1",
            path="/api/public/observations",
            asked={},
            times=_BY_START,
            paged=True,
            then="scores",
        ),
        _Part(name="scores_v2", path="/api/public/v2/scores", asked={}, times=_BY_TIME, paged=True),
    )
}
"""The lists that are read, newer and older ones (Langfuse's public API, versions 2 to 5)."""
_FIRST: Final = "observations"

Watch = Callable[[Sums], None]


def take(
    house: House,
    drain: Drain,
    server: Langfuse,
    *,
    since: float | None = None,
    until: float | None = None,
    anew: bool = False,
    watch: Watch | None = None,
    refusals: Refusals | None = None,
) -> dict[str, Any]:
    """Read a server in; what became of its records, as JSON.

    Args:
        house: where it goes.
        drain: of that house.
        server: which.
        since: only what is of this time or later, seconds since the epoch.
        until: only what is before; now, if left out.
        anew: begin at the beginning, although it was begun before.
        watch: told after each page what became of everything so far.
        refusals: told of each record that is not stored, with its number.

    Raises:
        UsageError: if the address is none, or the server does not take the keys.
        StoreError: if the server cannot be reached; what was read is stored then.
    """
    url = address(server.url)
    key = hashlib.sha256(repr(("langfuse", url, server.public_key, since, until)).encode()).hexdigest()
    resuming = Resuming(house, key)
    point = resuming.begin(anew=anew)
    # Fixed when it began: what comes later must not move the pages.
    until = float(point.place.get("until", house.now() if until is None else until))
    sums = Sums.of(point.counts)
    resumed = sums.counts["lines"]
    pages = _Pages(house, Taking(house, drain, sums, refusals=refusals), server, (since, until))
    part: str | None = point.place.get("part", _FIRST)
    after: str | None = point.place.get("after")
    while part is not None:
        part, after = pages.take(_PARTS[part], after)
        drain.finish(at_once=False)
        if part is not None:
            place = {"part": part, "after": after, "until": until}
            resuming.keep(replace(point, place=place, counts=sums.plain()))
        if watch is not None:
            watch(sums)
    drain.finish()
    _remember(house, url, sums, point)
    resuming.done()
    return {"file": url, "known": False, "at": point.at, "form": FORM, "resumed": resumed, **sums.told()}


class _Pages:
    """Takes pages in.

    Args:
        house: where they go.
        taking: of that house.
        server: asked for them.
        period: from when to when.
    """

    def __init__(
        self, house: House, taking: Taking, server: Langfuse, period: tuple[float | None, float]
    ) -> None:
        self._house, self._taking, self._server = house, taking, server
        self._since, self._until = period
        self._plain = Sanitizer(custom=house.spec.sanitize.custom)

    def take(self, part: _Part, after: str | None) -> tuple[str | None, str | None]:
        """Take one page in; which part is next, and after what."""
        first, last = part.times
        asked: dict[str, Any] = {
            **part.asked,
            "limit": part.limit,
            first: None if self._since is None else iso(self._since),
            last: iso(self._until),
            "page" if part.paged else "cursor": after or ("1" if part.paged else None),
        }
        try:
            page = self._server.get(part.path, asked)
        except NotFoundError:
            if part.older is None or after is not None:
                raise
            return part.older, None
        rows = page["data"]
        if part.name.startswith("scores"):
            self._scores(rows)
        else:
            self._spans(rows, part)
        following = _next(page.get("meta"), part, after, rows)
        return (part.then, None) if following is None else (part.name, following)

    def _spans(self, rows: list[Any], part: _Part) -> None:
        counts = self._taking.sums.counts
        found = spans(
            rows,
            self._house.app,
            now=self._house.now(),
            traces=part.name == "traces_v1",
            whole=part.name == "observations",
        )
        taken = []
        for one in found:
            counts["lines"] += 1
            if isinstance(one, Refused):
                counts["rejected"] += 1
                self._taking.rejected(Rejected(line=counts["lines"], reason=one.reason, excerpt=""))
            else:
                counts["accepted"] += 1
                taken.append((counts["lines"], one))
        self._taking.spans(taken)

    def _scores(self, rows: list[Any]) -> None:
        counts, ratings = self._taking.sums.counts, []
        for row in rows:
            counts["lines"] += 1
            try:
                said = graded(row, self._house.app, now=self._house.now())
            except InputError as error:
                counts["rejected"] += 1
                self._taking.rejected(Rejected(line=counts["lines"], reason=error.message, excerpt=""))
                continue
            counts["accepted"] += 1
            if said is None:
                self._taking.refused(counts["lines"], _OTHERS)
            else:
                rating = Rating(b"", Path(), self._house.app, said)
                ratings.append((counts["lines"], rating))
        self._rate(ratings)

    def _rate(self, ratings: list[tuple[int, Rating]]) -> None:
        """Store scores; where one cannot be stored, each half, down to the one that cannot."""
        if not ratings:
            return
        numbers = {id(one): number for number, one in ratings}
        try:
            stored = store_ratings(self._house, self._plain, [one for _, one in ratings])
        except InputError as error:
            if len(ratings) == 1:
                self._taking.refused(ratings[0][0], error.message)
                return
            middle = len(ratings) // 2
            self._rate(ratings[:middle])
            self._rate(ratings[middle:])
            return
        for one, reason in stored.refused:
            self._taking.refused(numbers[id(one)], reason)
        for one in stored.waiting:
            self._taking.refused(numbers[id(one)], _UNKNOWN)
        counts = self._taking.sums.counts
        counts["scores"] += stored.new
        counts["scores_known"] += len(ratings) - stored.new - len(stored.refused) - len(stored.waiting)


def _next(meta: Any, part: _Part, after: str | None, rows: list[Any]) -> str | None:
    """What names the next page; ``None`` on the last one."""
    if not isinstance(meta, dict) or not rows:
        return None
    if not part.paged:
        cursor = meta.get("cursor")
        # A server that names the same page again would be asked for ever.
        return cursor if isinstance(cursor, str) and cursor and cursor != after else None
    page, last = int(after or 1), meta.get("totalPages")
    return str(page + 1) if isinstance(last, int) and page < last else None


def _remember(house: House, url: str, sums: Sums, point: Point) -> None:
    if not sums.counts["new"]:
        return
    what = f"{counted(sums.counts['new'], 'interaction')} imported from {url}."
    data = {"url": url, "since": point.at, "counts": dict(sums.counts)}
    house.control.append_ledger(
        LedgerEntry(app=house.app, at=house.now(), kind="import", actor=house.actor, what=what, data=data)
    )
