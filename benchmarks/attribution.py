"""Measure the offline gate's intervals and the unbundling of layers, by simulation.

    python benchmarks/attribution.py [--runs N] [--json PATH]

Prints Markdown tables: how often a bundle without effect names somebody, what each rule says of a pure
two-way interaction and of a lone main effect, and the coverage of the paired intervals. All rules see the
same cells in the same run. Items are hard or easy (a Beta distribution with mean .85 and residual variance
.08); each cell holds one answer per item.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from inchworm.stats.factorial import TermEffect, unbundle
from inchworm.stats.intervals import FloatArray
from inchworm.stats.paired import PairedEstimate, compare

MEAN, RESIDUAL = 0.85, 0.08
RULES = ("sparsest model", "averaged contrasts", "baseline-coded")
SIZES = (50, 100, 300, 1000)


def difficulty(rng: np.random.Generator, n: int, mean: float = MEAN) -> FloatArray:
    """Draw each item's chance of success; E[p(1-p)] is the residual variance of a cell."""
    spread = mean * (1 - mean)
    size = spread / (spread - RESIDUAL * spread / (MEAN * (1 - MEAN))) - 1
    return rng.beta(mean * size, (1 - mean) * size, size=n)


def cells(rng: np.random.Generator, n: int, k: int, term: int, effect: float) -> FloatArray:
    """Answer n items in 2^k cells; cells that contain all layers of `term` change by `effect` on average."""
    p = difficulty(rng, n)
    touched = np.array([term != 0 and t & term == term for t in range(1 << k)])
    chance = p[:, None] * (1 + touched * effect / MEAN)
    return (rng.random((n, 1 << k)) < chance).astype(np.float64)


def named(outcomes: FloatArray, seed: int) -> dict[str, set[tuple[int, ...]]]:
    """Say which terms each rule blames: the model's terms, or those whose interval excludes 0."""
    result = unbundle(outcomes, seed=seed)

    def clear(table: tuple[TermEffect, ...]) -> set[tuple[int, ...]]:
        return {t.layers for t in table if t.low > 0 or t.high < 0}

    found = ({t.layers for t in result.named}, clear(result.averaged), clear(result.moebius))
    return dict(zip(RULES, found, strict=True))


def unbundling(
    runs: int, n: int, k: int, term: tuple[int, ...], effect: float
) -> dict[str, dict[str, float]]:
    """Return how often each rule names anybody, finds the term, finds only it, and blames a main effect."""
    rng = np.random.default_rng([k, n, len(term), runs])
    mask = sum(1 << j for j in term)
    tally = {rule: {"anybody": 0, "found": 0, "alone": 0, "false main": 0} for rule in RULES}
    for run in range(runs):
        for rule, blamed in named(cells(rng, n, k, mask, effect), run).items():
            tally[rule]["anybody"] += bool(blamed)
            tally[rule]["found"] += term in blamed
            tally[rule]["alone"] += blamed == {term}
            tally[rule]["false main"] += any(len(t) == 1 and t != term for t in blamed)
    return {rule: {key: hits / runs for key, hits in row.items()} for rule, row in tally.items()}


