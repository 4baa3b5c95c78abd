"""How fast telemetry becomes readable: ``make bench NAME=drain ARGS="--json benchmarks/results/drain.json"``.

Three parts. ``rate``: a sealed spool of OTLP exports, and one of gateway calls, drained in this process and
one that reads; CPU time of both counts. ``fresh``: a real ``inchworm serve``, spans at a steady pace, and the
time from the acknowledgement until the API shows the interaction. ``burst``: the same spans as fast as they
are accepted, to us and to Arize Phoenix (``--phoenix PATH/TO/bin/phoenix``, an environment of its own), until
the last one is readable. Everything on 127.0.0.1, bounded, and ended by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import secrets
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.draining import Draining
from inchworm.capture.records import Called, Exported, Record, encode
from inchworm.capture.spool import Spool

APP = "shop/production"
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
    "asked for a refund of delivery fee with new shoes color blue size product returned website account "
    "settings invoice attached customer service agent explained how long shipping takes to other countries "
    "thanks for your help it is important that this works today"
).split()
PEOPLE = ("Maria Lindqvist", "Jon Baker", "Ana Souza", "Piet de Vries")
SYSTEM = (
    "You are the assistant of a shop for outdoor gear. Answer briefly and only from what you know. Never "
    "promise a refund. If a customer asks for a human, say that a colleague writes within one day. Use plain "
    "words."
)
PER_TRACE = 4
KEY = bytes(range(32))
_TICKS = os.sysconf("SC_CLK_TCK")
_WARM = 2_000
_LOOK_S, _PATIENCE_S = 0.05, 60.0
_AMONG = 10
"""One conversation in so many names a person, an address and a telephone number."""


def prose(rng: random.Random, sentences: int) -> str:
    """Text of so many sentences."""
    said = (" ".join(rng.choices(WORDS, k=rng.randint(6, 14))) for _ in range(sentences))
    return " ".join(f"{one.capitalize()}{rng.choice('.?!')}" for one in said)


def question(rng: random.Random, number: int) -> str:
    """What a customer writes."""
    asked = prose(rng, 6)
    if number % _AMONG:
        return asked
    mail, digits = f"x{rng.getrandbits(24)}@mailhost.net", f"{rng.randint(0, 9_999):04d}"
    return f"{asked} My name is {rng.choice(PEOPLE)}, mail me at {mail} or call +49 30 1234{digits}."


def export(rng: random.Random, traces: int, at: float) -> tuple[bytes, list[str]]:
    """One OTLP request, as the GenAI instrumentation sends it, and its traces.

    A trace is an agent's turn: a model, a tool, and the model again.
    """
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for name, value in {"service.name": "shop", "telemetry.sdk.language": "python"}.items():
        group.resource.attributes.add(key=name).value.string_value = value
    part = group.scope_spans.add()
    part.scope.name = "opentelemetry.instrumentation.genai.openai"
    ids: list[str] = []
    for number in range(traces):
        trace_id, root = rng.randbytes(16), rng.randbytes(8)
        ids.append(trace_id.hex())
        asked, said = question(rng, number), prose(rng, 5)
        content = {
            "gen_ai.input.messages": _messages("user", asked),
            "gen_ai.output.messages": _messages("assistant", said),
        }
        turn = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "shop",
            "gen_ai.conversation.id": f"conv-{rng.getrandbits(48):x}",
            "user.id": f"user-{rng.getrandbits(32):x}",
        }
        tool = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "search",
            "gen_ai.tool.call.arguments": json.dumps({"query": asked[:60]}),
            "gen_ai.tool.call.result": json.dumps({"documents": [prose(rng, 12), prose(rng, 12)]}),
        }
        rest = ({**_model(rng), **content}, tool, {**_model(rng), **content})
        for place, attributes in enumerate(({**turn, **content}, *rest)):
            span = part.spans.add(
                trace_id=trace_id,
                span_id=rng.randbytes(8) if place else root,
                parent_span_id=root if place else b"",
                name=f"{attributes['gen_ai.operation.name']} shop",
                kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=int((at + place / 10) * 1e9),
                end_time_unix_nano=int((at + (place / 10 + 0.09 if place else 0.9)) * 1e9),
            )
            _put(span, attributes)
    return request.SerializeToString(), ids


def _messages(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def _model(rng: random.Random) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.response.id": f"chatcmpl-{rng.getrandbits(96):x}",
        "gen_ai.response.model": "gpt-4.1-mini-2025-04-14",
        "gen_ai.usage.input_tokens": rng.randint(100, 400),
        "gen_ai.usage.output_tokens": rng.randint(20, 200),
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": SYSTEM}]),
        "server.address": "api.openai.com",
        "server.port": 443,
    }


def _put(span: Span, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        held = span.attributes.add(key=name).value
        if isinstance(value, int):
            held.int_value = value
        elif isinstance(value, float):
            held.double_value = value
        else:
            held.string_value = value


def called(rng: random.Random, number: int, at: float) -> Called:
    """One call through the gateway."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(rng, number)}]
    request = {"model": "gpt-4.1-mini", "temperature": 0.2, "max_tokens": 400, "messages": messages}
    message = {"role": "assistant", "content": prose(rng, 5)}
    response = {
        "id": f"chatcmpl-{rng.getrandbits(96):x}",
        "object": "chat.completion",
        "model": "gpt-4.1-mini-2025-04-14",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 210, "completion_tokens": 80, "total_tokens": 290},
    }
    return Called(
        id=f"t-{rng.getrandbits(64):x}",
        app=APP,
        at=at,
        unit=f"s-{rng.getrandbits(48):x}",
        unit_from="stated",
        dialect="openai-chat",
        request=json.dumps(request).encode(),
        response=json.dumps(response).encode(),
        status=200,
        latency_ms=400.0,
    )


