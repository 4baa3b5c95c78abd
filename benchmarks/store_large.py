"""The trace store at ten million traces: ``python benchmarks/store.py --large``; see there."""

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Failed, Ok, Score, Scored
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Arm, Assignment, Exposure, Trace, Usage
from inchworm.store.traces import TraceFilter, TraceStore
from inchworm.store.traces.rows import PAYLOADS, SCORES, TRACES, Batch
from inchworm.store.traces.write import enter_new, insert

APP = AppRef(app="shop", environment="production")
CONFIGURATIONS = tuple(Configuration.of({"model": {"name": f"m{n}"}}).id for n in range(5))
ROLLOUT = RolloutId("r-1")
DAYS = 30
BEGIN = 1_790_000_000.0 - 1_790_000_000.0 % 86_400.0
END = BEGIN + DAYS * 86_400.0
BATCH = 50_000
TEXT_BATCH = 2_000
EXPOSED = 100_000
REPEATS = 21
WORDS = tuple(
    "order parcel arrives working days refund invoice carrier address delivery return label stock size "
    "colour shop question answer within after before please thank sorry customer agent note receipt".split()
)


def rss_mb() -> float:
    """Resident memory of this process, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


class Cost(NamedTuple):
    """Milliseconds of an act, medians: on the clock, and of all cores together.

    Attributes:
        wall: on the clock; on a machine that does other work besides, too much.
        cpu: of all cores; what an idle machine with one core would take.
    """

    wall: float
    cpu: float


def cost(act: Callable[[], object], repeats: int = REPEATS) -> Cost:
    """What an act takes, after one that is not counted."""
    act()
    walls, cpus = [], []
    for _ in range(repeats):
        begun, spent = time.perf_counter(), time.process_time()
        act()
        walls.append(time.perf_counter() - begun)
        cpus.append(time.process_time() - spent)
    return Cost(round(1e3 * statistics.median(walls), 2), round(1e3 * statistics.median(cpus), 2))


def _drawn(rng: np.random.Generator, values: list[Any], shares: list[float], n: int) -> pa.Array:
    drawn = rng.choice(len(values), size=n, p=shares)
    return pa.DictionaryArray.from_arrays(pa.array(drawn, pa.int32()), pa.array(values, pa.string())).cast(
        pa.string()
    )


def _ids(rng: np.random.Generator, n: int) -> list[str]:
    digits = rng.bytes(16 * n).hex()
    return [digits[place : place + 32] for place in range(0, 32 * n, 32)]


def metadata(rng: np.random.Generator, numbers: NDArray[np.int64], count: int) -> tuple[Batch, pa.Table]:
    """Traces without content, and a score of each on ``format``, of one in ten on ``right``."""
    n = len(numbers)
    at = BEGIN + numbers * ((END - BEGIN) / count)
    day = ((at - BEGIN) // 86_400.0).astype(np.int64)
    columns: dict[str, Any] = {
        "number": numbers,
        "app": [str(APP)] * n,
        "id": _ids(rng, n),
        "at_s": at,
        "unit_id": [f"u-{unit:08x}" for unit in (numbers // 3).tolist()],
        "configuration_id": [CONFIGURATIONS[place] for place in np.minimum(day // 7, 4).tolist()],
        "outcome": _drawn(rng, ["ok", "failed", "errored"], [0.975, 0.02, 0.005], n),
        "finish_reason": _drawn(rng, ["stop", "length", "tool_calls"], [0.9, 0.02, 0.08], n),
        "latency_ms": rng.lognormal(6.5, 0.6, n),
        "input_tokens": rng.integers(50, 3_000, n),
        "output_tokens": rng.integers(5, 800, n),
        "cost_usd": rng.random(n) * 0.01,
        "cluster": _drawn(rng, [f"topic {k}" for k in range(20)], [0.05] * 20, n),
        "model": _drawn(rng, ["m-large", "m-small", "m-tiny"], [0.6, 0.3, 0.1], n),
        "call": _drawn(rng, ["answer", "route", "summary"], [0.7, 0.2, 0.1], n),
        "source": _drawn(rng, ["openai-chat", "otlp-protobuf"], [0.8, 0.2], n),
        "incomplete": [False] * n,
        "scored": [True] * n,
    }
    traces = pa.Table.from_arrays(
        [pa.array(columns.get(one.name, [None] * n), type=one.type) for one in TRACES], schema=TRACES
    )
    empty = {"number": numbers, "inputs": ["{}"] * n, "attributes": ["{}"] * n}
    payloads = pa.Table.from_arrays(
        [pa.array(empty.get(one.name, [None] * n), type=one.type) for one in PAYLOADS], schema=PAYLOADS
    )
    right = numbers[::10]
    about = np.concatenate([numbers, right])
    rated = {
        "sequence": np.arange(len(about)) + 1 + numbers[0] + numbers[0] // 10,
        "number": about,
        "metric": ["format"] * n + ["right"] * len(right),
        "result": ["scored"] * len(about),
        "value": np.round(rng.random(len(about)), 3),
        "source": ["code:format/1"] * n + ["code:right/1"] * len(right),
        "at_s": np.concatenate([at, at[::10]]),
    }
    scores = pa.Table.from_arrays(
        [pa.array(rated.get(one.name, [None] * len(about)), type=one.type) for one in SCORES], schema=SCORES
    )
    return Batch(traces=traces, payloads=payloads), scores


def told(rng: np.random.Generator, number: int, count: int) -> Trace:
    """A trace with about 1 KB of text; the newest 200,000 are of a rollout."""
    at = BEGIN + number * ((END - BEGIN) / count)
    words = [WORDS[place] for place in rng.integers(0, len(WORDS), 140).tolist()]
    unit = number // 2
    order = unit - (count - 2 * EXPOSED) // 2
    arm = Arm.CANDIDATE if unit % 2 else Arm.BASELINE
    assigned = Assignment(rollout_id=ROLLOUT, stage=0, arm=arm, probability=0.5)
    return Trace(
        id=TraceId(rng.bytes(16).hex()),
        app=APP,
        at=at,
        unit_id=UnitId(f"u-{order:08x}" if order >= 0 else f"t-{unit:08x}"),
        configuration_id=CONFIGURATIONS[number % 2 + 3],
        assignment=assigned if order >= 0 else None,
        inputs={
            "question": f"Where is order {number}? " + " ".join(words[:40]),
            "documents": [" ".join(words[40:90])],
        },
        output=f"Order {number}: " + " ".join(words[90:]),
        outcome=Failed(reason="deadline") if number % 50 == 0 else Ok(),
        finish_reason="stop",
        latency_ms=400.0 + number % 300,
        usage=Usage(input_tokens=120, output_tokens=20, cost_usd=0.0002),
        attributes={"gen_ai.response.model": "m-large", "inchworm.call": "answer", "region": "eu"},
        scores=(
            Score(metric="right", result=Scored(value=float(number % 10 > 0)), source="code:right/1", at=at),
        ),
    )


def load(path: Path, count: int, texts: int) -> dict[str, Any]:
    """Make the store: metadata in batches of Arrow, the newest ones with text as the drain stores them."""
    rng = np.random.default_rng(1)
    figures: dict[str, float] = {}
    plain = count - texts
    spent_s = time.process_time()
    with TraceStore.open(path) as store:
        for start in range(0, plain, BATCH):
            numbers = np.arange(start, min(start + BATCH, plain), dtype=np.int64) + 1
            batch, scores = metadata(rng, numbers, count)
            with store._db.write() as run:  # noqa: SLF001  # what add_traces does, without objects of Python
                insert(run, batch, range(int(numbers[0]), int(numbers[-1]) + 1))
                run(
                    "INSERT INTO scores BY NAME SELECT *, TRUE AS latest FROM batch ORDER BY sequence",
                    batch=scores,
                )
                enter_new(run, range(int(numbers[0]), int(numbers[-1]) + 1))
        figures["arrow_traces_per_cpu_s"] = plain / (time.process_time() - spent_s)
        store.add_exposures(
            [
                Exposure(
                    rollout_id=ROLLOUT,
                    order=order,
                    unit_id=UnitId(f"u-{order:08x}"),
                    stage=0,
                    arm=Arm.CANDIDATE if (order + (count - 2 * EXPOSED) // 2) % 2 else Arm.BASELINE,
                    probability=0.5,
                    at=BEGIN + (count - 2 * EXPOSED + 2 * order) * ((END - BEGIN) / count) - 1.0,
                )
                for order in range(EXPOSED)
            ]
        )
        spent: list[float] = []
        waited: list[float] = []
        for start in range(plain, count, TEXT_BATCH):
            made = [told(rng, number, count) for number in range(start, min(start + TEXT_BATCH, count))]
            begun, spent_s = time.perf_counter(), time.process_time()
            store.add_traces(made, cluster={one.id: "topic 1" for one in made})
            spent.append(time.process_time() - spent_s)
            waited.append(time.perf_counter() - begun)
        figures["add_traces_per_cpu_s"] = texts / sum(spent)
        figures["add_2000_traces_cpu_ms"] = 1e3 * statistics.median(spent[-50:])
        figures["add_2000_traces_worst_ms"] = 1e3 * max(waited)
        written = {name: one._asdict() for name, one in _written(store, rng).items()}
        figures["rss_after_load_mb"] = rss_mb()
    return {name: round(value, 1) for name, value in figures.items()} | {"ms": written}


def _written(store: TraceStore, rng: np.random.Generator) -> dict[str, Cost]:
    """What a full store takes in: replaced traces, spans, scores of old traces, few and many at once."""
    page = store.traces(APP, limit=1_000).traces
    early = TraceFilter(until=BEGIN + 86_400.0)
    old = [one.id for one in store.traces(APP, filters=early, limit=1_000).traces]
    turn = iter(range(10**9))

    def spans(n: int) -> list[Span]:
        trace_ids = _ids(rng, n // 4)
        return [
            Span(
                app=APP,
                trace_id=TraceId(trace_ids[k // 4]),
                id=f"{k % 4:016x}",
                parent_id=None if k % 4 == 0 else f"{0:016x}",
                name="chat",
                kind=SpanKind.LLM,
                started_at=END + k,
                ended_at=END + k + 1,
                outcome=Ok(),
                inputs={"messages": [{"role": "user", "content": "where is it? " * 40}]},
                output="it comes " * 40,
                people={"session": f"s-{k}"},
                attributes={"gen_ai.request.model": "m-large", "k": k},
                revision=END,
            )
            for k in range(n)
        ]

    def replace_some(n: int) -> None:
        mark = next(turn)
        store.put_traces([_marked(one, mark) for one in page[:n]])

    def rate_some(n: int) -> None:
        at = END + next(turn)
        said = Score(metric="right", result=Scored(value=at % 2), source="human:ana", at=at)
        store.add_scores([(APP, id_, said) for id_ in old[:n]])

    return {
        "replace 50 traces": cost(lambda: replace_some(50)),
        "replace 1,000 traces": cost(lambda: replace_some(1_000)),
        "put 200 spans": cost(lambda: store.put_spans(spans(200))),
        "put 8,000 spans": cost(lambda: store.put_spans(spans(8_000))),
        "score 10 old traces": cost(lambda: rate_some(10)),
        "score 1,000 old traces": cost(lambda: rate_some(1_000)),
    }


def _marked(trace: Trace, mark: int) -> Trace:
    changed: dict[str, Any] = {name: getattr(trace, name) for name in Trace.__slots__}
    return Trace(**changed | {"output": f"{trace.output} {mark}"})


def ask(path: Path, count: int) -> dict[str, Any]:
    """Every question that a page or a command asks, of a store that was just opened."""
    begun = time.perf_counter()
    with TraceStore.open(path) as store:
        found: dict[str, Any] = {"open_ms": round(1e3 * (time.perf_counter() - begun), 1)}
        begun = time.perf_counter()
        first = store.traces(APP)
        found["first_page_cold_ms"] = round(1e3 * (time.perf_counter() - begun), 1)
        found["rss_after_open_mb"] = round(rss_mb(), 1)
        some, day = first.traces[7], 86_400.0
        deep = store.traces(APP, filters=TraceFilter(until=BEGIN + day)).next_cursor
        old = store.traces(APP, after=deep).traces[3]
        acts: dict[str, Callable[[], object]] = {
            "look-up: id, new": lambda: store.trace(APP, some.id),
            "look-up: id, old": lambda: store.trace(APP, old.id),
            "look-up: prefix of 10": lambda: store.trace(APP, old.id[:10]),
            "look-up: known, 50 ids": lambda: store.known(APP, [one.id for one in first.traces]),
            "page: first": lambda: store.traces(APP),
            "page: deep by cursor": lambda: store.traces(APP, after=deep),
        }
        filters = {
            "configuration": TraceFilter(configuration=CONFIGURATIONS[1]),
            "arm": TraceFilter(arm=Arm.CANDIDATE),
            "rollout": TraceFilter(rollout=ROLLOUT),
            "cluster": TraceFilter(cluster="topic 7"),
            "outcome": TraceFilter(outcome="failed"),
            "not ok": TraceFilter(not_ok=True),
            "finish reason": TraceFilter(finish_reason="length"),
            "model": TraceFilter(model="m-tiny"),
            "call": TraceFilter(call="summary"),
            "source": TraceFilter(source="otlp-protobuf"),
            "metric below half": TraceFilter(metric_below=("right", 0.5)),
            "metric below": TraceFilter(metric_below=("right", 0.1)),
            "metric below half, all scored": TraceFilter(metric_below=("format", 0.5)),
            "metric between, all scored": TraceFilter(metric_between=("format", 0.2, 0.8)),
            "unit": TraceFilter(unit=some.unit_id),
            "latency": TraceFilter(min_latency_ms=2_000.0),
            "one day": TraceFilter(since=BEGIN + 10.3 * day, until=BEGIN + 11.3 * day),
            "nothing": TraceFilter(model="m-none"),
            "span kind": TraceFilter(span_kind="llm"),
            "scored": TraceFilter(scored=True),
            "text, rare": TraceFilter(text=f"order {count - 5_000}?"),
            "text, frequent": TraceFilter(text="Parcel"),
            "text, absent": TraceFilter(text="zebra"),
            "text, one day": TraceFilter(text="zebra", since=END - day),
            "attribute": TraceFilter(attribute=("region", "eu")),
        }
        for name, one in filters.items():
            acts[f"page: {name}"] = lambda one=one: store.traces(APP, filters=one)  # type: ignore[misc]
            if name in {"outcome", "latency", "metric below", "text, absent", "one day"}:
                acts[f"facets: {name}"] = lambda one=one: store.facets(APP, one)  # type: ignore[misc]
        acts |= {
            "facets: all": lambda: store.facets(APP),
            "dashboard: count": lambda: store.count(APP),
            "dashboard: period": lambda: store.period(APP),
            "dashboard: configurations seen": lambda: store.seen(APP, limit=12),
            "dashboard: quality, 14 days": lambda: store.quality(
                APP, metric="right", since=END - 14 * day, until=END - 100, width_s=day / 4
            ),
            "dashboard: failures, 14 days": lambda: store.quality(
                APP, metric=None, since=END - 14 * day, until=END - 100, width_s=day / 4
            ),
            "dashboard: quality, 15 hours": lambda: store.quality(
                APP, metric="right", since=END - 15 * 3_600, until=END - 100, width_s=900.0
            ),
            "dashboard: summary, 7 days": lambda: store.summary(
                APP, by="cluster", metrics=["right", "format"], since=END - 7.01 * day, until=END - 100
            ),
            "dashboard: summary, 30 days": lambda: store.summary(
                APP, by="configuration", metrics=["right", "format"], since=BEGIN, until=END
            ),
            "dashboard: traffic, 7 days": lambda: store.traffic(APP, now=END, days=7),
            "dashboard: latency p95, 7 days": lambda: store.quantile(
                APP, "latency_ms", 0.95, since=END - 7 * day, until=END
            ),
            "follow: nothing new": lambda: store.arrived_after(APP, 10**9),
            "follow: the last 50": lambda: store.arrived_after(APP, count - 50),
            "follow: the last 50, filtered": lambda: store.arrived_after(
                APP, count - 5_000, filters=TraceFilter(outcome="failed"), limit=50
            ),
            "monitor: all 100,000 units": lambda: store.units(
                ROLLOUT, start=0, matured_before=END, limit=EXPOSED
            ),
            "monitor: last 1,000 units": lambda: store.units(
                ROLLOUT, start=EXPOSED - 1_000, matured_before=END, limit=1_000
            ),
            "monitor: late arrivals": lambda: store.arrived(ROLLOUT, before=EXPOSED, since=count - 1_000),
            "monitor: changed arms": lambda: store.changed_arms(ROLLOUT),
        }
        times = found["ms"] = {}
        for name, act in acts.items():
            took = cost(act)
            times[name] = took._asdict()
            print(f"{name:35} {took.wall:9.2f} ms {took.cpu:9.2f} ms of CPU", file=sys.stderr, flush=True)
        spent_s, n = time.process_time(), 0
        for batch in store.iterate(APP, filters=TraceFilter(since=END - day / 6)):
            n += len(batch)
        found["export_traces_per_cpu_s"] = round(n / (time.process_time() - spent_s), 1)
        found["rss_after_questions_mb"] = round(rss_mb(), 1)
    return found


def killed(path: Path) -> dict[str, float]:
    """How long opening takes after a process was killed in the midst of writing."""
    writer = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\nimport store_large as it\n"
        "rng = np.random.default_rng()\n"
        "with it.TraceStore.open(Path(sys.argv[1])) as store:\n"
        "    for n in range(5):\n"
        "        store.add_traces([it.told(rng, k, 10**7) for k in range(2_000)])\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    reader = (
        "import sys, time\nfrom pathlib import Path\nimport store_large as it\n"
        "begun = time.perf_counter()\n"
        "with it.TraceStore.open(Path(sys.argv[1])):\n"
        "    print(1e3 * (time.perf_counter() - begun), it.rss_mb())\n"
    )
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(path)], env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as one:
        if one.stdout is None or one.stdout.readline() != b"written\n":
            raise SystemExit("nothing was written")
        wal = path.with_name(path.name + ".wal").stat().st_size
        one.send_signal(signal.SIGKILL)
        one.wait()
    said = subprocess.run(
        [sys.executable, "-c", reader, str(path)], env=here, check=True, capture_output=True, text=True
    ).stdout.split()
    return {
        "open_after_kill_ms": round(float(said[0]), 1),
        "wal_after_kill_mb": round(wal / 1e6, 1),
        "rss_after_kill_mb": round(float(said[1]), 1),
    }


def measure(folder: Path, count: int, texts: int) -> dict[str, Any]:
    """Load, ask, kill."""
    path = folder / "large.duckdb"
    found: dict[str, Any] = {"traces": count, "with_text": texts, "load": load(path, count, texts)}
    found["file_bytes_per_trace"] = round(path.stat().st_size / count, 1)
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(path), str(count)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return {**found, **json.loads(asked), **killed(path)}


_ASK = (
    "import json, sys\nfrom pathlib import Path\nimport store_large as it\n"
    "print(json.dumps(it.ask(Path(sys.argv[1]), int(sys.argv[2]))))\n"
)
