"""The demo's machinery: traffic through the served configurations, under a simulated clock.

Everything it does is durable and idempotent, so that a demo that was killed goes on where it was:
the clock is read off the store, and the slot that was under way is played again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inchworm.app.clock import SimulatedClock
from inchworm.app.demo.machines import Machines
from inchworm.app.demo.shop_program import ShopProgram
from inchworm.app.demo.traffic import DAY_S, Traffic
from inchworm.app.house import House
from inchworm.app.loop.changing import advance
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Decision, Rollout, RolloutState
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL, Act

SLOT_S = 1_800.0
"""Half an hour of traffic at a time, then one round of the control loop ..."""
YOUNG_S, YOUNG_SLOT_S = 3_600.0, 300.0
"""... and five minutes in the first hour of a canary."""
OWNER = "demo"
"""One demo plays in a folder at a time: the trace store has one owner."""
_MOST_DAYS = 60


@dataclass(slots=True)
class Stage:
    """Where the story plays.

    Attributes:
        house: the shop's Inchworm.
        clock: the house's clock.
        traffic: its customers.
        program: its application.
        machines: the gateway that the application calls, and what is behind it.
        began: when the story begins, seconds since the epoch.
        heard: called with every decision, when it is made.
    """

    house: House
    clock: SimulatedClock
    traffic: Traffic
    program: ShopProgram
    machines: Machines
    began: float
    heard: Callable[[Decision], None]
    _cut_off: bool = False

    def resume(self) -> None:
        """Take up what a demo that was killed left: its work, and the slot that was under way.

        Slots end at fixed times, whenever the demo was started, so the slot is played again as it was:
        who was exposed keeps the arm, and what is stored is not stored twice.
        """
        self.house.control.release_work(owner=OWNER)
        decided = [entry.at for entry in self.house.control.ledger(self.house.app, limit=1)]
        mark = max([self.began, *decided])
        exposed = [
            self._exposed_at(rollout.id, last)
            for rollout in self.house.control.rollouts(self.house.app)
            for last in [self.house.traces.last_order(rollout.id)]
            if last is not None
        ]
        latest = max(exposed, default=-1.0)
        # Exposures after the last decision: a slot was cut off, or played and nothing followed from it.
        self._cut_off = latest >= mark
        self.clock.at = self._slot_of(latest, mark) if self._cut_off else mark

    def _exposed_at(self, rollout_id: RolloutId, order: int) -> float:
        rows = self.house.traces.units(rollout_id, start=order, matured_before=float("inf"), limit=1)
        return float(rows.at[-1])

    def _slot_of(self, at: float, mark: float) -> float:
        """When the slot began that ``at`` falls into."""
        young_until = self._young_until()
        fine = self.began + (at - self.began) // YOUNG_SLOT_S * YOUNG_SLOT_S
        if fine < young_until:
            return max(fine, mark)
        return max(self.began + (at - self.began) // SLOT_S * SLOT_S, mark, young_until)

    def _young_until(self) -> float:
        flying = self.in_flight()
        if flying is None or flying.stage != 0 or flying.state is not RolloutState.EXPOSING:
            return self.began
        return flying.entered_at + YOUNG_S

    def play(self, rollouts: Iterable[RolloutId]) -> None:
        """Let traffic flow until all of these rollouts have ended.

        Raises:
            InchwormError: if they have not after two simulated months.
        """
        waiting = list(rollouts)
        until = self.clock.at + _MOST_DAYS * DAY_S
        if not self._cut_off:
            self._round()
            self._answer()
        self._cut_off = False
        while any(not self._ended(rollout_id) for rollout_id in waiting):
            if self.clock.at > until:
                raise InchwormError("two simulated months passed without a decision")
            self._slot()
            self._round()
            self._answer()

    def _answer(self) -> None:
        """A rollout that holds or pauses asks a person; the shop's answer is to take the change back."""
        flying = self.in_flight()
        if flying is None or flying.state not in {RolloutState.HOLDING, RolloutState.PAUSED}:
            return
        acted = act(
            self.house.control,
            flying.id,
            Act.ABORT,
            actor=self.house.actor,
            reason="nobody can say that it does no harm",
            now=self.house.now(),
        )
        self.heard(acted.decision)

    def _ended(self, rollout_id: RolloutId) -> bool:
        return self.house.control.rollout(rollout_id).state in TERMINAL

    def _slot(self) -> None:
        """Some minutes of customers: exposed and answered by the gateway, then drained at once.

        At once, so that the order of assignment is that of the customers, however their calls overlapped.
        """
        end = self._end()
        first = self.traffic.number_at(self.clock.at)
        self.machines.publish()
        self.program.serve(self.traffic.sessions(first, self.traffic.number_at(end) - first))
        self.clock.at = end
        drained = self.machines.drain()
        if drained.quarantined:
            reason, count = drained.quarantined.most_common(1)[0]
            raise InchwormError(f"{count} records of the gateway could not be taken in: {reason}")

    def _end(self) -> float:
        """When the slot that begins now ends: at the next full five or thirty minutes of the story."""
        length = YOUNG_SLOT_S if self.clock.at < self._young_until() else SLOT_S
        return self.began + ((self.clock.at - self.began) // length + 1) * length

    def _round(self) -> None:
        """Control loop until it has nothing more to say at this moment."""
        while decisions := advance(self.house, owner=OWNER):
            for decision in decisions:
                self.heard(decision)

    def in_flight(self) -> Rollout | None:
        """What is in flight now."""
        flying = self.house.control.rollouts(self.house.app, IN_FLIGHT)
        return flying[0] if flying else None

    def seen(self, rollout: Rollout) -> tuple[int, int]:
        """Sessions that got the candidate, and sessions in the rollout."""
        counts = self.house.traces.exposures_count(rollout.id)
        candidate = sum(count for (_, arm), count in counts.items() if arm == "candidate")
        return candidate, sum(counts.values())
