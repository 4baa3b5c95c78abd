"""Tokens and cost of a trace, where parents may repeat those of their children."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.domain.span import Span
from inchworm.domain.trace import UNKNOWN_USAGE, Usage


def usage_of(spans: Sequence[Span]) -> Usage:
    """Tokens and cost of all spans together.

    A span stands for the greater of what it says itself and what the spans under it come to: agents repeat
    what their models used, and wrappers what the wrapped client told already.
    """
    speaking = [one for one in spans if one.usage is not UNKNOWN_USAGE and one.usage != UNKNOWN_USAGE]
    if not speaking:
        return UNKNOWN_USAGE
    if len(speaking) == 1:
        return speaking[0].usage
    above = {one.id: one.parent_id for one in spans}
    cost = _total(above, {one.id: one.usage.cost_usd for one in speaking})
    inputs = _total(above, {one.id: one.usage.input_tokens for one in speaking})
    outputs = _total(above, {one.id: one.usage.output_tokens for one in speaking})
    return Usage(
        input_tokens=None if inputs is None else round(inputs),
        output_tokens=None if outputs is None else round(outputs),
        cost_usd=None if cost is None else round(cost, 12),
    )


def _total(above: dict[str, str | None], said: dict[str, float | int | None]) -> float | int | None:
    """The sum over the roots, each the greater of its own and of the sum of what is under it."""
    own = {id_: value for id_, value in said.items() if value is not None}
    if not own:
        return None
    # From every span that says something up to its root, each span once.
    depth: dict[str, int] = {}
    for id_ in own:
        _climb(id_, above, depth)
    under: dict[str, float | int] = {}
    total: float | int = 0
    for id_ in sorted(depth, key=lambda one: (-depth[one], one)):
        value = max(own.get(id_, 0), under.get(id_, 0))
        parent = above.get(id_)
        if parent is None or depth.get(parent, -1) != depth[id_] - 1:
            total += value
        else:
            under[parent] = under.get(parent, 0) + value
    return total


def _climb(id_: str, above: dict[str, str | None], depth: dict[str, int]) -> None:
    """Note the depth of a span and of those above it; a circle of parents ends the climb."""
    path: list[str] = []
    seen: set[str] = set()
    here: str | None = id_
    while here is not None and here in above and here not in depth and here not in seen:
        path.append(here)
        seen.add(here)
        here = above[here]
    start = depth[here] + 1 if here is not None and here in depth else 0
    for place, one in enumerate(reversed(path)):
        depth[one] = start + place
