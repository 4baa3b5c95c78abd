"""What is measured, and what it needs around it: processes, providers, a server that publishes."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import uvloop

from gateways.calling import CALLS_PER_SESSION, SYSTEM, Caller
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import RolloutId
from inchworm.domain.published import WITNESS, PublishedApp, version, witness
from inchworm.domain.serving import Candidate, ServingTable

APP = AppRef(app="shop", environment="production")
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
PLAIN = """
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{to}; }} }}"""
"""As it comes: a connection to the provider for each request."""
PROXYING = """
upstream up {{ server 127.0.0.1:{to}; keepalive 64; keepalive_requests 100000000; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1;
proxy_set_header Connection ""; }} }}"""
"""Connections to the provider are kept, as every gateway does that is measured beside it."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Proc:
    """A process and all that it started."""

    def __init__(self, *command: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )

    def cpu_s(self) -> float:
        """CPU time that it and its children have used, seconds."""
        pids, seen = [self.process.pid], 0
        while seen < len(pids):
            for task in Path(f"/proc/{pids[seen]}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
            seen += 1
        return 1e-9 * sum(
            int((task / "schedstat").read_text().split()[0])
            for pid in pids
            for task in Path(f"/proc/{pid}/task").iterdir()
        )

    def rss_mb(self) -> float:
        """Memory that it has resident, MB; not its children's."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


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


def published(base_url: str, *, timeout_s: float = 30) -> tuple[PublishedApp, ...]:
    """A rollout of half the traffic; the candidate differs in model, parameters and prompt."""

    def configuration(model: str, temperature: float, system: str) -> Configuration:
        return Configuration.of(
            {
                "infrastructure": {"base_url": base_url, "timeout_s": timeout_s},
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
        over = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
        with contextlib.suppress(*over):  # the benchmark ends while it waits
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                line = asked.partition(b"\r\n")[0].decode()
                said = witness(key, line.partition("nonce=")[2][:32], name)
                if name in line:  # there will be no news; that it was asked is said in time, as a server does
                    await asyncio.sleep(float(line.partition("wait=")[2].partition("&")[0]))
                    writer.write(f"HTTP/1.1 304 Not Modified\r\n{WITNESS}: {said}\r\n\r\n".encode())
                    continue
                head = f"HTTP/1.1 200 OK\r\n{WITNESS}: {said}\r\ncontent-length: {len(document)}\r\n\r\n"
                writer.write(head.encode() + document)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def answer_streams(port: int, events: int = 8, pause_s: float = 0.002) -> None:
    """A provider of streams, in a process of its own: the first content at once, then some more."""
    pieces = [f"data: {EVENT}\n\n".encode() for _ in range(events)] + [b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(asked.lower().partition(b"content-length: ")[2].split()[0]))
                writer.write(head)
                for piece in pieces:
                    writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
                    await asyncio.sleep(pause_s)  # as tokens come
                writer.write(b"0\r\n\r\n")

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


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
def started(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[Proc]:
    """A process that is ended in the end."""
    process = Proc(*command, environment=environment)
    try:
        yield process
    finally:
        process.stop()


def gateway_command(data: Path, control_port: int, port: int) -> tuple[str, ...]:
    """How a gateway is started."""
    return (
        *(sys.executable, "-m", "inchworm.gateway", "--data", str(data)),
        *("--control", f"http://127.0.0.1:{control_port}", "--port", str(port), "--name", "bench"),
    )
