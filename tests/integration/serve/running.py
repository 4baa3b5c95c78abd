"""``inchworm serve`` as a process of its own, looked at from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from inchworm.app.config.observed import observed
from inchworm.app.house import House
from inchworm.app.serve.declared import declared
from inchworm.domain.trace import Trace

GATEWAY, SERVER = "the gateway", "the server"
_PATIENCE_S = 60.0


@dataclass(slots=True)
class Served:
    """A running ``inchworm serve``.

    Attributes:
        folder: where it was started.
        process: its process.
        said: what it said once everything answered.
    """

    folder: Path
    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return str(self.said["base_url"])

    def pids_of(self, part: str) -> list[int]:
        """The processes that a part had, the present one last."""
        return [int(found) for found in re.findall(rf"{part} runs as process (\d+)", self.stderr())]

    def kill(self, part: str) -> None:
        """End a part by force, and wait until it is started again."""
        before = self.pids_of(part)
        os.kill(before[-1], signal.SIGKILL)
        until(lambda: len(self.pids_of(part)) > len(before))

    def get(self, path: str) -> tuple[int, Any]:
        """Ask the server."""
        token = json.loads((self.folder / ".inchworm" / "serve.json").read_text())["token"]
        return get(self.said["url"], path, {"Authorization": f"Bearer {token}"})

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it in order; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE_S)

    def stderr(self) -> str:
        """What it wrote to stderr until now."""
        return (self.folder / "stderr").read_text()

    def stored(self) -> list[Trace]:
        """Every interaction in its store, after it was stopped."""
        return stored(self.folder)


@contextmanager
def serve(folder: Path, upstream: str, *options: str) -> Iterator[Served]:
    """Start it in a folder, wait until it answers, and end it if the test did not."""
    folder.mkdir(parents=True, exist_ok=True)
    with start(folder, upstream, *options) as process:
        served = Served(folder, process)
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        assert text, served.stderr()
        served.said = json.loads(text)
        try:
            yield served
        finally:
            if process.poll() is None:
                served.stop()


@contextmanager
def start(folder: Path, upstream: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The process alone."""
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
    environment = {**os.environ, "OPENAI_BASE_URL": upstream}
    with (
        (folder / "stderr").open("a") as stderr,
        subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def get(url: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of an address."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=_PATIENCE_S)) as connection:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def until(look: Callable[[], Any]) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def stored(folder: Path) -> list[Trace]:
    """Every interaction in the store of a folder that nobody serves."""
    file = folder / "inchworm.yaml"
    with House(declared(file) if file.exists() else observed(file, environment={})) as house:
        return [trace for batch in house.traces.iterate(house.app) for trace in batch]


def remaining(folder: Path) -> list[str]:
    """Processes that still use a folder."""
    return [line for pid, line in _processes() if pid != os.getpid() and _cwd(pid) == folder.resolve()]


def _cwd(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def _processes() -> list[tuple[int, str]]:
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [(int(row[0]), row[2]) for row in rows if len(row) == 3 and "Z" not in row[1]]
