"""What a call through the gateway costs: ``python benchmarks/gateway.py --json gateway.json``.

Everything is on: a rollout in flight, parameters and prompt applied, assignment, exposures, and a sealed
record of each call, fsynced before its answer. nginx is the provider, and as a bare proxy what is compared
with in the same rounds (Debian: ``apt-get install nginx-light``): once keeping its connections to the
provider, as gateways do, and once as it comes, with a connection for each request.

Parts (``--parts``): ``costs`` CPU and latency; ``peers`` the same requests through LiteLLM and Portkey
too, each installed into an environment of its own in the cache folder; ``streams`` many streams for a minute;
``memory`` what it holds after many requests.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import granian
import uvloop
from gateways.calling import first_ms, latency_ms, listening, load
from gateways.lasting import PAUSE_S, SETTLED, flow, growth
from gateways.peers import PEERS, AbsentError, Peer
from gateways.starting import (
    ANSWER,
    ANSWERING,
    PLAIN,
    PROXYING,
    Proc,
    answer_streams,
    check_recorded,
    control,
    free_port,
    gateway_command,
    nginx,
    published,
    started,
)

from inchworm.capture.keyfile import master_key
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import Published

PATH = "/v1/chat/completions"
PARTS = ("costs", "peers", "streams", "memory")


class Bench:
    """One run: a folder, and all that is started in it.

    Args:
        options: of the command line.
        folder: for data.
        stack: ends what was started.
    """

    def __init__(self, options: argparse.Namespace, folder: Path, stack: contextlib.AsyncExitStack) -> None:
        self.options, self.folder, self.stack = options, folder, stack
        self.answers = free_port()
        self._servers: list[asyncio.Server] = []

    async def begin(self) -> None:
        """Start the provider of JSON answers."""
        self.stack.enter_context(
            nginx(self.folder, "answers", ANSWERING.format(port=self.answers, answer=ANSWER))
        )
        await listening(self.answers)

    async def gateway(self, name: str, provider: int, *, timeout_s: float = 30) -> tuple[Proc, int]:
        """A gateway of ours before a provider: its process and its port."""
        data = self.folder / name
        data.mkdir()
        key = derive(master_key(data), Purpose.PUBLISHED)
        apps = published(f"http://127.0.0.1:{provider}/v1", timeout_s=timeout_s)
        server, asked = await control(Published(apps=apps).sign(key), key)
        self._servers.append(server)
        port = free_port()
        process = self.stack.enter_context(started(*gateway_command(data, asked, port)))
        await listening(port)
        return process, port

    async def proxy(self, name: str, config: str) -> tuple[Proc, int]:
        """An nginx before the provider."""
        port = free_port()
        process = self.stack.enter_context(
            nginx(self.folder, name, config.format(port=port, to=self.answers))
        )
        await listening(port)
        return process, port

    async def streaming(self, events: int, pause_s: float) -> int:
        """A provider of streams; its port."""
        port = free_port()
        told = f"{port},{events},{pause_s}"
        self.stack.enter_context(started(sys.executable, __file__, "--answer-streams", told))
        await listening(port)
        return port

    def end(self) -> None:
        """Publish no more."""
        for one in self._servers:
            one.close()

    async def cpu_us(
        self, process: Proc, port: int, calls: int, start: int, **more: Any
    ) -> tuple[float, float]:
        """CPU time per call, microseconds; and calls per second."""
        before, begun = process.cpu_s(), time.perf_counter()
        await load(port, PATH, calls, self.options.at_once, start, **more)
        return 1e6 * (process.cpu_s() - before) / calls, calls / (time.perf_counter() - begun)


async def costs(bench: Bench) -> dict[str, Any]:
    """CPU and latency, beside nginx and beside peers; medians over the rounds, after one to warm up."""
    options = bench.options
    figures: dict[str, list[float]] = {}
    ours, gateway = await bench.gateway("data", bench.answers)
    streams = await bench.streaming(8, 0.002)
    _, streamed = await bench.gateway("streams", streams)
    proxies = {
        "nginx": await bench.proxy("proxy", PROXYING),
        "nginx_default": await bench.proxy("plain", PLAIN),
    }
    peers, absent = await _peers(bench) if "peers" in options.parts else ([], {})

    async def cpu(name: str, process: Proc, port: int, calls: int, start: int, **more: Any) -> None:
        used, rate = await bench.cpu_us(process, port, calls, start, **more)
        figures.setdefault(f"{name}_cpu_us", []).append(used)
        figures.setdefault(f"{name}_calls_per_s", []).append(rate)

    async def note(name: str, got: Awaitable[float]) -> None:
        figures.setdefault(name, []).append(await got)

    for number in range(options.rounds + 1):
        start = number * 10 * (options.calls + options.singles)
        await cpu("gateway", ours, gateway, options.calls, start)
        for name, (process, port) in proxies.items():
            await cpu(name, process, port, options.calls, start)
        for peer in peers:
            calls = max(options.at_once, options.calls // 20)
            await cpu(peer.name, peer.process, peer.port, calls, start, headers=peer.headers)
        start += options.calls
        for name, port in (("direct", bench.answers), ("nginx", proxies["nginx"][1]), ("gateway", gateway)):
            await note(f"{name}_p50_ms", latency_ms(port, PATH, options.singles, start))
        for name, port in (("direct", streams), ("gateway", streamed)):
            await note(f"{name}_first_content_ms", first_ms(port, PATH, options.singles, start))
        if number == 0:
            figures.clear()
    await check_recorded(gateway, (options.rounds + 1) * (options.calls + options.singles))
    found = {name: round(statistics.median(values), 3) for name, values in figures.items()}
    ratios = {
        f"gateway_of_{name}": round(found["gateway_cpu_us"] / found[f"{name}_cpu_us"], 2) for name in proxies
    } | {
        f"{one.name}_of_gateway": round(found[f"{one.name}_cpu_us"] / found["gateway_cpu_us"], 1)
        for one in peers
    }
    return {
        **found,
        **ratios,
        **{f"{one.name}_version": one.version for one in peers},
        **{f"{name}_absent": why for name, why in absent.items()},
        "added_p50_ms": round(found["gateway_p50_ms"] - found["direct_p50_ms"], 3),
        "added_first_content_ms": round(
            found["gateway_first_content_ms"] - found["direct_first_content_ms"], 3
        ),
    }


async def _peers(bench: Bench) -> tuple[list[Peer], dict[str, str]]:
    """Those that could be started, and why the others could not."""
    found: list[Peer] = []
    absent: dict[str, str] = {}
    for name, start in PEERS.items():
        port = free_port()
        try:
            peer = bench.stack.enter_context(start(bench.folder, port, bench.answers))
            await listening(port, patience_s=peer.patience_s)
            await load(port, PATH, 8, 4, 0, headers=peer.headers)
        except (AbsentError, OSError, SystemExit) as error:
            absent[name] = str(error)[:300]
        else:
            found.append(peer)
    return found, absent


async def streams(bench: Bench) -> dict[str, Any]:
    """Many streams at once for a while: whether one stalls, and what memory they take."""
    options = bench.options
    provider = await bench.streaming(int(options.seconds / PAUSE_S), PAUSE_S)
    process, port = await bench.gateway("lasting", provider, timeout_s=4 * options.seconds + 60)
    direct = await flow(provider, options.streams, None)
    through = await flow(port, options.streams, process)
    tenth = through.rss_mb[min(10, len(through.rss_mb) - 1)]
    return {
        "streams": options.streams,
        "streams_seconds": options.seconds,
        **direct.figures("streams_direct"),
        **through.figures("streams_gateway"),
        "streams_rss_after_10_s_mb": round(tenth, 1),
        "streams_rss_at_the_end_mb": round(through.rss_mb[-1], 1),
    }


async def memory(bench: Bench) -> dict[str, Any]:
    """What a gateway holds after many requests."""
    process, port = await bench.gateway("memory", bench.answers)
    return await growth(port, process, bench.options.requests, bench.options.at_once)


async def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The parts that were asked for."""
    found: dict[str, Any] = {}
    chosen = [costs] if {"costs", "peers"} & set(options.parts) else []
    chosen += [part for part in (streams, memory) if part.__name__ in options.parts]
    for part in chosen:
        place = folder / part.__name__
        place.mkdir()
        async with contextlib.AsyncExitStack() as stack:
            bench = Bench(options, place, stack)
            await bench.begin()
            found |= await part(bench)
            bench.end()
    return found


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="costs", help=f"some of {','.join(PARTS)}; or all")
    parser.add_argument("--calls", type=int, default=6_400, help="per round, for CPU time; peers: a 20th")
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--singles", type=int, default=200, help="per round, for latency")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streams", type=int, default=500, help="at once")
    parser.add_argument("--seconds", type=float, default=60.0, help="that they last")
    parser.add_argument("--requests", type=int, default=200_000, help="for memory")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--answer-streams", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer_streams is not None:
        port, events, pause_s = options.answer_streams.split(",")
        answer_streams(int(port), int(events), float(pause_s))
        return
    options.parts = PARTS if options.parts == "all" else tuple(options.parts.split(","))
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if options.requests <= SETTLED:
        parser.error(f"memory needs more than {SETTLED} requests")
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        raise SystemExit("nginx is the provider here, and what is compared with: apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as folder:
        figures = uvloop.run(measure(options, Path(folder)))
    found = {
        "python": platform.python_version(),
        "granian": granian.__version__,
        "cores": os.cpu_count(),
        "parts": list(options.parts),
        "calls_per_round": options.calls,
        "at_once": options.at_once,
        "rounds": options.rounds,
        **figures,
    }
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
