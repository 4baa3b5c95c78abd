"""A running ``inchworm serve`` with a rollout in flight, and programs of others that are pointed at it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import pytest
from click.testing import CliRunner
from tests.clients.provider import Provider
from tests.integration.serve.running import Served

from inchworm.app.cli import main
from inchworm.app.house import House
from inchworm.app.serve.declared import declared
from inchworm.domain.ids import TraceId
from inchworm.domain.span import Span

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venv" / "clients" / "bin" / "python"
NODE_READY = HERE / "node" / "node_modules" / ".ready"
T = TypeVar("T")
APP = "shop"
SECONDS = 60
PATIENCE_S = 20.0
TEMPERATURES = {"baseline": 0.4, "candidate": 0.3}
"""What the layers put into every request that knows a temperature, by arm."""
_YAML = """\
app: {app}/production
unit: session
layers:
  infrastructure: {{upstream: any, base_url: "{provider}/v1", price: {{input: 1.0, output: 2.0}}}}
  model:
    name: gpt-4o-mini
    calls: {{claude: {{name: claude-haiku-4-5}}, vectors: {{name: text-embedding-3-small}}}}
  parameters: {{temperature: {temperature}}}
  prompt: {{calls: {{letter: {{system: Be brief., user: "Question: {{question}}"}}}}}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true}}
  helpful: {{feedback: true, signal: true}}
  tone: {{feedback: true, signal: true, values: {{friendly: 1, rude: 0}}}}
rollout:
  gate: false
  stages: [{{weight: 50%, min_bake: 1d}}]