async def fill(folder: Path, records: Sequence[Record]) -> None:
    """Write closed segments."""
    spool = Spool.open(folder, KEY, clock=time.time, rotate_s=3_600.0)
    for start in range(0, len(records), 200):
        await asyncio.gather(*(spool.add(encode(one)) for one in records[start : start + 200]))
    await spool.close()


def rate(count: int, repeats: int, workers: int) -> dict[str, Any]:
    """Records per second of CPU time of all processes, and of wall time; medians."""
    found: dict[str, Any] = {}
    rng, now = random.Random(1), time.time()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inchworm.yaml").write_text(YAML, "utf-8")
        with House(spec=load(Path(folder) / "inchworm.yaml"), actor="bench") as house:
            house.declare_stable()
            root = house.spec.data / "spool" / "bench"
            with closing(Draining(house, KEY, workers=workers)) as drain:
                for what in ("spans", "calls"):
                    runs, size = [], 0
                    for number in range(repeats + 1):
                        wanted = count if number else _WARM
                        records, size = _records(rng, what, wanted, now)
                        asyncio.run(fill(root, records))
                        spent = _drained(drain, what, wanted)
                        if number:  # the first one starts the processes
                            runs.append(spent)
                    cpu, wall = (statistics.median(one[at] for one in runs) for at in (0, 1))
                    found[what] = {
                        "records": count,
                        "bytes_each": round(size / count),
                        "per_s_and_core": round(count / cpu),
                        "per_s_wall": round(count / wall),
                        "cpu_us_each": round(1e6 * cpu / count),
                    }
    return found