def pairs(rng: np.random.Generator, kind: str, n: int, seed: int) -> tuple[PairedEstimate, float]:
    """Draw one comparison of the given kind; return it with the true effect."""
    effect = -0.05
    match kind:
        case "binary":
            p = difficulty(rng, n)
            return compare(_flip(rng, p, 1, effect), _flip(rng, p, 1, 0), seed=seed, resamples=2000), effect
        case "binary, rare (.99), no effect":
            p = np.full(n, 0.99)
            return compare(_flip(rng, p, 1, 0), _flip(rng, p, 1, 0), seed=seed, resamples=2000), 0.0
        case "3 repetitions":
            p = difficulty(rng, n)
            return compare(_flip(rng, p, 3, effect), _flip(rng, p, 3, 0), seed=seed, resamples=2000), effect
        case "5 strata, weighted":
            stratum = np.arange(n) % 5
            means, weight = np.linspace(0.65, 0.95, 5), np.array([0.1, 0.1, 0.2, 0.2, 0.4])
            p = np.choose(stratum, [difficulty(rng, n, m) for m in means])
            truth = effect / MEAN * float(weight @ means)
            new, old = _flip(rng, p, 1, effect), _flip(rng, p, 1, 0)
            return compare(new, old, stratum=stratum, weight=weight, seed=seed, resamples=2000), truth
        case "groups of 5":
            group = np.arange(n) // 5
            # What the change does differs from group to group: all or nothing.
            hit = (rng.random(n // 5) < 0.3)[group]
            p = difficulty(rng, n // 5)[group]
            new = (rng.random(n) < p * (1 - hit * 0.2)).astype(np.float64)
            return compare(new, _flip(rng, p, 1, 0), group=group, seed=seed), -0.3 * 0.2 * MEAN
        case _:
            msg = f"no such kind of comparison: {kind}"
            raise ValueError(msg)


KINDS = ("binary", "binary, rare (.99), no effect", "3 repetitions", "5 strata, weighted", "groups of 5")


def _flip(rng: np.random.Generator, p: FloatArray, k: int, effect: float) -> FloatArray:
    return (rng.random((p.size, k)) < (p * (1 + effect / MEAN))[:, None]).astype(np.float64)


def coverage(runs: int, kind: str, n: int) -> dict[str, float]:
    """Return coverage, false alarms on each side, and the mean half-width in points."""
    rng = np.random.default_rng([n, KINDS.index(kind)])
    above = below = 0
    width = 0.0
    for run in range(runs):
        estimate, truth = pairs(rng, kind, n, run)
        above += truth > estimate.high
        below += truth < estimate.low
        width += (estimate.high - estimate.low) / 2
    return {
        "coverage": 1 - (above + below) / runs,
        "truth above": above / runs,
        "truth below": below / runs,
        "half-width": 100 * width / runs,
    }


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> Iterator[str]:
    """Lay out a Markdown table."""
    yield "|" + "|".join(head) + "|"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "|" + "|".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in row) + "|"


def main() -> None:
    """Run the simulations and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000, help="runs per configuration (default 2000)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    runs, start = options.runs, time.perf_counter()
    figures: dict[str, Any] = {"runs": runs}
    print(f"{runs} runs per row; standard error of a rate near .05 is {math.sqrt(0.0475 / runs):.3f}\n")

    print("A bundle without any effect: how often each rule names somebody\n")
    rows: list[tuple[object, ...]] = []
    for k, n in ((1, 600), (2, 100), (2, 600), (3, 100), (3, 600)):
        result = unbundling(runs, n, k, (), 0.0)
        figures[f"A/A k={k} n={n}"] = result
        rows.append((k, n, *(result[rule]["anybody"] for rule in RULES)))
    print("\n".join(table(("layers", "n", *RULES), rows)), "\n", flush=True)

    for title, k, n, term in (
        ("A pure interaction of two layers, -6 points", 2, 600, (0, 1)),
        ("A pure interaction of two layers, -6 points", 3, 600, (0, 1)),
        ("One layer at fault, -6 points", 3, 600, (0,)),
    ):
        print(f"{title} (k={k}, n={n})\n")
        result = unbundling(runs, n, k, term, -0.06)
        figures[f"{title} k={k} n={n}"] = result
        head = ("rule", "found", "found and nothing else", "innocent main effect blamed")
        rows = [(r, result[r]["found"], result[r]["alone"], result[r]["false main"]) for r in RULES]
        print("\n".join(table(head, rows)), "\n", flush=True)

    print("Coverage of the paired 95 % intervals\n")
    rows = []
    for kind in KINDS:
        for n in SIZES:
            found = coverage(runs, kind, n)
            figures[f"paired {kind} n={n}"] = found
            rows.append((kind, n, *found.values()))
    columns = ("data", "n", "coverage", "truth above", "truth below", "half-width (points)")
    print("\n".join(table(columns, rows)), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
