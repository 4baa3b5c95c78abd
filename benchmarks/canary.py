"""The canary: error rates, and how many people see a harm, beside an oracle and other people's rules.

    python benchmarks/canary.py [--runs 10000] [--seed 1] [--date 2026-01-31] [--json PATH] [--no-peers]

One process, seeded. Prints Markdown, and writes the same figures as JSON with the machine they came from.
Everything is looked at with every unit (other people's rules: with every candidate observation). Medians
count runs in which nothing was found as infinite ("-").

GrowthBook's own code (gbstats) is installed into an environment of its own in a temporary folder, since it
needs an older numpy, and must decide as our formula does on the same tables. Where it cannot be installed,
that is said. safestats is in R and Kayenta in Scala; they are written anew from their sources.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy
from inchworm.rollout.evidence.budget import alphas, shares
from inchworm.rollout.simulate import Judged, Question, Rates, Simulated, Span, simulate
from inchworm.stats import eprocess, pairs, parallel, rules, sequences
from inchworm.stats.eprocess import Design
from inchworm.stats.parallel_pairs import decisions, ternary

Floats = NDArray[np.float64]

ALPHA: Final = 0.05
BASELINE, HARMED = 0.85, 0.77
SPLITS: Final = (("5/95", 0.05, 20_000), ("50/50", 0.5, 3_000))
CHUNK: Final = 500
"""Runs of the other rules in memory at once."""


def rates(baseline: float, candidate: float, **more: Any) -> Judged:
    """One yes/no metric."""
    return Judged(name="outcome", outcomes=Rates(baseline=baseline, candidate=candidate), **more)


def asked(
    *metrics: Judged, weights: Sequence[float], size: int, runs: int, seed: int, **more: Any
) -> Question:
    """A simulation at alpha = .05 with all metrics on one clock."""
    nothing: tuple[float | None, ...] = (None,) * len(weights)
    return Question(
        metrics=tuple(one if any(one.margins) else replace(one, margins=nothing) for one in metrics),
        stages=tuple(Span(weight=weight) for weight in weights),
        max_units=size,
        runs=runs,
        seed=seed,
        alphas=((Clock.FAST, ALPHA),),
        **more,
    )


def bound(count: int, runs: int) -> float:
    """The one-sided p-value of "false rollbacks are at most .05": small would mean that they are more."""
    return float(binom.sf(count - 1, runs, ALPHA))


def nulls(runs: int, seed: int) -> list[dict[str, Any]]:
    """No effect: how often is it rolled back, with every unit looked at?"""
    ramp = {"weights": (0.05, 0.25, 0.5), "size": 9_000}
    cases: dict[str, Question] = {}

    def add(name: str, rate: float, **more: Any) -> None:
        sizes = {"weights": (0.5,), "size": 6_000, **more}
        cases[name] = asked(rates(rate, rate), runs=runs, seed=seed + len(cases), **sizes)

    add("5/95", 0.85, weights=(0.05,), size=20_000)
    add("50/50", 0.85)
    add("5 → 25 → 50 %", 0.85, **ramp)
    add("the same, both arms drift .90 → .80", 0.9, drift=-0.1, **ramp)
    add("users of 8 sessions, correlation .3, 50/50", 0.85, icc=0.3, units_per_user=8)
    add("the same at 5/95", 0.85, icc=0.3, units_per_user=8, weights=(0.05,), size=20_000)
    add("success .98, 50/50", 0.98)
    add("success .98, 5/95", 0.98, weights=(0.05,), size=20_000)
    add("30 % of the outcomes never come", 0.85, missing=(0.3, 0.3))
    add("outcomes come 2,000 units late, consumed in order", 0.85, delay_units=2_000)
    rows = []
    for name, question in cases.items():
        rate = simulate(question).rollback_rate
        count = round(rate * runs)
        rows.append({"scenario": name, "false_rollback": rate, "p_not_above": bound(count, runs)})
    return rows


def race(
    rng: np.random.Generator, *, runs: int, weight: float, size: int, candidate: float, stages: int = 1
) -> dict[str, Floats]:
    """The e-process and the oracle on the same units: candidate units when each calls harm."""
    design = Design(delta_harm=0.0, margins=(), stages=stages)
    line = -math.log(ALPHA)
    found = {"inchworm": np.full(runs, np.inf), "oracle": np.full(runs, np.inf)}
    state, which = parallel.start(design, runs), np.arange(runs)
    seen, log_e = np.zeros(runs), np.zeros(runs)
    good = weight * HARMED + (1 - weight) * BASELINE
    steps = np.log(
        [[(1 - BASELINE) / (1 - good), BASELINE / good], [(1 - HARMED) / (1 - good), HARMED / good]]
    )
    done = 0
    while done < size and which.size:
        length = parallel.block_length(done, size - done)
        a = rng.random((which.size, length)) < weight
        y = (rng.random((which.size, length)) < np.where(a, candidate, BASELINE)).astype(np.float64)
        block = parallel.Block(
            y=y,
            a=a,
            pi=np.full(which.size, weight),
            stage=np.zeros(which.size, dtype=np.int64),
            binary=True,
        )
        played = parallel.step(design, state, block)
        count = seen[:, None] + np.cumsum(a, axis=1)
        rows = np.flatnonzero((played.reach_harm >= line - 1e-9) & np.isinf(found["inchworm"][which]))
        ours = parallel.harm_path(design, played, rows) >= 1 / ALPHA
        path = log_e[:, None] + np.cumsum(steps[a.astype(int), y.astype(int)], axis=1)
        every = np.flatnonzero(np.isinf(found["oracle"][which]))
        for name, where, calls in (("inchworm", rows, ours), ("oracle", every, path[every] >= line)):
            hit = calls.any(axis=1)
            times = count[where, calls.argmax(axis=1)] if where.size else np.empty(0)
            found[name][which[where[hit]]] = times[hit]
        on = np.isinf(found["inchworm"][which]) | np.isinf(found["oracle"][which])
        state, which = parallel.kept(played.after, on), which[on]
        seen, log_e = count[on, -1], path[on, -1]
        done += length
    return found


def told(*sums: NDArray[Any]) -> rules.Seen:
    """Sums of outcomes that are 0 or 1: units and successes of the candidate, then of the baseline."""
    n1, s1, n0, s0 = (each.astype(np.float64) for each in sums)
    return rules.Seen(n1=n1, s1=s1, q1=s1, n0=n0, s0=s0, q0=s0)


def visible(rng: np.random.Generator, *, runs: int, weight: float, most: int, candidate: float) -> rules.Seen:
    """What other rules see at each candidate observation, drawn at once."""
    between = rng.geometric(weight, (runs, most)) - 1
    n0, s0 = np.cumsum(between, axis=1), np.cumsum(rng.binomial(between, BASELINE), axis=1)
    s1 = np.cumsum(rng.random((runs, most)) < candidate, axis=1)
    n1 = np.broadcast_to(np.arange(1.0, most + 1), (runs, most))
    return told(n1, s1, n0, s0)


def even(rng: np.random.Generator, *, runs: int, weight: float, most: int, candidate: float) -> rules.Seen:
    """The same in even blocks, as safestats takes them."""
    ratio = round((1 - weight) / weight)
    n1 = np.broadcast_to(np.arange(1.0, most + 1), (runs, most))
    s1 = np.cumsum(rng.random((runs, most)) < candidate, axis=1)
    s0 = np.cumsum(rng.binomial(ratio, BASELINE, (runs, most)), axis=1)
    return told(n1, s1, ratio * n1, s0)


Draw = Callable[..., rules.Seen]
RULES: Final[dict[str, tuple[Callable[[rules.Seen], NDArray[np.bool_]], Draw]]] = {
    "fixed z, one-sided": (rules.fixed_z, visible),
    "mSPRT, τ = .05": (rules.msprt, visible),
    "GrowthBook's sequence, as shipped": (rules.growthbook, visible),
    "the same, one-sided": (rules.growthbook_one_sided, visible),
    "safestats 2×2, Beta .18": (rules.safestats, even),
    "O'Brien–Fleming, 10 looks, 300 planned": (rules.obrien_fleming, visible),
    "O'Brien–Fleming, peeked at": (rules.obrien_fleming_peeked, visible),
    "Kayenta, Mann–Whitney": (rules.kayenta, visible),
    "2 points below, after 100": (rules.threshold, visible),
}


def quantile(times: Floats, level: float) -> float | None:
    """An order statistic, or None where it is infinite."""
    value = float(np.sort(times)[math.ceil(level * times.size) - 1])
    return value if math.isfinite(value) else None


def row(rule: str, split: str, false: float, found: Floats) -> dict[str, Any]:
    """One rule at one split."""
    return {
        "rule": rule,
        "split": split,
        "false_rollback": false,
        "median_candidates": quantile(found, 0.5),
        "p90_candidates": quantile(found, 0.9),
        "detected": float(np.mean(np.isfinite(found))),
    }


def table(rng: np.random.Generator, runs: int) -> list[dict[str, Any]]:
    """.85 → .77, and no effect: ours and the oracle on the same units, the others on units alike."""
    rows = []
    for split, weight, size in SPLITS:
        null = race(rng, runs=runs, weight=weight, size=size, candidate=BASELINE)
        harm = race(rng, runs=runs, weight=weight, size=size, candidate=HARMED)
        rows += [
            row(name, split, float(np.mean(np.isfinite(null[name]))), harm[name])
            for name in ("inchworm", "oracle")
        ]
        # The default policy: two more stages and a soak, for which a tenth of the wealth is kept.
        quiet, late = (
            race(rng, runs=runs, weight=weight, size=size, candidate=rate, stages=4)["inchworm"]
            for rate in (BASELINE, HARMED)
        )
        rows.append(row("inchworm, first of four stages", split, float(np.mean(np.isfinite(quiet))), late))
        most = round(size * weight)
        for name, (rule, draw) in RULES.items():
            false, times = 0, []
            for start in range(0, runs, CHUNK):
                some = min(CHUNK, runs - start)
                equal = draw(rng, runs=some, weight=weight, most=most, candidate=BASELINE)
                false += int(rule(equal).any(axis=1).sum())
                worse = draw(rng, runs=some, weight=weight, most=most, candidate=HARMED)
                times.append(rules.first(rule(worse), worse))
            rows.append(row(name, split, false / runs, np.concatenate(times)))
    return rows


def six(runs: int, seed: int) -> list[dict[str, Any]]:
    """Six metrics on one clock, one of them harmed: candidate units, under the real budget."""
    metrics = [
        Metric(
            name=f"m{i}",
            source={"builtin": "errors"},
            role=Role.GOAL if i == 0 else Role.GUARDRAIL,
            clock=Clock.FAST,
            margin=0.03,
            harm_margin=0.0,
        )
        for i in range(6)
    ]
    budget = shares(Policy(), metrics)
    spent = tuple(alphas(Policy(), {Clock.FAST}).items())
    rows = []
    for split, weight, size in SPLITS:
        alone: float | None = None
        for name, harmed in (("alone", None), ("the goal", "m0"), ("a guardrail", "m1")):
            judged = [rates(BASELINE, HARMED)] if harmed is None else []
            judged += [
                replace(
                    rates(BASELINE, HARMED if one.name == harmed else BASELINE),
                    name=one.name,
                    weight=budget[one.name].weight,
                )
                for one in metrics
                if harmed is not None
            ]
            question = asked(*judged, weights=(weight,), size=size * 3 // 2, runs=runs, seed=seed)
            result = simulate(replace(question, alphas=spent))
            median = result.median_candidate_units
            alone = float(median) if harmed is None and median is not None else alone
            rows.append(
                {
                    "split": split,
                    "harmed": name,
                    "median_candidates": median,
                    "p90_candidates": result.p90_candidate_units,
                    "ratio": None if median is None or alone is None else median / alone,
                }
            )
    return rows


def rare(runs: int, seed: int) -> list[dict[str, Any]]:
    """Success .995, margin .005, 50/50: an equal candidate, and one that lost the whole margin."""
    rows = []
    for loss in (0.0, 0.005):
        metric = rates(0.995, 0.995 - loss, margins=(0.005,))
        found = simulate(asked(metric, weights=(0.5,), size=40_000, runs=runs, seed=seed))
        rows.append(
            {
                "effect": -loss,
                "expanded": found.expand_rate,
                "rolled_back": found.rollback_rate,
                "median_units": found.median_expand_units,
                "p90_units": found.p90_expand_units,
                "p_not_above": bound(round(found.expand_rate * runs), runs),
            }
        )
    return rows


def shadow(rng: np.random.Generator, runs: int) -> list[dict[str, Any]]:
    """Pairs until a harm is found, or an equal candidate passes; discordance .20."""
    rows = []
    for effect, margin, size in (
        (0.0, None, 3_000),
        (-0.08, None, 3_000),
        (-0.04, None, 8_000),
        (0.0, 0.05, 8_000),
    ):
        margins = () if margin is None else (margin,)
        found = decisions(
            pairs.Design(delta_harm=0.0, margins=margins),
            ternary(rng, discordance=0.2, effect=effect),
            runs=runs,
            max_pairs=size,
            alpha_harm=ALPHA,
            alpha_expand=ALPHA,
        )
        times = found.harm if margin is None else found.expand
        rows.append(
            {
                "effect": effect,
                "margin": margin,
                "median_pairs": quantile(times, 0.5),
                "p90_pairs": quantile(times, 0.9),
                "share": float(np.mean(np.isfinite(times))),
                "within_300": float(np.mean(times <= 300)),
                "within_2100": float(np.mean(times <= 2_100)),
            }
        )
    return rows


LADDER: Final = ((0.05, 0.08), (0.25, 0.05), (0.5, 0.03))


def stages(runs: int, seed: int) -> list[dict[str, Any]]:
    """Four critical metrics through three stages: cumulative units of both arms at each expansion."""
    rows = []
    for name, effects in (
        ("equal", (0.0,) * 4),
        ("3 points better on all", (0.03,) * 4),
        ("4 points worse on one", (-0.04, 0.0, 0.0, 0.0)),
    ):
        through: list[Simulated] = []
        for last in (1, 2, 3):
            judged = [
                Judged(
                    name=f"m{i}",
                    outcomes=Rates(baseline=rate, candidate=rate + effect),
                    harm_margin=0.015,
                    margins=tuple(margin for _, margin in LADDER[:last]),
                    weight=0.25,
                )
                for i, (rate, effect) in enumerate(zip((0.85, 0.90, 0.95, 0.95), effects, strict=True))
            ]
            spans = tuple(Span(weight=weight, min_units=1_000) for weight, _ in LADDER[:last])
            through.append(
                simulate(
                    Question(
                        metrics=tuple(judged),
                        stages=spans,
                        max_units=60_000,
                        runs=runs,
                        seed=seed,
                        alphas=((Clock.FAST, ALPHA),),
                        later=len(LADDER) - last,
                    )
                )
            )
        rows.append(
            {
                "candidate": name,
                "median_units": [one.median_expand_units for one in through],
                "p90_units": [one.p90_expand_units for one in through],
                "reach_100": through[-1].expand_rate,
                "rolled_back": through[-1].rollback_rate,
            }
        )
    return rows


def pooled_ramp(runs: int, seed: int) -> list[dict[str, Any]]:
    """5 → 25 → 50 % while both arms drift .90 → .80, no effect: who falls for it?"""
    question = asked(rates(0.9, 0.9), weights=(0.05, 0.25, 0.5), size=9_000, runs=runs, seed=seed, drift=-0.1)
    methods = ("inchworm", "fixed-z", "msprt", "growthbook", "kayenta", "threshold")
    return [{"rule": name, "rolled_back": simulate(question, name).rollback_rate} for name in methods]


def coverage(rng: np.random.Generator, runs: int) -> dict[str, float]:
    """Share of ramps with drift in which the 95 % confidence sequence ever misses the effect (-.02)."""
    stage = np.repeat(np.arange(3), 2_000)
    pi = np.array([0.05, 0.25, 0.5])[stage]
    base = np.linspace(0.9, 0.8, stage.size)
    missed, widths, errors = 0, [], []
    for _ in range(runs):
        a = rng.random(pi.size) < pi
        y = (rng.random(pi.size) < base - 0.02 * a).astype(np.float64)
        state, miss = sequences.init(3, alpha=ALPHA), False
        for start in range(0, stage.size, 250):
            cut = slice(start, start + 250)
            state = sequences.update(state, y=y[cut], a=a[cut], pi=pi[cut], stage=stage[cut])
            held = sequences.interval(state)
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
    a = rng.random(10_000) < 0.05
    y = rng.random(10_000) < 0.85
    units: dict[str, Any] = {
        "y": y,
        "a": a,
        "pi": np.full(a.size, 0.05),
        "stage": np.zeros(a.size, dtype=int),
    }

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


THEIRS: Final = """
import json, sys
from gbstats.frequentist.tests import SequentialTwoSidedTTest, SequentialConfig
from gbstats.models.statistics import ProportionStatistic
said = []
for n1, s1, n0, s0 in json.load(sys.stdin):
    test = SequentialTwoSidedTTest(ProportionStatistic(n=n0, sum=s0), ProportionStatistic(n=n1, sum=s1),
                                   SequentialConfig(difference_type="absolute", alpha=.05))
    said.append(bool(test.compute_result().ci[1] < 0))
