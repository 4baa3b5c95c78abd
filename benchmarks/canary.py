"""The canary table: error rates and time to decision of the e-process beside an oracle and the naive rule.

    python benchmarks/canary.py [--runs 2000] [--seed 1] [--date 2026-01-31] [--json PATH]

One process, seeded. Prints Markdown, and writes the same figures as JSON with the machine they came from.
Every rule looks at every candidate observation. A median counts runs without detection as infinite ("-").
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inchworm.stats import eprocess, sequences
from inchworm.stats.eprocess import Design

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ALPHA = 0.05
BAR = -math.log(ALPHA)
BASELINE, HARMED = 0.85, 0.77
Z_BURN_IN = 20
"""Candidate observations before the naive rule may speak."""
HARM_DESIGN = Design(delta_harm=0.0, margins=(), stages=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One simulated rollout, all units at one weight unless pi says otherwise."""

    y: Floats
    a: Bools
    pi: Floats
    stage: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rule at one split."""

    rule: str
    split: str
    false_rollback: float
    median_candidates: float | None
    p90_candidates: float | None
    detected: float


def draw(
    rng: np.random.Generator, *, pi: Floats, stage: NDArray[np.int64], baseline: float | Floats, effect: float
) -> Sample:
    """Draw a rollout."""
    a = rng.random(pi.size) < pi
    y = (rng.random(pi.size) < baseline + effect * a).astype(np.float64)
    return Sample(y=y, a=a, pi=pi, stage=stage)


def rbe(sample: Sample) -> Bools:
    """Where the e-process, defaults and reserve included, calls harm."""
    _, harm, _ = eprocess.trajectory(
        HARM_DESIGN, eprocess.init(HARM_DESIGN), y=sample.y, a=sample.a, pi=sample.pi, stage=sample.stage
    )
    return harm >= BAR


def oracle(sample: Sample) -> Bools:
    """Where the growth-optimal bet of someone who knows both rates (GRO, arXiv 1906.07801) calls harm."""
    rates = np.where(sample.a, HARMED, BASELINE)
    good = sample.pi * HARMED + (1.0 - sample.pi) * BASELINE
    ratio = np.where(sample.y == 1.0, rates / good, (1.0 - rates) / (1.0 - good))
    return np.cumsum(np.log(ratio)) >= BAR


def naive_z(sample: Sample) -> Bools:
    """Where a one-sided pooled z test at .05, looked at all the time, calls harm."""
    n1 = np.cumsum(sample.a)
    n0 = np.arange(1, sample.y.size + 1) - n1
    s1, s = np.cumsum(sample.y * sample.a), np.cumsum(sample.y)
    ready = (n1 >= Z_BURN_IN) & (n0 >= Z_BURN_IN)
    n1, n0 = np.maximum(n1, 1), np.maximum(n0, 1)
    pooled = s / (n1 + n0)
    error = np.sqrt(np.maximum(pooled * (1.0 - pooled), 1e-12) * (1.0 / n1 + 1.0 / n0))
    return ready & ((s1 / n1 - (s - s1) / n0) / error < -1.6448536269514722)


RULES: dict[str, Callable[[Sample], Bools]] = {
    "naive one-sided z": naive_z,
    "RBE": rbe,
    "oracle that knows both rates (GRO)": oracle,
}


def quantile(times: Sequence[float], level: float) -> float | None:
    """An order statistic, or None where it is infinite."""
    value = sorted(times)[math.ceil(level * len(times)) - 1]
    return value if math.isfinite(value) else None


def table(rng: np.random.Generator, runs: int) -> list[Row]:
    """False rollbacks without an effect; candidate observations until -8 points are found."""
    rows = []
    for split, weight, size in (("5/95", 0.05, 20_000), ("50/50", 0.5, 3_000)):
        pi, stage = np.full(size, weight), np.zeros(size, dtype=np.int64)
        alarms = dict.fromkeys(RULES, 0)
        found: dict[str, list[float]] = {rule: [] for rule in RULES}
        for _ in range(runs):
            null = draw(rng, pi=pi, stage=stage, baseline=BASELINE, effect=0.0)
            harm = draw(rng, pi=pi, stage=stage, baseline=BASELINE, effect=HARMED - BASELINE)
            candidates = np.cumsum(harm.a)
            for rule, calls in RULES.items():
                alarms[rule] += bool((calls(null) & null.a).any())
                hits = np.flatnonzero(calls(harm) & harm.a)
                found[rule].append(float(candidates[hits[0]]) if hits.size else math.inf)
        rows += [
            Row(
                rule=rule,
                split=split,
                false_rollback=alarms[rule] / runs,
                median_candidates=quantile(found[rule], 0.5),
                p90_candidates=quantile(found[rule], 0.9),
                detected=float(np.mean(np.isfinite(found[rule]))),
            )
            for rule in RULES
        ]
    return rows


def ramp(rng: np.random.Generator, runs: int) -> dict[str, float]:
    """Ramp 5, 25, 50 % while both arms drift .90 to .80, no effect: share of rollbacks."""
    stage = np.repeat(np.arange(3), 3_000)
    pi = np.array([0.05, 0.25, 0.5])[stage]
    drift = np.linspace(0.9, 0.8, stage.size)
    alarms = dict.fromkeys(("naive one-sided z", "RBE"), 0)
    for _ in range(runs):
        sample = draw(rng, pi=pi, stage=stage, baseline=drift, effect=0.0)
        for rule in alarms:
            alarms[rule] += bool(RULES[rule](sample).any())
    return {rule: count / runs for rule, count in alarms.items()}


def rare_events(rng: np.random.Generator, runs: int) -> dict[str, float | None]:
    """Rate .995, margin .005, 50/50: units until an equal candidate expands; expansions at a loss of .005."""
    design = Design(delta_harm=0.0, margins=(0.005,), stages=1)
    size = 40_000
    pi, stage = np.full(size, 0.5), np.zeros(size, dtype=np.int64)
    times: dict[float, list[float]] = {0.0: [], -0.005: []}
    for effect, reached in times.items():
        for _ in range(runs):
            sample = draw(rng, pi=pi, stage=stage, baseline=0.995, effect=effect)
            _, _, expand = eprocess.trajectory(
                design, eprocess.init(design), y=sample.y, a=sample.a, pi=pi, stage=stage
            )
            hits = np.flatnonzero(expand[0] >= BAR)
            reached.append(float(hits[0] + 1) if hits.size else math.inf)
    return {
        "median_units": quantile(times[0.0], 0.5),
        "p90_units": quantile(times[0.0], 0.9),
        "false_expansion": float(np.mean(np.isfinite(times[-0.005]))),
    }


RATES = (0.85, 0.90, 0.95, 0.95)
STAGES = ((0.05, 0.08), (0.25, 0.05), (0.5, 0.03))
"""Weight of the candidate and margin, by stage."""
STAGE_DESIGN = Design(delta_harm=0.015, margins=(0.08, 0.05, 0.03), stages=3)


def rollout(rng: np.random.Generator, effects: Sequence[float]) -> tuple[list[int], bool]:
    """Four critical metrics through three stages: units at each expansion, and whether rolled back.

    Expansion when all four meet the margin of the stage, after at least 1,000 units in it; rollback when the
    mean of the four harm e-values reaches 1/alpha; neither within 60,000 units: held.
    """
    states = [eprocess.init(STAGE_DESIGN) for _ in RATES]
    reached: list[int] = []
    consumed = in_stage = 0
    batch = 1_000
    while consumed < 60_000:
        current = len(reached)
        weight, _ = STAGES[current]
        pi, stage = np.full(batch, weight), np.full(batch, current, dtype=np.int64)
        a = rng.random(batch) < pi
        ys = [rng.random(batch) < rate + effect * a for rate, effect in zip(RATES, effects, strict=True)]
        after = [
            eprocess.trajectory(STAGE_DESIGN, state, y=y, a=a, pi=pi, stage=stage)
            for state, y in zip(states, ys, strict=True)
        ]
        harmed = np.flatnonzero(np.mean([np.exp(harm) for _, harm, _ in after], axis=0) >= 1.0 / ALPHA)
        met = np.all([expand[current] >= BAR for _, _, expand in after], axis=0)
        met &= in_stage + np.arange(1, batch + 1) >= 1_000
        expanded = np.flatnonzero(met)
        if harmed.size and (not expanded.size or harmed[0] <= expanded[0]):
            return reached, True
        if expanded.size:
            used = int(expanded[0]) + 1
            states = [
                eprocess.update(STAGE_DESIGN, state, y=y[:used], a=a[:used], pi=pi[:used], stage=stage[:used])
                for state, y in zip(states, ys, strict=True)
            ]
            consumed, in_stage = consumed + used, 0
            reached.append(consumed)
            if len(reached) == len(STAGES):
                return reached, False
        else:
            states = [state for state, _, _ in after]
            consumed, in_stage = consumed + batch, in_stage + batch
    return reached, False


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """How one candidate fares through the stages: cumulative units at each expansion, and where it ends."""

    candidate: str
    median_units: tuple[float | None, ...]
    p90_units: tuple[float | None, ...]
    reach_100: float
    rolled_back: float


def stages(rng: np.random.Generator, runs: int) -> list[Staged]:
    """Cumulative units at each expansion for an equal, a better, and a worse candidate."""
    rows = []
    for name, effects in (
        ("equal", (0.0,) * 4),
        ("+.03 on all", (0.03,) * 4),
        ("-.04 on the first", (-0.04, 0.0, 0.0, 0.0)),
    ):
        ends = [rollout(rng, effects) for _ in range(runs)]
        times = [[reached[i] if i < len(reached) else math.inf for reached, _ in ends] for i in range(3)]
        rows.append(
            Staged(
                candidate=name,
                median_units=tuple(quantile(each, 0.5) for each in times),
                p90_units=tuple(quantile(each, 0.9) for each in times),
                reach_100=float(np.mean(np.isfinite(times[2]))),
                rolled_back=float(np.mean([harmed for _, harmed in ends])),
            )
        )
    return rows


def coverage(rng: np.random.Generator, runs: int) -> dict[str, float]:
    """Share of ramps with drift in which the 95 % confidence sequence ever misses the effect (-.02)."""
    stage = np.repeat(np.arange(3), 2_000)
    pi = np.array([0.05, 0.25, 0.5])[stage]
    missed, widths, errors = 0, [], []
    for _ in range(runs):
        sample = draw(rng, pi=pi, stage=stage, baseline=np.linspace(0.9, 0.8, stage.size), effect=-0.02)
        state, miss = sequences.init(3), False
        for start in range(0, stage.size, 250):
            cut = slice(start, start + 250)
            state = sequences.update(
                state, y=sample.y[cut], a=sample.a[cut], pi=sample.pi[cut], stage=sample.stage[cut]
            )
            held = sequences.interval(state, alpha=ALPHA)
            miss |= not held.low <= -0.02 <= held.high
        missed += miss
        widths.append(held.high - held.low)
        point = sequences.estimate(state)
        if point is not None:
            errors.append(point.effect + 0.02)
    return {
        "ever_missed": missed / runs,
        "median_final_width": float(np.median(widths)),
        "bias_of_estimate": float(np.mean(errors)),
        "runs": runs,
    }


def speed() -> dict[str, float]:
    """Milliseconds for 10,000 units: six metrics (three margins, four stages); one confidence sequence."""
    rng = np.random.default_rng(0)
    design = Design(delta_harm=0.015, margins=(0.08, 0.05, 0.03), stages=4)
    size = 10_000
    sample = draw(
        rng, pi=np.full(size, 0.05), stage=np.zeros(size, dtype=np.int64), baseline=0.85, effect=0.0
    )
    units = {"y": sample.y, "a": sample.a, "pi": sample.pi, "stage": sample.stage}

    def best(work: Callable[[], object]) -> float:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return 1_000.0 * min(times)

    return {
        "six_metrics_update_ms": 6.0 * best(lambda: eprocess.update(design, eprocess.init(design), **units)),
        "six_metrics_trajectory_ms": 6.0
        * best(lambda: eprocess.trajectory(design, eprocess.init(design), **units)),
        "confidence_sequence_ms": best(lambda: sequences.update(sequences.init(4), **units)),
    }


def shown(value: float | None) -> str:
    """A count, or a dash where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def main() -> None:
    """Run everything, print the tables, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--date", default=datetime.now(tz=UTC).date().isoformat())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    began = time.perf_counter()
    # A generator per part: a part can be changed without moving the figures of the others.
    rngs = [np.random.default_rng(seed) for seed in np.random.SeedSequence(arguments.seed).spawn(5)]
    fewer = max(arguments.runs // 5, 20)

    rows = table(rngs[0], arguments.runs)
    print("|rule|split|false rollback|median n|p90 n|detected|\n|---|---|---|---|---|---|")
    for row in rows:
        counts = f"{shown(row.median_candidates)}|{shown(row.p90_candidates)}"
        print(f"|{row.rule}|{row.split}|{row.false_rollback:.3f}|{counts}|{row.detected:.1%}|")
    ramped = ramp(rngs[1], arguments.runs)
    print(f"\nRamp with drift, no effect, rolled back: {ramped}")
    rare = rare_events(rngs[2], arguments.runs // 4)
    print(f"Rare events (.995, margin .005, 50/50): {rare}")
    print("\n|candidate|median cumulative units|p90|reach 100 %|rolled back|\n|---|---|---|---|---|")
    staged = stages(rngs[3], fewer)
    for each in staged:
        medians, p90s = (" → ".join(map(shown, units)) for units in (each.median_units, each.p90_units))
        print(f"|{each.candidate}|{medians}|{p90s}|{each.reach_100:.1%}|{each.rolled_back:.1%}|")
    covered = coverage(rngs[4], fewer)
    print(f"\nConfidence sequence, ramp with drift: {covered}")
    timing = speed()
    print(f"Speed, 10,000 units: {timing}")

    if arguments.json is not None:
        result = {
            "benchmark": "canary",
            "date": arguments.date,
            "machine": {
                "platform": platform.platform(),
                "processor": platform.processor() or platform.machine(),
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            "seed": arguments.seed,
            "runs": arguments.runs,
            "runs_of_stages_and_coverage": fewer,
            "seconds": round(time.perf_counter() - began, 1),
            "rules": [asdict(row) for row in rows],
            "ramp_with_drift": ramped,
            "rare_events": rare,
            "stages": [asdict(each) for each in staged],
            "confidence_sequence": covered,
            "speed": timing,
        }
        arguments.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
