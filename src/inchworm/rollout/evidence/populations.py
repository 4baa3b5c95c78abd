"""Which stages are one population, and what is tested on each: one process per margin and population."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.rollout import Policy, Rollout, StageKind, UnitKind
from inchworm.stats import eprocess, pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """A run of stages with the same people and the same way of comparing.

    Attributes:
        kind: split or shadow.
        first: its first stage, 0-based.
        last: its last one; the number of stages if the soak belongs to it.
    """

    kind: StageKind
    first: int
    last: int

    def __contains__(self, stage: int) -> bool:
        return self.first <= stage <= self.last


def populations(policy: Policy) -> tuple[Population, ...]:
    """The populations of the ladder, in its order.

    A stage whose audience or kind differs from the one before begins a new one: what was shown of some
    people does not hold for others. The soak exposes everybody, and so belongs to a last stage that does.
    """
    found: list[Population] = []
    stages = enumerate(policy.stages)
    for (kind, audience), run in groupby(stages, key=lambda one: (one[1].kind, one[1].audience)):
        places = [place for place, _ in run]
        soaks = places[-1] == len(policy.stages) - 1 and kind is StageKind.SPLIT and not audience
        found.append(Population(kind=kind, first=places[0], last=places[-1] + soaks))
    return tuple(found)


def is_shadow(policy: Policy, stage: int) -> bool:
    """Whether a stage is a shadow stage; the soak and what comes before the first stage are not."""
    return 0 <= stage < len(policy.stages) and policy.stages[stage].kind is StageKind.SHADOW


def margin_at(policy: Policy, metric: Metric, stage: int) -> float:
    """The metric's margin at a stage: the last stage's in the soak, the first's before it. At most 1."""
    place = min(max(stage, 0), len(policy.stages) - 1)
    return min(metric.margin * policy.stages[place].margin_factor, 1.0)


def design_of(policy: Policy, metric: Metric) -> eprocess.Design:
    """What the metric is tested for on exposed units.

    Harm over all stages. For expansion one process per population and margin, from its first unit on.
    """
    tested = [
        (margin, (one.first, one.last))
        for one in populations(policy)
        if one.kind is StageKind.SPLIT
        for margin in _margins(policy, metric, one)
    ]
    return eprocess.Design(
        delta_harm=metric.harm_margin,
        margins=tuple(margin for margin, _ in tested),
        spans=tuple(span for _, span in tested),
        stages=len(policy.stages) + 1,
    )


def cluster_design(policy: Policy, metric: Metric) -> eprocess.Design:
    """What the metric is tested for in one cluster: harm."""
    return eprocess.Design(delta_harm=metric.harm_margin, margins=(), stages=len(policy.stages) + 1)


def shadow_populations(policy: Policy) -> tuple[Population, ...]:
    """The populations that are mirrored."""
    return tuple(one for one in populations(policy) if one.kind is StageKind.SHADOW)


def paired_design(policy: Policy, metric: Metric, population: Population) -> pairs.Design:
    """What the metric is tested for on the pairs of one shadow population."""
    return pairs.Design(delta_harm=metric.harm_margin, margins=_margins(policy, metric, population))


def _margins(policy: Policy, metric: Metric, population: Population) -> tuple[float, ...]:
    stages = range(population.first, min(population.last + 1, len(policy.stages)))
    return tuple(dict.fromkeys(margin_at(policy, metric, stage) for stage in stages))


def clocks_of(rollout: Rollout) -> tuple[Clock, ...]:
    """The clocks that run: the fast one always, since it counts who was exposed."""
    judged = any(metric.clock is Clock.JUDGED for metric in rollout.metrics)
    return (Clock.FAST, Clock.JUDGED) if judged else (Clock.FAST,)


def matures_after(policy: Policy, clock: Clock) -> float:
    """Seconds from a unit's assignment until its outcomes on a clock count as missing if they are not there.

    A judged outcome never matures before the fast ones. A user's mean is complete when its window is over.
    """
    wait = policy.maturation_s
    if clock is Clock.JUDGED:
        wait = max(wait, policy.maturation_judged_s)
    return wait + (policy.user_window_s if policy.unit is UnitKind.USER else 0.0)


def pairs_mature_after(rollout: Rollout) -> float:
    """Seconds from a call's mirroring until all of its outcomes are due."""
    policy = rollout.policy
    judged = Clock.JUDGED in clocks_of(rollout)
    return max(policy.maturation_s, policy.maturation_judged_s if judged else 0.0)