print(json.dumps(said))
"""


def theirs(rng: np.random.Generator) -> dict[str, Any]:
    """Does gbstats decide as our formula does, on 500 tables near its line?"""
    n1, n0 = rng.integers(30, 3_000, 500), rng.integers(30, 9_000, 500)
    s0 = rng.binomial(n0, 0.85)
    s1 = rng.binomial(n1, 0.85 - rng.uniform(0.0, 3.0, 500) / np.sqrt(n1))
    ours = rules.growthbook(told(n1, s1, n0, s0))
    rows = np.stack((n1, s1, n0, s0), axis=1).tolist()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        try:
            install = [python, "-m", "pip", "install", "--quiet", "gbstats==0.8.0", "numpy<2"]
            subprocess.run(install, check=True, capture_output=True, timeout=300)
            done = subprocess.run(
                [python, "-c", THEIRS], input=json.dumps(rows), check=True, capture_output=True, text=True
            )
        except (subprocess.SubprocessError, OSError) as error:
            return {"installed": False, "because": type(error).__name__}
    same = np.array(json.loads(done.stdout)) == ours
    return {"installed": True, "tables": len(rows), "agree": int(same.sum()), "harmful": int(ours.sum())}


def shown(value: float | None) -> str:
    """A count, or a dash where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def printed(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """A Markdown table of rows that have the same members."""
    print(f"\n### {title}\n\n|{'|'.join(rows[0])}|\n|{'---|' * len(rows[0])}")
    for one in rows:
        cells = []
        for value in one.values():
            if isinstance(value, list):
                cells.append(" → ".join(map(shown, value)))
            elif isinstance(value, float):
                cells.append(f"{value:.4g}" if abs(value) < 10 else shown(value))
            else:
                cells.append("-" if value is None else str(value))
        print(f"|{'|'.join(cells)}|")
    sys.stdout.flush()


def main() -> None:
    """Run everything, print the tables, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--date", default=datetime.now(tz=UTC).date().isoformat())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--no-peers", action="store_true", help="install nothing")
    arguments = parser.parse_args()
    runs, seed, began = arguments.runs, arguments.seed, time.process_time()
    # A generator per part: a part can be changed without moving the figures of the others.
    rngs = [np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(5)]
    fewer = max(runs // 25, 20)
    parts: dict[str, Any] = {}

    def part(name: str, title: str, rows: list[dict[str, Any]]) -> None:
        parts[name] = rows
        printed(title, rows)

    part("nulls", "No effect, every unit looked at", nulls(runs, seed))
    part("rules", ".85 → .77, against other rules", table(rngs[0], runs))
    part("ramp_with_drift", "A ramp with drift, no effect", pooled_ramp(min(runs, 2_000), seed))
    part("six_metrics", "Six metrics, one harmed", six(runs, seed))
    part("rare_events", "Rare events", rare(runs, seed))
    part("shadow", "Shadow, paired", shadow(rngs[1], runs))
    part("stages", "Four metrics through three stages", stages(min(runs, 2_000), seed))
    parts["confidence_sequence"] = coverage(rngs[2], fewer)
    parts["speed"] = speed()
    parts["gbstats"] = {"installed": False, "because": "not asked"} if arguments.no_peers else theirs(rngs[3])
    for name in ("confidence_sequence", "speed", "gbstats"):
        print(f"\n{name}: {parts[name]}")
    cpu = round(time.process_time() - began, 1)
    print(f"\n{cpu} s CPU")
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
            "seed": seed,
            "runs": runs,
            "cpu_seconds": cpu,
            **parts,
        }
        arguments.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
