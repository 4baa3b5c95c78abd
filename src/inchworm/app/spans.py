"""The spans of a trace as a tree: which stands under which, and when. For every face of Inchworm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.domain.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One span at its place.

    Attributes:
        span: the span.
        depth: how many stand above it.
        lost: whether it names a parent that has not come.
    """

    span: Span
    depth: int
    lost: bool = False

    @property
    def took_ms(self) -> float | None:
        """Milliseconds from its start to its end; ``None`` if one of them is not known."""
        span = self.span
        if span.started_at is None or span.ended_at is None:
            return None
        return 1e3 * (span.ended_at - span.started_at)


def tree(spans: Sequence[Span]) -> tuple[Branch, ...]:
    """Every span once, each followed by those under it, in the order of their starts.

    Spans whose parent has not come stand at the top, and so does the first of those that name one another.
    """
    ordered = sorted(spans, key=_start)
    known = {one.id for one in ordered}
    under: dict[str | None, list[Span]] = {}
    for one in ordered:
        under.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)
    found: list[Branch] = []
    seen: set[str] = set()
    # What is reached from no top goes round in a circle: it is cut before the first of it.
    for top in (*under.get(None, ()), *ordered):
        waiting = [(top, 0)]
        while waiting:
            span, depth = waiting.pop()
            if span.id in seen:
                continue
            seen.add(span.id)
            lost = span.parent_id is not None and span.parent_id not in known
            found.append(Branch(span=span, depth=depth, lost=lost))
            waiting += [(child, depth + 1) for child in reversed(under.get(span.id, ()))]
    return tuple(found)


def period(spans: Sequence[Span]) -> tuple[float, float] | None:
    """The first start and the last moment known of spans, seconds since the epoch; ``None`` if none is."""
    moments = [at for one in spans for at in (one.started_at, one.ended_at) if at is not None]
    return (min(moments), max(moments)) if moments else None


def _start(span: Span) -> tuple[bool, float, str]:
    return span.started_at is None, span.started_at or 0.0, span.id
