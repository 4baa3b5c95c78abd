"""Real answers replayed as traffic: is a real harm caught, and is nothing rolled back where nothing changed?

    python benchmarks/replayed.py [--runs 200] [--seed 1] [--data DIR] [--date 2026-01-31] [--json PATH]

Outcomes are preferences of a judge for real answers of real models to the same prompts (alpaca_eval: 0 to 1,
preference - 1); they arrive at the real times of a conversation service (azure_llm, one hour, repeated until
a rollout has ended). ``claude-2.1`` is stable; ``claude-2.1_concise`` is the same model under a changed
prompt, ``alpaca-7b`` another model, and ``claude-2.1`` itself a candidate that changes nothing. Each unit is
one conversation with one prompt drawn at random; arms are drawn by the salted hash of its id.

What decides is the room's own path: ``monitor.consume``, ``snapshot`` and ``decide.plan``, looked at every
minute. Baking times are left out, as the recording is one hour long. The data is not shipped; without it the
benchmark says so and ends.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from inchworm.domain.assignment import bucketing, buckets, served_weight
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import PlanId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy, Rollout, RolloutState, Stage
from inchworm.rollout import decide, monitor
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.observed import Watched
from inchworm.rollout.ports import UnitBatch
from inchworm.stats import pairs

Floats = NDArray[np.float64]
DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
STABLE: Final = "claude-2.1"
CANDIDATES: Final = ("claude-2.1_concise", "alpaca-7b", STABLE)
MINUTE: Final = 60.0
REPEATS: Final = 4
"""Hours of traffic at most."""
ALPHA: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is replayed: per model the outcomes on the same prompts, and when requests came, in seconds."""

    outcomes: dict[str, Floats]
    arrivals: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How one rollout ended, after how many units, and how many hours after its first request."""

    state: RolloutState | None
    units: int
    candidates: int
    hours: float


def preferences(path: Path) -> dict[str, float]:
    """Outcome by prompt, in [0, 1]; prompts without a preference are left out.

    Raises:
        ValueError: if a preference is outside 1 to 2.
    """
    found: dict[str, float] = {}
    for row in json.loads(path.read_text(encoding="utf-8")):
        if row["preference"] is None:
            continue
        outcome = float(row["preference"]) - 1.0
        if not -1e-9 <= outcome <= 1.0 + 1e-9:
            msg = f"{path.name}: a preference lies between 1 and 2, not {row['preference']}"
            raise ValueError(msg)
        found[row["instruction"]] = min(max(outcome, 0.0), 1.0)
    return found


def arrivals(path: Path) -> Floats:
    """When requests came, in seconds after the first, in order."""
    with path.open(encoding="utf-8", newline="") as file:
        # Seven digits of a second, one more than datetime reads.
        stamps = [row["TIMESTAMP"][:26] for row in csv.DictReader(file)]
    times = np.array([datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() for stamp in stamps])
    times.sort()
    since: Floats = times - times[0]
    return since


def load(folder: Path) -> Recorded | None:
    """The recorded outcomes of all models on the prompts that all have; ``None`` if the data is not there."""
    files = {model: folder / "alpaca_eval" / f"{model}.annotations.json" for model in {STABLE, *CANDIDATES}}
    traffic = folder / "azure_llm" / "conv.csv"
    if not all(path.exists() for path in (*files.values(), traffic)):
        return None
    by_model = {model: preferences(path) for model, path in files.items()}
    shared = [prompt for prompt in by_model[STABLE] if all(prompt in one for one in by_model.values())]
    outcomes = {model: np.array([one[prompt] for prompt in shared]) for model, one in by_model.items()}
    return Recorded(outcomes=outcomes, arrivals=arrivals(traffic))


def ladder(weights: tuple[tuple[float, float], ...]) -> Policy:
    """A policy of these weights and margin factors, without times."""
    stages = tuple(
        Stage(weight=weight, min_units=1_000, min_bake_s=0.0, max_bake_s=1e9, margin_factor=factor)
        for weight, factor in weights
    )
    return Policy(stages=stages, soak_s=0.0, gate=False)


POLICIES: Final = {
    "5 → 25 → 50 %": ladder(((0.05, 2.7), (0.25, 1.7), (0.5, 1.0))),
    "50 %": ladder(((0.5, 1.0),)),
}
METRIC: Final = Metric(
    name="preferred",
    source={"check": "judged"},
    role=Role.GOAL,
    clock=Clock.JUDGED,
    margin=0.03,
    harm_margin=0.015,
)


def starting(policy: Policy, salt: str) -> Rollout:
    """A rollout at its first stage."""
    return Rollout(
        id=RolloutId("r-1"),
        app=AppRef(app="replay", environment="benchmark"),
        plan_id=PlanId("replay"),
        step=1,
        steps=1,
        layer=Layer.MODEL,
        values={"name": "candidate"},
        after=(),
        policy=policy,
        metrics=(METRIC,),
        salt=salt,
        hash_version=1,
        author="benchmark",
        state=RolloutState.EXPOSING,
        stage=0,
        generation=1,
        because="replayed",
        created_at=0.0,
        entered_at=0.0,
    )


def minutes(times: Floats) -> Iterator[slice]:
    """The requests of each minute, the recording repeated."""
    edges = np.searchsorted(times, np.arange(MINUTE, times[-1] + MINUTE, MINUTE))
    start = 0
    for stop in [*edges.tolist(), times.size]:
        if stop > start:
            yield slice(start, stop)
        start = stop


def replay(recorded: Recorded, candidate: str, policy: Policy, seed: int) -> End:
    """One rollout, from its first request to its end or the end of the traffic."""
    rng = np.random.default_rng(seed)
    hour = recorded.arrivals
    times = np.concatenate([hour + i * (hour[-1] + hour[-1] / hour.size) for i in range(REPEATS)])
    rollout = starting(policy, f"replay-{seed}")
    state = monitor.empty(rollout)
    draw = bucketing(rollout.hash_version, rollout.salt)
    before, after = recorded.outcomes[STABLE], recorded.outcomes[candidate]
    candidates = 0
    for cut in minutes(times):
        size, weight = cut.stop - cut.start, policy.stages[rollout.stage].weight
        line = buckets(weight)
        arm = np.array([draw(f"conversation-{i}") < line for i in range(cut.start, cut.stop)])
        prompt = rng.integers(0, before.size, size)
        batch = UnitBatch(
            order=np.arange(cut.start, cut.stop),
            stage=np.full(size, rollout.stage),
            candidate=arm,
            probability=np.full(size, served_weight(weight)),
            at=times[cut],
            silent=np.zeros(size, dtype=np.bool_),
            errored=np.zeros(size, dtype=np.int64),
            values={METRIC.name: np.where(arm, after[prompt], before[prompt])},
            present={METRIC.name: np.ones(size, dtype=np.bool_)},
        )
        state = monitor.consume(rollout, state, batch)
        candidates += int(arm.sum())
        now = float(times[cut][-1])
        decision = decide.plan(rollout, Watched(evidence=snapshot(rollout, state)), now)
        if decision is None:
            continue
        end = End(state=decision.state, units=cut.stop, candidates=candidates, hours=now / 3_600.0)
        if decision.state is not RolloutState.EXPOSING:
            return end
        rollout = replace(
            rollout,
            stage=decision.stage,
            generation=rollout.generation + 1,
            entered_at=now,
        )
    return End(state=None, units=times.size, candidates=candidates, hours=float(times[-1]) / 3_600.0)


def quantile(values: list[float], level: float) -> float | None:
    """An order statistic; ``None`` where it is infinite."""
    value = sorted(values)[math.ceil(level * len(values)) - 1]
    return value if math.isfinite(value) else None


def measured(recorded: Recorded, candidate: str, name: str, runs: int, seed: int) -> dict[str, Any]:
    """Many rollouts of one candidate."""
    ends = [replay(recorded, candidate, POLICIES[name], seed + i) for i in range(runs)]
    back = [one.state is RolloutState.ROLLED_BACK for one in ends]
    passed = [one.state in {RolloutState.SOAKING, RolloutState.COMPLETED} for one in ends]
    effect = float(recorded.outcomes[candidate].mean() - recorded.outcomes[STABLE].mean())
    rolled = sum(back)

    def until(which: list[bool], what: str, level: float = 0.5) -> float | None:
        times = [getattr(one, what) if hit else math.inf for one, hit in zip(ends, which, strict=True)]
        return quantile(times, level)

    return {
        "candidate": candidate,
        "effect": effect,
        "stages": name,
        "rolled_back": rolled / runs,
        "passed": sum(passed) / runs,
        "median_candidates": until(back, "candidates"),
        "p90_candidates": until(back, "candidates", 0.9),
        "median_hours": until(back, "hours"),
        "median_units_passed": until(passed, "units"),
        "p_not_above": float(binom.sf(rolled - 1, runs, ALPHA)),
    }


def shadowed(recorded: Recorded, candidate: str, runs: int, seed: int) -> dict[str, Any]:
    """Pairs on the same prompts, drawn at random: harm, and a margin of 5 points."""
    design = pairs.Design(delta_harm=0.0, margins=(0.05,))
    difference = recorded.outcomes[candidate] - recorded.outcomes[STABLE]
    rng, line = np.random.default_rng(seed), -math.log(ALPHA)
    harmed: list[float] = []
    met: list[float] = []
    for _ in range(runs):
        d = difference[rng.integers(0, difference.size, 2_000)]
        _, harm, expand = pairs.trajectory(design, pairs.init(design), d=d)
        for times, path in ((harmed, harm), (met, expand[0])):
            hits = np.flatnonzero(path >= line)
            times.append(float(hits[0] + 1) if hits.size else math.inf)
    return {
        "candidate": candidate,
        "effect": float(difference.mean()),
        "harm_found": float(np.mean(np.isfinite(harmed))),
        "median_pairs": quantile(harmed, 0.5),
        "p90_pairs": quantile(harmed, 0.9),
        "within_5_points": float(np.mean(np.isfinite(met))),
    }


def printed(rows: list[dict[str, Any]]) -> None:
    """A Markdown table."""
    print(f"\n|{'|'.join(rows[0])}|\n|{'---|' * len(rows[0])}")
    for one in rows:
        cells = [
            "-" if value is None else f"{value:,.3g}" if isinstance(value, float) else str(value)
            for value in one.values()
        ]
        print(f"|{'|'.join(cells)}|", flush=True)


def main() -> None:
    """Replay everything, print the tables, write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--date", default=datetime.now(tz=UTC).date().isoformat())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    recorded = load(arguments.data)
    if recorded is None:
        print(
            "Nothing was replayed: the recordings (alpaca_eval, azure_llm) are not there. "
            "They are not shipped; say where they are with --data DIR."
        )
        return
    began, runs, seed = time.process_time(), arguments.runs, arguments.seed
    rollouts = [
        measured(recorded, candidate, name, runs, seed) for name in POLICIES for candidate in CANDIDATES
    ]
    printed(rollouts)
    paired = [shadowed(recorded, candidate, runs, seed) for candidate in CANDIDATES[:2]]
    printed(paired)
    cpu = round(time.process_time() - began, 1)
    print(f"\n{recorded.outcomes[STABLE].size} prompts, {recorded.arrivals.size:,} arrivals, {cpu} s CPU")
    if arguments.json is not None:
        result = {
            "benchmark": "replayed",
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
            "prompts": int(recorded.outcomes[STABLE].size),
            "arrivals": int(recorded.arrivals.size),
            "rollouts": rollouts,
            "shadow": paired,
        }
        arguments.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
