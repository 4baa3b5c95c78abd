"""Somebody is forgotten while everything runs: by a command, through a server that is killed meanwhile."""

import json
import secrets
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import openai
import pytest
from click.testing import CliRunner
from tests.integration.serve.running import SERVER, Served, serve, until
from tests.integration.serve.upstream import upstream

from inchworm.app.cli import main
from inchworm.app.remote.client import Client
from inchworm.app.remote.server import here
from inchworm.capture.headers import UNIT
from inchworm.capture.keyfile import master_key
from inchworm.capture.spool import read_segment
from inchworm.domain.keys import Purpose, derive

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    folder = tmp_path / "my-shop"
    (folder / "temporary").mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder / "temporary"))
    with upstream() as provider, serve(folder, provider) as running:
        yield running


def ask(served: Served, unit: str, text: str) -> None:
    with openai.OpenAI(base_url=served.base_url, api_key="sk-mine", max_retries=8, timeout=30.0) as client:
        client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": text}], extra_headers={UNIT: unit}
        )


def files_with(folder: Path, *texts: str) -> dict[str, str]:
    """The files that hold one of these texts, also where it is sealed; logs and temporary files too."""
    found: dict[str, str] = {}
    key = derive(master_key(folder / ".inchworm"), Purpose.SPOOL)
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix in {".closed", ".open"}:
                data += b"".join(read_segment(path, key).records)
            found |= {text: path.name for text in texts if text.encode() in data}
    return found


def word() -> str:
    return "q" + "".join(secrets.choice("bdfgklmnprstvz") + secrets.choice("aeiou") for _ in range(9))


def test_while_gateway_and_server_run_and_are_killed_everything_of_a_unit_goes(served):
    unit, other, said, else_ = f"kunde-{word()}", f"kunde-{word()}", word(), word()
    ask(served, unit, said)
    ask(served, other, else_)
    until(lambda: len(served.get("/traces.json")[1]["traces"]) == 2)
    server = here(served.folder / ".inchworm")
    assert server is not None
    assert unit in files_with(served.folder, unit)
    with Client(server) as client:
        asked = client.ask("POST", "/forgettings", {"units": [unit]})["forgetting"]
    served.kill(SERVER)  # durable is what was asked for
    ask(served, other, else_)  # the gateway goes on
    file = served.folder / "inchworm.yaml"

    def done() -> bool:
        try:
            status, said = served.get(f"/api/v1/forgettings/{asked['id']}")
        except (OSError, HTTPException):  # it is being started
            return False
        return status == 200 and bool(said["forgetting"]["state"] == "done")

    until(done)
    ask(served, unit, "something new")
    until(lambda: len(served.get("/traces.json")[1]["traces"]) == 3)
    again = CliRunner().invoke(main, ["-f", str(file), "forget", unit, "--yes", "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["forgetting"]["counts"]["traces"] == 1
    assert served.stop() == 0
    found = files_with(served.folder, unit, said, other, else_)
    assert found.keys() == {other, else_}, found
    assert [one.unit_id for one in served.stored()] == [other, other]
