"""The drain: nothing raw is stored, counts add up, exposures come first, twice is once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.loop.world import NOW, World, assigned

from inchworm.app.loop.exposing import expose
from inchworm.capture.keyfile import KEY
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Score, Scored, Unscored
from inchworm.domain.trace import Arm, Trace

EMAIL, OTHER_EMAIL = "ann.example@mailhost.net", "bo.planted@mailhost.net"
PHONE, CARD, SECRET = "+44 20 7946 0958", "4111 1111 1111 1111", "sk-proj-9aZbX3kLmN7pQrStUv1wYzAb8CdEfGh2"
PLANTED = (EMAIL, OTHER_EMAIL, PHONE, CARD, SECRET)


def planted(world: World) -> list[Trace]:
    """Every raw value in every place that a trace has."""
    traces = []
    for number, raw in enumerate(PLANTED):
        said = f"please use {raw} today"
        traces.append(
            world.trace(
                number,
                f"raw-{number}",
                inputs={
                    "question": said,
                    "documents": [said],
                    "messages": [{"role": "user", "content": said}],
                },
                output=said,
                reference=[said],
                outcome=Failed(reason=f"status 400: {said}"),
                finish_reason=said,
                attributes={"note": said, said: {"deep": [said]}, "api_key": raw},
                scores=(
                    Score(metric="helpful", result=Unscored(reason=said), source=f"human:{raw}", at=NOW),
                    Score(metric="kind", result=Scored(value=1.0), source=f"human:{raw}", at=NOW),
                    Score(metric="odd", result=Errored(reason=said), source="user", at=NOW),
                ),
            )
        )
        traces.append(world.trace(number, f"unit-{number}", unit_id=UnitId(raw), assignment=assigned()))
        traces.append(world.trace(number, f"id-{number}", id=TraceId(raw)))
    return traces


def bytes_of(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_raw_reaches_the_data_directory(world):
    intake = world.take(planted(world))
    assert intake.new == 3 * len(PLANTED)
    assert intake.sanitized == len(PLANTED)
    assert {"EMAIL", "PHONE", "CARD", "SECRET"} <= set(intake.report.by_kind)
    stored = world.stored()
    rows = world.house.traces.units(RolloutId("r-1"), start=0, matured_before=NOW, limit=99)
    assert len(rows) == len(PLANTED)
    data = world.house.spec.data
    open_, closed = bytes_of(data), b""
    world.house.close()
    closed = bytes_of(data)
    for on_disk in (open_, closed):
        assert b"please use EMAIL_1 today" in on_disk, "texts can be found in these bytes"
        for raw in PLANTED:
            assert raw.encode() not in on_disk
            assert raw.replace(" ", "").encode() not in on_disk
    assert not any(raw in repr(stored) for raw in PLANTED)


def test_findings_name_kinds_and_no_values(world):
    intake = world.take(planted(world))
    assert not any(raw in repr(intake) for raw in PLANTED)


def test_one_value_has_one_surrogate_throughout_an_interaction(world):
    world.take(planted(world)[:1])
    (trace,) = world.stored()
    assert trace.output == "please use EMAIL_1 today"
    assert trace.inputs["documents"] == [trace.output]
    assert trace.reference == [trace.output]
    assert trace.outcome == Failed(reason="status 400: please use EMAIL_1 today")
    assert trace.attributes["please use EMAIL_1 today"] == {"deep": [trace.output]}
    brought = {score.metric: score for score in trace.scores if not score.source.startswith("code:")}
    assert brought["helpful"].result == Unscored(reason=trace.output)
    assert brought["kind"] == Score(
        metric="kind", result=Scored(value=1.0), source="human:EMAIL_1", at=brought["kind"].at
    )


def test_content_that_was_seen_before_is_sanitized_again_for_another_interaction(world):
    first, *_ = planted(world)
    second = replace(first, id=TraceId("again"), outcome=Errored(reason="status 503: " + OTHER_EMAIL))
    third = replace(first, id=TraceId("once-more"))
    intake = world.take([first, second, third])
    assert (intake.new, intake.sanitized) == (3, 3)
    by_id = {trace.id: trace for trace in world.stored()}
    assert by_id[TraceId("once-more")].output == by_id[first.id].output == "please use EMAIL_1 today"
    assert by_id[TraceId("again")].outcome == Errored(reason="status 503: EMAIL_2")


def test_a_unit_that_is_an_address_has_one_pseudonym_in_exposures_and_interactions(world, flying):
    # the arm follows from the pseudonym, and that from a key of this run
    first, second = expose(world.house, [(UnitId(EMAIL), NOW), (UnitId("s-plain"), NOW)])
    rollout = flying.id
    world.take(
        [
            world.trace(1, "a", unit_id=UnitId(EMAIL), assignment=first.assignment),
            world.trace(2, "b", unit_id=UnitId("s-plain"), assignment=second.assignment),
        ]
    )
    pseudonym = world.house.pseudonym(UnitId(EMAIL))
    assert pseudonym.startswith("u-")
    assert EMAIL not in pseudonym
    assert world.house.pseudonym(pseudonym) == pseudonym, "a client may hand back what it was told"
    assert {trace.unit_id for trace in world.stored()} == {pseudonym, UnitId("s-plain")}
    known = world.house.traces.assignments(rollout, [pseudonym, UnitId("s-plain")])
    assert {exposure.order for exposure in known.values()} == {0, 1}
    rows = world.house.traces.units(rollout, start=0, matured_before=NOW, limit=9)
    assert rows.traces.tolist() == [1, 1]


def test_a_pseudonym_lasts_as_long_as_the_key(world, tmp_path):
    before = world.house.pseudonym(UnitId(EMAIL))
    world.reopen()
    assert world.house.pseudonym(UnitId(EMAIL)) == before
    (world.house.spec.data / KEY).write_bytes(b"k" * 32)
    world.reopen()
    assert world.house.pseudonym(UnitId(EMAIL)) != before
    other = World.build(tmp_path / "other")
    assert other.house.pseudonym(UnitId(EMAIL)) != before
    other.house.close()


def test_kinds_of_ones_own_are_pseudonymised_too(tmp_path):
    extra = "sanitize: {custom: {MEMBER_NO: 'FO-[0-9]{6}'}}\n"
    world = World.build(tmp_path / "shop", extra=extra)
    assert world.house.pseudonym(UnitId("FO-123456")).startswith("u-")
    assert world.house.pseudonym(UnitId("s-123456")) == "s-123456"
    world.house.close()


def test_counts_add_up(world):
    good = [world.trace(n, f"n-{n}") for n in range(5)]
    nan = replace(good[0], id=TraceId("nan"), attributes={"x": float("nan")})
    raw_bytes = replace(good[0], id=TraceId("bytes"), inputs={"question": EMAIL.encode()})
    half = replace(good[0], id=TraceId("half"), output="\ud83d")
    keys = replace(good[0], id=TraceId("keys"), attributes={("a", "b"): 1})
    unread = replace(good[0], id=TraceId("set"), attributes={"x": {1, 2}})
    intake = world.take([*good, good[0], nan, raw_bytes, half, keys, unread, good[4]])
    assert (intake.new, intake.duplicate) == (5, 2)
    assert sum(intake.refused.values()) == 5
    assert not any(EMAIL in reason for reason in intake.refused)
    assert len(world.stored()) == 5
    assert world.take(good).duplicate == 5


def test_what_is_refused_does_not_stand_in_for_what_is_not(world):
    # NaN would be written as null by some encoders: a null that came after it is another content.
    nan = world.trace(0, "nan", attributes={"x": float("nan")})
    null = world.trace(0, "null", attributes={"x": None})
    intake = world.take([nan, null, replace(nan, id=TraceId("nan-again"))])
    assert (intake.new, sum(intake.refused.values())) == (1, 2)
    assert world.stored()[0].attributes == {"x": None}


def test_code_adds_its_scores_and_keeps_the_brought_ones(world):
    brought = Score(metric="stars", result=Scored(value=0.5), source="user", at=NOW - 9)
    late = NOW + 5
    world.take(
        [
            world.trace(1, "right", scores=(brought,), at=late),
            world.trace(10, "wrong"),
            world.trace(2, "none", reference=None),
            world.trace(3, "failed", outcome=Failed(reason="deadline of 20 s missed"), output=None),
            world.trace(4, "errored", outcome=Errored(reason="status 503"), output=None),
        ]
    )
    found = {trace.id.removeprefix("t-"): trace.scores for trace in world.stored()}
    assert brought in found["right"]
    (right,) = [score for score in found["right"] if score.metric == "answered"]
    assert right == Score(
        metric="answered", result=Scored(value=1.0), source="code:contains_reference/1", at=late
    )
    assert [score.result for score in found["wrong"]] == [Scored(value=0.0)]
    assert found["wrong"][0].at == NOW
    assert isinstance(found["none"][0].result, Unscored)
    assert [score.result for score in found["failed"]] == [Scored(value=0.0)]
    assert [score.result for score in found["errored"]] == [Errored(reason="status 503")]


def arrivals(world: World) -> list[Trace]:
    """Twelve units with thirty interactions, in no order of time, that bring their assignments."""
    traces = []
    for n in range(30):
        unit = n * 7 % 12
        arm = Arm.CANDIDATE if unit % 3 == 0 else Arm.BASELINE
        stage = 0 if n < 20 else 1
        traces.append(
            world.trace(
                n,
                f"x-{n}",
                unit_id=UnitId(f"unit-{unit}"),
                at=NOW - 30 + (n * 11 % 30),
                assignment=assigned("r-5", arm, stage=stage, p=0.2 if stage == 0 else 0.5),
            )
        )
    return traces


def exposures(world: World) -> list[tuple[Any, ...]]:
    known = world.house.traces.assignments(RolloutId("r-5"), [UnitId(f"unit-{n}") for n in range(12)])
    rows = sorted(known.values(), key=lambda one: one.order)
    return [(one.order, one.unit_id, one.stage, one.arm, one.probability, one.at) for one in rows]


def test_interactions_that_bring_an_assignment_are_exposures_first_and_once(world):
    traces = arrivals(world)
    world.take(traces)
    found = exposures(world)
    assert [row[0] for row in found] == list(range(12))
    first: dict[UnitId, Trace] = {}
    for trace in sorted(traces, key=lambda trace: trace.at):
        first.setdefault(trace.unit_id, trace)
    for _, unit, stage, arm, probability, at in found:
        trace = first[unit]
        assert trace.assignment is not None
        assert (stage, arm, probability, at) == (
            trace.assignment.stage,
            trace.assignment.arm,
            trace.assignment.probability,
            trace.at,
        )
    assert [row[5] for row in found] == sorted(row[5] for row in found)


def test_taking_the_same_twice_changes_nothing(world):
    traces = arrivals(world)
    world.take(traces)
    before = (exposures(world), world.stored())
    world.clock.at += 60
    world.reopen()
    intake = world.take(traces)
    assert (intake.new, intake.duplicate) == (0, len(traces))
    assert (exposures(world), world.stored()) == before


def test_later_batches_go_on_where_the_order_ended(world):
    traces = arrivals(world)
    for start in range(0, 30, 4):
        world.take(traces[start : start + 4])
    found = exposures(world)
    assert [row[0] for row in found] == list(range(12))
    assert len({row[1] for row in found}) == 12


class KilledError(InchwormError):
    """The process ends here."""


def test_killed_between_exposures_and_interactions_it_is_taken_again(world, tmp_path, monkeypatch):
    traces = arrivals(world)
    undisturbed = World.build(tmp_path / "undisturbed")
    undisturbed.take(traces)

    def killed(*_args: object, **_named: object) -> None:
        raise KilledError("killed")

    store = type(world.house.traces)
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_traces", killed)
        with pytest.raises(KilledError):
            world.take(traces)
    assert len(exposures(world)) == 12, "an exposure is durable before its outcome is known"
    assert world.stored() == []
    world.reopen()
    assert world.take(traces).new == len(traces)
    assert exposures(world) == exposures(undisturbed)
    assert world.stored() == undisturbed.stored()
    undisturbed.house.close()
