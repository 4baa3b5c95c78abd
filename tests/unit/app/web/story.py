"""Rollouts that lived in a store in memory, as their pages see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.unit.rollout.world import APP, HOUR, FakeStore, Traffic, Verdicts, store_with

from inchworm.app.serve.state import GatewaySeen
from inchworm.app.web.views.rollout import RolloutPage, build
from inchworm.app.web.views.seen import Seen, Served
from inchworm.domain.change import diff
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Lineage, Rollout, RolloutState
from inchworm.rollout.commands import act
from inchworm.rollout.controller import tick
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState
from inchworm.rollout.transitions import IN_FLIGHT, Act

BETTER = {"answered": (0.90, 0.95)}
SAME = {"answered": (0.93, 0.93)}
TERRIBLE = {"answered": (0.95, 0.5)}
ONE = RolloutId("r-1")


class Story:
    """A store, its traffic and its clock.

    Args:
        rollouts: what is queued.
        rates: what the metrics are, per arm.
        verdicts: what benchmarks say.
    """

    def __init__(
        self, *rollouts: Rollout, rates: dict[str, tuple[float, float]], verdicts: Verdicts | None = None
    ) -> None:
        self.store: FakeStore = store_with(*rollouts)
        self.traffic = Traffic(self.store, rates)
        self.verdicts = verdicts or Verdicts()
        self.now = 0.0

    def live(self, hours: float, *, every: float = HOUR / 2) -> Story:
        """Time passes, with a tick every half hour."""
        end = self.now + hours * HOUR
        while self.now < end:
            self.now += every
            self.traffic.until(self.now)
            tick(self.store, self.traffic, self.verdicts, self.now)
        return self

    def until(self, state: RolloutState, number: int = 1) -> Story:
        """Time passes until a rollout is in ``state``; two hundred hours at most."""
        for _ in range(400):
            if self.store.rows[RolloutId(f"r-{number}")].state is state:
                return self
            self.live(0.5)
        raise AssertionError(f"it is {self.store.rows[ONE].state}, not {state}")

    def ask(self, wish: Act, reason: str = "") -> Story:
        """A person acts on the first rollout."""
        act(self.store, ONE, wish, actor="jonas", reason=reason, now=self.now)
        return self

    def jump(self, to: str) -> Story:
        """A person promotes the first rollout to a rung of their choice."""
        act(self.store, ONE, Act.PROMOTE, actor="jonas", reason="", now=self.now, to=to)
        return self

    @property
    def lineage(self) -> Lineage:
        """What is stable."""
        return self.store.lineage_rows[APP]

    def seen(self, number: int = 1, **changes: Any) -> Seen:
        """What is read of a rollout."""
        rollout = self.store.rows[RolloutId(f"r-{number}")]
        base = self.store.kept[rollout.base or self.lineage.stable]
        candidate = rollout.moved(base)
        stored = self.store.monitor(rollout.id)
        state = None if stored is None else MonitorState.from_json(stored[1])
        served = self.store.tables[APP].candidate
        mine = served is not None and served.rollout_id == rollout.id
        made = Seen(
            rollout=rollout,
            base=base,
            candidate=candidate,
            diffs=diff(base, candidate),
            evidence=None if state is None else snapshot(rollout, state),
            exposed=len(self.traffic.exposures.get(rollout.id, [])),
            changed_arms=0,
            points=tuple(self.store.points.get(rollout.id, [])),
            decisions=tuple(self.store.decisions(rollout.id)),
            benchmark=None,
            others=tuple(self._others(rollout.id)),
            served=Served(
                version="v2",
                weight=served.weight if served is not None and mine else None,
                other=served.rollout_id if served is not None and not mine else None,
                stable=self.lineage.stable,
                gateways=(
                    GatewaySeen(name="a", url="http://a", holds="v2", at=self.now),
                    GatewaySeen(name="b", url="http://b", holds="v1", at=self.now - 1),
                ),
            ),
            now=self.now,
            state=state,
        )
        return replace(made, **changes)

    def page(self, number: int = 1, **changes: Any) -> RolloutPage:
        """What its page says."""
        return build(self.seen(number, **changes), self.lineage)

    def _others(self, but: RolloutId) -> Sequence[Rollout]:
        return [one for one in self.store.rollouts(APP, {*IN_FLIGHT, RolloutState.QUEUED}) if one.id != but]
