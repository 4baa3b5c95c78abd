"""The drain: everything accepted is stored once, or quarantined with its reason; nothing stops it."""

import resource
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.app.loop.spooled import KEY, arm, called, exposed, rated, root, spool, traced
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop import draining, reading
from inchworm.app.loop.awaiting import PATIENCE_S
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.incoming import read_record
from inchworm.capture.records import Record
from inchworm.capture.spool import closed_segments, quarantined, read_segment, set_aside_segments
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.outcome import Scored
from inchworm.domain.trace import Arm

ONE = RolloutId("r-1")
EMAIL = "ann.example@mailhost.net"


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


def reasons(world: World) -> dict[str, int]:
    return {one.reason: one.records or 0 for one in quarantined(root(world))}


def units(world: World) -> list[tuple[str, bool]]:
    """Units of the rollout in their order, and whether they got the candidate."""
    house = world.house
    known = house.traces.assignments(ONE, [UnitId(f"s-{n}") for n in range(100)])
    return [
        (one.unit_id, one.arm is Arm.CANDIDATE) for one in sorted(known.values(), key=lambda one: one.order)
    ]


def test_everything_in_a_segment_reaches_the_stores_and_the_segment_is_gone(world, drain):
    spool(
        world,
        exposed("1"),
        called("1", assigned=arm()),
        traced({"id": "mine", "inputs": {"question": "Why?"}, "output": "So.", "unit": "s-2"}),
        rated("1", 0.5),
    )
    drained = drain.round()
    assert (drained.segments, drained.records) == (1, 4)
    assert (drained.traces, drained.exposures, drained.scores) == (2, 1, 1)
    assert not drained.quarantined
    assert closed_segments(root(world)) == []
    first, second = sorted(world.stored(), key=lambda one: one.id)
    assert (first.id, first.output, first.at) == ("mine", "So.", NOW)
    assert second.assignment is not None
    assert second.assignment.rollout_id == ONE
    helpful = [one for one in second.scores if one.metric == "helpful"]
    assert [one.result for one in helpful] == [Scored(value=0.5)]
    assert drain.round().idle


def test_what_is_drained_again_after_a_crash_is_stored_once(world, drain):
    records: list[Record | bytes] = [
        exposed("1"),
        exposed("2", arm(which="candidate")),
        called("1", assigned=arm()),
        traced({"inputs": {"question": "Why?"}, "unit": "s-2"}),
        rated("1"),
        b"nothing",
    ]
    spool(world, *records)
    copy = closed_segments(root(world))[0]
    data = copy.read_bytes()
    drain.round()
    for _ in range(2):  # killed behind the stores, before the segment was destroyed
        copy.write_bytes(data)
        again = drain.round()
        assert (again.traces, again.exposures, again.scores) == (0, 0, 0)
        assert again.duplicates == 2
    assert len(world.stored()) == 2
    assert world.house.traces.exposures_count(ONE) == {(0, Arm.BASELINE): 1, (0, Arm.CANDIDATE): 1}
    (one,) = [trace for trace in world.stored() if trace.id == "t-1"]
    assert [score.metric for score in one.scores].count("helpful") == 1
    assert len(quarantined(root(world))) == 1


