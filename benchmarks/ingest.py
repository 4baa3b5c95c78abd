"""What a span costs a gateway until it is durable: ``make bench NAME=ingest ARGS="--json ingest.json"``.

A real gateway takes OTLP in batches of 512 spans of about 1,500 bytes (OpenTelemetry's own exporters send so
many), over four connections, and answers each batch when it is sealed and fsynced. CPU time is of the whole
process: event loop, threads and kernel. Medians.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from inchworm.capture.keyfile import master_key
from inchworm.domain.configuration import AppRef
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import Published, PublishedApp
from inchworm.gateway.serving import FILE
from inchworm.gateway.settings import Settings

SPANS, BATCHES, LANES, BODIES = 512, 160, 4, 8
SPAN_BYTES = 1_500
WORDS = Path(__file__).read_text(encoding="utf-8").split()
FORMS = {
    "protobuf": ("application/x-protobuf", False),
    "protobuf gzip": ("application/x-protobuf", True),
    "json": ("application/json", False),
    "json gzip": ("application/json", True),
}
PATIENCE_S = 30.0


def main() -> None:
    """Measure, print a table, and write JSON if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {name: {} for name in FORMS}
    bodies = {name: [body(name, seed) for seed in range(BODIES)] for name in FORMS}
    with gateway() as running:
        for name in FORMS:  # files are opened, code is warm
            asyncio.run(running.load(name, bodies[name], 2 * LANES))
        for _ in range(options.repeats):
            for name in FORMS:
                for what, figure in asyncio.run(running.load(name, bodies[name], options.batches)).items():
                    found[name].setdefault(what, []).append(figure)
                running.forget()
        memory = running.memory_mb()
    print("| OTLP | bytes a batch | CPU µs a span | spans/s/core | spans/s |\n|---|---|---|---|---|")
    result: dict[str, object] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "spans a batch": SPANS,
        "bytes a span": len(bodies["protobuf"][0]) // SPANS,
        "repeats": options.repeats,
        "gateway MB": memory,
    }
    for name, figures in found.items():
        middle = {what: statistics.median(each) for what, each in figures.items()}
        per_core = 1e6 / middle["cpu_us"]
        size = len(bodies[name][0])
        print(f"| {name} | {size:,} | {middle['cpu_us']:.1f} | {per_core:,.0f} | {middle['spans_s']:,.0f} |")
        result[name] = {**middle, "spans_s_core": per_core, "bytes": size}
    print(f"\nMemory of the gateway at the end: {memory:.0f} MB")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def body(form: str, seed: int) -> bytes:
    """A batch as an exporter sends it: chats with their messages."""
    draw = random.Random(seed)  # words, no secrets
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.openai"
    for number in range(SPANS):
        start = 1_795_000_000_000_000_000 + number * 1_000_000
        span = scope.spans.add(
            trace_id=draw.randbytes(16),
            span_id=draw.randbytes(8),
            name="chat small-1",
            start_time_unix_nano=start,
            end_time_unix_nano=start + 800_000_000,
        )
        for key, value in (
            ("operation.name", "chat"),
            ("provider.name", "openai"),
            ("request.model", "small-1"),
        ):
            span.attributes.add(key=f"gen_ai.{key}").value.string_value = value
        for key in ("input_tokens", "output_tokens"):
            span.attributes.add(key=f"gen_ai.usage.{key}").value.int_value = draw.randrange(1_000)
        said = " ".join(draw.choices(WORDS, k=400))[: SPAN_BYTES - 380]
        messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": said}]}])
        span.attributes.add(key="gen_ai.input.messages").value.string_value = messages
    if not form.startswith("json"):
        plain = request.SerializeToString()
    else:
        plain = json.dumps(in_json(request)).encode()
    return gzip.compress(plain, 6) if form.endswith("gzip") else plain


def in_json(request: ExportTraceServiceRequest) -> dict[str, object]:
    """The same in OTLP's JSON: ids in hexadecimal, times and integers as texts."""
    (group,) = request.resource_spans
    (scope,) = group.scope_spans
    spans = [
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "name": span.name,
            "startTimeUnixNano": str(span.start_time_unix_nano),
            "endTimeUnixNano": str(span.end_time_unix_nano),
            "attributes": [
                {
                    "key": one.key,
                    "value": {"intValue": str(one.value.int_value)}
                    if one.value.HasField("int_value")
                    else {"stringValue": one.value.string_value},
                }
                for one in span.attributes
            ],
        }
        for span in scope.spans
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": spans}]}]}


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway in a process of its own."""

    port: int
    spool: Path
    process: subprocess.Popen[bytes]

    async def load(self, form: str, bodies: list[bytes], batches: int) -> dict[str, float]:
        """Send batches, and wait for every answer: CPU µs a span, and spans a second."""
        begun, cpu = time.perf_counter(), self.cpu_s()
        await asyncio.gather(*(self._lane(form, bodies, batches // LANES) for _ in range(LANES)))
        spans = batches // LANES * LANES * SPANS
        took = time.perf_counter() - begun
        return {"cpu_us": 1e6 * (self.cpu_s() - cpu) / spans, "spans_s": spans / took}

    async def _lane(self, form: str, bodies: list[bytes], batches: int) -> None:
        kind, packed = FORMS[form]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number in range(batches):
            data = bodies[number % len(bodies)]
            encoding = "content-encoding: gzip\r\n" if packed else ""
            head = (
                f"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\n{encoding}"
                f"user-agent: OTel-OTLP-Exporter-Python/1.45.2\r\ncontent-length: {len(data)}\r\n\r\n"
            )
            writer.write(head.encode() + data)
            said = await reader.readuntil(b"\r\n\r\n")
            if not said.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a batch was not taken: {said!r}")
            length = said.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length or b"0"))
        writer.close()

    def forget(self) -> None:
        """Nobody drains here: what is closed makes room."""
        for path in self.spool.glob("*.closed"):
            path.unlink()

    def cpu_s(self) -> float:
        """CPU time of all its threads, seconds."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return 1e-9 * sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def memory_mb(self) -> float:
        """What it holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def gateway() -> Iterator[Running]:
    """A gateway that knows what to serve from an earlier time; no server runs."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = Settings(data=data, control="http://127.0.0.1:9", port=port, name="bench")
        settings.folder.mkdir(parents=True)
        document = Published(apps=(PublishedApp(app=AppRef(app="shop", environment="production")),))
        (settings.folder / FILE).write_bytes(document.sign(derive(master_key(data), Purpose.PUBLISHED)))
        told = ["--data", folder, "--control", settings.control, "--port", str(port), "--name", settings.name]
        process = subprocess.Popen(
            [sys.executable, "-m", "inchworm.gateway", *told],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            yield Running(port, settings.spool, process)
        finally:
            process.terminate()
            process.wait(20)


def wait_for(port: int) -> None:
    """Until it serves."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise SystemExit("the gateway did not come up") from error
            time.sleep(0.05)


if __name__ == "__main__":
    main()
