"""The first page: what it says of an app that is only watched, of one at rest, and of one in flight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.loop.world import DAY, HOUR, World
from tests.unit.rollout.world import rollout

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import apply
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.retiring import Retiring
from inchworm.app.serve.state import GatewaySeen, Pulse, ServerState
from inchworm.app.web.views.listing import listing
from inchworm.app.web.views.now import now_page, title, told
from inchworm.app.web.views.quality import BINS, WIDTHS, build, goal, width_for
from inchworm.app.web.views.waiting import waits
from inchworm.app.web.views.words import content
from inchworm.capture.spool import quarantine_records
from inchworm.domain.attribution import Proposal
from inchworm.domain.ids import CaseId, RolloutId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Role
from inchworm.domain.notice import Notice, NoticeState
from inchworm.domain.rollout import Approval, Approvals, LedgerEntry
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act
from inchworm.store.traces import QualityBin


class Still:
    """A publisher whose document never changes."""

    version = "v1"
    document = b"{}"

    async def newer_than(self, version: str | None, *, timeout_s: float) -> bytes | None:
        del version, timeout_s
        return None

    def heard_from(self, gateway: GatewaySeen) -> None:
        """Nobody is remembered."""

    def gateways(self) -> tuple[GatewaySeen, ...]:
        return ()


def state(house: House, **changes: Any) -> ServerState:
    given: dict[str, Any] = {
        "house": house,
        "publisher": Still(),
        "pulse": Pulse(),
        "wake": lambda: None,
        "gateway_url": "http://127.0.0.1:4141",
        "master": bytes(32),
        "local_token": "t",
    }
    return ServerState(**(given | changes))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


@pytest.fixture
def watched(tmp_path: Path, world: World) -> Iterator[House]:
    """The shop before anything was declared: only seen."""
    (tmp_path / "inchworm.yaml").write_text((world.folder / "inchworm.yaml").read_text("utf-8"), "utf-8")
    with House(load(tmp_path / "inchworm.yaml"), clock=SimulatedClock(world.clock.at), actor="ana") as house:
        yield house


def flying(world: World) -> str:
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    queued = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.PROMPT)).id)
    world.round()
    return queued[0].id


# --- observing


def test_before_the_first_request_it_says_where_to_point_the_client(watched):
    page = now_page(state(watched))
    assert page.observing
    assert page.title == "Observing small-shop/production"
    assert page.say == "No request was seen yet. Point your client’s base_url at http://127.0.0.1:4141/v1."
    assert (page.in_flight, page.queue, page.quality, page.waits) == ((), (), None, ())


def test_what_traffic_shows_is_told_and_adopting_is_the_next_step(watched, world):
    before, after = world.stable, world.wanted(Layer.PARAMETERS)
    for configuration in (before, after):
        watched.control.put_configuration(watched.app, configuration, note="seen", at=1.0)
    now = watched.now()
    Drain(watched).take(
        [world.trace(n, f"a-{n}", at=now - DAY + n, answered_by=before) for n in range(20)]
        + [world.trace(n, f"b-{n}", at=now - HOUR + n, answered_by=after) for n in range(10)]
    )
    said = "parameters changed: max_tokens 64 → 32."
    watched.control.append_ledger(
        LedgerEntry(app=watched.app, at=now - HOUR, kind="observed", actor="gateway", what=said)
    )
    page = now_page(state(watched))
    assert page.say == (
        "30 requests seen, 2 configurations told apart. Nothing is changed, and nothing is declared yet."
    )
    assert page.command == "inchworm adopt"
    assert [(row.model, row.layers, row.n) for row in page.seen] == [
        ("tiny", "parameters", 10),
        ("tiny", "", 20),
    ]
    assert [one.rest for one in page.told] == ["Parameters changed: max_tokens 64 → 32."]
    assert [wait.verb for wait in page.waits] == ["adopt"]
    assert page.quality is not None
    assert page.quality.metric == "answered without a failure"
    assert [one.what for one in page.quality.observed] == [said]
    assert page.quality.n == 30


# --- declared


def test_at_rest_nothing_waits_and_the_next_command_is_said(world):
    page = now_page(state(world.house))
    assert page.title == "Nothing is in flight, nothing waits for a person"
    assert page.say.endswith("declared as stable.")
    assert (page.then, page.command) == ("Next:", "inchworm import FILE.jsonl")
    world.history(60)
    page = now_page(state(world.house))
    assert page.command == "inchworm label"
    assert page.quality is not None
    assert page.quality.metric == "answered"


def test_in_flight_it_shows_the_goal_the_queue_and_what_was_decided(world):
    world.history(60)
    first = flying(world)
    world.slot(60)
    world.round()
    page = now_page(state(world.house))
    (row,) = page.in_flight
    assert page.title == "One change in flight, nothing waits for a person"
    assert page.say == "Nothing is being harmed."
    assert (row.id, row.layers, row.stage) == (first, ("parameters",), "20 %")
    assert row.change == "max_tokens 64 → 32"
    assert row.goal is not None
    assert row.goal.name == "answered"
    assert row.exposed.endswith(" of 60")
    assert row.split.startswith("split as planned, e = ")
    (queued,) = page.queue
    assert (queued.number, queued.layers, queued.waits) == (1, ("prompt",), "after r-1")
    assert queued.because == "default order"
    assert [(one.rollout, one.verb) for one in page.told if one.rollout] == [("r-1", "started")]
    assert page.quality is not None
    assert [(bar.rollout, bar.kind) for bar in page.quality.bars] == [("r-1", "flight")]


def test_what_is_paused_waits_for_a_person(world):
    first = flying(world)
    world.clock.at += 60
    act(world.house.control, RolloutId(first), Act.PAUSE, actor="jonas", reason="why not", now=world.clock.at)
    world.clock.at += HOUR
    page = now_page(state(world.house))
    (wait,) = page.waits
    assert (wait.verb, wait.name, wait.href) == ("decide", "r-1", "/rollouts/r-1")
    assert wait.said == "is paused at 20 % by jonas: why not."
    assert wait.since == world.clock.at - HOUR
    assert page.title == "One change in flight, one thing waits for a person"


def test_the_list_shows_every_rollout_newest_first(world):
    flying(world)
    world.slot(60)
    world.round()
    rows = listing(world.house).rows
    assert [(row.id, row.state) for row in rows] == [("r-2", "queued"), ("r-1", "exposing")]
    assert rows[0].exposed == "nobody"
    assert rows[1].exposed.endswith(" of 60 sessions")
    assert rows[1].standing == "exposing, stage 1 of 2 (20 %)"


def test_the_twins_are_json(world):
    world.history(60)
    flying(world)
    for view in (now_page(state(world.house)), listing(world.house)):
        data = json.loads(json.dumps(content(view), allow_nan=False))
        assert data["version"] == 1
        assert data["app"] == "small-shop/production"


def test_what_could_not_be_taken_in_waits_with_its_reason(world):
    root = world.house.spec.data / "spool"
    quarantine_records(root, bytes(32), [b"one", b"two"], reason="it names no app", at=world.clock.at - 60)
    (wait,) = now_page(state(world.house)).waits
    assert (wait.verb, wait.name, wait.command) == ("look", "2 records", "inchworm doctor")
    assert wait.said.endswith("the last because: It names no app.")


def test_every_kind_of_thing_that_waits_says_what_to_do(world):
    failed = WorkItem(
        id=WorkId("benchmark:r-9"),
        kind="benchmark",
        app=world.house.app,
        payload={"rollout": "r-9"},
        state=WorkState.FAILED,
        attempts=3,
        error="the provider is down",
    )
    proposal = Proposal(
        id="proposal-1", app=world.house.app, origin="x", because="they fail", cases=(CaseId("case-1"),)
    )
    lineage = world.house.lineage()
    found = waits(
        flying=[],
        queued=[],
        lineage=lineage,
        declared="f" * 64,
        traces=1,
        proposals=[proposal],
        failed=[failed],
        quarantine=[],
        health={"spool": "the disk is full"},
    )
    assert [(one.verb, one.name, one.command, one.href) for one in found] == [
        ("mend", "spool", "inchworm doctor", ""),
        ("look", "r-9", "", "/rollouts/r-9"),
        ("accept", "proposal-1", "inchworm evalset accept proposal-1", ""),
        ("plan", "inchworm.yaml", "inchworm plan", ""),
    ]
    assert found[1].said == "its benchmark failed after 3 tries: The provider is down."
    assert found[2].said == "1 case for the eval set: They fail."


def test_words_that_are_awaited_come_first_and_what_nobody_heard_is_told_once():
    rule = Approvals(count=2, by=("ben", "carla"), before=(0,))
    queued = rollout(7, author="ana", policy=replace(rollout().policy, approvals=rule))
    agreed = Approval(rollout_id=queued.id, stage=0, actor="ben", at=1.0)
    untold = Notice(
        id="n-1",
        app=queued.app,
        target="t",
        event="hold",
        at=5.0,
        state=NoticeState.FAILED,
        error="it says 500",
    )
    retiring = Retiring(
        level="note",
        model="gpt-4",
        retires_on="2027-01-14",
        days=57,
        where=("stable",),
        text="gpt-4 is retired on 2027-01-14 (57 days): plan the model step before.",
        sources=(),
    )
    found = waits(
        flying=[],
        queued=[queued],
        lineage=None,
        declared="f" * 64,
        traces=0,
        proposals=[],
        failed=[],
        quarantine=[],
        health={"notifications": "one was given up"},
        approvals=[agreed],
        untold=[untold],
        retiring=[retiring],
    )
    assert [(one.verb, one.name, one.said) for one in found] == [
        ("approve", "r-7", "needs 1 more approval for 20 %: carla."),
        ("mend", "1 notification", "could not be delivered, the last because: It says 500."),
        (
            "plan",
            "gpt-4",
            "is retired on 2027-01-14 (57 days): plan the model step before. It is named by stable.",
        ),
    ]


@pytest.mark.parametrize(
    ("flying_", "waiting", "said"),
    [
        (0, 0, "Nothing is in flight, nothing waits for a person"),
        (1, 1, "One change in flight, one thing waits for a person"),
        (2, 4, "Two changes in flight, four things wait for a person"),
        (0, 14, "Nothing is in flight, 14 things wait for a person"),
    ],
)
def test_the_title_counts_in_words(flying_, waiting, said):
    assert title("a/b", flying_, waiting, observing=False) == said


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        (
            "r-1 model: rolled back because answered fell by 3.0 points (−5.0 … −1.0); evidence passed 20.",
            ("r-1", "rolled back", " because answered fell by 3.0 points (−5.0 … −1.0)."),
        ),
        (
            "r-2 prompt: expanded from 5 % to 25 % because x.",
            ("r-2", "expanded", " from 5 % to 25 % because x."),
        ),
        ("plan-93d0 applied: model, at once.", ("", "", "plan-93d0 applied: model, at once.")),
        ("stable moved from a to b", ("", "", "Stable moved from a to b.")),
    ],
)
def test_the_ledger_is_told_with_its_verb(world, what, parts):
    found = told(LedgerEntry(app=world.house.app, at=1.0, kind="rollout", actor="inchworm", what=what))
    assert (found.rollout, found.verb, found.rest) == parts
    assert found.actor == ""


# --- quality


@pytest.mark.parametrize("seconds", [1.0, 600.0, HOUR, DAY, 3 * DAY, 14 * DAY])
def test_bins_are_few_and_as_narrow_as_that_allows(seconds):
    width = width_for(seconds)
    assert seconds / width <= BINS
    narrower = [one for one in WIDTHS if one < width]
    assert all(seconds / one > BINS for one in narrower)


def test_a_bin_comes_with_its_interval_and_n():
    found = build(
        [QualityBin(start=0.0, n=100, total=90.0), QualityBin(start=60.0, n=1, total=0.0)],
        [],
        [],
        metric="answered",
        since=0.0,
        until=90.0,
        width_s=60.0,
    )
    first, second = found.bins
    assert (first.mean, first.n, first.at) == (90.0, 100, 30.0)
    assert 80 < first.low < 90 < first.high < 100
    assert (second.mean, second.low) == (0.0, 0.0)
    assert second.high > 70, "one value says next to nothing"
    assert second.at == 75.0, "the bin has only begun"
    assert found.n == 101
    assert "n = 1 in the last bin" in found.summary


def test_the_goal_that_scores_say_is_shown(world):
    metrics = world.house.spec.metrics
    assert goal(metrics) == "answered"
    assert goal([replace(one, role=Role.GUARDRAIL) for one in metrics]) is None
    assert goal([replace(one, source={"builtin": "success"}) for one in metrics]) is None
