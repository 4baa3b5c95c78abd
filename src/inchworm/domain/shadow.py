"""Shadow: calls that are put to the candidate too, for nobody to see, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.domain import wording
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.rollout import Stage, StageKind

_TOLD = 20
"""Answers whose price nobody knows after which a budget in money counts as one that cannot be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirroredCall:
    """A call that the candidate is asked too. Recorded before it is asked.

    Attributes:
        rollout_id: the rollout whose candidate it is.
        order: place in the order of mirroring, from 0, without gaps; nothing an answer does affects it.
        trace_id: the interaction that stable answers.
        shadow_id: the interaction that the candidate answers; each once per rollout.
        unit_id: whose call it is.
        stage: 0-based stage in force.
        at: when the call came, seconds since the epoch.
    """

    rollout_id: RolloutId
    order: int
    trace_id: TraceId
    shadow_id: TraceId
    unit_id: UnitId
    stage: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSpent:
    """What the mirrored calls of one stage took so far.

    Attributes:
        calls: that were mirrored, answered or not.
        priced: answers whose cost is known.
        unpriced: answers whose cost is not known.
        usd: US dollars, of the priced ones.
    """

    calls: int = 0
    priced: int = 0
    unpriced: int = 0
    usd: float = 0.0

    @property
    def estimate_usd(self) -> float:
        """US dollars of all answers, if those without a price cost what the others do on average."""
        return self.usd * (self.priced + self.unpriced) / self.priced if self.priced else 0.0


def shadow_budget_used(stage: Stage, spent: ShadowSpent) -> str | None:
    """Why a shadow stage must mirror no further call, as a sentence without its full stop.

    ``None`` while it may, and for a stage of another kind.
    """
    if stage.kind is not StageKind.SHADOW:
        return None
    if stage.max_calls is not None and spent.calls >= stage.max_calls:
        return f"the shadow budget of {wording.counted(stage.max_calls, 'call')} is used up"
    budget = stage.budget_usd
    if budget is None:
        return None
    if not spent.priced and spent.unpriced >= _TOLD:
        return (
            f"the shadow budget of {wording.usd(budget)} cannot be kept: nobody knows what its "
            f"{wording.counted(spent.unpriced, 'answer')} cost (infrastructure.price would tell)"
        )
    if spent.estimate_usd >= budget:
        about = "about " if spent.unpriced else ""
        return (
            f"the shadow budget of {wording.usd(budget)} is used up: {wording.counted(spent.calls, 'call')} "
            f"cost {about}{wording.usd(spent.estimate_usd)}"
        )
    return None
