"""What importers read, taken in batch by batch: sanitized, stored, and every part of it accounted for."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from inchworm.app.house import House
from inchworm.app.loop.costing import Costs
from inchworm.app.loop.intake import BATCH, Drain, Stages
from inchworm.app.loop.sanitizing import Cleaner, clean_each
from inchworm.app.loop.telemetry import store_spans
from inchworm.capture.lines import Rejected
from inchworm.domain.errors import InputError
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace
from inchworm.sanitize import Memo, Sanitizer, UnsanitizableError

SHOWN: Final = 10
"""Rejected lines whose reasons are told."""
Refusals = Callable[[int, str], None]
"""Told of each line that is not stored, with the reason, sanitized."""
_COUNTED: Final = (
    *("lines", "accepted", "rejected", "blank", "new", "anew", "duplicate", "sanitized", "without_content"),
    *("without_time", "derived_units", "spans", "spans_known", "spans_rejected", "scores", "scores_known"),
)


@dataclass(slots=True)
class Sums:
    """What became of an import so far.

    Attributes:
        counts: by what is counted: ``lines``, ``accepted``, ``new``, ``duplicate``, ...
        refused: what was read and is not stored, by reason.
        found: what sanitizing found, by kind.
        first_rejected: the first lines that could not be read, with their reasons, sanitized.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    first_rejected: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Sums:
        """The inverse of :meth:`plain`."""
        return cls(
            counts=Counter(said.get("counts", {})),
            refused=Counter(said.get("refused", {})),
            found=Counter(said.get("found", {})),
            first_rejected=list(said.get("first_rejected", [])),
        )

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "counts": dict(self.counts),
            "refused": dict(self.refused),
            "found": dict(self.found),
            "first_rejected": list(self.first_rejected),
        }

    def told(self) -> dict[str, Any]:
        """As people and programs are told it."""
        return {
            **{name: self.counts[name] for name in _COUNTED},
            "refused": dict(self.refused.most_common()),
            "found": dict(self.found.most_common()),
            "first_rejected": self.first_rejected,
        }


class Taking:
    """Takes in what is read, and counts it.

    Args:
        house: where it goes.
        drain: of that house.
        sums: what was counted before.
        refusals: told of everything that is not stored.
    """

    def __init__(self, house: House, drain: Drain, sums: Sums, *, refusals: Refusals | None = None) -> None:
        self._house, self._drain, self.sums, self._refusals = house, drain, sums, refusals
        settings = house.spec.sanitize
        memo = Memo(secrets.token_bytes(8))
        sanitizer = Sanitizer(kinds=settings.kinds, custom=settings.custom, memo=memo)
        self._cleaner = Cleaner(sanitizer, house.pseudonym)
        self._plain = Sanitizer(kinds=settings.kinds, custom=settings.custom)
        self._costs = Costs(house)

    def traces(self, traces: Sequence[tuple[int, Trace]]) -> set[int]:
        """Take in interactions, each with the number of its line; the lines that were refused."""
        if not traces:
            return set()
        numbers = {id(trace): number for number, trace in traces}
        refused: set[int] = set()

        def refuse(trace: Trace, reason: str) -> None:
            refused.add(numbers[id(trace)])
            self._tell(numbers[id(trace)], reason)

        intake = self._drain.take([trace for _, trace in traces], refused=refuse)
        self._count(new=intake.new, duplicate=intake.duplicate, sanitized=intake.sanitized)
        self.sums.refused += intake.refused
        self.sums.found += intake.report.by_kind
        return refused

    def spans(self, spans: Sequence[tuple[int, Span]]) -> None:
        """Take in spans, each with the number of its line; their interactions are told anew."""
        for start in range(0, len(spans), BATCH):
            self._store(self._clean(spans[start : start + BATCH]), self._told)

    def steps(self, spans: Sequence[tuple[int, Span]]) -> None:
        """Take in what stands beside interactions that their lines tell themselves."""
        for start in range(0, len(spans), BATCH):
            self._store(self._clean(spans[start : start + BATCH]), self._beside)

    def _clean(self, spans: Sequence[tuple[int, Span]]) -> list[tuple[int, Span]]:
        numbers = {id(span): number for number, span in spans}
        stages = Stages(self._house)

        def refuse(span: Span, reason: str) -> None:
            self._refuse(numbers[id(span)], reason)

        possible: list[Span] = []
        for _, span in spans:
            problem = None if span.assignment is None else stages.problem(span.assignment)
            if problem is None:
                possible.append(span)
            else:
                refuse(span, problem)
        clean: list[tuple[int, Span]] = []
        for span in possible:
            for one in clean_each(self._cleaner.span, [span], refuse):
                clean.append((numbers[id(span)], one.what))
                self._count(sanitized=one.report.total > 0)
                self.sums.found += one.report.by_kind
        return clean

    def _store(self, clean: Sequence[tuple[int, Span]], store: Callable[[Sequence[Span]], None]) -> None:
        """Store spans; where one cannot be stored, each half, down to the one that cannot."""
        if not clean:
            return
        try:
            store([span for _, span in clean])
        except InputError as error:
            if len(clean) == 1:
                self._refuse(clean[0][0], error.message)
                return
            middle = len(clean) // 2
            self._store(clean[:middle], store)
            self._store(clean[middle:], store)

    def _beside(self, spans: Sequence[Span]) -> None:
        put = self._house.traces.put_spans(spans)
        self._count(spans=put.new + put.changed, spans_known=put.duplicate)

    def _told(self, spans: Sequence[Span]) -> None:
        told = store_spans(self._house, self._drain, self._costs, spans)
        self._count(
            spans=told.spans.new + told.spans.changed,
            spans_known=told.spans.duplicate,
            new=told.traces.new,
            anew=told.traces.anew,
            duplicate=told.traces.duplicate,
        )

    def rejected(self, one: Rejected, *, of_span: bool = False) -> None:
        """Say why something could not be read. Reasons may quote a short value, so they are sanitized too."""
        reason = self.said(one.reason)
        self._count(spans_rejected=of_span)
        if len(self.sums.first_rejected) < SHOWN:
            self.sums.first_rejected.append({"line": one.line, "reason": reason})
        if self._refusals is not None:
            self._refusals(one.line, reason)

    def refused(self, number: int, reason: str) -> None:
        """Say why something that was read is not stored."""
        self._refuse(number, self.said(reason))

    def said(self, reason: str) -> str:
        """A reason that may be shown and kept."""
        try:
            text = self._plain.unit().text(reason).text
        except UnsanitizableError as error:
            text = f"it cannot be shown: {error.message}"
        return "".join(char if char.isprintable() else "�" for char in text)

    def _refuse(self, number: int, reason: str) -> None:
        self.sums.refused[reason] += 1
        self._tell(number, reason)

    def _tell(self, number: int, reason: str) -> None:
        if self._refusals is not None:
            self._refusals(number, self.said(reason))

    def _count(self, **more: int) -> None:
        for name, number in more.items():
            if number:
                self.sums.counts[name] += number
