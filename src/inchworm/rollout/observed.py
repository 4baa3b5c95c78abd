"""What a decision is taken on: the rollout as far as it matters, and what was observed. All is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, assert_never

from inchworm.domain.codec import plain, typed
from inchworm.domain.errors import InputError
from inchworm.domain.ids import BenchmarkId, ConfigurationId, PlanId, RolloutId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.rollout import EVIDENCE_FORMAT, Policy, Rollout, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.permits import NONE_ASKED, Permits
from inchworm.rollout.transitions import Act, Rung, standing

_SELF: Final = "inchworm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The part of a rollout that decisions depend on."""

    id: RolloutId
    plan_id: PlanId
    layer: Layer
    policy: Policy
    state: RolloutState
    stage: int
    generation: int
    base: ConfigurationId | None
    candidate: ConfigurationId | None
    entered_at: float
    author: str = ""
    joint: tuple[Layer, ...] = ()
    emergency: str | None = None

    @classmethod
    def of(cls, rollout: Rollout) -> Subject:
        """The part of ``rollout``."""
        return cls(
            id=rollout.id,
            plan_id=rollout.plan_id,
            layer=rollout.layer,
            policy=rollout.policy,
            state=rollout.state,
            stage=rollout.stage,
            generation=rollout.generation,
            base=rollout.base,
            candidate=rollout.candidate,
            entered_at=rollout.entered_at,
            author=rollout.author,
            joint=tuple(layer for layer in rollout.layers if layer != rollout.layer),
            emergency=rollout.emergency,
        )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that move, in the default order."""
        return tuple(layer for layer in LAYERS if layer == self.layer or layer in self.joint)

    @property
    def rung(self) -> Rung:
        """Where on the ladder it stands."""
        return standing(self.state, self.stage, len(self.policy.stages))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A step that this one needs, and that did not stay."""

    rollout_id: RolloutId
    layer: Layer
    state: RolloutState


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """It is first in the queue and nothing is in flight.

    Attributes:
        stable: what it would start from.
        assumed: what its plan expected to be stable by now; ``None`` if the plan is not known.
        candidate: stable with the step's layer.
        stopped: steps it needs that did not stay.
        problems: why the candidate could not run; empty if it is valid.
        permits: what besides is in order.
    """

    stable: ConfigurationId
    assumed: ConfigurationId | None
    candidate: ConfigurationId
    stopped: tuple[Stopped, ...] = ()
    problems: tuple[str, ...] = ()
    permits: Permits = NONE_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """Its benchmark is done, or its policy asks for none.

    Attributes:
        verdict: only ``pass`` passes.
        benchmark_id: the benchmark, if one was made.
        because: its sentence.
        permits: what besides is in order.
    """

    verdict: Verdict
    benchmark_id: BenchmarkId | None
    because: str
    permits: Permits = NONE_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Its units were looked at.

    Attributes:
        evidence: what they say.
        acknowledged: metrics that paused it before and that a person has resumed past.
        permits: what besides is in order.
    """

    evidence: Evidence
    acknowledged: tuple[str, ...] = ()
    permits: Permits = NONE_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person asks for something.

    Attributes:
        act: for what.
        actor: who.
        reason: why, in their words; may be empty.
        stable: what is stable.
        in_flight: the rollout that holds the lock.
        to: of a promotion, the stage to come to; one rung up if left out.
        permits: what besides is in order.
    """

    act: Act
    actor: str
    reason: str
    stable: ConfigurationId
    in_flight: RolloutId | None
    to: int | None = None
    permits: Permits = NONE_ASKED


Observed = Turn | Gated | Watched | Asked


def actor_of(observed: Observed) -> str:
    """Who decides on it: a person on what a person asked, Inchworm on everything else."""
    return observed.actor if isinstance(observed, Asked) else _SELF


def record(subject: Subject, observed: Observed, now: float) -> dict[str, Any]:
    """All that a decision was computed from, format ``evidence/1``."""
    return {
        "format": EVIDENCE_FORMAT,
        "now": now,
        "rollout": plain(subject),
        "observed": {"is": _tag(observed), **plain(observed)},
    }


def recall(data: dict[str, Any]) -> tuple[Subject, Observed, float]:
    """The inverse of :func:`record`.

    Raises:
        InputError: for another format, or content that does not fit.
    """
    if data.get("format") != EVIDENCE_FORMAT:
        msg = (
            f"the decision's evidence has format {data.get('format')!r}, this version reads {EVIDENCE_FORMAT}"
        )
        raise InputError(msg)
    try:
        observed = dict(data["observed"])
        kind = _KINDS[observed.pop("is")]
        return typed(Subject, data["rollout"]), typed(kind, observed), float(data["now"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the decision's evidence is incomplete: {error}"
        raise InputError(msg) from error


def _tag(observed: Observed) -> str:
    match observed:
        case Turn():
            return "turn"
        case Gated():
            return "gated"
        case Watched():
            return "watched"
        case Asked():
            return "asked"
        case _:
            assert_never(observed)


_KINDS: Final[dict[str, type[Turn | Gated | Watched | Asked]]] = {
    "turn": Turn,
    "gated": Gated,
    "watched": Watched,
    "asked": Asked,
}
