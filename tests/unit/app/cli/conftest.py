"""A shop that was opened once, and copies of it to act on."""

import json
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.app.cli import small_shop

from inchworm.app.cli import main

QUICK = "[{weight: 50%, min_units: 50, min_bake: 0s, max_bake: 90d}]"
UNGATED = "  soak: 0s\n  gate: false\n"


class Cli:
    """Calls ``inchworm`` in this process, with a folder's ``inchworm.yaml``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words, exit_code=0, stdin=None):
        """Call it; fails if the exit code is another, or anything looks like a traceback."""
        result = CliRunner().invoke(
            main, ["-f", str(self.folder / "inchworm.yaml"), "--actor", "ana", *words], input=stdin
        )
        assert result.exit_code == exit_code, (result.output, result.exception)
        assert "Traceback" not in result.output
        assert "fault in Inchworm" not in result.stderr
        return result

    def json(self, *words, exit_code=0, stdin=None):
        """What it prints with ``--json``: one object, of version 1."""
        data = json.loads(self(*words, "--json", exit_code=exit_code, stdin=stdin).stdout)
        assert data["version"] == 1
        return data

    def declare(self, **moved):
        """Write another inchworm.yaml."""
        text = small_shop.yaml(**{"stages": QUICK, "extra": UNGATED, **moved})
        (self.folder / "inchworm.yaml").write_text(text, "utf-8")

    def plan(self):
        """The id of a plan for what the file says."""
        return self.json("plan")["plan"]["id"]


@pytest.fixture
def empty(tmp_path):
    """An app without anything stored."""
    small_shop.open_shop(tmp_path, stages=QUICK, extra=UNGATED)
    return Cli(tmp_path)


@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    """A folder with traffic, topics, an eval set and a stable configuration. Not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    small_shop.open_shop(folder, stages=QUICK, extra=UNGATED)
    traffic = small_shop.write_traces(folder, now=time.time())
    cli = Cli(folder)
    for words in (["import", str(traffic)], ["label"], ["evalset", "build"], ["adopt"]):
        cli(*words)
    return folder


@pytest.fixture
def shop(opened, tmp_path):
    """A copy of it to act on."""
    shutil.copytree(opened, tmp_path / "shop")
    return Cli(tmp_path / "shop")


@pytest.fixture
def flying(shop):
    """A shop in which r-1 exposes two documents to half of the sessions."""
    shop.declare(documents=2)
    shop("apply", shop.plan())
    return shop


@pytest.fixture
def harmed(flying):
    """The same with 300 sessions in, the candidate's half of them harmed, and nothing decided yet."""
    units = flying.json("rollout", "resolve", *(f"s{number}" for number in range(300)))["units"]
    flying("import", "-", stdin=small_shop.exposed(units, harm=True, now=time.time()))
    return flying
