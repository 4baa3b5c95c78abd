"""How fast files are read in: ``make bench NAME=importing ARGS="--json benchmarks/results/importing.json"``.

The same interactions as JSONL, CSV, Parquet and OTLP-JSON, each imported into an empty house: read,
sanitized by the default detectors, scored by two checks, and stored; CPU time of the process, the median of
several runs. Beside it, reading alone. One process, everything on this machine's disk, bounded, ended by
itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import resource
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop import importing
from inchworm.app.loop.intake import Drain
from inchworm.capture.exporters import EXPORTS, written
from inchworm.capture.files import FileReading, form_of
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace, Usage

APP = AppRef(app="shop", environment="production")
YAML = f"""\
app: {APP}
layers:
  infrastructure: {{upstream: openai}}
  model: {{name: gpt-4.1-mini}}
  parameters: {{temperature: 0.2}}
  prompt: {{system: Be brief., user: "{{{{question}}}}"}}
metrics:
  brief: {{check: {{max_words: 500}}, goal: true, margin: 0.05}}
  speed: {{builtin: latency_p95, guardrail: true, margin: 0.2}}
"""
WORDS = (
    "please check the order that came late because parcel was left at wrong door and nobody answered when we "
    "asked for a refund of delivery fee with new shoes color blue size product returned website account"
).split()
FORMS = ("jsonl", "csv", "parquet", "otlp-json")
_AMONG = 10


def interactions(count: int) -> list[Trace]:
    """Made-up interactions of about a kilobyte; one in ten names a person's address."""
    rng = random.Random(7)
    made = []
    for number in range(count):
        said = " ".join(rng.choices(WORDS, k=60))
        asked = f"{said}. Write to ana{number}@mailhost.net" if number % _AMONG == 0 else said
        made.append(
            Trace(
                id=TraceId(f"{number:032x}"),
                app=APP,
                at=1_790_000_000.0 + number,
                unit_id=UnitId(f"session-{number // 3}"),
                inputs={"question": asked, "documents": [" ".join(rng.choices(WORDS, k=40))]},
                output=" ".join(rng.choices(WORDS, k=40)),
                outcome=Ok(),
                latency_ms=420.0,
                usage=Usage(input_tokens=180, output_tokens=60),
                attributes={"gen_ai.request.model": "gpt-4.1-mini"},
            )
        )
    return made


def measure(data: bytes, form: str, count: int, *, whole: bool) -> float:
    """CPU seconds of one run; ``whole``: stored too.

    Raises:
        RuntimeError: if not everything came in.
    """
    name = f"x{EXPORTS[form].ending}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inchworm.yaml"
        file.write_text(YAML, "utf-8")
        with House(load(file), actor="bench") as house:
            drain = Drain(house)
            began = time.process_time()
            if whole:
                got = importing.take(house, drain, io.BytesIO(data), name)["new"]
            else:
                reading = FileReading(
                    io.BytesIO(data), app=APP, form=form_of(name, data[:1024]), default_at=1_795_000_000.0
                )
                got = sum(len(entry.found) for entry in reading)
            spent = time.process_time() - began
    if got != count:
        msg = f"{form}: {got} of {count} came in"
        raise RuntimeError(msg)
    return spent


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    traces = interactions(asked.rows)
    results: dict[str, Any] = {}
    for form in FORMS:
        batches = [traces[start : start + 500] for start in range(0, len(traces), 500)]
        data = b"".join(written(form, batches, Counter()))
        found: dict[str, Any] = {"bytes": len(data)}
        for what, whole in (("read", False), ("imported", True)):
            runs = [measure(data, form, asked.rows, whole=whole) for _ in range(asked.runs)]
            median = statistics.median(runs)
            found[what] = {"cpu_s": runs, "rows_per_cpu_s": asked.rows / median}
        results[form] = found
        print(
            f"{form:10} {found['read']['rows_per_cpu_s']:>9,.0f} rows/s read   "
            f"{found['imported']['rows_per_cpu_s']:>7,.0f} rows/s imported"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {
        "rows": asked.rows,
        "runs": asked.runs,
        "peak_rss_mb": peak,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "arch": platform.machine()},
        "forms": results,
    }
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
