"""How fast the stores are here: ``python benchmarks/store.py --traces 100000 --json store.json``."""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import store_large

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import DecisionId, PlanId, RolloutId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Failed, Ok, Score, Scored
from inchworm.domain.rollout import (
    Decision,
    DecisionKind,
    LedgerEntry,
    Lineage,
    Policy,
    Rollout,
    RolloutState,
)
from inchworm.domain.serving import ServingTable
from inchworm.domain.trace import Arm, Assignment, Exposure, Trace, Usage
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceFilter, TraceStore

APP = AppRef(app="shop", environment="production")
BASE = Configuration.of({"model": {"name": "a"}})
ONE = RolloutId("r-1")
BATCH = 2_000
REPEATS = 20
COMMITS = 200


def exposure(number: int) -> Exposure:
    """Every other unit gets the candidate."""
    return Exposure(
        rollout_id=ONE,
        order=number,
        unit_id=UnitId(f"session-{number:08d}"),
        stage=0,
        arm=Arm.CANDIDATE if number % 2 else Arm.BASELINE,
        probability=0.5,
        at=1e9 + number,
    )


def trace(number: int) -> Trace:
    """A trace of about 250 bytes of payload, with two scores."""
    unit = exposure(number)
    at = 1e9 + number
    return Trace(
        id=TraceId(f"{number * 2654435761 % 2**32:08x}-{number:08x}"),
        app=APP,
        at=at,
        unit_id=unit.unit_id,
        configuration_id=BASE.id,
        assignment=Assignment(rollout_id=ONE, stage=0, arm=unit.arm, probability=0.5),
        inputs={"question": f"When does order {number} arrive?", "documents": ["Orders take 3 days. " * 4]},
        output=f"Order {number} arrives within three working days of the day on which it was sent.",
        outcome=Failed(reason="deadline") if number % 50 == 0 else Ok(),
        finish_reason="stop",
        latency_ms=400.0 + number % 300,
        usage=Usage(input_tokens=120, output_tokens=20, cost_usd=0.0002),
        scores=tuple(
            Score(metric=name, result=Scored(value=float(number % 10 > 0)), source="code:x/1", at=at)
            for name in ("contains_reference", "format")
        ),
    )


def batches(count: int) -> Iterator[range]:
    """The numbers up to ``count`` in runs of a batch."""
    for start in range(0, count, BATCH):
        yield range(start, min(start + BATCH, count))


def seconds(act: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of an act."""
    times: list[float] = []
    for _ in range(repeats):
        begun = time.perf_counter()
        act()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def measure_traces(path: Path, count: int) -> dict[str, float]:
    """Rates and times of the trace store."""
    figures: dict[str, float] = {}
    with TraceStore.open(path) as store:
        spent = 0.0
        for numbers in batches(count):
            made = [exposure(number) for number in numbers]
            begun = time.perf_counter()
            store.add_exposures(made)
            spent += time.perf_counter() - begun
        figures["exposures_per_s"] = count / spent
        spent = 0.0
        for numbers in batches(count):
            handled = [trace(number) for number in numbers]
            begun = time.perf_counter()
            store.add_traces(handled)
            spent += time.perf_counter() - begun
        figures["traces_per_s"] = count / spent

        some = trace(count // 2)
        since, until = 1e9, 1e9 + count
        acts: dict[str, Callable[[], object]] = {
            "trace_by_id_ms": lambda: store.trace(APP, some.id),
            "trace_by_prefix_ms": lambda: store.trace(APP, some.id[:-1]),
            "page_of_50_ms": lambda: store.traces(APP),
            "page_filtered_ms": lambda: store.traces(
                APP, filters=TraceFilter(outcome="failed", metric_below=("format", 0.5))
            ),
            "page_by_text_ms": lambda: store.traces(APP, filters=TraceFilter(text=f"order {count // 2} arr")),
            "facets_ms": lambda: store.facets(APP),
            "summary_ms": lambda: store.summary(
                APP, by="configuration", metrics=["format"], since=since, until=until
            ),
        }
        figures |= {name: 1e3 * seconds(act) for name, act in acts.items()}
        figures["units_all_ms"] = 1e3 * seconds(
            lambda: store.units(ONE, start=0, matured_before=until, limit=count), 5
        )
        figures["units_last_1000_ms"] = 1e3 * seconds(
            lambda: store.units(ONE, start=max(0, count - 1_000), matured_before=until, limit=1_000)
        )
        figures["iterate_traces_per_s"] = count / seconds(
            lambda: sum(len(some) for some in store.iterate(APP)), 1
        )
    figures["file_bytes_per_trace"] = path.stat().st_size / count
    begun = time.perf_counter()
    with TraceStore.open(path):
        figures["open_ms"] = 1e3 * (time.perf_counter() - begun)
    return figures


def measure_commits(path: Path) -> dict[str, float]:
    """Decisions with lineage, serving table and ledger that land per second, each synced to the disk."""
    lineage = Lineage(app=APP, stable=BASE.id, generation=1, in_flight=None, since=0.0, note="first")
    entry = LedgerEntry(app=APP, at=0.0, kind="rollout", actor="inchworm", what="it moved")
    rollout = Rollout(
        id=ONE,
        app=APP,
        plan_id=PlanId("plan-1"),
        step=1,
        steps=1,
        layer=Layer.MODEL,
        values={"name": "b"},
        after=(),
        policy=Policy(),
        metrics=(),
        salt="salt",
        hash_version=1,
        author="ana",
        state=RolloutState.QUEUED,
        stage=0,
        generation=0,
        because="queued",
        created_at=0.0,
        entered_at=0.0,
    )
    with ControlStore.open(path) as store:
        store.start_lineage(lineage, ServingTable(app=APP, generation=1, stable=BASE.id), entry)
        store.enqueue([rollout], expected_stable=BASE.id, ledger=[entry])
        begun = time.perf_counter()
        for number in range(COMMITS):
            decision = Decision(
                id=DecisionId(f"r-1/{number + 1}"),
                rollout_id=ONE,
                parent=number,
                kind=DecisionKind.EXPOSE,
                state=RolloutState.EXPOSING,
                stage=0,
                weight=0.05,
                because="it goes on",
                actor="inchworm",
                at=0.0,
                evidence={"units": list(range(50))},
            )
            rollout = replace(rollout, state=decision.state, generation=number + 1)
            landed = store.commit(
                decision,
                rollout,
                lineage=replace(lineage, generation=number + 2),
                expected_lineage=number + 1,
                serving=ServingTable(app=APP, generation=number + 2, stable=BASE.id),
                ledger=[entry],
            )
            if not landed:
                raise SystemExit("a decision that nobody raced for did not land")
        rate = COMMITS / (time.perf_counter() - begun)
        read = 1e3 * seconds(lambda: store.rollout(ONE))
    begun = time.perf_counter()
    with ControlStore.open(path):
        return {"commits_per_s": rate, "rollout_ms": read, "open_ms": 1e3 * (time.perf_counter() - begun)}


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--large", action="store_true", help="ask a store of 10 million traces, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "traces": options.traces,
            "python": platform.python_version(),
            "duckdb": duckdb.__version__,
            "cores": os.cpu_count(),
            "trace_store": measure_traces(Path(folder) / "traces.duckdb", options.traces),
            "control_store": measure_commits(Path(folder) / "control.db"),
        }
        if options.large:
            found["large"] = store_large.measure(Path(folder), 10_000_000, 1_000_000)
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
