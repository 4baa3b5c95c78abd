"""A mirrored call: both answers on one page, and in lists only when they are asked for."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.app.loop.world import World

from inchworm.app import asjson
from inchworm.app.cli import main
from inchworm.app.web.views.asked import Asked
from inchworm.app.web.views.found import listing
from inchworm.app.web.views.trace import view
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import TraceId


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    stable = made.trace(1, "1")
    shadow = replace(stable, id=TraceId("c-1"), output="Something else.", shadow_of=stable.id)
    made.take([stable, shadow, made.trace(2, "2")])
    yield made
    made.house.close()


def test_each_answer_shows_the_other(world):
    app, traces = world.house.app, world.house.traces
    stable, shadow = traces.trace(app, "t-1"), traces.trace(app, "c-1")
    shown = view(world.house, stable, None, href=str).beside
    assert shown is not None
    assert (shown.trace.output, shown.title) == ("Something else.", "the candidate, for nobody to see")
    back = view(world.house, shadow, None, href=str).beside
    assert back is not None
    assert (back.trace.id, back.title) == ("t-1", "stable, which is what the caller got")
    assert view(world.house, traces.trace(app, "t-2"), None, href=str).beside is None


def test_its_json_has_the_other_answer(world):
    app, traces = world.house.app, world.house.traces
    stable = traces.trace(app, "t-1")
    told = asjson.whole_trace(stable, None, traces.shadow_of(app, stable.id))
    assert (told["shadow_of"], told["shadow"]["id"], told["shadow"]["output"]) == (
        None,
        "c-1",
        "Something else.",
    )
    assert told["shadow"]["shadow_of"] == "t-1"
    assert asjson.whole_trace(traces.trace(app, "t-2"), None)["shadow"] is None


def test_a_list_has_them_only_when_it_is_asked(world):
    assert {row.id for row in listing(world.house, Asked()).rows} == {"t-1", "t-2"}
    asked = Asked(q="shadow:1 else").spread()
    assert asked == Asked(q="else", shadow="1")
    found = listing(world.house, asked)
    assert [row.id for row in found.rows] == ["c-1"]
    assert found.title == "1 trace that nobody saw containing “else”"
    assert found.box == "shadow:1 else"
    with pytest.raises(UsageError, match="shadow is 1"):
        listing(world.house, Asked(shadow="yes"))


def test_the_command_lists_and_shows_them(world):
    world.house.close()

    def told(*arguments: str) -> str:
        ran = CliRunner().invoke(main, ["-f", str(world.folder / "inchworm.yaml"), "traces", *arguments])
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    rows = json.loads(told("list", "--shadow", "--json"))["traces"]
    assert [row["id"] for row in rows] == ["c-1"]
    assert {row["id"] for row in json.loads(told("list", "--json"))["traces"]} == {"t-1", "t-2"}
    assert "Something else." in told("show", "t-1")
    assert "t-1, which stable answered" in told("show", "c-1")
