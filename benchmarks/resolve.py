"""What one answer to "which configuration does this session get?" costs, in process and beside others.

``make bench NAME=resolve``. Ours is the client library as programs use it: a real connection to a gateway (a
small one in another process, which serves one document and swallows records), a rollout at 50 %, exposures
shipped. The others draw the same split from the same units, without any network: GrowthBook's SDK with its
features handed in, OpenFeature's SDK with flagd's provider on a file, and OpenFeature's SDK with our own
provider. They are installed into an environment that is made for it and removed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import inchworm
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.published import Published, PublishedApp, version
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import Candidate, ServingTable

SRC = Path(inchworm.__file__).resolve().parents[1]
UNITS, ROUNDS = 20_000, 9
PACKAGES = ("growthbook==4.0.0", "openfeature-sdk==0.10.0", "openfeature-provider-flagd==0.6.1", "xxhash>=3")
NAME = "shop/production"

MEASURE = """
import json, statistics, sys, time
UNITS, ROUNDS = %d, %d

def measured(ask):
    units = [f"session-{n}" for n in range(UNITS)]
    for unit in units[:500]:
        ask(unit)
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for unit in units:
            ask(unit)
        found.append((time.perf_counter_ns() - began) / UNITS)
    return statistics.median(found)
"""
GROWTHBOOK = """
from growthbook import GrowthBook

FEATURES = {"configuration": {"defaultValue": "a", "rules": [{
    "variations": ["a", "b"], "coverage": 1.0, "weights": [0.5, 0.5], "hashAttribute": "id", "key": "rollout",
    "hashVersion": 2}]}}
book = GrowthBook(features=FEATURES, attributes={"id": "x"})
seen = set()

def ask(unit):
    book.set_attributes({"id": unit})
    seen.add(book.get_feature_value("configuration", "a"))

taken = measured(ask)
assert seen == {"a", "b"}, seen
print(json.dumps(taken))
"""
FLAGD = """
import tempfile
from pathlib import Path
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType

FLAGS = {"flags": {"configuration": {"state": "ENABLED", "variants": {"a": "a", "b": "b"},
    "defaultVariant": "a", "targeting": {"fractional": [{"var": "targetingKey"}, ["a", 50], ["b", 50]]}}}}
path = Path(tempfile.mkdtemp()) / "flags.json"
path.write_text(json.dumps(FLAGS))
api.set_provider_and_wait(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path)))
client, seen = api.get_client(), set()

def ask(unit):
    seen.add(client.get_string_value("configuration", "none", EvaluationContext(targeting_key=unit)))

taken = measured(ask)
assert seen == {"a", "b"}, seen
print(json.dumps(taken))
api.shutdown()
"""
OURS_BEHIND_OPENFEATURE = """
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from inchworm.openfeature import InchwormProvider

api.set_provider_and_wait(InchwormProvider(url=sys.argv[1]))
client, seen = api.get_client(), set()

def ask(unit):
    details = client.get_string_details("shop.model.name", "none", EvaluationContext(targeting_key=unit))
    seen.add(details.value)

