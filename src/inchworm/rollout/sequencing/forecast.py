"""How long will a rollout take at this app's traffic? From the statistics, before anyone is exposed.

Each stage is simulated as if its evidence began with it: the median of the very test that decides, for a
candidate that changes nothing. Evidence for a margin is gathered from the first unit of the rollout on, so
what earlier stages gathered is counted in: a unit at share π is worth π(1 − π), the variance of its
assignment (the growth of the log evidence per unit is proportional to it). A stage ends when the last of its
gates has its evidence, so the medians of several are put together by the spread of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.rollout import Judging, Policy, Stage, StageKind
from inchworm.rollout.evidence.budget import gates
from inchworm.stats.eprocess import Design
from inchworm.stats.power import Horizon, expected_pairs, expected_units

DAY_S: Final = 86_400.0
UNMEASURED_RATE: Final = 0.9
"""The mean that a metric is taken to have before it was ever measured."""
_SIMULATED: Final = 60_000
"""Units that a simulation goes through at most; beyond, the growth rate is extrapolated."""
_SIMULATED_PAIRS: Final = 5_000
_LEAST_VARIANCE: Final = 0.001
_Z90: Final = NormalDist().inv_cdf(0.9)
_SPREAD: Final = 0.7
"""Spread of the logarithm of the time where no simulation says it."""
_LEAST_SPREAD: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What passes by.

    Attributes:
        units_per_day: units of the policy's kind; positive.
        takes_part: for each stage, the share of the units that its audience has; ``None`` if nobody knows.
            Everybody at every stage if empty.
        usd_per_call: what a call to the candidate costs; ``None`` if nobody knows.
    """

    units_per_day: float
    takes_part: tuple[float | None, ...] = ()
    usd_per_call: float | None = None

    def share(self, stage: int) -> float | None:
        """The share of the units that takes part in a stage."""
        return self.takes_part[stage] if self.takes_part else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One stage's forecast.

    Attributes:
        weight: the stage's share of the traffic.
        units: units (both arms; pairs at a shadow stage) until every gate has enough evidence, if nothing
            changed; ``None`` if that does not happen within the stage's maximum bake at this traffic.
        days: the longest of evidence, minimum units and minimum bake, in days; ``None`` likewise, and where
            nobody knows how many units take part.
        slowest: the metric that takes longest.
        kind: whether anybody gets the candidate's answer.
        needs: the units whatever the maximum bake.
        evidence: the same whatever the stage's minimum.
        most: units (pairs) that come within the maximum bake and the budget; ``None`` if nobody knows.
        takes_part: share of the traffic that the stage's audience has; ``None`` if nobody knows.
        cost_usd: what mirrored calls cost; ``None`` at other stages, and if nobody knows.
    """

    weight: float
    units: int | None
    days: float | None
    slowest: str
    kind: StageKind = StageKind.SPLIT
    needs: int = 0
    evidence: int = 0
    most: int | None = None
    takes_part: float | None = 1.0
    cost_usd: float | None = None

    @property
    def undecided(self) -> bool:
        """Whether it would reach its deadline, or the end of its budget, before it is decided."""
        return self.most is not None and self.needs > self.most


def forecast(
    policy: Policy,
    metrics: Sequence[Metric],
    rates: Mapping[str, float],
    *,
    units_per_day: float,
    traffic: Traffic | None = None,
    seed: int = 1,
    runs: int = 200,
) -> tuple[StageTime, ...]:
    """The median time of each stage for a candidate that changes nothing.

    Args:
        policy: stages and error rates.
        metrics: those that gate count, signals do not.
        rates: present mean of each metric; one that was never measured is taken as .9.
        units_per_day: traffic; must be positive.
        traffic: more about it, if more is known.
        seed: for the simulation.
        runs: simulated runs per metric and stage.
    """
    seen = Traffic(units_per_day=units_per_day) if traffic is None else traffic
    times: list[StageTime] = []
    gathered: list[tuple[Stage, int]] = []
    for number, stage in enumerate(policy.stages):
        took = [
            (metric.name, needed(policy, stage, metric, rates, before=gathered, seed=seed, runs=runs))
            for metric in metrics
            if gates(metric)
        ]
        slowest = max(took, key=lambda one: one[1].left, default=("", None))[0]
        evidence = together([one for _, one in took])
        needs = max(stage.min_units, evidence)
        time = _time(policy, stage, needs, seen.share(number), traffic=seen)
        times.append(replace(time, slowest=slowest, evidence=evidence))
        gathered.append((stage, needs))
    return tuple(times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Units (pairs at a shadow stage) until the evidence for one metric's margin is there.

    Attributes:
        median: of a process that begins with them.
        spread: standard deviation of the logarithm.
        had: what earlier stages are worth, in units of this one.
    """

    median: float
    spread: float = _SPREAD
    had: float = 0.0

    @property
    def left(self) -> float:
        """The median of what is still needed."""
        return max(self.median - self.had, 0.0)

    def by(self, units: float) -> float:
        """The probability that it is there after so many units of this stage."""
        return NormalDist().cdf(math.log((units + self.had) / self.median) / self.spread)


