"""A change from one configuration to another, and the plan that takes it apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import BenchmarkId, ConfigurationId, EvalSetId, PlanId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.verdict import Verdict


class Absent:
    """The value on the side of a diff where a key does not exist."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "absent"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Absent)

    def __hash__(self) -> int:
        return hash(Absent)


ABSENT = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDiff:
    """One value that differs.

    Attributes:
        layer: the layer it stands in.
        path: keys from the layer down, e.g. ``("documents",)``.
        old: JSON value in the base, or :data:`ABSENT`.
        new: JSON value in the candidate, or :data:`ABSENT`.
    """

    layer: Layer
    path: tuple[str, ...]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Somebody wants to go from ``base`` to ``candidate``.

    Attributes:
        app: where.
        base: the configuration it starts from (stable when it was asked for).
        candidate: the configuration that is wanted.
        author: who wants it.
        reason: why, in their words; may be empty.
    """

    app: AppRef
    base: Configuration
    candidate: Configuration
    author: str
    reason: str = ""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that move."""
        return self.base.moved(self.candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer moved, as a configuration that must itself be valid.

    Attributes:
        number: 1-based place in the plan.
        layer: the layer that moves.
        base: id of the configuration before it (when nothing before it was rolled back).
        candidate: the configuration after it.
        because: why it stands at this place, e.g. ``default order`` or ``after: context``.
        after: layers without which this step makes no sense; it is cancelled if one is rolled back.
        joint: layers that move together with ``layer``, of a joint step.
    """

    number: int
    layer: Layer
    base: ConfigurationId
    candidate: Configuration
    because: str
    after: tuple[Layer, ...] = ()
    joint: tuple[Layer, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that move, in the default order: one, unless the step is a joint one."""
        return tuple(layer for layer in LAYERS if layer == self.layer or layer in self.joint)


class CouplingKind(StrEnum):
    """Why layers cannot move one at a time."""

    VALIDITY = "validity"
    """On every way something in between could not run."""
    NEED = "need"
    """Each makes no sense before the other."""
    QUALITY = "quality"
    """On every way something in between fails on the eval set, and together they pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupling:
    """Layers that only work together.

    Attributes:
        layers: the smallest set that has to move together, in the default order.
        kind: what was seen.
        because: which values contradict each other, or which corners fail, as half a sentence.
    """

    layers: tuple[Layer, ...]
    kind: CouplingKind
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A configuration on the way that was validated.

    Attributes:
        step: the step after which it is stable.
        configuration: which one.
        facts: what was looked at, with its values, e.g. ``window 8,192: fits, longest case 2,911 tokens``.
    """

    step: int
    configuration: ConfigurationId
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """One combination of the layers that move, measured on the eval set against the plan's base.

    Attributes:
        layers: those at the candidate's values.
        configuration: what that gives.
        verdict: the gate's; ``None`` if it was not measured.
        because: its sentence, or why it was not measured.
        bridged: layers at the values of the configuration that the way leads over.
        benchmark_id: the benchmark, if one was made.
    """

    layers: tuple[Layer, ...]
    configuration: ConfigurationId
    verdict: Verdict | None
    because: str
    bridged: tuple[Layer, ...] = ()
    benchmark_id: BenchmarkId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change taken apart into one-layer steps, in order; into joint ones only where layers are coupled.

    Attributes:
        id: derived from app, base, candidate, the order of the steps and what was measured.
        change: what was asked for.
        steps: one per layer that moves; of a way over another configuration, one per layer and part.
        diffs: every value that differs, in the order of the layers.
        notes: what was validated, and how, as sentences.
        checks: the configurations after each step, with what was looked at.
        couplings: layers that cannot move one at a time.
        corners: combinations that were measured, if it was asked for.
        via: the configuration that the way leads over, if it does.
        eval_set: what the corners were measured on.
        undecided: stages that could not decide at the traffic of that day, as sentences with what could be
            decided instead; such a plan is not applied without a reason.
        policy: digest of the policy and metrics of that day; empty if an older version made the plan.
    """

    id: PlanId
    change: Change
    steps: tuple[Step, ...]
    diffs: tuple[ValueDiff, ...]
    notes: tuple[str, ...]
    checks: tuple[Checked, ...] = ()
    couplings: tuple[Coupling, ...] = ()
    corners: tuple[Corner, ...] = ()
    via: ConfigurationId | None = None
    eval_set: EvalSetId | None = None
    undecided: tuple[str, ...] = ()
    policy: str = ""

    @property
    def joint(self) -> tuple[Step, ...]:
        """The steps that move several layers at once, and so need an approval."""
        return tuple(step for step in self.steps if step.joint)


def diff(base: Configuration, candidate: Configuration) -> tuple[ValueDiff, ...]:
    """Every value in which two configurations differ, layer by layer, keys in alphabetical order.

    Objects are compared member by member, everything else (arrays too) as a whole.
    """
    found: list[ValueDiff] = []
    for layer in base.moved(candidate):
        _walk(layer, (), base.layer(layer), candidate.layer(layer), found)
    return tuple(found)


def _walk(layer: Layer, path: tuple[str, ...], old: Any, new: Any, found: list[ValueDiff]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            _walk(layer, (*path, key), old.get(key, ABSENT), new.get(key, ABSENT), found)
    elif old != new or type(old) is not type(new):
        found.append(ValueDiff(layer=layer, path=path, old=old, new=new))
