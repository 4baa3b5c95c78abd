"""How long will a canary stage take? Seeded simulation of the e-process that will decide it.

The same bets as ``eprocess`` are played against a binary metric, the case of largest variance for its mean.
Blocks of units are drawn as four counts (arm x outcome), which is exact for the log wealth at the end of a
block with frozen bets. Blocks grow with what was consumed, by a sixteenth of it, so that a forecast takes
milliseconds; decisions are seen at their ends, hence a few percent late, as by a monitor that updates in
batches. ``stats.parallel`` follows every unit, and is what ``inchworm rollout simulate`` uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inchworm.stats import pairs
from inchworm.stats.eprocess import (
    BOUND_FLOOR,
    EXPAND_RATES,
    EXPAND_WEIGHTS,
    HARM_RATES,
    HARM_WEIGHTS,
    RESERVE,
    SAFETY,
    Design,
)
from inchworm.stats.parallel_pairs import decisions, ternary
from inchworm.stats.stream import REFRESH, V_FLOOR, FloatArray

__all__ = ["Horizon", "StageForecast", "expected_pairs", "expected_units"]

_SINGLE: Final = 16
_FEW: Final = 4
"""Units per block up to the first refresh, after the first of them were played one by one."""
_GROWTH: Final = 16

_HELD: Final = 0
_EXPANDED: Final = 1
_ROLLED_BACK: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """When one outcome comes, in exposed units of both arms; ``None`` where it does not within the cap."""

    median: int | None
    p90: int | None
    share: float
    """Share of the runs that end so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """How one stage is expected to end for one metric: the first of expansion and rollback, or neither."""

    expand: Horizon
    roll_back: Horizon
    undecided: float
    """Share of the runs without a decision within the cap: hold and ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wealth:
    """Simulated runs in step: log wealth (bets, runs) and moments (runs,)."""

    harm: FloatArray
    expand: FloatArray
    sum_y: FloatArray
    sum_sq: FloatArray


def _start(runs: int) -> _Wealth:
    return _Wealth(
        harm=np.repeat(np.log(HARM_WEIGHTS)[:, None], runs, axis=1),
        expand=np.repeat(np.log(EXPAND_WEIGHTS)[:, None], runs, axis=1),
        sum_y=np.ones(runs),
        sum_sq=np.full(runs, 0.5),
    )


def _step(
    wealth: _Wealth, counts: NDArray[np.int64], *, consumed: int, pi: float, delta_harm: float, margin: float
) -> _Wealth:
    """Play one block of units with frozen bets.

    Args:
        wealth: the runs before the block.
        counts: units by (arm 1 good, arm 1 bad, arm 0 good, arm 0 bad), shape (4, runs).
        consumed: units played before.
        pi: probability of arm 1.
        delta_harm: tolerated loss.
        margin: margin of non-inferiority.
    """
    n = 2.0 + consumed
    m = wealth.sum_y / n
    v = np.maximum(wealth.sum_sq / n, V_FLOOR)
    q = pi * (1.0 - pi)
    x = np.stack(((1.0 - pi) * (1.0 - m), -(1.0 - pi) * m, -pi * (1.0 - m), pi * m))
    up = np.maximum(x[0], x[3]) + q * delta_harm
    harm_bets = np.minimum(np.array(HARM_RATES)[:, None] / np.sqrt(v), SAFETY / up)
    down = np.maximum(np.maximum(-x[1], -x[2]) - q * margin, BOUND_FLOOR)
    expand_bets = np.minimum(np.array(EXPAND_RATES)[:, None] * margin / v, SAFETY / down)
    harm_growth = (counts * np.log1p(harm_bets[:, None] * (-x - q * delta_harm))).sum(axis=1)
    expand_growth = (counts * np.log1p(expand_bets[:, None] * (x + q * margin))).sum(axis=1)
    good, bad = counts[0] + counts[2], counts[1] + counts[3]
    return _Wealth(
        harm=wealth.harm + harm_growth,
        expand=wealth.expand + expand_growth,
        sum_y=wealth.sum_y + good,
        sum_sq=wealth.sum_sq + good * np.square(1.0 - m) + bad * np.square(m),
    )


def _block(consumed: int) -> int:
    """Units of the next block."""
    if consumed < REFRESH:
        return 1 if consumed < _SINGLE else _FEW
    return max(consumed // _GROWTH // REFRESH, 1) * REFRESH


def _draw(
    rng: np.random.Generator, *, block: int, runs: int, pi: float, baseline: float, candidate: float
) -> NDArray[np.int64]:
    """Units of one block by (arm 1 good, arm 1 bad, arm 0 good, arm 0 bad), shape (4, runs)."""
    cells = (pi * candidate, pi * (1.0 - candidate), (1.0 - pi) * baseline, (1.0 - pi) * (1.0 - baseline))
    return rng.multinomial(block, cells, size=runs).T


def _horizon(outcome: NDArray[np.int64], units: NDArray[np.int64], kind: int) -> Horizon:
    """Quantiles over all runs of the time to one outcome, runs without it counting as never."""
    times = np.sort(units[outcome == kind])

    def quantile(level: float) -> int | None:
        rank = math.ceil(level * outcome.size) - 1
        return int(times[rank]) if rank < times.size else None

    return Horizon(median=quantile(0.5), p90=quantile(0.9), share=times.size / outcome.size)


def _check(
    *, margin: float, baseline_rate: float, effect: float, weight: float, alphas: tuple[float, float]
) -> None:
    if not 0.0 < margin <= 1.0:
        msg = f"The margin must be positive and at most 1, got {margin}."
        raise ValueError(msg)
    if not 0.0 <= baseline_rate <= 1.0 or not 0.0 <= baseline_rate + effect <= 1.0:
        msg = f"Rates must lie in [0, 1], got {baseline_rate} for the baseline and an effect of {effect}."
        raise ValueError(msg)
    if not 0.0 < weight < 1.0:
        msg = f"The weight of the candidate must lie strictly inside (0, 1), got {weight}."
        raise ValueError(msg)
    if not all(0.0 < alpha < 1.0 for alpha in alphas):
        msg = f"alpha must lie in (0, 1), got {alphas}."
        raise ValueError(msg)


def expected_units(
    design: Design,
    *,
    margin: float,
    baseline_rate: float,
    effect: float,
    weight: float,
    alpha_harm: float = 0.05,
    alpha_expand: float = 0.05,
    max_units: int = 50_000,
    runs: int = 1000,
    seed: int = 0,
) -> StageForecast:
    """Forecast the first stage of a canary for one metric.

    With ``effect=0`` the answer is how long an equal candidate takes to expand; with a negative effect, how
    long such a harm takes to be caught. Divide by the traffic to get time.

    Args:
        design: the tolerated loss, and the number of stages (a rollout of several keeps a reserve of the
            harm wealth).
        margin: the margin that this stage tests, in units of y.
        baseline_rate: mean of the metric under the baseline, in [0, 1].
        effect: candidate minus baseline.
        weight: share of the traffic that the candidate gets in this stage, in (0, 1).
        alpha_harm: level of the rollback.
        alpha_expand: level of the expansion.
        max_units: cap; runs without a decision by then are undecided.
        runs: simulated rollouts.
        seed: of the generator; the same arguments give the same forecast.

    Raises:
        ValueError: when an argument is outside its range.
    """
    _check(
        margin=margin,
        baseline_rate=baseline_rate,
        effect=effect,
        weight=weight,
        alphas=(alpha_harm, alpha_expand),
    )
    if max_units < 1 or runs < 1:
        msg = f"max_units and runs must be positive, got {max_units} and {runs}."
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    reserve = 0.0 if design.stages == 1 else RESERVE
    # The reserve sleeps through this stage, so the awake share must reach what is left of 1/alpha.
    harm_bar = math.log((1.0 / alpha_harm - reserve) / (1.0 - reserve))
    expand_bar = -math.log(alpha_expand)
    outcome = np.full(runs, _HELD)
    units = np.zeros(runs, dtype=np.int64)
    open_runs = np.arange(runs)
    wealth = _start(runs)
    consumed = 0
    while consumed < max_units and open_runs.size:
        block = min(_block(consumed), max_units - consumed)
        counts = _draw(
            rng,
            block=block,
            runs=open_runs.size,
            pi=weight,
            baseline=baseline_rate,
            candidate=baseline_rate + effect,
        )
        wealth = _step(
            wealth, counts, consumed=consumed, pi=weight, delta_harm=design.delta_harm, margin=margin
        )
        consumed += block
        harmed = np.logaddexp.reduce(wealth.harm, axis=0) >= harm_bar
        decided = harmed | (np.logaddexp.reduce(wealth.expand, axis=0) >= expand_bar)
        if decided.any():
            outcome[open_runs[decided]] = np.where(harmed[decided], _ROLLED_BACK, _EXPANDED)
            units[open_runs[decided]] = consumed
            going = ~decided
            open_runs = open_runs[going]
            wealth = _Wealth(
                harm=wealth.harm[:, going],
                expand=wealth.expand[:, going],
                sum_y=wealth.sum_y[going],
                sum_sq=wealth.sum_sq[going],
            )
    return StageForecast(
        expand=_horizon(outcome, units, _EXPANDED),
        roll_back=_horizon(outcome, units, _ROLLED_BACK),
        undecided=open_runs.size / runs,
    )


def expected_pairs(
    *,
    margin: float,
    delta_harm: float,
    discordance: float,
    effect: float,
    alpha_harm: float = 0.05,
    alpha_expand: float = 0.05,
    max_pairs: int = 20_000,
    runs: int = 200,
    seed: int = 0,
) -> StageForecast:
    """Forecast a shadow stage for one metric: pairs of answers to the same input, of outcomes 0 or 1.

    Args:
        margin: the margin that this stage tests, in units of y.
        delta_harm: the tolerated loss.
        discordance: share of the inputs on which the two outcomes differ, in [0, 1]; .2 is common.
        effect: candidate minus baseline.
        alpha_harm: level of harm.
        alpha_expand: level of the expansion.
        max_pairs: cap; runs without a decision by then are undecided.
        runs: simulated stages.
        seed: of the generator; the same arguments give the same forecast.

    Returns:
        As of ``expected_units``, counted in pairs.

    Raises:
        ValueError: when an argument is outside its range.
    """
    _check(margin=margin, baseline_rate=0.5, effect=0.0, weight=0.5, alphas=(alpha_harm, alpha_expand))
    if max_pairs < 1 or runs < 1:
        msg = f"max_pairs and runs must be positive, got {max_pairs} and {runs}."
        raise ValueError(msg)
    found = decisions(
        pairs.Design(delta_harm=delta_harm, margins=(margin,)),
        ternary(np.random.default_rng(seed), discordance=discordance, effect=effect),
        runs=runs,
        max_pairs=max_pairs,
        alpha_harm=alpha_harm,
        alpha_expand=alpha_expand,
    )
    harmed, met = np.isfinite(found.harm), np.isfinite(found.expand)
    outcome = np.where(harmed, _ROLLED_BACK, np.where(met, _EXPANDED, _HELD))
    times = np.where(harmed | met, np.minimum(found.harm, found.expand), 0.0).astype(np.int64)
    return StageForecast(
        expand=_horizon(outcome, times, _EXPANDED),
        roll_back=_horizon(outcome, times, _ROLLED_BACK),
        undecided=float(np.mean(outcome == _HELD)),
    )
