"""What is lost when parts are killed, and how fast a rollback is: ``python benchmarks/faults.py``.

A real ``inchworm serve`` on free ports, with a rollout in flight, eight callers at once and two exporters of
telemetry, which send a request again until it is acknowledged, as real ones do; a provider of our own that
answers after 30 ms. Three parts: ``kills`` (kill -9 of gateway, server or a process of the drain, at random
moments),
``outage`` (supervisor and server stopped with SIGSTOP), ``rollback`` (from the call of abort until gateway
and client serve stable).
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from inchworm import Client
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import apply
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.planning import make_plan
from inchworm.capture.keyfile import master_key
from inchworm.domain.ids import PlanId, RolloutId, TraceId, UnitId
from inchworm.domain.keys import Purpose, derive
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act

GATEWAY, SERVER, DRAIN = "the gateway", "the server", "the drain"
CALLERS, EXPORTERS = 8, 2
SPANS, TRACES = 3, 8
"""Spans of a trace, and traces of a request."""
EXPORT_S = 0.05
UPSTREAM_S = 0.03
AGAIN_S = 0.02
BETWEEN_S = (2.0, 5.0)
"""Between a part that is back and the next kill: sooner, the server's spare process has not loaded yet."""
YAML = """\
app: faults/production
layers:
  infrastructure: {{base_url: "{base_url}"}}
  model: {{name: tiny}}
  parameters: {{max_tokens: {max_tokens}}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true, margin: 0.2}}
rollout:
  gate: false
  stages: [{{weight: 50%, min_units: 1000000, min_bake: 30d, max_bake: 60d}}]
"""


def provide() -> None:
    """Run the provider: one line with its port, then answers."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        await asyncio.sleep(UPSTREAM_S)
        message = {"role": "assistant", "content": f"You said: {asked['messages'][-1]['content']}"}
        return web.json_response(
            {
                "id": "c-1",
                "object": "chat.completion",
                "created": 1,
                "model": asked["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
            }
        )

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


@dataclass(slots=True)
class Installation:
    """A folder that is served.

    Attributes:
        folder: where.
        process: ``inchworm serve``.
        said: what it said when it was up.
        plan_id: a plan that may be applied again and again.
    """

    folder: Path
    process: subprocess.Popen[str]
    said: dict[str, Any]
    plan_id: PlanId

    def house(self) -> House:
        """The app; without its traces while the server has them."""
        return House(load(self.folder / "inchworm.yaml"), actor="bench")

    def pid_of(self, part: str) -> int | None:
        """The process of a part; ``None`` for a drain that has no process of its own at the moment."""
        if part == DRAIN:
            return newest_child(self.pid_of(SERVER))
        said = (self.folder / "stderr").read_text()
        return int(re.findall(rf"{part} runs as process (\d+)", said)[-1])

    async def fly(self) -> RolloutId:
        """Start a rollout, and wait until it exposes."""
        with self.house() as house:
            (rollout,) = apply(house, self.plan_id)
            for _ in range(3000):
                table = house.control.serving(house.app)
                if table is not None and table.candidate is not None:
                    break
                await asyncio.sleep(AGAIN_S)
        return rollout.id


def newest_child(parent: int | None) -> int | None:
    """The process that another one started last: of the server, one that sanitizes."""
    # A process is a child of the thread that started it.
    said = " ".join(one.read_text() for one in Path(f"/proc/{parent}/task").glob("*/children"))
    workers = [int(pid) for pid in said.split() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return max(workers, default=None)


def install(folder: Path, base_url: str) -> Installation:
    """Declare an app, plan a change, and serve it."""
    file = folder / "inchworm.yaml"
    file.write_text(YAML.format(base_url=base_url, max_tokens=64))
    with House(load(file), actor="bench") as house:
        house.declare_stable()
    file.write_text(YAML.format(base_url=base_url, max_tokens=32))
    with House(load(file), actor="bench") as house:
        plan = make_plan(house, house.spec.configuration)
    command = [
        sys.executable,
        "-m",
        "inchworm.app.cli",
        "serve",
        "--json",
        "--port",
        "0",
        "--gateway-port",
        "0",
    ]
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=stderr, text=True)
    text = ""
    for line in process.stdout or ():
        text += line
        if line == "}\n":
            break
    if not text:
        raise SystemExit((folder / "stderr").read_text())
    return Installation(folder, process, json.loads(text), plan.id)


@dataclass(slots=True)
class Load:
    """Callers that call one after the other.

    Attributes:
        url: where.
        accepted: ids of calls that were answered, and recorded therefore.
        exported: ids of traces whose telemetry was acknowledged.
        failed: what went wrong otherwise, by kind.
        latest: when the last call that was answered had begun.
    """

    url: str
    accepted: list[str] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    latest: float = 0.0
    _number: int = 0

    async def call(self, session: aiohttp.ClientSession, unit: str) -> str | None:
        """One call: the configuration that answered, if one did."""
        self._number += 1
        number, begun = self._number, time.perf_counter()
        body = {"model": "tiny", "messages": [{"role": "user", "content": f"number {number}"}]}
        headers = {"inchworm-unit": unit, "authorization": "Bearer sk-bench"}
        try:
            async with session.post(f"{self.url}/v1/chat/completions", json=body, headers=headers) as answer:
                await answer.read()
                if answer.status != 200:
                    self.failed[f"status {answer.status}"] += 1
                    return None
                self.accepted.append(answer.headers["inchworm-trace"])
                self.latest = max(self.latest, begun)
                return answer.headers.get("inchworm-configuration")
        except aiohttp.ClientError as error:
            self.failed[type(error).__name__] += 1
            await asyncio.sleep(AGAIN_S)
            return None

    async def export(self, session: aiohttp.ClientSession) -> None:
        """Send some traces until they are acknowledged: what was not may be stored all the same."""
        ids = [os.urandom(16).hex() for _ in range(TRACES)]
        body = telemetry(ids)
        while True:
            with suppress(aiohttp.ClientError):
                async with session.post(f"{self.url}/v1/traces", json=body) as answer:
                    await answer.read()
                    if answer.status == 200:
                        self.exported += ids
                        return
                    self.failed[f"telemetry: status {answer.status}"] += 1
            await asyncio.sleep(AGAIN_S)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Keep calling for the length of the block."""
        stop = asyncio.Event()

        async def caller(session: aiohttp.ClientSession, name: int) -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                await self.call(session, f"s-{name}-{turn // 3}")

        async def exporter(session: aiohttp.ClientSession) -> None:
            while not stop.is_set():
                await self.export(session)
                await asyncio.sleep(EXPORT_S)

        async with aiohttp.ClientSession() as session:
            callers = [asyncio.create_task(caller(session, name)) for name in range(CALLERS)]
            callers += [asyncio.create_task(exporter(session)) for _ in range(EXPORTERS)]
            try:
                yield session
            finally:
                stop.set()
                await asyncio.gather(*callers)


