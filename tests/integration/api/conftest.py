"""A shop that was opened once, and servers of copies of it."""

import time

import pytest
from tests.integration.api.serving import copied, serving
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import QUICK, UNGATED, Cli


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
def folder(opened, tmp_path):
    """A copy of it to act on."""
    return copied(opened, tmp_path / "shop")


@pytest.fixture
def api(folder):
    """A server of that copy."""
    with serving(folder, now=1_790_000_000.0) as running:
        yield running


@pytest.fixture(scope="module")
def looking(opened, tmp_path_factory):
    """A server whose shop is only looked at, one per module."""
    folder = copied(opened, tmp_path_factory.mktemp("looking") / "shop")
    with serving(folder, now=1_790_000_000.0, hosts=["inchworm.example.org"]) as running:
        yield running


@pytest.fixture
def served(folder):
    """A server that commands find, with the command line of the same folder."""
    with serving(folder, now=time.time(), announce=True) as running:
        yield running, Cli(folder)
