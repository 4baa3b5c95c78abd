"""The demo's machinery: traffic through the served configurations, under a simulated clock.

Everything it does is durable and idempotent, so that a demo that was killed goes on where it was:
the clock is read off the store, and the slot that was under way is played again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from inchworm.app.clock import SimulatedClock
from inchworm.app.demo.traffic import DAY_S, Traffic
from inchworm.app.house import House
from inchworm.app.loop.changing import advance
from inchworm.app.loop.exposing import expose
from inchworm.app.loop.intake import Drain
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.rollout import Decision, Rollout, RolloutState
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL, Act

SLOT_S = 3_600.0
"""An hour of traffic at a time, then one round of the control loop ..."""
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
        began: when the story begins, seconds since the epoch.
        heard: called with every decision, when it is made.
    """

    house: House
    clock: SimulatedClock
    traffic: Traffic
    began: float
    heard: Callable[[Decision], None]
    _drain: Drain | None = None
    _cut_off: bool = False
    _configurations: dict[ConfigurationId, Configuration] = field(default_factory=dict)

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
        """Some minutes of customers: exposed, answered, taken in."""
        end = self._end()
        first = self.traffic.number_at(self.clock.at)
        sessions = self.traffic.sessions(first, self.traffic.number_at(end) - first)
        resolved = expose(self.house, [(session.unit_id, session.at) for session in sessions])
        served = {
            answer.configuration_id: self._configuration(answer.configuration_id) for answer in resolved
        }
        traces = self.traffic.traces(self.house.app, sessions, resolved, served)
        if self._drain is None:
            self._drain = Drain(self.house)
        self._drain.take(traces)
        self.clock.at = end

    def _end(self) -> float:
        """When the slot that begins now ends: at the next full five minutes or hour of the story."""
        length = YOUNG_SLOT_S if self.clock.at < self._young_until() else SLOT_S
        return self.began + ((self.clock.at - self.began) // length + 1) * length

    def _round(self) -> None:
        """Control loop until it has nothing more to say at this moment."""
        while decisions := advance(self.house, owner=OWNER):
            for decision in decisions:
                self.heard(decision)

    def _configuration(self, configuration_id: ConfigurationId) -> Configuration:
        if configuration_id not in self._configurations:
            self._configurations[configuration_id] = self.house.control.configuration(configuration_id)
        return self._configurations[configuration_id]

    def in_flight(self) -> Rollout | None:
        """What is in flight now."""
        flying = self.house.control.rollouts(self.house.app, IN_FLIGHT)
        return flying[0] if flying else None

    def seen(self, rollout: Rollout) -> tuple[int, int]:
        """Sessions that got the candidate, and sessions in the rollout."""
        counts = self.house.traces.exposures_count(rollout.id)
        candidate = sum(count for (_, arm), count in counts.items() if arm == "candidate")
        return candidate, sum(counts.values())
