"""Tells the control store whom to tell: what ``inchworm.yaml`` says at the moment of the decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inchworm.domain.notice import Notice, Target
from inchworm.domain.rollout import Approval, Decision, Rollout
from inchworm.rollout import notices


@dataclass(frozen=True, slots=True)
class Outbox:
    """What :attr:`inchworm.store.control.notices.NoticeStore.outbox` asks.

    Attributes:
        targets: everybody who is told anything, now.
    """

    targets: Callable[[], Sequence[Target]]

    def decided(self, decision: Decision, rollout: Rollout) -> Sequence[Notice]:
        """Of a decision and the rollout after it."""
        return notices.decided(decision, rollout, self.targets())

    def queued(self, rollouts: Sequence[Rollout]) -> Sequence[Notice]:
        """Of the steps of a plan."""
        return notices.queued(rollouts, self.targets())

    def approved(self, approval: Approval, rollout: Rollout) -> Sequence[Notice]:
        """Of an approval."""
        return notices.approved(approval, rollout, self.targets())
