"""How fast the loop is here: ``make bench NAME=loop ARGS="--repeats 3 --json loop.json"``.

The demo as a whole (wall and CPU time), the drain from log lines to stored interactions, one update
of the monitor, and one assignment. Medians; CPU time is the steady figure on shared cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.demo.setting import COPY, RECORDING, set_up
from inchworm.app.demo.shop import messages
from inchworm.app.demo.traffic import Traffic
from inchworm.app.house import House
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.upstreams import load_recording
from inchworm.capture import read, to_json
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, PlanId, RolloutId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy, Rollout, RolloutState, WatchedCluster
from inchworm.domain.serving import Candidate, Resolved, Resolver, ServingTable
from inchworm.domain.trace import Trace
from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.ports import UnitBatch

UNITS, METRICS, CLUSTERS = 10_000, 6, 20
APP = AppRef(app="shop", environment="production")


def main() -> None:
    """Measure, print a table, and write JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lines", type=int, default=6_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {
        **demo(options.repeats),
        **drain(options.lines),
        **monitor(options.repeats),
        **assignment(),
    }
    print("| what | figure |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:,.3g} |" if value < 100 else f"| {name} | {value:,.0f} |")
    if options.json is not None:
        about = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        options.json.write_text(json.dumps({**about, **found}, indent=2) + "\n", encoding="utf-8")


def demo(repeats: int) -> dict[str, float]:
    """The whole demo, in processes of its own."""
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            before = getrusage(RUSAGE_CHILDREN)
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "inchworm.app.cli", "demo", "--folder", f"{folder}/demo"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            wall.append(time.perf_counter() - began)
            after = getrusage(RUSAGE_CHILDREN)
            cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"demo, wall s": statistics.median(wall), "demo, CPU s": statistics.median(cpu)}


def drain(lines: int) -> dict[str, float]:
    """Log lines of the shop: read, sanitized, scored, stored. No two are the same text."""
    with tempfile.TemporaryDirectory() as folder:
        file = set_up(Path(folder) / "shop", RECORDING)
        clock = SimulatedClock(1.8e9)
        with House(spec=load(file), clock=clock, actor="bench") as house:
            stable = house.spec.configuration
            answers = load_recording(file.parent / COPY)
            traffic = Traffic(answers=answers, start=1.8e9, per_day=24_000, pool=len(messages()))
            served = [Resolved(configuration_id=stable.id, assignment=None)] * lines
            sessions = traffic.sessions(0, lines)
            log = []
            for number, one in enumerate(traffic.traces(house.app, sessions, served, {stable.id: stable})):
                one.inputs["question"] = f"{one.inputs['question']} ({number})"
                log.append(to_json(one))
            data = BytesIO("\n".join(log).encode())
            began, cpu = time.perf_counter(), time.process_time()
            taken = Drain(house).take(
                item for item in read(data, app=house.app, default_at=0) if isinstance(item, Trace)
            )
            spent, used = time.perf_counter() - began, time.process_time() - cpu
    if taken.new != lines:
        raise SystemExit(f"{lines - taken.new} of {lines} lines were not stored")
    return {"drain, lines/s": lines / spent, "drain, CPU µs per line": 1e6 * used / lines}


def monitor(repeats: int) -> dict[str, float]:
    """Everything the monitor keeps of 10,000 new units on six metrics: evidence, intervals, coverage.

    With outcomes of 0 and 1, with fractions, and with twenty clusters that are watched on their own.
    """
    metrics = tuple(
        Metric(
            name=f"m{number}",
            source={"check": "complete"},
            role=Role.GUARDRAIL,
            clock=Clock.FAST,
            margin=0.03,
            harm_margin=0.015,
        )
        for number in range(METRICS)
    )
    rollout = Rollout(
        id=RolloutId("r-1"),
        app=APP,
        plan_id=PlanId("plan-1"),
        step=1,
        steps=1,
        layer=Layer.PROMPT,
        values={},
        after=(),
        policy=Policy(),
        metrics=metrics,
        salt="s",
        hash_version=1,
        author="bench",
        state=RolloutState.EXPOSING,
        stage=0,
        generation=2,
        because="",
        created_at=0.0,
        entered_at=0.0,
    )
    rng = np.random.default_rng(1)
    batch = UnitBatch(
        order=np.arange(UNITS, dtype=np.int64),
        stage=np.zeros(UNITS, dtype=np.int64),
        candidate=rng.random(UNITS) < 0.05,
        probability=np.full(UNITS, 0.05),
        at=np.arange(UNITS, dtype=np.float64),
        silent=np.zeros(UNITS, dtype=np.bool_),
        errored=np.zeros(UNITS, dtype=np.int64),
        values={metric.name: (rng.random(UNITS) < 0.95).astype(np.float64) for metric in metrics},
        present={metric.name: np.ones(UNITS, dtype=np.bool_) for metric in metrics},
    )
    fractions = {metric.name: rng.beta(19.0, 1.0, UNITS) for metric in metrics}
    names = np.array([f"c{number}" for number in range(CLUSTERS)], dtype=object)
    watched = replace(
        rollout,
        clusters=tuple(WatchedCluster(id=name, name=name, share=1 / CLUSTERS) for name in names.tolist()),
    )
    clustered = replace(batch, cluster=names[rng.integers(0, CLUSTERS, UNITS)])
    cases = (
        ("", rollout, batch),
        (", fractions", rollout, replace(batch, values=fractions)),
        (f", {CLUSTERS} clusters", watched, clustered),
    )
    found: dict[str, float] = {}
    for what, one, units in cases:
        before = empty(one)
        taken = [_cpu_ms(partial(consume, one, before, units)) for _ in range(max(repeats, 7))]
        found[f"monitor, CPU ms per 10,000 units × 6 metrics{what}"] = statistics.median(taken)
        state = consume(one, before, units).to_json()
        found[f"monitor, kB of state{what}"] = len(json.dumps(state)) / 1e3
    return found


def assignment() -> dict[str, float]:
    """One unit resolved in process during a rollout."""
    table = ServingTable(
        app=APP,
        generation=1,
        stable=ConfigurationId("a"),
        candidate=Candidate(
            rollout_id=RolloutId("r-1"),
            configuration_id=ConfigurationId("b"),
            stage=0,
            weight=0.05,
            salt="s",
            hash_version=1,
        ),
    )
    units = [UnitId(f"session-{number}") for number in range(100_000)]
    resolver = Resolver(table)
    taken = _cpu_ms(lambda: [resolver(unit) for unit in units])
    return {"resolve, CPU µs": 1e3 * taken / len(units)}


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1e3 * (time.process_time() - began)


if __name__ == "__main__":
    main()
