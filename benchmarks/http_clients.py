"""What the HTTP client costs a gateway that does nothing but forward: ``python benchmarks/http_clients.py``.

CPU time per call of a granian process that sends each request on with our own client, with pyreqwest or with
aiohttp, to nginx.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import uvloop
from gateways.calling import listening, load
from gateways.starting import ANSWER, ANSWERING, free_port, nginx, started
from granian.server.embed import Server
from pyreqwest.client import ClientBuilder

from inchworm.gateway.rsgi import Exchange, Scope
from inchworm.gateway.upstream import Client, Target, request_bytes

HEADERS = [("content-type", "application/json"), ("authorization", "Bearer sk-0123456789"), ("accept", "*/*")]
PATH = "/v1/chat/completions"
Forward = Callable[[bytes], Awaitable[tuple[int, bytes]]]


def own(port: int) -> Forward:
    """The gateway's client."""
    client, target = Client(), Target.of(f"http://127.0.0.1:{port}")
    now = asyncio.get_running_loop().time

    async def forward(body: bytes) -> tuple[int, bytes]:
        head = request_bytes("POST", target.origin, PATH, HEADERS, body)
        answer = await client.send(target.origin, head, body, deadline=now() + 600)
        pieces = []
        while piece := await answer.piece():
            pieces.append(piece)
        return answer.head.status, b"".join(pieces)

    return forward


def with_pyreqwest(port: int) -> Forward:
    """Pyreqwest, with its defaults."""
    client = ClientBuilder().build()

    async def forward(body: bytes) -> tuple[int, bytes]:
        got = (
            await client.post(f"http://127.0.0.1:{port}{PATH}")
            .headers(HEADERS)
            .body_bytes(body)
            .build()
            .send()
        )
        return got.status, bytes(await got.bytes())

    return forward


def with_aiohttp(port: int) -> Forward:
    """Aiohttp, without a limit on connections."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def forward(body: bytes) -> tuple[int, bytes]:
        async with session.post(f"http://127.0.0.1:{port}{PATH}", headers=HEADERS, data=body) as got:
            return got.status, await got.read()

    return forward


CLIENTS: dict[str, Callable[[int], Forward]] = {
    "own": own,
    "pyreqwest": with_pyreqwest,
    "aiohttp": with_aiohttp,
}


async def serve(name: str, to: int, port: int) -> None:
    """A gateway that does nothing but forward."""
    forward = CLIENTS[name](to)

    async def handle(scope: Scope, proto: Exchange) -> None:
        del scope
        status, body = await forward(await proto())
        proto.response_bytes(status, [("content-type", "application/json")], body)

    await Server(handle, port=port, backpressure=1024, log_enabled=False, websockets=False).serve()


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Medians, microseconds of CPU time per call."""
    answers = free_port()
    figures: dict[str, list[float]] = {name: [] for name in CLIENTS}
    with contextlib.ExitStack() as stack:
        stack.enter_context(nginx(folder, "answers", ANSWERING.format(port=answers, answer=ANSWER)))
        await listening(answers)
        running = {}
        for name in CLIENTS:
            port = free_port()
            command = (sys.executable, __file__, "--serve", name, str(answers), str(port))
            running[name] = port, stack.enter_context(started(*command))
            await listening(port)
        for number in range(options.rounds + 1):
            for name, (port, process) in running.items():
                before = process.cpu_s()
                await load(port, PATH, options.calls, 32, 0)
                if number:  # the first one warms up
                    figures[name].append(1e6 * (process.cpu_s() - before) / options.calls)
    return {f"{name}_cpu_us": round(statistics.median(values), 1) for name, values in figures.items()}


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=6_400, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        name, to, port = options.serve
        uvloop.run(serve(name, int(to), int(port)))
        return
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(uvloop.run(measure(options, Path(folder))), indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