taken = measured(ask)
assert seen == {"small", "large"}, seen
print(json.dumps(taken))
api.shutdown()
"""


def document() -> bytes:
    """What is served: a rollout of another model at 50 %."""
    stable = Configuration.of({"model": {"name": "small"}, "parameters": {"temperature": 0.2}})
    candidate = Configuration.of({"model": {"name": "large"}, "parameters": {"temperature": 0.2}})
    table = ServingTable(
        app=AppRef.parse(NAME),
        generation=1,
        stable=stable.id,
        candidate=Candidate(
            rollout_id=RolloutId("r-1"),
            configuration_id=candidate.id,
            stage=0,
            weight=0.5,
            salt="s",
            hash_version=1,
        ),
    )
    configurations = {ConfigurationId(one.id): one for one in (stable, candidate)}
    app = PublishedApp(
        app=table.app, unit=UnitKind.SESSION, table=table, configurations=configurations, infrastructure={}
    )
    return Published(apps=(app,)).sign(b"k" * 32)


class Gateway(BaseHTTPRequestHandler):
    """Serves the document, keeps questions for news open, and takes records."""

    protocol_version = "HTTP/1.1"
    document = b""

    def do_GET(self) -> None:
        """Say what is served, or wait for news that never come."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if asked.get("holds") == version(self.document):
            time.sleep(float(asked.get("wait", 0)))
            self._answer(304, b"")
        else:
            self._answer(200, self.document)

    def do_POST(self) -> None:
        """Take records, and throw them away."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, json.dumps({"accepted": body.count(b"\n")}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", f'"{version(self.document)}"')
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # whoever asked has ended meanwhile
            self.wfile.write(body)


def serve() -> None:
    """Be the gateway until whoever started this process ends it."""
    Gateway.document = document()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def gateway() -> Iterator[str]:
    """The address of a gateway in a process of its own."""
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        _hold(child.stdout is not None, "the gateway says nothing")
        port = child.stdout.readline() if child.stdout is not None else ""
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        child.terminate()
        child.wait()


def _hold(true: bool, otherwise: str) -> None:  # noqa: FBT001  # reads like an assertion
    """End with a sentence if what is measured is not what it is said to be."""
    if not true:
        raise SystemExit(otherwise)


def _per_unit(ask: Callable[[str], object], units: list[str]) -> dict[str, float]:
    began, cpu = time.perf_counter_ns(), time.process_time_ns()
    for unit in units:
        ask(unit)
    return {
        "wall": (time.perf_counter_ns() - began) / len(units),
        "cpu": (time.process_time_ns() - cpu) / len(units),
    }


def ours(url: str) -> dict[str, float]:
    """Nanoseconds per answer of ``Client.resolve``, medians over rounds."""
    client = inchworm.Client(url, app=NAME)
    known = [f"session-{number}" for number in range(UNITS)]
    _hold(client.resolve(NAME, known[0]).known, "nothing is served")
    first: list[float] = []
    for number in range(ROUNDS):
        fresh = [f"{number}-{unit}" for unit in known[:5_000]]
        first.append(_per_unit(lambda unit: client.resolve(NAME, unit), fresh)["cpu"])
        client.flush()
    for unit in known:
        client.resolve(NAME, unit)
    client.flush()
    again = [_per_unit(lambda unit: client.resolve(NAME, unit), known)["wall"] for _ in range(ROUNDS)]
    arms = {client.resolve(NAME, unit).arm for unit in known[:1000]}
    _hold(len(arms) == 2, f"only {arms} was drawn")
    counted = client.counts()
    _hold(not counted.dropped, f"records were dropped: {counted}")
    client.close()
    return {
        "resolve, known unit": statistics.median(again),
        "resolve, first time, exposure recorded and shipped (CPU)": statistics.median(first),
    }


def import_ms() -> dict[str, float]:
    """Milliseconds that importing adds to an interpreter's start, medians of 15."""

    def start(code: str) -> float:
        took = []
        for _ in range(15):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            took.append(1e3 * (time.perf_counter() - began))
        return statistics.median(took)

    nothing = start("pass")
    return {
        "import inchworm, ms": start("import inchworm") - nothing,
        "import and resolve loaded, ms": start("import inchworm; inchworm.resolve") - nothing,
    }


def others(url: str) -> dict[str, float | str]:
    """Nanoseconds per answer of other libraries, or why one could not be asked."""
    found: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", *PACKAGES]
        try:
            subprocess.run(install, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            return {"not installed": type(error).__name__}
        for name, code in (
            ("GrowthBook", GROWTHBOOK),
            ("OpenFeature + flagd, file", FLAGD),
            ("OpenFeature + Inchworm", OURS_BEHIND_OPENFEATURE),
        ):
            done = subprocess.run(
                [python, "-c", MEASURE % (UNITS, ROUNDS) + code, url],
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
                env={**os.environ, "PYTHONPATH": str(SRC)},
            )
            found[name] = (
                float(done.stdout.splitlines()[-1]) if done.returncode == 0 else done.stderr.strip()[-300:]
            )
    return found


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--serve", action="store_true", help="be the gateway (used by this script itself)")
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    figures: dict[str, Any] = {"python": platform.python_version(), "cores": os.cpu_count(), "units": UNITS}
    with gateway() as url:
        figures["ours, ns"] = ours(url)
        figures["others, ns"] = others(url)
    figures["import"] = import_ms()
    for part in ("ours, ns", "others, ns", "import"):
        for name, value in figures[part].items():
            print(f"{name:60s} {value if isinstance(value, str) else round(value, 1)}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
