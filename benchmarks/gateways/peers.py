"""Other gateways, each in an environment of its own: LiteLLM's proxy, and Portkey."""

import contextlib
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateways.starting import Proc, started

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "inchworm" / "benchmarks"
"""Where they are installed, once."""
_INSTALL_S = 900


class AbsentError(Exception):
    """A peer cannot be measured here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A gateway to compare with.

    Attributes:
        name: as figures say it.
        version: what is installed.
        process: it, and all that it started.
        port: where it listens.
        headers: what a request needs for it.
        patience_s: seconds that it may take to start.
    """

    name: str
    version: str
    process: Proc
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 120.0


@contextlib.contextmanager
def litellm(folder: Path, port: int, provider: int) -> Iterator[Peer]:
    """LiteLLM's proxy with one worker, as its documentation starts it; it logs to nobody.

    Raises:
        AbsentError: if it cannot be installed.
    """
    home = CACHE / "litellm"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        _install(str(home / "bin" / "pip"), "install", "--quiet", "litellm[proxy]")
        (home / "installed").touch()
    config = folder / "litellm.yaml"
    parameters = {"model": "openai/*", "api_base": f"http://127.0.0.1:{provider}/v1", "api_key": "sk-none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "*", "litellm_params": parameters}]}))
    shown = _output(str(home / "bin" / "pip"), "show", "litellm")
    command = (str(home / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1")
    # Without a key it starts only if it is told to; with one it would have more to do than the others.
    permitted = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true", "LITELLM_TELEMETRY": "False"}
    with started(*command, "--port", str(port), "--num_workers", "1", environment=permitted) as process:
        yield Peer(
            name="litellm",
            version=shown.partition("Version: ")[2].partition("\n")[0],
            process=process,
            port=port,
        )


@contextlib.contextmanager
def portkey(folder: Path, port: int, provider: int) -> Iterator[Peer]:  # noqa: ARG001  # as the other
    """Portkey's gateway under node, without its console.

    Raises:
        AbsentError: if it cannot be installed.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise AbsentError("there is no node and npm")
    home = CACHE / "portkey"
    package = home / "node_modules" / "@portkey-ai" / "gateway"
    if not (home / "installed").exists():
        home.mkdir(parents=True, exist_ok=True)
        _install(npm, "install", "--prefix", str(home), "--no-audit", "--no-fund", "@portkey-ai/gateway")
        (home / "installed").touch()
    told = json.loads((package / "package.json").read_text())
    with started(node, str(package / "build" / "start-server.js"), f"--port={port}", "--headless") as process:
        yield Peer(
            name="portkey",
            version=told["version"],
            process=process,
            port=port,
            headers={
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"http://127.0.0.1:{provider}/v1",
            },
        )


PEERS = {"litellm": litellm, "portkey": portkey}
"""How each is started."""


def _install(*command: str) -> None:
    try:
        subprocess.run(
            command, check=True, timeout=_INSTALL_S, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise AbsentError(f"it could not be installed: {last or type(error).__name__}") from error


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