@settings(max_examples=30)  # each opens two stores
@given(st.permutations(range(6)), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_places_follow_time_then_arrival(tmp_path_factory, order, seconds):
    world = World.build(tmp_path_factory.mktemp("shop"))
    try:
        came = [exposed(str(n), at=NOW - 10 + seconds[n]) for n in order]
        spool(world, *came[:3])
        spool(world, *came[3:])
        Draining(world.house, KEY).round()
        expected = sorted(order, key=lambda n: seconds[n])  # sorted() keeps the order of arrival among equals
        assert [unit for unit, _ in units(world)] == [f"s-{n}" for n in expected]
    finally:
        world.house.close()


def test_a_unit_keeps_its_first_exposure(world, drain):
    spool(world, exposed("1", at=NOW - 5), exposed("1", arm(which="candidate"), at=NOW - 4))
    drain.round()
    spool(world, exposed("1", arm(which="candidate"), at=NOW - 9), exposed("2", at=NOW - 1))
    drain.round()
    assert units(world) == [("s-1", False), ("s-2", False)]


def test_a_trace_of_the_other_arm_is_stored_counted_and_no_evidence(world, drain):
    other = arm(which="candidate")
    spool(world, exposed("1"), called("1", assigned=arm()), called("1", id="t-x", assigned=other, status=500))
    drain.round()
    assert {trace.id for trace in world.stored()} == {"t-1", "t-x"}
    assert world.house.traces.changed_arms(ONE) == 1
    rows = world.house.traces.units(ONE, start=0, matured_before=NOW, limit=9)
    assert (rows.traces.tolist(), rows.failed.tolist(), rows.candidate.tolist()) == ([1], [0.0], [False])


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"\xc1 no MessagePack", "no record that this version reads"),
        (b"\x81\xa1k\xa8called/9", "no record that this version reads"),
        (called("1", app="other/production"), "other/production"),
        (called("1", app="a/b/c"), "names no app"),
        (called("1", request=b"{"), "request cannot be read"),
        (called("1", at=float("nan")), "time"),
        (called("1", assigned=arm(stage=9)), "stage"),
        (called("1", assigned=arm(which="both")), "arm"),
        (traced(b"{"), "JSON"),
        (traced(b'"\xff"'), "UTF-8"),
        (traced({"inputs": {}, "outputs": "x"}), "outputs"),
        (traced({"inputs": {"n": 2**60 + 1}}), "write it as a text"),
        (exposed("1", arm(which="both")), "arm"),
        (exposed("1", arm(p=1.5)), "probability"),
        (exposed("1", arm(stage=-1)), "stage"),
        (exposed("1", arm(stage=9)), "stage"),
        (exposed("1", arm(rollout="")), "rollout"),
        (exposed("1", unit=""), "unit"),
        (exposed("1", at=float("inf")), "time"),
        (rated("1", 1.5), "[0, 1]"),
        (rated("1", float("nan")), "[0, 1]"),
        (rated("1", metric=""), "metric"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_taken_in_is_quarantined_and_stops_nothing(world, flying, drain, record, why):
    if not isinstance(record, bytes) and getattr(record, "assigned", None) is not None:
        named = record.assigned.rollout and flying.id
        record = _with(record, rollout=named)
    spool(world, called("0"), record, called("2"))
    drained = drain.round()
    assert drained.traces == 2
    (said,) = reasons(world)
    assert why in said
    assert drained.quarantined == {said: 1}
    (kept,) = quarantined(root(world))
    (raw,) = read_segment(kept.path, KEY).records
    spool(world, raw)
    assert drain.round().quarantined == {said: 1}, "what lies in quarantine is the record as it was"


def _with(record: Any, *, rollout: str) -> Any:
    old = record.assigned
    return msgspec.structs.replace(record, assigned=arm(rollout, old.arm, stage=old.stage, p=old.probability))


def test_a_reason_repeats_no_personal_data(world, drain):
    spool(world, traced({"inputs": {}, EMAIL: 1}))
    drain.round()
    (said,) = reasons(world)
    assert EMAIL not in said
    assert "EMAIL_1" in said
    assert not any(EMAIL.encode() in path.read_bytes() for path in root(world).rglob("*") if path.is_file())


def test_a_damaged_segment_is_kept_and_what_opens_of_it_is_stored(world, drain):
    spool(world, called("1"))
    path = closed_segments(root(world))[0]
    path.write_bytes(path.read_bytes() + b"what nobody wrote")
    drained = drain.round()
    assert drained.traces == 1
    (kept,) = quarantined(root(world))
    assert kept.records == 1
    assert "behind the end" in kept.reason
    assert closed_segments(root(world)) == []


def test_feedback_that_comes_first_waits_for_its_interaction(world, drain):
    spool(world, rated("1", 0.25, source=EMAIL))
    assert drain.round().scores == 0
    assert closed_segments(root(world)) == []
    assert len(set_aside_segments(root(world))) == 1, "it is not in a store yet, so it is still in the spool"
    assert (drain.backlog().segments, drain.backlog().waiting) == (0, 1)
    spool(world, called("1"))
    assert drain.round().scores == 1
    assert set_aside_segments(root(world)) == []
    (trace,) = world.stored()
    (score,) = [one for one in trace.scores if one.metric == "helpful"]
    assert (score.result, score.source) == (Scored(value=0.25), "EMAIL_1")


def test_feedback_on_nothing_is_quarantined_after_a_while(world, drain):
    spool(world, rated("1"), rated("2"), called("2"))
    assert drain.round().scores == 1
    world.clock.at += PATIENCE_S - 1
    assert drain.round().idle
    assert not reasons(world)
    world.clock.at += 1
    drain.round()
    assert list(reasons(world).values()) == [1]
    assert closed_segments(root(world)) == []


def test_feedback_that_waits_survives_a_restart(world, drain):
    spool(world, rated("1"))
    drain.round()
    spool(world, called("1"))
    drained = Draining(world.house, KEY).round()
    assert (drained.traces, drained.scores) == (1, 1)
    assert closed_segments(root(world)) == []


def test_a_fault_of_ours_costs_the_record_and_not_the_rest(world, drain, monkeypatch):
    take = drain._drain.take

    def faulty(traces, **rest):
        if any(trace.id == "t-2" for trace in traces):
            raise ZeroDivisionError
        return take(traces, **rest)

    monkeypatch.setattr(drain._drain, "take_clean", faulty)
    spool(world, *(called(str(n)) for n in range(5)))
    assert drain.round().traces == 4
    assert list(reasons(world)) == ["This is a fault in Inchworm, not in the record: ZeroDivisionError."]


def test_a_reader_that_fails_costs_the_record_and_not_the_rest(world, drain, monkeypatch):
    def faulty(raw, path, apps):
        if b"t-2" in raw:
            raise KeyError
        return read_record(raw, path, apps)

    monkeypatch.setattr(reading, "read_record", faulty)
    spool(world, *(called(str(n)) for n in range(5)))
    assert drain.round().traces == 4
    assert list(reasons(world)) == ["This is a fault in Inchworm, not in the record: KeyError."]


def test_a_store_that_fails_costs_nothing(world, drain, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    spool(world, called("1"))
    with monkeypatch.context() as patched:
        patched.setattr(world.house.traces, "add_traces", full)
        with pytest.raises(StoreError):
            drain.round()
    assert not reasons(world)
    assert drain.round().traces == 1


def test_on_a_full_disk_nothing_is_quarantined_and_the_next_round_takes_it_in(world, drain):
    spool(world, called("1"), called("2"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # no file grows
    try:
        with pytest.raises(StoreError):
            drain.round()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not reasons(world)
    assert drain.round().traces == 2


def test_a_segment_that_cannot_be_read_waits_and_is_said(world, drain, monkeypatch):
    spool(world, called("1"))
    (unreadable,) = closed_segments(root(world))
    spool(world, called("2"), at=NOW + 1)

    def read(path, key):
        if path == unreadable:
            raise StoreError("its block of the disk is gone")
        return read_segment(path, key)

    with monkeypatch.context() as patched:
        patched.setattr(draining, "read_segment", read)
        assert drain.round().traces == 1
    assert drain.backlog().unreadable == {str(unreadable): "its block of the disk is gone"}
    assert drain.round().idle
    world.clock.at += 31
    assert drain.round().traces == 1
    assert drain.backlog().unreadable == {}


def test_metrics_that_are_declared_later_count_from_then_on(world, drain):
    spool(world, called("1"))
    drain.round()
    spec = world.house.spec
    extra = replace(spec.metrics[0], name="brief", source={"check": {"max_words": 5}})
    world.house.follow(replace(spec, metrics=(*spec.metrics, extra)))
    spool(world, called("2"))
    drain.round()
    first, second = world.stored()
    assert "brief" not in {score.metric for score in first.scores}
    assert "brief" in {score.metric for score in second.scores}


def test_costs_are_those_of_the_configuration_that_answered(world, drain):
    priced = world.house.spec.configuration
    content = priced.content()
    content["layers"]["infrastructure"]["price"] = {"input": 1.0, "output": 10.0}
    configuration = type(priced).from_content(content)
    world.house.control.put_configuration(world.house.app, configuration, note="", at=NOW)
    spool(
        world, called("1", configuration=configuration.id), called("2", configuration="unknown"), called("3")
    )
    drain.round()
    costs = {trace.id: trace.usage.cost_usd for trace in world.stored()}
    assert costs == {"t-1": pytest.approx((10 + 20) / 1e6), "t-2": None, "t-3": None}


def test_a_round_can_be_cut_short_between_groups_and_the_next_goes_on(world, drain, monkeypatch):
    monkeypatch.setattr(draining, "BATCH", 1)
    for number in range(3):
        spool(world, called(str(number)), at=NOW + number)
    assert drain.round(lambda: True).traces == 1
    assert len(closed_segments(root(world))) == 2
    assert drain.round().traces == 2


def test_a_dead_writer_loses_nothing(world, drain):
    spool(world, called("1"))
    path = closed_segments(root(world))[0]
    path.rename(path.with_suffix(".open"))
    assert drain.round().traces == 1


def test_ids_that_are_personal_find_their_interaction(world, drain):
    spool(world, called("1", id=EMAIL), rated("1", trace=EMAIL))
    assert drain.round().scores == 1
    (trace,) = world.stored()
    assert trace.id != EMAIL


def test_another_name_is_followed_and_the_old_one_is_still_taken_in(world, drain):
    spec = world.house.spec
    world.house.follow(replace(spec, app=replace(spec.app, app="bigger-shop")))
    spool(world, called("1"), called("2", app="bigger-shop/production"))
    drained = drain.round()
    assert (drained.traces, drained.quarantined.total()) == (2, 0)
    assert world.house.traces.count(world.house.app) == 1
    assert world.house.traces.count(spec.app) == 1
