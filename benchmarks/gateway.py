"""What a call through the gateway costs: ``python benchmarks/gateway.py --json gateway.json``.

Everything is on: a rollout in flight, parameters and prompt applied, assignment, exposures, and a sealed
record of each call, fsynced before its answer. nginx is the provider, and as a bare proxy what is compared
with in the same rounds (Debian: ``apt-get install nginx-light``).
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import granian
import uvloop

from inchworm.capture.keyfile import master_key
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import RolloutId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import WITNESS, Published, PublishedApp, version, witness
from inchworm.domain.serving import Candidate, ServingTable

APP = AppRef(app="shop", environment="production")
CALLS_PER_SESSION = 5
SYSTEM = "You help the customers of a shop. Answer from the documents alone, in one sentence. " * 3
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "small-2",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Your order arrives within three working days. " * 6,
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 120, "completion_tokens": 60, "total_tokens": 180},
    }
)
EVENT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "small-2",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
    }
)
NGINX = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/{name}-1;
  proxy_temp_path {folder}/{name}-2; fastcgi_temp_path {folder}/{name}-3; uwsgi_temp_path {folder}/{name}-4;
  scgi_temp_path {folder}/{name}-5; {rest}
}}
"""
ANSWERING = """
server {{ listen 127.0.0.1:{port}; default_type application/json;
location / {{ return 200 '{answer}'; }} }}"""
PROXYING = """
upstream up {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1;
proxy_set_header Connection ""; }} }}"""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Proc:
    """A process and all that it started."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def cpu_s(self) -> float:
        """CPU time that it and its children have used, seconds."""
        pids = [self.process.pid]
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
        return 1e-9 * sum(
            int((task / "schedstat").read_text().split()[0])
            for pid in pids
            for task in Path(f"/proc/{pid}/task").iterdir()
        )

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


def request(path: str, number: int, *, stream: bool = False) -> bytes:
    """The bytes of one call, as the OpenAI SDK sends it; a session makes a few of them."""
    body = json.dumps(
        {
            "model": "small-1",
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"When does order {number} arrive?"},
            ],
            "temperature": 0.2,
            **({"stream": True} if stream else {}),
        }
    ).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
        f"accept-encoding: gzip, deflate\r\n"
        f"authorization: Bearer sk-0123456789\r\nconnection: keep-alive\r\ncontent-type: application/json\r\n"
        f"user-agent: OpenAI/Python 3.54.0\r\nx-stainless-arch: x64\r\nx-stainless-lang: python\r\n"
        f"x-stainless-os: Linux\r\nx-stainless-retry-count: 0\r\nx-stainless-runtime: CPython\r\n"
        f"inchworm-unit: session-{number // CALLS_PER_SESSION}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Caller":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def plain(self, data: bytes) -> None:
        """One call and its whole answer."""
        self.writer.write(data)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a call failed: {head!r}")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await self.reader.readexactly(length)

    async def first_content(self, data: bytes) -> float:
        """Seconds until the first content of a stream; it is read to its end."""
        begun = time.perf_counter()
        self.writer.write(data)
        await self.reader.readuntil(b'"content"')
        took = time.perf_counter() - begun
        await self.reader.readuntil(b"0\r\n\r\n")
        return took

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


async def load(port: int, path: str, calls: int, at_once: int, start: int) -> None:
    """``calls`` calls, ``at_once`` at a time."""

    async def one(lane: int) -> None:
        caller = await Caller.to(port)
        for number in range(start + lane, start + calls, at_once):
            await caller.plain(request(path, number))
        caller.close()

    await asyncio.gather(*(one(lane) for lane in range(at_once)))


async def latency_ms(port: int, path: str, calls: int, start: int) -> float:
    """Median of one call after the other, milliseconds."""
    caller = await Caller.to(port)
    times: list[float] = []
    for number in range(start, start + calls):
        data = request(path, number)
        begun = time.perf_counter()
        await caller.plain(data)
        times.append(time.perf_counter() - begun)
    caller.close()
    return 1e3 * statistics.median(times)


async def first_ms(port: int, path: str, calls: int, start: int) -> float:
    """Median time to the first content, one stream after the other, milliseconds."""
    caller = await Caller.to(port)
    times = [
        await caller.first_content(request(path, number, stream=True))
        for number in range(start, start + calls)
    ]
    caller.close()
    return 1e3 * statistics.median(times)


async def check_recorded(port: int, calls: int) -> None:
    """Stop if what was measured did not do its work: each call and each session is on the disk."""
    caller = await Caller.to(port)
    caller.writer.write(b"GET /-/metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    told = dict(
        line.rsplit(" ", 1) for line in (await caller.reader.read()).decode().splitlines() if " " in line
    )
    caller.close()
    kept = int(told["inchworm_gateway_spool_records_total"])
    if kept < calls + calls // CALLS_PER_SESSION or int(told["inchworm_gateway_spool_failed_total"]):
        raise SystemExit(f"{calls} calls left only {kept} records")


def published(base_url: str) -> tuple[PublishedApp, ...]:
    """A rollout of half the traffic; the candidate differs in model, parameters and prompt."""

    def configuration(model: str, temperature: float, system: str) -> Configuration:
        return Configuration.of(
            {
                "infrastructure": {"base_url": base_url, "timeout_s": 30},
                "model": {"name": model},
                "parameters": {"temperature": temperature, "max_tokens": 200},
                "prompt": {"system": system},
            }
        )

    stable = configuration("small-1", 0.2, SYSTEM)
    candidate = configuration("small-2", 0.1, SYSTEM + "Be kind.")
    exposing = Candidate(
        rollout_id=RolloutId("r-1"),
        configuration_id=candidate.id,
        stage=0,
        weight=0.5,
        salt="salt",
        hash_version=1,
    )
    table = ServingTable(app=APP, generation=1, stable=stable.id, candidate=exposing)
    return (PublishedApp(app=APP, table=table, configurations={one.id: one for one in (stable, candidate)}),)


async def control(document: bytes, key: bytes) -> tuple[asyncio.Server, int]:
    """A server that publishes one document."""
    name = version(document)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                line = asked.partition(b"\r\n")[0].decode()
                if name in line:
                    await reader.read()  # there will be no news
                said = witness(key, line.partition("nonce=")[2][:32], name)
                head = f"HTTP/1.1 200 OK\r\n{WITNESS}: {said}\r\ncontent-length: {len(document)}\r\n\r\n"
                writer.write(head.encode() + document)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def answer_streams(port: int) -> None:
    """A provider of streams, in a process of its own: the first content at once, then some more."""
    pieces = [f"data: {EVENT}\n\n".encode() for _ in range(8)] + [b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(asked.lower().partition(b"content-length: ")[2].split()[0]))
                writer.write(head)
                for piece in pieces:
                    writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
                    await asyncio.sleep(0.002)  # as tokens come
                writer.write(b"0\r\n\r\n")

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


async def listening(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(500):
        try:
            (await Caller.to(port)).close()
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")


@contextlib.contextmanager
def nginx(folder: Path, name: str, rest: str) -> Iterator[Proc]:
    """An nginx of our own."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    config = folder / f"{name}.conf"
    config.write_text(NGINX.format(folder=folder, name=name, rest=rest))
    process = Proc(program, "-c", str(config))
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def started(*command: str) -> Iterator[Proc]:
    """A process that is ended in the end."""
    process = Proc(*command)
    try:
        yield process
    finally:
        process.stop()


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures; medians over the rounds, after one to warm up."""
    data = folder / "data"
    data.mkdir()
    master = master_key(data)
    key = derive(master, Purpose.PUBLISHED)
    answers, proxy, streams, gateway = (free_port() for _ in range(4))
    server, asked = await control(Published(apps=published(f"http://127.0.0.1:{answers}/v1")).sign(key), key)
    other = folder / "streams"
    other.mkdir()
    (other / "secret.key").write_bytes(master)
    streaming, asked_too = await control(
        Published(apps=published(f"http://127.0.0.1:{streams}/v1")).sign(key), key
    )
    streamed = free_port()
    figures: dict[str, list[float]] = {}

    async def cpu(name: str, process: Proc, port: int, path: str, start: int) -> None:
        before, begun = process.cpu_s(), time.perf_counter()
        await load(port, path, options.calls, options.at_once, start)
        figures.setdefault(f"{name}_cpu_us", []).append(1e6 * (process.cpu_s() - before) / options.calls)
        figures.setdefault(f"{name}_calls_per_s", []).append(options.calls / (time.perf_counter() - begun))

    async def note(name: str, got: Awaitable[float]) -> None:
        figures.setdefault(name, []).append(await got)

    path = "/v1/chat/completions"
    with contextlib.ExitStack() as stack:
        stack.enter_context(nginx(folder, "answers", ANSWERING.format(port=answers, answer=ANSWER)))
        bare = stack.enter_context(nginx(folder, "proxy", PROXYING.format(port=proxy, to=answers)))
        stack.enter_context(started(sys.executable, __file__, "--answer-streams", str(streams)))
        ours = stack.enter_context(started(*_gateway(data, asked, gateway)))
        stack.enter_context(started(*_gateway(other, asked_too, streamed)))
        for port in (answers, proxy, streams, gateway, streamed):
            await listening(port)
        for number in range(options.rounds + 1):
            start = number * 10 * (options.calls + options.singles)
            await cpu("gateway", ours, gateway, path, start)
            await cpu("nginx", bare, proxy, path, start)
            start += options.calls
            for name, port in (("direct", answers), ("nginx", proxy), ("gateway", gateway)):
                await note(f"{name}_p50_ms", latency_ms(port, path, options.singles, start))
            for name, port in (("direct", streams), ("gateway", streamed)):
                await note(f"{name}_first_content_ms", first_ms(port, path, options.singles, start))
            if number == 0:
                figures.clear()
        await check_recorded(gateway, (options.rounds + 1) * (options.calls + options.singles))
    await asyncio.sleep(0.1)  # those who waited for news hang up
    for one in (server, streaming):
        one.close()
    return {name: round(statistics.median(values), 3) for name, values in figures.items()}


def _gateway(data: Path, control_port: int, port: int) -> tuple[str, ...]:
    return (
        *(sys.executable, "-m", "inchworm.gateway", "--data", str(data)),
        *("--control", f"http://127.0.0.1:{control_port}", "--port", str(port), "--name", "bench"),
    )


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=6_400, help="per round, for CPU time")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--singles", type=int, default=200, help="per round, for latency")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--answer-streams", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer_streams is not None:
        answer_streams(options.answer_streams)
        return
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        raise SystemExit("nginx is the provider here, and what is compared with: apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as folder:
        figures = uvloop.run(measure(options, Path(folder)))
    found = {
        "python": platform.python_version(),
        "granian": granian.__version__,
        "cores": os.cpu_count(),
        "calls_per_round": options.calls,
        "at_once": options.at_once,
        "rounds": options.rounds,
        **figures,
        "added_p50_ms": round(figures["gateway_p50_ms"] - figures["direct_p50_ms"], 3),
        "added_first_content_ms": round(
            figures["gateway_first_content_ms"] - figures["direct_first_content_ms"], 3
        ),
    }
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
