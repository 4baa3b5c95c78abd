"""Which layer did it: the answer of an unbundling, and the cases that it proposes."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.domain.benchmark import Interval
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import CaseId, ConfigurationId, EvalSetId
from inchworm.domain.layers import Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one layer, or several together beyond their sum, did to the metric.

    Attributes:
        layers: one for a main effect, more for an interaction.
        effect: with an interval that is simultaneous over all contributions.
        named: whether the sparsest model that fits needs it.
        cases: cases that pass without and fail with exactly these layers.
    """

    layers: tuple[Layer, ...]
    effect: Interval
    named: bool
    cases: tuple[CaseId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corner:
    """One combination of the layers: which of them moved, and the metric there."""

    moved: tuple[Layer, ...]
    configuration_id: ConfigurationId
    mean: float
    effect: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """A bundle taken apart by experiment.

    Attributes:
        app: whose.
        metric: which metric.
        base: the configuration before.
        candidate: the configuration with everything moved.
        eval_set: on which cases.
        layers: the layers that the bundle moved.
        cases: cases measured in every cell.
        trials: trials made or taken from the cache.
        errored: trials on which the harness failed.
        total: candidate minus base.
        contributions: main effects in the order of the layers, then interactions.
        shapley: each layer's share of the total; they add up to it.
        corners: every combination, the base first.
        ship: the combination to ship today.
    """

    app: AppRef
    metric: str
    base: ConfigurationId
    candidate: ConfigurationId
    eval_set: EvalSetId
    layers: tuple[Layer, ...]
    cases: int
    trials: int
    errored: int
    total: Interval
    contributions: tuple[Contribution, ...]
    shapley: dict[Layer, Interval]
    corners: tuple[Corner, ...]
    ship: Corner


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Cases that somebody would like in the eval set. Only ``benchmark`` admits them.

    Attributes:
        id: derived from its content.
        app: whose.
        origin: what proposes them, e.g. ``attribution:prompt+context``.
        because: why, as a sentence.
        cases: ids of cases or traces that are known already.
    """

    id: str
    app: AppRef
    origin: str
    because: str
    cases: tuple[CaseId, ...]
