"""What the spool costs a gateway: ``make bench NAME=spool ARGS="--repeats 5 --json spool.json"``.

CPU time of the whole process (event loop, writer's thread and kernel) per record that is added and awaited,
and the wall time of one commit, for several numbers of concurrent adders; and what reading costs. Medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from inchworm.capture.calls import trace_of
from inchworm.capture.records import Called, decode, encode
from inchworm.capture.spool import Spool, closed_segments, read_segment
from inchworm.domain.keys import KEY_BYTES

KEY = bytes(KEY_BYTES)
RECORD_BYTES = 3_000
ADDERS = {1: 1_000, 8: 8_000, 32: 24_000, 128: 48_000}
"""How many add at once, and how many records they add in all."""


def main() -> None:
    """Measure, print a table, and write JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs = [{**uvloop.run(adding()), **reading()} for _ in range(options.repeats)]
    found = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print("| what | figure |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:,.3g} |" if value < 100 else f"| {name} | {value:,.0f} |")
    if options.json is not None:
        about = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "record bytes": RECORD_BYTES,
            "repeats": options.repeats,
        }
        options.json.write_text(json.dumps({**about, **found}, indent=2) + "\n", encoding="utf-8")


async def adding() -> dict[str, float]:
    """Add and await, by so many at once."""
    found: dict[str, float] = {}
    for adders, records in ADDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            spool = Spool.open(Path(folder) / "spool" / "bench", KEY, clock=time.time)
            await _add(spool, adders, 4 * adders)  # open files, a first segment
            commits, began, cpu = spool.stats().commits, time.perf_counter(), time.process_time()
            await _add(spool, adders, records)
            wall, used = time.perf_counter() - began, time.process_time() - cpu
            commits = spool.stats().commits - commits
            await spool.close()
        found |= {
            f"CPU µs per record, {adders} at once": 1e6 * used / records,
            f"records per commit, {adders} at once": records / commits,
            f"wall ms per commit, {adders} at once": 1e3 * wall / commits,
        }
    return found


async def _add(spool: Spool, adders: int, records: int) -> None:
    record = os.urandom(RECORD_BYTES)

    async def adder() -> None:
        for _ in range(records // adders):
            await spool.add(record)

    await asyncio.gather(*(adder() for _ in range(adders)))


def reading() -> dict[str, float]:
    """Read segments, and make interactions of calls."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "spool"
        calls = [encode(_call(number)) for number in range(4_000)]

        async def fill() -> None:
            spool = Spool.open(root / "bench", KEY, clock=time.time)
            await asyncio.gather(*map(spool.add, calls))
            await spool.close()

        uvloop.run(fill())
        cpu = time.process_time()
        records = [record for path in closed_segments(root) for record in read_segment(path, KEY).records]
        read = time.process_time() - cpu
    if records != calls:
        raise SystemExit("what was read is not what was written")
    cpu = time.process_time()
    for record in records:
        called = decode(record)
        if not isinstance(called, Called) or trace_of(called).output is None:
            raise SystemExit("a call became no interaction")
    return {
        "reading, CPU µs per record": 1e6 * read / len(records),
        "streamed call to interaction, CPU µs": 1e6 * (time.process_time() - cpu) / len(records),
    }


def _call(number: int) -> Called:
    """A streamed call of eight chunks."""
    texts = [f" word{number}" for _ in range(7)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps({'id': 'c', 'model': 'm', **chunk})}\n\n" for chunk in chunks)
    return Called(
        id=f"t-{number}",
        app="shop/production",
        at=1.8e9,
        unit=f"s-{number}",
        unit_from="stated",
        dialect="openai-chat",
        request=json.dumps(
            {
                "model": "m",
                "stream": True,
                "messages": [{"role": "user", "content": "When do you open? " * 40}],
            }
        ).encode(),
        response=(body + "data: [DONE]\n\n").encode(),
        streamed=True,
        status=200,
        latency_ms=400.0,
    )


if __name__ == "__main__":
    main()