"""
PRICE = {"input": 1.0e-6, "output": 2.0e-6}
"""US dollars per token, as the file says."""


def declare(folder: Path, provider: Provider) -> None:
    """Something stable, and a change of the temperature that half of the sessions get."""
    file = folder / "inchworm.yaml"

    def say(arm: str) -> None:
        text = _YAML.format(app=APP, provider=provider.url, temperature=TEMPERATURES[arm])
        file.write_text(text, "utf-8")

    say("baseline")
    inchworm(folder, "adopt")
    say("candidate")
    plan = inchworm(folder, "plan")["plan"]["id"]
    inchworm(folder, "apply", plan, "--undecided-because", "a test")


def inchworm(folder: Path, *words: str) -> dict[str, Any]:
    """Call the command in this process; what it prints."""
    file = folder / "inchworm.yaml"
    ended = CliRunner().invoke(main, ["-f", str(file), "--actor", "ana", *words, "--json"])
    assert ended.exit_code == 0, ended.output
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


@dataclass(frozen=True, eq=False)
class World:
    """A server, the provider that it forwards to, and programs that use it.

    Attributes:
        served: the server.
        provider: the provider.
        key: a key with scope ``ingest``, as a program has it.
        viewer: a key with scope ``viewer``, as one that reads data sets has it.
    """

    served: Served
    provider: Provider
    key: str
    viewer: str

    @property
    def gateway(self) -> str:
        """Where programs are pointed at."""
        return str(self.served.said["gateway_url"])

    @property
    def pointed(self) -> dict[str, str]:
        """The variables by which people point their programs at a gateway: nothing else is set for a test."""
        return {
            "OPENAI_BASE_URL": f"{self.gateway}/v1",
            "OPENAI_API_KEY": "sk-of-the-provider",
            "ANTHROPIC_BASE_URL": self.gateway,
            "ANTHROPIC_API_KEY": "sk-ant-of-the-provider",
            "LANGFUSE_BASE_URL": self.gateway,
            "LANGFUSE_BASEURL": self.gateway,
            "LANGFUSE_PUBLIC_KEY": "pk-any",
            "LANGFUSE_SECRET_KEY": self.key,
            "LANGSMITH_ENDPOINT": self.gateway,
            "LANGSMITH_API_KEY": self.key,
            "LANGSMITH_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.gateway,
            "OFREP_ENDPOINT": self.gateway,
        }

    @property
    def environment(self) -> dict[str, str]:
        """Of a program: nothing of this machine's but where programs are; no proxies, no keys."""
        return {"PATH": os.environ["PATH"], **self.pointed}

    def python(self, name: str, *arguments: str, **environment: str) -> dict[str, Any]:
        """Run a program in Python; what it printed."""
        if not PYTHON.exists():
            missing("the clients in Python are not installed")
        return self._run([str(PYTHON), str(HERE / "programs" / f"{name}.py"), *arguments], environment)

    def node(self, name: str, *arguments: str, **environment: str) -> dict[str, Any]:
        """Run a program in JavaScript; what it printed."""
        if not NODE_READY.exists() or shutil.which("node") is None:
            missing("node or the clients in JavaScript are not installed")
        return self._run(["node", str(HERE / "node" / f"{name}.mjs"), *arguments], environment)

    def _run(self, command: list[str], environment: Mapping[str, str]) -> dict[str, Any]:
        run = subprocess.run(
            command,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        said: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return {**said, "stderr": run.stderr}

    def get(self, path: str, **asked: str) -> Any:
        """Ask the API; ``None`` if there is no such thing."""
        query = f"?{urlencode(asked)}" if asked else ""
        status, found = self.served.get(f"/api/v1{path}{query}")
        assert status in {200, 404}, found
        return found if status == 200 else None

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Ask the API to do something."""
        token = json.loads((self.served.folder / ".inchworm" / "serve.json").read_text())["token"]
        with closing(
            HTTPConnection(self.served.said["url"].removeprefix("http://"), timeout=SECONDS)
        ) as connection:
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        assert answer.status < 300, said
        return said

    def traces_of(self, unit: str, count: int) -> list[dict[str, Any]]:
        """The interactions of a unit, as soon as there are that many."""

        def look() -> list[dict[str, Any]] | None:
            rows = [one for one in self.get("/traces", limit="200")["traces"] if one["unit"] == unit]
            return rows if len(rows) >= count else None

        rows = eventually(look, f"{count} interactions of {unit}")
        return [self.trace(one["id"]) for one in rows]

    def saying(self, text: str) -> dict[str, Any]:
        """The one interaction whose only message is this, as soon as it is stored."""
        message = [{"role": "user", "content": text}]

        def look() -> dict[str, Any] | None:
            rows = (self.trace(one["id"]) for one in self.get("/traces", limit="10")["traces"])
            return next((one for one in rows if one["inputs"].get("messages") == message), None)

        return eventually(look, text)

    def trace(self, trace_id: str, *, scores: int = 0) -> dict[str, Any]:
        """An interaction as the API shows it, as soon as it is stored with that many scores of others."""

        def look() -> dict[str, Any] | None:
            found = self.get(f"/traces/{quote(trace_id)}")
            if found is None:
                return None
            trace: dict[str, Any] = found["trace"]
            return trace if len(given(trace)) >= scores else None

        return eventually(
            look, f"{trace_id}, with {scores} scores; stderr of the server: {self.served.stderr()}"
        )

    def spans(self, trace_id: str, count: int) -> dict[str, Span]:
        """Its spans by their names, as soon as there are that many."""
        with House(declared(self.served.folder / "inchworm.yaml")) as house:

            def look() -> dict[str, Span] | None:
                found = house.traces.spans(house.app, [TraceId(trace_id)]).get(TraceId(trace_id), ())
                return {one.name: one for one in found} if len(found) >= count else None

            return eventually(look, f"{count} spans of {trace_id}")

    def arm(self, configuration: str) -> str:
        """Whose configuration it is."""
        return {id_: arm for arm, id_ in self._configurations.items()}[configuration]

    @property
    def _configurations(self) -> dict[str, str]:
        return _configurations(self)


def given(trace: dict[str, Any]) -> dict[str, Any]:
    """The scores that nobody computed, by metric."""
    return {one["metric"]: one for one in trace["scores"] if not one["source"].startswith("code:")}


def eventually(look: Callable[[], T | None], what: str) -> T:
    """What ``look`` finds, as soon as it finds something."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    pytest.fail(f"it did not come: {what}")


@cache
def _configurations(world: World) -> dict[str, str]:
    rollout = world.get("/rollouts")["rollouts"][0]
    return {"baseline": rollout["base"], "candidate": rollout["candidate"]}


def missing(what: str) -> None:
    """Skip, on a machine of somebody's; fail where CI runs, which has all that the tests need."""
    said = f"{what}: make clients"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)
