"""What is read of one rollout before anything is said about it: the only part that looks into the stores."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.seeing import base_of, evidence_of
from inchworm.app.serve.state import GatewaySeen, Publisher
from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import ValueDiff, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.points import EvidencePoint
from inchworm.domain.rollout import Decision, Rollout, RolloutState
from inchworm.rollout.controller import acknowledged
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.observed import Watched
from inchworm.rollout.transitions import IN_FLIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is published, and who holds it.

    Attributes:
        version: of what is published now.
        weight: the rollout's share in the serving table; ``None`` if the table does not name it.
        other: another rollout that the table names.
        stable: what the table says is stable.
        gateways: those that asked since the server started.
    """

    version: str
    weight: float | None
    other: RolloutId | None
    stable: ConfigurationId | None
    gateways: tuple[GatewaySeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One rollout with all that its page is made from.

    Attributes:
        rollout: as it stands.
        base: the configuration it is compared with: its own, or stable before it starts.
        candidate: the base with its layer.
        diffs: the values that differ.
        evidence: what its matured units say; ``None`` before the monitor looked first.
        exposed: units that were assigned, matured or not.
        changed_arms: units that were seen in another arm than their own.
        points: the evidence over time.
        decisions: oldest first.
        benchmark: the one that let it through or stopped it.
        others: rollouts that are in flight or queued beside it, by number.
        served: what is published.
        now: seconds since the epoch.
    """

    rollout: Rollout
    base: Configuration
    candidate: Configuration
    diffs: tuple[ValueDiff, ...]
    evidence: Evidence | None
    exposed: int
    changed_arms: int
    points: tuple[EvidencePoint, ...]
    decisions: tuple[Decision, ...]
    benchmark: Benchmark | None
    others: tuple[Rollout, ...]
    served: Served
    now: float

    @property
    def watched(self) -> Watched | None:
        """What the rules look at; ``None`` before there is evidence."""
        if self.evidence is None:
            return None
        return Watched(evidence=self.evidence, acknowledged=acknowledged(self.decisions))


def look(house: House, publisher: Publisher, rollout: Rollout) -> Seen:
    """Read everything about ``rollout``.

    Raises:
        StoreError: if a store cannot be read.
    """
    control = house.control
    base = base_of(house, rollout)
    candidate = base.with_layer(rollout.layer, rollout.values)
    last = house.traces.last_order(rollout.id)
    return Seen(
        rollout=rollout,
        base=base,
        candidate=candidate,
        diffs=diff(base, candidate),
        evidence=evidence_of(house, rollout),
        exposed=0 if last is None else last + 1,
        changed_arms=0 if last is None else house.traces.changed_arms(rollout.id),
        points=tuple(control.points(rollout.id)),
        decisions=tuple(control.decisions(rollout.id)),
        benchmark=None if rollout.benchmark_id is None else control.benchmark(rollout.benchmark_id),
        others=tuple(
            one
            for one in control.rollouts(house.app, {*IN_FLIGHT, RolloutState.QUEUED})
            if one.id != rollout.id
        ),
        served=_served(house, publisher, rollout.id),
        now=house.now(),
    )


def find(house: House, name: str) -> Rollout:
    """A rollout of this app by its id.

    Raises:
        NotFoundError: if there is none.
    """
    rollout = house.control.rollout(RolloutId(name))
    if rollout.app != house.app:
        raise NotFoundError(f"{house.app} has no rollout {name}", hint="inchworm rollout ls")
    return rollout


def _served(house: House, publisher: Publisher, rollout_id: RolloutId) -> Served:
    table = house.control.serving(house.app)
    candidate = None if table is None else table.candidate
    mine = candidate is not None and candidate.rollout_id == rollout_id
    return Served(
        version=publisher.version,
        weight=candidate.weight if candidate is not None and mine else None,
        other=candidate.rollout_id if candidate is not None and not mine else None,
        stable=None if table is None else table.stable,
        gateways=publisher.gateways(),
    )
