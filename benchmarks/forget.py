"""What forgetting takes at size: ``python benchmarks/forget.py --traces 1000000 --json forget.json``.

Readers ask all the while, and what the slowest of them waited for is measured beside it.
"""

import argparse
import json
import os
import platform
import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import duckdb

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Ok, Score, Scored
from inchworm.domain.trace import Arm, Assignment, Exposure, Trace, Usage
from inchworm.store.traces import TraceStore

APP = AppRef(app="shop", environment="production")
ONE = RolloutId("r-1")
BATCH = 5_000
_UNITS = (1, 100)


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
    """A trace of about 250 bytes of payload, with a score."""
    unit = exposure(number)
    return Trace(
        id=TraceId(f"{number * 2654435761 % 2**32:08x}-{number:08x}"),
        app=APP,
        at=unit.at,
        unit_id=unit.unit_id,
        assignment=Assignment(rollout_id=ONE, stage=0, arm=unit.arm, probability=0.5),
        inputs={"question": f"When does order {number} arrive?", "documents": ["Orders take 3 days. " * 4]},
        output=f"Order {number} arrives within three working days of the day on which it was sent.",
        outcome=Ok(),
        finish_reason="stop",
        latency_ms=400.0 + number % 300,
        usage=Usage(input_tokens=120, output_tokens=20, cost_usd=0.0002),
        scores=(Score(metric="right", result=Scored(value=1.0), source="code:x/1", at=unit.at),),
    )


def fill(store: TraceStore, count: int) -> None:
    """Interactions of as many units, each exposed."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        store.add_exposures([exposure(number) for number in numbers])
        store.add_traces([trace(number) for number in numbers])


class Reader:
    """Looks an interaction up again and again, and remembers how long the slowest took."""

    def __init__(self, store: TraceStore) -> None:
        self.slowest_s, self.asked = 0.0, 0
        self._store, self._ended = store, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        wanted = trace(7).id
        while not self._ended.wait(0.05):
            began = time.perf_counter()
            self._store.trace(APP, wanted)
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            self.asked += 1


def measure(folder: Path, count: int) -> dict[str, object]:
    """Fill a store, and take one unit and then several out of it."""
    path = folder / "traces.duckdb"
    with TraceStore.open(path) as store:
        fill(store, count)
    found: dict[str, object] = {"traces": count, "bytes_before": path.stat().st_size}
    with TraceStore.open(path) as store:
        for units in _UNITS:
            names = [exposure(number * 97 + units).unit_id for number in range(units)]
            began, cpu = time.perf_counter(), time.process_time()
            theirs = store.theirs(names)
            looked = time.perf_counter() - began
            with Reader(store) as reader:
                gone = store.erase(theirs)
            found[f"units_{units}"] = {
                "look_s": round(looked, 2),
                "total_s": round(time.perf_counter() - began, 2),
                "cpu_s": round(time.process_time() - cpu, 2),
                "slowest_reader_s": round(reader.slowest_s, 3),
                "reads_meanwhile": reader.asked,
                "gone": gone["traces"],
            }
        found["bytes_after"] = path.stat().st_size
    found["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return found


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if left out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        figures = measure(Path(folder), asked.traces)
    figures["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, DuckDB {duckdb.__version__}"
    text = json.dumps(figures, indent=2)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
