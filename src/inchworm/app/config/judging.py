"""Which share of each arm's units is judged, as ``inchworm.yaml`` writes it."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from inchworm.app.config.layers import Keys
from inchworm.app.config.problems import KeyPath
from inchworm.app.config.scalars import Share
from inchworm.domain.assignment import buckets
from inchworm.domain.rollout import Judging

_ALL = Judging()


class JudgingEntry(Keys):
    """The share of an arm's units whose answers are judged, drawn when a unit is assigned."""

    candidate: Share = Field(default=_ALL.candidate, description="Of units that got the candidate.")
    baseline: Share = Field(default=_ALL.baseline, description="Of units that got the baseline.")


def judging(said: JudgingEntry, wrong: Callable[[KeyPath, str], None]) -> Judging:
    """The rates; what is wrong with them is told to ``wrong`` with the path of its key."""
    for name in ("candidate", "baseline"):
        rate: float = getattr(said, name)
        if not buckets(rate):
            what = "is 0%" if rate == 0 else "is less than 0.01%"
            wrong(("rollout", "judging", name), f"{what}: an arm that nobody judges cannot be compared")
    return Judging(candidate=said.candidate, baseline=said.baseline)
