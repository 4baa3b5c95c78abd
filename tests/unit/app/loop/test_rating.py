"""Feedback joins the interaction that it is about, and the arm that served it, however late it comes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.app.loop.spooled import APP, KEY, arm, called, exposed, root, spool
from tests.unit.app.loop.world import DAY, NOW, World

from inchworm.app.loop import awaiting
from inchworm.app.loop.awaiting import PATIENCE_S
from inchworm.app.loop.draining import Draining
from inchworm.capture.records import Exported, Graded, encode
from inchworm.capture.spool import (
    closed_segments,
    quarantined,
    read_segment,
    set_aside,
    set_aside_segments,
)
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.outcome import Scored

ONE = RolloutId("r-1")


def metric(name: str, **source: Any) -> Metric:
    return Metric(
        name=name,
        source={"feedback": True, **source},
        role=Role.SIGNAL,
        clock=Clock.JUDGED,
        margin=0.1,
        harm_margin=0.05,
        absence=Absence.VOID,
    )


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    given = (
        metric("helpful"),
        metric("stars", range=[1, 5]),
        metric("verdict", values={"good": 1, "bad": 0}),
    )
    world.house.follow(replace(world.house.spec, metrics=(*world.house.spec.metrics, *given)))
    made = Draining(world.house, KEY)
    yield made
    made.close()


def graded(**changes: Any) -> Graded:
    given: dict[str, Any] = {"app": APP, "metric": "helpful", "value": 1.0, "source": "user", "at": NOW}
    return Graded(**(given | changes))


def scores(world: World, name: str, metric_name: str = "helpful") -> list[float]:
    found = world.house.traces.scores_of(world.house.app, {TraceId(f"t-{name}")})
    return [
        one.result.value
        for one in found.get(TraceId(f"t-{name}"), ())
        if one.metric == metric_name and isinstance(one.result, Scored)
    ]


def reasons(world: World) -> list[str]:
    return [one.reason for one in quarantined(root(world))]


def test_a_score_three_days_later_counts_for_the_arm_that_served(world, drain):
    for name, which in (("1", "baseline"), ("2", "candidate"), ("3", "candidate")):
        spool(world, exposed(name, arm(which=which)), called(name, assigned=arm(which=which)))
    drain.round()
    world.clock.at += 3 * DAY
    late = NOW + 3 * DAY
    spool(
        world,
        graded(trace="t-1", metric="stars", value=5, at=late),
        graded(trace="t-2", metric="stars", value=2, at=late),
        graded(unit="s-3", metric="stars", value=3, at=late),
        at=late,
    )
    assert drain.round().scores == 3
    rows = world.house.traces.units(ONE, start=0, matured_before=late, limit=10)
    found = rows.scores["stars"]
    assert found.present.all()
    assert list(zip(rows.candidate.tolist(), found.values.tolist(), strict=True)) == [
        (False, 1.0),
        (True, 0.25),
        (True, 0.5),
    ]


def test_feedback_to_a_session_is_of_its_latest_interaction_by_then(world, drain):
    early, middle, late = (
        called(name, unit="s", at=NOW + at) for name, at in (("1", 0), ("2", 10), ("3", 20))
    )
    spool(world, early, middle, late)
    drain.round()
    spool(world, graded(unit="s", value=0.25, at=NOW + 15), graded(unit="s", value=0.75, at=NOW + 20))
    drain.round()
    assert [scores(world, name) for name in "123"] == [[], [0.25], [0.75]]


def test_feedback_to_a_session_is_never_of_what_came_after_it(world, drain):
    spool(world, called("1", unit="s", at=NOW), graded(unit="s", at=NOW - 1))
    assert drain.round().scores == 0
    world.clock.at += PATIENCE_S
    drain.round()
    assert len(reasons(world)) == 1
    assert scores(world, "1") == []


def test_the_same_feedback_again_counts_once(world, drain):
    spool(world, called("1"))
    drain.round()
    spool(world, graded(trace="t-1", id="a"), graded(trace="t-1", id="a"))
    assert drain.round().scores == 1
    spool(world, graded(trace="t-1", id="a"))
    assert drain.round().scores == 0
    for at in (1, 2):  # who does not say when says it again at another time
        spool(world, graded(trace="t-1", metric="verdict", value="good", at=NOW + at, timed=False))
        drain.round()
    assert scores(world, "1", "verdict") == [1.0]
    spool(world, graded(trace="t-1", metric="verdict", value="bad", at=NOW + 3, timed=False))
    spool(world, graded(trace="t-1", metric="verdict", value="good", at=NOW + 4, timed=False))
    drain.round()
    assert scores(world, "1", "verdict") == [1.0, 0.0, 1.0]


def test_what_a_metric_does_not_take_lies_in_quarantine_with_what_to_declare(world, drain):
    spool(
        world,
        called("1"),
        graded(trace="t-1", value=4),
        graded(trace="t-1", metric="stars", value=9),
        graded(trace="t-1", metric="verdict", value="so so"),
        graded(trace="t-1", metric="free", value="words"),
        graded(trace="t-1", value=0.5),
    )
    drained = drain.round()
    assert drained.scores == 1
    said = reasons(world)
    assert len(said) == 4
    assert any("range: [1, 5]" in one for one in said)
    assert any("goes from 1 to 5" in one for one in said)
    assert any("it takes good, bad" in one for one in said)
    assert any("values: {good: 1, bad: 0}" in one for one in said)
    assert scores(world, "1") == [0.5]
    assert closed_segments(root(world)) == []


def test_a_score_that_comes_first_waits_for_its_interaction(world, drain):
    spool(world, graded(trace="t-1"), graded(unit="s-1", metric="stars", value=5, at=NOW + 1))
    assert drain.round().scores == 0
    spool(world, called("1"))
    assert drain.round().scores == 2
    assert scores(world, "1") == [1.0]
    assert scores(world, "1", "stars") == [1.0]
    assert closed_segments(root(world)) == []


def test_the_trace_that_is_named_counts_before_the_session(world, drain):
    spool(world, called("1", unit="s"), called("2", unit="s", at=NOW + 5))
    drain.round()
    spool(world, graded(trace="t-1", unit="s", at=NOW + 9), graded(span="t-2", value=0.5, at=NOW + 9))
    drain.round()
    assert scores(world, "1") == [1.0]
    assert scores(world, "2") == [0.5]  # a client that calls the interaction a run


@pytest.mark.parametrize(
    ("bad", "why"), [(graded(), "names no interaction"), (graded(trace="t", metric=""), "names no metric")]
)
def test_feedback_of_nothing_is_quarantined(world, drain, bad, why):
    spool(world, bad)
    drain.round()
    (said,) = reasons(world)
    assert why in said


def test_a_unit_that_is_a_person_is_known_by_its_pseudonym(world, drain):
    spool(world, called("1", unit="ann.example@mailhost.net"))
    drain.round()
    spool(world, graded(unit="ann.example@mailhost.net", at=NOW + 1))
    assert drain.round().scores == 1
    assert world.house.traces.scores_of(world.house.app, {TraceId("t-1")})


def test_feedback_to_a_span_is_of_the_interaction_that_it_is_in(world, drain):
    trace_id, root_id, child = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
    both = [
        {"traceId": trace_id, "spanId": root_id, "name": "chat"},
        {"traceId": trace_id, "spanId": child, "parentSpanId": root_id, "name": "search"},
    ]
    times = {"startTimeUnixNano": f"{NOW:.0f}000000000", "endTimeUnixNano": f"{NOW + 1:.0f}000000000"}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [one | times for one in both]}]}]}
    said = Exported(app=APP, dialect="otlp-json", body=json.dumps(body).encode(), at=NOW)
    spool(world, graded(span=child, at=NOW + 9), said)
    assert drain.round().scores == 1
    found = world.house.traces.scores_of(world.house.app, {TraceId(trace_id)})
    assert "helpful" in [one.metric for one in found[TraceId(trace_id)]]
    assert world.house.traces.traces_of_spans(world.house.app, {child, "none"}) == {child: TraceId(trace_id)}


def test_an_id_sent_again_counts_once_however_late_and_whoever_drains_it(world, drain):
    spool(world, called("1"))
    drain.round()
    spool(world, graded(trace="t-1", id="a", timed=False))
    assert drain.round().scores == 1
    drain.close()
    other = Draining(world.house, KEY)  # after a restart, from another gateway
    spool(world, graded(trace="t-1", id="a", timed=False, at=NOW + 500), gateway="second", at=NOW + 500)
    assert other.round().scores == 0
    assert scores(world, "1") == [1.0]
    other.close()


def test_an_id_with_another_value_takes_the_place_of_what_it_said(world, drain):
    spool(world, called("1"), called("2"), graded(trace="t-1", id="a", value=0.25, at=NOW + 1))
    drain.round()
    spool(world, graded(trace="t-1", id="a", value=0.75, at=NOW + 2), graded(trace="t-1", value=0.5, at=NOW))
    drain.round()
    assert sorted(scores(world, "1")) == [0.5, 0.75]
    spool(world, graded(trace="t-1", id="a", value=0.25, at=NOW + 1))  # drained once more, or delayed
    assert drain.round().scores == 0
    assert sorted(scores(world, "1")) == [0.5, 0.75]
    spool(world, graded(trace="t-2", id="a", value=1.0, at=NOW + 2))
    drain.round()
    assert (scores(world, "1"), scores(world, "2")) == ([0.5], [1.0])


def test_of_two_with_one_id_in_one_batch_the_later_stands_and_a_replay_changes_nothing(world, drain):
    both = (
        graded(trace="t-1", id="a", value=0.75, at=NOW + 2),
        graded(trace="t-1", id="a", value=0.25, at=NOW),
    )
    spool(world, called("1"), *both)
    drain.round()
    assert scores(world, "1") == [0.75]
    spool(world, *both)
    assert drain.round().scores == 0
    assert scores(world, "1") == [0.75]


def test_a_comment_is_kept_without_personal_data(world, drain):
    said = "Wrong, ask ann.example@mailhost.net"
    spool(world, called("1"), graded(trace="t-1", id="ann.example@mailhost.net", comment=said))
    drain.round()
    (found,) = (
        one
        for one in world.house.traces.scores_of(world.house.app, {TraceId("t-1")})[TraceId("t-1")]
        if one.metric == "helpful"
    )
    assert found.comment is not None
    assert found.comment.startswith("Wrong, ask ")
    assert "mailhost" not in f"{found.comment}{found.id}"


def test_what_waits_is_kept_alone_and_sealed_and_the_rest_of_its_segment_is_destroyed(world, drain):
    spool(world, called("2"), graded(trace="t-1", comment="a-word-to-be-found"))
    drain.round()
    assert closed_segments(root(world)) == []
    (path,) = set_aside_segments(root(world))
    assert b"a-word-to-be-found" not in path.read_bytes()
    assert len(read_segment(path, KEY).records) == 1


def test_who_waits_for_an_hour_waits_across_a_restart_and_not_longer(world, drain):
    spool(world, graded(trace="t-1"))
    drain.round()
    world.clock.at += PATIENCE_S - 1
    again = Draining(world.house, KEY)
    again.round()
    assert not reasons(world)
    world.clock.at += 20
    again.round()
    again.close()
    (said,) = reasons(world)
    assert "No interaction by its id came within 1 h" in said
    assert set_aside_segments(root(world)) == []


def test_the_store_is_asked_once_per_batch_however_many_segments_wait(world, drain, monkeypatch):
    for place in range(6):
        spool(world, graded(trace=f"t-{place}"), gateway=f"g-{place}")
        drain.round()
    asked = []
    known = type(world.house.traces).known

    def counting(store, app, ids):
        asked.append(len(ids))
        return known(store, app, ids)

    monkeypatch.setattr(type(world.house.traces), "known", counting)
    drain.round()
    assert asked == [], "nothing came, and nobody asks"
    spool(world, called("3"))
    assert drain.round().scores == 1
    assert asked.count(6) == 1


def test_scores_of_nothing_beyond_a_number_lie_in_quarantine_and_not_in_memory(world, drain, monkeypatch):
    monkeypatch.setattr(awaiting, "MOST", 2)
    spool(world, *(graded(trace=f"t-{place}") for place in range(3)))
    drain.round()
    world.clock.at += awaiting.LOOK_S
    drain.round()
    assert drain.backlog().waiting == 2
    (said,) = reasons(world)
    assert "scores wait for interactions" in said


def test_what_waits_is_found_by_when_it_came(world, drain):
    asked_at = NOW + 5
    spool(world, graded(unit="s-1", metric="helpful"), graded(unit="s-2"), at=NOW + 1)
    world.clock.at = NOW + 9
    drain.round()
    assert len(set_aside_segments(root(world), asked_at)) == 1, "by when it came, not since when it waits"
    assert set_aside_segments(root(world), NOW) == []


def test_what_cannot_be_waited_for_any_more_is_quarantined_and_not_dropped(world, drain):
    spool(world, graded(trace="t-1"))
    drain.round()
    (path,) = set_aside_segments(root(world))
    other = set_aside(root(world), KEY, [encode(graded(trace="t-2", app="old/name"))], came_in=path, at=NOW)
    path.write_bytes(path.read_bytes() + b"what nobody wrote")
    again = Draining(world.house, KEY)
    again.round()
    assert again.backlog().waiting == 1, "what opens of a damaged segment is still waited for"
    assert sorted("of old/name" in said for said in reasons(world)) == [False, True]
    assert not other.exists()
    spool(world, called("1"))
    assert again.round().scores == 1
    again.close()