def telemetry(ids: list[str]) -> dict[str, Any]:
    """An OTLP request in JSON: an agent's turn, a search and a call of a model in each trace."""
    at = time.time_ns()

    def span(trace: str, number: int, **said: str) -> dict[str, Any]:
        return {
            "traceId": trace,
            "spanId": f"{number + 1:016x}",
            **({"parentSpanId": f"{1:016x}"} if number else {}),
            "name": "step",
            "startTimeUnixNano": str(at + number),
            "endTimeUnixNano": str(at + 1000 + number),
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
        }

    kinds = ({"openinference.span.kind": kind} for kind in ("AGENT", "RETRIEVER", "LLM"))
    steps = [{**kind, "input.value": "What about my order?", "output.value": "It comes."} for kind in kinds]
    spans = [span(trace, number, **said) for trace in ids for number, said in enumerate(steps[:SPANS])]
    return {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


async def answered_since(load: Load, moment: float) -> float:
    """Seconds from a moment until a call that began after it was answered."""
    while True:
        if load.latest >= moment:
            return time.perf_counter() - moment
        await asyncio.sleep(0.002)


async def server_answers(url: str, moment: float) -> float:
    """Seconds from a moment until the server answers a question."""
    async with aiohttp.ClientSession() as session:
        while True:
            with suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/health") as answer:
                    if answer.status == 200:
                        return time.perf_counter() - moment
            await asyncio.sleep(0.01)


async def kills(made: Installation, load: Load, count: int, seed: int) -> dict[str, Any]:
    """Kill parts at random moments under load."""
    rng = random.Random(seed)
    back: dict[str, list[float]] = {GATEWAY: [], SERVER: []}
    drains = 0
    url = made.said["url"]
    async with load.running():
        for number in range(count):
            await asyncio.sleep(rng.uniform(*BETWEEN_S))
            part = rng.choice([GATEWAY, SERVER, DRAIN])
            pid = made.pid_of(part)
            if pid is None:  # the drain has no process of its own just now: then the one that it runs in
                part = SERVER
                pid = made.pid_of(part)
            moment = time.perf_counter()
            if pid is None:
                raise SystemExit(f"{part} does not run")
            os.kill(pid, signal.SIGKILL)
            if part == DRAIN:
                drains += 1
                print(f"  {number + 1}/{count} {part}", file=sys.stderr)
                continue
            is_back = answered_since(load, moment) if part == GATEWAY else server_answers(url, moment)
            back[part].append(await is_back)
            print(f"  {number + 1}/{count} {part} back after {back[part][-1]:.2f} s", file=sys.stderr)
    return {
        "kills": count,
        "of_them_of_a_process_of_the_drain": drains,
        **{
            f"{name}_back_{what}_s": figure(back[part])
            for name, part in (("gateway", GATEWAY), ("server", SERVER))
            for what, figure in (("median", statistics.median), ("max", max))
        },
        "calls_refused_meanwhile": dict(load.failed),
    }


async def outage(made: Installation, load: Load, seconds: float) -> dict[str, Any]:
    """Stop the control plane for a while under load."""
    before, failed_before = len(load.accepted), load.failed.copy()
    server = made.pid_of(SERVER)
    if server is None:
        raise SystemExit("the server does not run")
    async with load.running():
        # The supervisor first: it would take a server that is silent for one that hangs.
        for pid in (made.process.pid, server):
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for pid in (made.process.pid, server):
                os.kill(pid, signal.SIGCONT)
        waited = await server_answers(made.said["url"], time.perf_counter())
        errors = load.failed - failed_before
    return {
        "seconds": seconds,
        "calls": len(load.accepted) - before,
        "gateway_errors": errors.total(),
        "server_back_s": waited,
    }


async def rollback(made: Installation, load: Load, rounds: int, *, in_flight: RolloutId) -> dict[str, Any]:
    """From abort until gateway and client serve stable."""
    gateway: list[float] = []
    client: list[float] = []
    commit: list[float] = []
    with made.house() as house, closing(Client(made.said["gateway_url"], app="faults")) as connection:
        stable = house.lineage().stable
        rollout_id = in_flight
        async with load.running() as session:
            for number in range(rounds):
                unit = await _candidate_unit(load, session, connection, stable, number)
                moment = time.perf_counter()
                act(house.control, rollout_id, Act.ABORT, actor="bench", reason="", now=time.time())
                commit.append(time.perf_counter() - moment)
                at_gateway, at_client = await asyncio.gather(
                    _gateway_stable(load, session, unit, stable, moment),
                    _client_stable(connection, unit, stable, moment),
                )
                gateway.append(at_gateway)
                client.append(at_client)
                print(
                    f"  {number + 1}/{rounds} gateway {at_gateway:.3f} s, client {at_client:.3f} s",
                    file=sys.stderr,
                )
                if number + 1 < rounds:
                    rollout_id = await made.fly()
    return {
        "rounds": rounds,
        "commit_median_s": statistics.median(commit),
        "gateway_median_s": statistics.median(gateway),
        "gateway_max_s": max(gateway),
        "client_median_s": statistics.median(client),
        "client_max_s": max(client),
    }


async def _candidate_unit(
    load: Load, session: aiohttp.ClientSession, connection: Client, stable: str, number: int
) -> str:
    """A unit that both the gateway and the client give the candidate."""
    for turn in range(10_000):
        unit = f"u-{number}-{turn}"
        at_gateway = await load.call(session, unit)
        at_client = connection.resolve(unit=unit).configuration_id
        if at_gateway not in {None, stable} and at_client not in {None, stable}:
            return unit
        await asyncio.sleep(AGAIN_S)
    raise SystemExit("no unit got the candidate")


async def _gateway_stable(
    load: Load, session: aiohttp.ClientSession, unit: str, stable: str, moment: float
) -> float:
    """Seconds until a call that begins then is answered by stable."""
    while True:
        begun = time.perf_counter()
        if await load.call(session, unit) == stable:
            return begun - moment


async def _client_stable(connection: Client, unit: str, stable: str, moment: float) -> float:
    while True:
        if connection.resolve(unit=unit).configuration_id == stable:
            return time.perf_counter() - moment
        await asyncio.sleep(0.002)


def reckon(made: Installation, load: Load) -> dict[str, Any]:
    """Stop in order, drain what is sealed still, and compare what was acknowledged with what is stored.

    The server drains for half a minute when it stops. What is left then stays in the spool for the next
    start, and that drain is run here.
    """
    begun = time.perf_counter()
    made.process.send_signal(signal.SIGTERM)
    code = made.process.wait()
    stopped = time.perf_counter() - begun
    with made.house() as house:
        left, drained_s = drain(house)
        traces = [trace for batch in house.traces.iterate(house.app) for trace in batch]
        ids = Counter(trace.id for trace in traces)
        said = Counter(
            re.sub(r".*number ", "", trace.output)
            for trace in traces
            if trace.output is not None and "number" in trace.output
        )
        units: dict[RolloutId, set[UnitId]] = {}
        for trace in traces:
            if trace.assignment is not None:
                units.setdefault(trace.assignment.rollout_id, set()).add(trace.unit_id)
        unexposed = sum(len(one - set(house.traces.assignments(id_, one))) for id_, one in units.items())
        changed = sum(house.traces.changed_arms(id_) for id_ in units)
        spans = Counter(_spans(house, load.exported))
    return {
        "exit_code": code,
        "stop_s": stopped,
        "records_sealed_at_the_stop": left,
        "drained_after_it_s": drained_s,
        "acknowledged": len(load.accepted),
        "stored": len(traces),
        "lost": len(set(load.accepted) - set(ids)),
        "duplicated": sum(n - 1 for n in said.values()) + sum(n - 1 for n in ids.values()),
        "telemetry_traces_acknowledged": len(load.exported),
        "telemetry_traces_lost": len(set(load.exported) - set(ids)),
        "telemetry_spans_acknowledged": SPANS * len(load.exported),
        "telemetry_spans_stored_of_them": len(spans),
        "telemetry_spans_stored_twice": spans.total() - len(spans),
        "units_without_exposure": unexposed,
        "units_in_both_arms": changed,
    }


def _spans(house: House, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Trace and span of every span that is stored of some traces."""
    for some in batched(ids, 500):
        for id_, spans in house.traces.spans(house.app, [TraceId(id_) for id_ in some]).items():
            yield from ((id_, span.id) for span in spans)


def batched(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The ids, so many at a time."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def drain(house: House) -> tuple[int, float]:
    """Drain what lies in the spool; how many records there were, and in how many seconds."""
    begun, left = time.perf_counter(), 0
    with closing(Draining(house, derive(master_key(house.spec.data), Purpose.SPOOL))) as draining:
        while not (drained := draining.round()).idle:
            left += drained.records
    return left, time.perf_counter() - begun


async def measure(options: argparse.Namespace, folder: Path, base_url: str) -> dict[str, Any]:
    """All parts that were asked for, on one installation."""
    made = install(folder, base_url)
    found: dict[str, Any] = {}
    try:
        load = Load(made.said["gateway_url"])
        rollout_id = await made.fly()
        if options.kills:
            found["kills"] = await kills(made, load, options.kills, options.seed)
        if options.outage:
            found["outage"] = await outage(made, load, options.outage)
        if options.rounds:
            found["rollback"] = await rollback(made, load, options.rounds, in_flight=rollout_id)
        found["reckoning"] = reckon(made, load)
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()
    return found


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provide", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--outage", type=float, default=0.0, help="seconds; 300 for the figure in the docs")
    parser.add_argument("--rounds", type=int, default=20, help="rollbacks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.provide:
        provide()
        return
    provider = subprocess.Popen([sys.executable, __file__, "--provide"], stdout=subprocess.PIPE, text=True)
    try:
        port = int((provider.stdout or sys.stdin).readline())
        with tempfile.TemporaryDirectory() as folder:
            found = {
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "callers": CALLERS,
                **asyncio.run(measure(options, Path(folder), f"http://127.0.0.1:{port}/v1")),
            }
    finally:
        provider.terminate()
        provider.wait()
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