def _records(rng: random.Random, what: str, count: int, at: float) -> tuple[list[Record], int]:
    if what == "calls":
        calls = [called(rng, number, at) for number in range(count)]
        return list(calls), sum(len(one.request) + len(one.response) for one in calls)
    bodies = [export(rng, 25, at)[0] for _ in range(count // (25 * PER_TRACE))]
    return (
        [Exported(app=APP, dialect="otlp-protobuf", body=one, at=at) for one in bodies],
        sum(map(len, bodies)),
    )


def _drained(drain: Draining, what: str, count: int) -> tuple[float, float]:
    began, cpu, stored = time.perf_counter(), cpu_s(os.getpid()), 0
    while not (done := drain.round()).idle:
        stored += done.spans if what == "spans" else done.traces
        if done.quarantined:
            raise SystemExit(f"quarantined: {dict(done.quarantined)}")
    spent = cpu_s(os.getpid()) - cpu, time.perf_counter() - began
    if stored != count:
        raise SystemExit(f"{count - stored} of {count} {what} were not stored")
    return spent


def cpu_s(pid: int) -> float:
    """CPU time of a process and all that it began and that still run, seconds."""
    total = 0.0
    for one in family(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def family(pid: int) -> list[int]:
    """A process and all that it began."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


@dataclass(frozen=True, slots=True)
class Served:
    """A running ``inchworm serve``."""

    process: subprocess.Popen[str]
    gateway: str
    url: str
    token: str

    def ask(self, connection: HTTPConnection, path: str) -> tuple[int, Any]:
        """Ask the API."""
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def serving() -> Iterator[Served]:
    """Start it on free ports, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inchworm.yaml").write_text(YAML, "utf-8")
        command = [sys.executable, "-m", "inchworm.app.cli", "serve", "--json", "--port", "0"]
        with (
            (Path(folder) / "stderr").open("w") as stderr,
            subprocess.Popen(
                [*command, "--gateway-port", "0"],
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            ) as process,
        ):
            try:
                text = ""
                for line in process.stdout or ():
                    text += line
                    if line == "}\n":
                        break
                said = json.loads(text)
                token = json.loads((Path(folder) / ".inchworm" / "serve.json").read_text())["token"]
                yield Served(process, said["gateway_url"], said["url"], token)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def connect(url: str) -> HTTPConnection:
    """A connection to ``http://HOST:PORT``."""
    return HTTPConnection(url.removeprefix("http://"), timeout=30)


def send(connection: HTTPConnection, body: bytes) -> int:
    """Send one OTLP request; its status."""
    headers = {"Content-Type": "application/x-protobuf"}
    connection.request("POST", "/v1/traces", body=body, headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def fresh(served: Served, pace: int, seconds: float) -> dict[str, Any]:
    """How long after its acknowledgement an interaction can be read, at a steady pace of spans."""
    rng = random.Random(2)
    per_request = 5
    every = per_request * PER_TRACE / pace
    taken: list[float] = []
    waiting: deque[tuple[str, float]] = deque()
    ended = threading.Event()

    def watch() -> None:
        """Ask for one after the other, and not so often that asking is what keeps the server busy."""
        with closing(connect(served.url)) as connection:
            while waiting or not ended.wait(_LOOK_S):
                while waiting:
                    trace_id, at = waiting[0]
                    while served.ask(connection, f"/api/v1/traces/{trace_id}")[0] != 200:
                        if time.perf_counter() - at > _PATIENCE_S:
                            return
                        time.sleep(_LOOK_S)
                    waiting.popleft()
                    taken.append(time.perf_counter() - at)

    watching = threading.Thread(target=watch)
    watching.start()
    bodies = [export(rng, per_request, time.time() + n * every) for n in range(int(seconds / every))]
    cpu, began = cpu_s(served.process.pid), time.perf_counter()
    with closing(connect(served.gateway)) as connection:
        for number, (body, ids) in enumerate(bodies):
            time.sleep(max(0.0, began + number * every - time.perf_counter()))
            if send(connection, body) != 200:
                raise SystemExit("the gateway does not accept spans")
            if number % 19 == 0:  # no beat of its own with the rounds of the drain
                waiting.append((ids[0], time.perf_counter()))
    spent = time.perf_counter() - began
    used = cpu_s(served.process.pid) - cpu
    ended.set()
    watching.join()
    if not taken:
        raise SystemExit(f"nothing could be read within {_PATIENCE_S:.0f} s")
    ordered = sorted(taken)
    return {
        "spans_per_s": round(len(bodies) * per_request * PER_TRACE / spent),
        "seconds": round(spent),
        "looked_at": len(taken),
        "median_s": round(statistics.median(ordered), 3),
        "p99_s": round(ordered[int(0.99 * (len(ordered) - 1))], 3),
        "max_s": round(ordered[-1], 3),
        "not_within_patience": len(waiting),
        "cpu_share_of_one_core": round(used / spent, 2),
    }


def burst(served: Served, spans: int) -> dict[str, Any]:
    """Spans as fast as they are accepted, until the last one can be read."""
    bodies = [export(random.Random(secrets.randbits(32)), 25, time.time())[0] for _ in range(spans // 100)]
    with closing(connect(served.url)) as asking, closing(connect(served.gateway)) as sending:
        before = served.ask(asking, "/api/v1/traces?limit=1")[1]["total"]
        wanted = before + spans // PER_TRACE
        cpu, began = cpu_s(served.process.pid), time.perf_counter()
        for body in bodies:
            while send(sending, body) == 429:  # it says when to come again
                time.sleep(0.2)
        accepted = time.perf_counter() - began
        while served.ask(asking, "/api/v1/traces?limit=1")[1]["total"] < wanted:
            time.sleep(0.1)
            if time.perf_counter() - began > 300:
                raise SystemExit("not all spans could be read within 300 s")
        spent = time.perf_counter() - began
        used = cpu_s(served.process.pid) - cpu
    return {
        "spans": spans,
        "accepted_per_s": round(spans / accepted),
        "readable_per_s": round(spans / spent),
        "readable_per_s_and_core": round(spans / used),
    }


def phoenix(program: Path, spans: int) -> dict[str, Any]:
    """The same for Arize Phoenix: rows in its database count as readable."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, grpc = one.getsockname()[1], other.getsockname()[1]
    bodies = [export(random.Random(n), 25, time.time())[0] for n in range(spans // 100)]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        environment = {
            **os.environ,
            "PHOENIX_WORKING_DIR": folder,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        process = subprocess.Popen([str(program), "serve"], env=environment, stdout=log, stderr=log)
        try:
            _until_up(port, process)
            cpu, began, accepted = cpu_s(process.pid), time.perf_counter(), 0
            with closing(connect(f"http://127.0.0.1:{port}")) as connection:
                for body in bodies:
                    while (status := send(connection, body)) in (429, 503):
                        time.sleep(0.2)
                    accepted += status == 200
            sent, readable = time.perf_counter() - began, 0
            while readable < spans and time.perf_counter() - began < 240:
                time.sleep(0.25)
                readable = _rows(Path(folder) / "phoenix.db")
            spent, used = time.perf_counter() - began, cpu_s(process.pid) - cpu
        finally:
            process.terminate()
            process.wait(30)
    return {
        "version": _version(program),
        "spans": spans,
        "accepted_requests": f"{accepted} of {len(bodies)}",
        "accepted_per_s": round(spans / sent),
        "readable": readable,
        "readable_per_s": round(readable / spent, 1),
        "readable_per_s_and_core": round(readable / used, 1),
    }


def _until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("Phoenix ended at its start")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise SystemExit("Phoenix does not listen")


def _rows(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
        return int(database.execute("SELECT count(*) FROM spans").fetchone()[0])


def _version(program: Path) -> str:
    listed = subprocess.run(
        [str(program.parent / "pip"), "show", "arize-phoenix"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"^Version: (.+)$", listed, re.MULTILINE)
    return found[1] if found else "unknown"


def main() -> None:
    """Measure, print, and write JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that read beside the one that stores"
    )
    parser.add_argument("--pace", type=int, default=500, help="spans per second of the part fresh")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="length of the part fresh; 0 leaves it out"
    )
    parser.add_argument("--burst", type=int, default=20_000, help="spans of the part burst; 0 leaves it out")
    parser.add_argument("--phoenix", type=Path, help="the program of an environment with arize-phoenix")
    parser.add_argument("--phoenix-spans", type=int, default=2_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rate": rate(options.records, options.repeats, options.workers),
    }
    if options.seconds or options.burst:
        with serving() as served:
            if options.seconds:
                found["fresh"] = fresh(served, options.pace, options.seconds)
            if options.burst:
                found["burst"] = burst(served, options.burst)
    if options.phoenix is not None:
        found["phoenix"] = phoenix(options.phoenix, options.phoenix_spans)
        for name in ("readable_per_s", "readable_per_s_and_core"):
            if options.burst:
                found[f"times_phoenix_{name}"] = round(found["burst"][name] / found["phoenix"][name])
    text = json.dumps(found, indent=2)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