def needed(
    policy: Policy,
    stage: Stage,
    metric: Metric,
    rates: Mapping[str, float],
    *,
    before: Sequence[tuple[Stage, int]] = (),
    margin: float | None = None,
    seed: int = 1,
    runs: int = 200,
) -> Needed:
    """What a metric's evidence for a stage's margin takes.

    Args:
        policy: error rates and judging.
        stage: which.
        metric: which.
        rates: present means by metric.
        before: earlier stages with their units, whose evidence counts where the same people took part.
        margin: in place of the stage's own.
        seed: for the simulation.
        runs: simulated runs.
    """
    allowed = min(metric.margin * stage.margin_factor, 1.0) if margin is None else margin
    rate = round(min(max(rates.get(metric.name, UNMEASURED_RATE), 0.0), 1.0), 3)
    if stage.kind is StageKind.SHADOW:
        return _pairs((rate, allowed, policy.alpha_expand), seed, runs)
    share, weight = _judged(stage.weight, policy.judging if metric.clock is Clock.JUDGED else Judging())
    alone = _units((rate, allowed, round(weight, 6), policy.alpha_expand), seed, runs)
    had = sum(
        units * one.weight * (1.0 - one.weight)
        for one, units in before
        if one.kind is StageKind.SPLIT and one.audience == stage.audience
    )
    return Needed(
        median=alone.median / share, spread=alone.spread, had=had / (stage.weight * (1.0 - stage.weight))
    )


def together(every: Sequence[Needed]) -> int:
    """The median of the units until all of them are there, as if they were independent; 0 of none."""
    if not every:
        return 0
    low, high = 0.0, max(one.median for one in every) * math.exp(4.0 * max(one.spread for one in every))
    for _ in range(60):
        middle = (low + high) / 2.0
        if middle <= 0.0 or math.prod(one.by(middle) for one in every) < 0.5:
            low = middle
        else:
            high = middle
    return math.ceil(high)


def _time(policy: Policy, stage: Stage, needs: int, part: float | None, *, traffic: Traffic) -> StageTime:
    shadow = stage.kind is StageKind.SHADOW
    each = stage.weight if shadow else 1.0  # a unit gives one pair
    pace = None if part is None else part * traffic.units_per_day * each
    waits = max(policy.maturation_s, policy.maturation_judged_s)
    most = None if pace is None else int(max(stage.max_bake_s - waits, 0.0) / DAY_S * pace)
    if shadow and most is not None:
        limits = [] if stage.max_calls is None else [stage.max_calls]
        if stage.budget_usd is not None and traffic.usd_per_call:
            limits.append(int(stage.budget_usd / traffic.usd_per_call))
        most = min(most, *limits) if limits else most
    decides = most is None or needs <= most
    days = None
    if decides and pace:
        days = max(needs / pace + waits / DAY_S, stage.min_bake_s / DAY_S)
    cost = needs * traffic.usd_per_call if shadow and traffic.usd_per_call is not None else None
    return StageTime(
        weight=stage.weight,
        units=needs if decides else None,
        days=days,
        slowest="",
        kind=stage.kind,
        needs=needs,
        most=most,
        takes_part=part,
        cost_usd=cost,
    )


def _judged(weight: float, judging: Judging) -> tuple[float, float]:
    """The share of the units that is judged, and the candidate's share among those."""
    candidate, baseline = weight * judging.candidate, (1.0 - weight) * judging.baseline
    return candidate + baseline, candidate / (candidate + baseline)


@lru_cache(maxsize=2_048)
def _units(asked: tuple[float, float, float, float], seed: int, runs: int) -> Needed:
    """Of a rate, a margin, a share and an error of expansion."""
    rate, margin, weight, alpha = asked
    found = expected_units(
        Design(delta_harm=margin / 2, margins=(margin,), stages=1),
        margin=margin,
        baseline_rate=rate,
        effect=0.0,
        weight=weight,
        alpha_expand=alpha,
        max_units=_SIMULATED,
        runs=runs,
        seed=seed,
    ).expand
    if found.median is None:
        return Needed(median=_extrapolated(rate, margin, weight, alpha))
    return Needed(median=found.median, spread=_spread(found))


def _extrapolated(rate: float, margin: float, weight: float, alpha: float) -> float:
    """Where a simulation would take too long: log(1 / (w α)) over the growth rate q δ² / 2v of the best bet.

    v = p(1 − p) is the variance of a unit's outcome and w = .3 the bet's share of the wealth
    (``eprocess.EXPAND_WEIGHTS``). It tends to be too high, by about a fifth.
    """
    variance = max(rate * (1.0 - rate), _LEAST_VARIANCE)
    growth = weight * (1.0 - weight) * margin**2 / (2.0 * variance)
    return max(math.log(1.0 / (0.3 * alpha)) / growth, _SIMULATED)


@lru_cache(maxsize=512)
def _pairs(asked: tuple[float, float, float], seed: int, runs: int) -> Needed:
    """Of a rate, a margin and an error of expansion."""
    rate, margin, alpha = asked
    # As if the two erred independently; what is hard for one is hard for the other, so it is rather less.
    discordance = max(2.0 * rate * (1.0 - rate), _LEAST_VARIANCE)
    found = expected_pairs(
        margin=margin,
        delta_harm=margin / 2,
        discordance=discordance,
        effect=0.0,
        alpha_expand=alpha,
        max_pairs=_SIMULATED_PAIRS,
        runs=runs,
        seed=seed,
    ).expand
    if found.median is None:
        growth = margin**2 / (2.0 * discordance)
        return Needed(median=max(math.log(1.0 / (0.4 * alpha)) / growth, _SIMULATED_PAIRS))
    return Needed(median=found.median, spread=_spread(found))


def _spread(found: Horizon) -> float:
    if found.median is None or found.p90 is None:
        return _SPREAD
    return max(math.log(found.p90 / found.median) / _Z90, _LEAST_SPREAD)
