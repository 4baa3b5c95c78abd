"""Stages as the pages call them: ``5 %``, ``shadow 20 %``, ``soak``; and when each began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.domain import wording
from inchworm.domain.rollout import Decision, Rollout
from inchworm.domain.targeting import Condition
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.transitions import TERMINAL, UNEXPOSED
from inchworm.rollout.wording import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStart:
    """When a stage began: ``5 %``."""

    at: float
    stage: int
    label: str


def stage_starts(rollout: Rollout, decisions: Sequence[Decision]) -> tuple[StageStart, ...]:
    """When each stage began, from the decisions; stages that nobody came to are left out."""
    found: list[StageStart] = []
    before = UNEXPOSED
    for decision in decisions:
        if decision.state in TERMINAL or decision.stage < 0 or decision.stage == before:
            continue
        before = decision.stage
        found.append(StageStart(at=decision.at, stage=before, label=stage_name(rollout, before)))
    return tuple(found)


def starts_alike(rollout: Rollout, decisions: Sequence[Decision]) -> tuple[StageStart, ...]:
    """Those stages whose evidence is of the same kind as the present one's: of pairs, or of exposed units."""
    paired = is_shadow(rollout.policy, rollout.stage)
    return tuple(
        one for one in stage_starts(rollout, decisions) if is_shadow(rollout.policy, one.stage) is paired
    )


def stage_name(rollout: Rollout, stage: int) -> str:
    """``5 %``, ``shadow 20 %``, or ``soak``."""
    stages = rollout.policy.stages
    if stage >= len(stages):
        return "soak"
    share = wording.share(stages[stage].weight)
    return f"shadow {share}" if is_shadow(rollout.policy, stage) else share


def things(rollout: Rollout, stage: int) -> str:
    """What a stage counts: ``sessions``, or ``pairs``."""
    return "pairs" if is_shadow(rollout.policy, stage) else plural(rollout.policy.unit)


def audience(conditions: Sequence[Condition]) -> str:
    """``plan is internal or beta, and tenant is acme``."""
    return ", and ".join(f"{one.attribute} is {either(one.values)}" for one in conditions)


def either(names: Sequence[str]) -> str:
    """``ben``, ``ben or carla``, ``ben, carla or dora``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
