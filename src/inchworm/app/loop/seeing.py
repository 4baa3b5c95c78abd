"""One rollout with all that is known of it without reading traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from inchworm.app.house import House
from inchworm.domain.change import ValueDiff, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.rollout import Approval, Decision, Rollout, RolloutState
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState
from inchworm.rollout.transitions import IN_FLIGHT, Act, acts, standing


def base_of(house: House, rollout: Rollout) -> Configuration:
    """What it is compared with: its own base, or stable before it starts.

    Raises:
        NotFoundError: if nothing is stable.
        StoreError: if the store cannot be read.
    """
    return house.control.configuration(rollout.base if rollout.base is not None else house.lineage().stable)


def evidence_of(house: House, rollout: Rollout) -> Evidence | None:
    """What its matured units say; ``None`` before the monitor looked first.

    Raises:
        StoreError: if the store cannot be read.
    """
    stored = house.control.monitor(rollout.id)
    return None if stored is None else snapshot(rollout, MonitorState.from_json(stored[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that is shown of one rollout.

    Attributes:
        rollout: as it stands.
        diffs: the values that it moves.
        evidence: what its units say; ``None`` before anybody was exposed.
        decisions: oldest first.
        then: the first of those that are in flight or queued beside it.
        now: seconds since the epoch.
        approvals: who agreed to it, in the order in which they did.
    """

    rollout: Rollout
    diffs: tuple[ValueDiff, ...]
    evidence: Evidence | None
    decisions: tuple[Decision, ...]
    then: Rollout | None
    now: float
    approvals: tuple[Approval, ...] = ()

    @classmethod
    def of(cls, house: House, rollout: Rollout) -> Self:
        """Read it from the house; traces are not needed."""
        control = house.control
        base = base_of(house, rollout)
        others = [one for one in control.rollouts(house.app) if one.id != rollout.id]
        waiting = [one for one in others if one.state in IN_FLIGHT or one.state is RolloutState.QUEUED]
        return cls(
            rollout=rollout,
            diffs=diff(base, rollout.moved(base)),
            evidence=evidence_of(house, rollout),
            decisions=tuple(control.decisions(rollout.id)),
            then=next(iter(waiting), None),
            now=house.now(),
            approvals=tuple(control.approvals([rollout.id])),
        )

    @property
    def may(self) -> tuple[Act, ...]:
        """What a person may ask now."""
        one = self.rollout
        return acts(one.state, standing(one.state, one.stage, len(one.policy.stages)))
