"""The drain between its steps: nothing is told twice, and nothing is told on."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.loop.spooled import KEY, arm, called, exposed, rated, root, spool
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop import draining, reading
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.exposing import expose
from inchworm.app.loop.incoming import read_record
from inchworm.capture.spool import closed_segments, quarantined
from inchworm.domain.ids import UnitId

SECRET = "Ann Example of Long Lane"


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


def test_what_was_read_ahead_and_left_for_the_next_round_is_quarantined_once(world, drain, monkeypatch):
    monkeypatch.setattr(draining, "_GROUP_BYTES", 1)
    spool(world, called("0"), b"nothing", at=NOW)
    spool(world, called("1"), b"nothing else", at=NOW + 1)
    spool(world, called("2"), b"nothing at all", at=NOW + 2)
    rounds = []
    while not (drained := drain.round(lambda: True)).idle:
        rounds.append((drained.segments, drained.records, drained.quarantined.total()))
    assert rounds == [(1, 2, 1)] * 3
    assert sorted(one.records or 0 for one in quarantined(root(world))) == [1, 1, 1]


def test_a_score_in_a_damaged_segment_finds_the_interaction_that_came_right_before(world, drain):
    spool(world, called("1"), at=NOW)
    spool(world, rated("1"), at=NOW + 1)
    second = closed_segments(root(world))[1]
    with second.open("ab") as file:
        file.write(b"what does not belong here")
    drained = drain.round()
    assert (drained.traces, drained.scores) == (1, 1)
    assert [one.source for one in quarantined(root(world))] == ["gateway"]


def test_a_mistake_is_logged_without_what_somebody_said(world, drain, monkeypatch, caplog):
    def mistaken(raw: bytes, path: Path, apps: Any) -> Any:
        if SECRET.encode() in raw:
            raise KeyError(SECRET)
        return read_record(raw, path, apps)

    def wrong(*_: Any) -> int:
        raise ValueError(SECRET)

    monkeypatch.setattr(reading, "read_record", mistaken)
    monkeypatch.setattr(draining, "record", wrong)
    spool(world, called("0"), called("1", trouble_said=SECRET), exposed("1"))
    with caplog.at_level(logging.DEBUG):
        drained = drain.round()
    assert drained.traces == 1
    assert set(drained.quarantined.values()) == {1}
    said = caplog.text + "".join(logging.Formatter().format(one) for one in caplog.records)
    assert "KeyError" in said
    assert "ValueError" in said
    assert SECRET not in said
    assert [one.reason for one in quarantined(root(world)) if SECRET in one.reason] == []


def test_a_clock_that_went_back_does_not_keep_orphans_from_being_adopted(world, drain, monkeypatch):
    looked: list[Path] = []
    monkeypatch.setattr(draining, "adopt_orphans", looked.append)
    drain.round()
    world.house.clock.at -= 86_400
    drain.round()
    assert len(looked) == 2


def test_units_that_are_resolved_here_while_others_are_drained_have_places_of_their_own(
    world, flying, monkeypatch
):
    store = world.house.traces
    real = type(store).last_order
    meeting = threading.Barrier(2, timeout=0.5)

    def slowly(self: Any, rollout_id: Any) -> int | None:
        last: int | None = real(self, rollout_id)
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait()  # both know the same last place, if both are let in
        return last

    monkeypatch.setattr(type(store), "last_order", slowly)
    spool(world, exposed("1", arm(rollout=flying.id)))
    resolving = threading.Thread(target=expose, args=(world.house, [(UnitId("s-2"), NOW)]))
    resolving.start()
    drained = Draining(world.house, KEY).round()
    resolving.join()
    assert not drained.quarantined
    known = store.assignments(flying.id, [UnitId("s-1"), UnitId("s-2")])
    assert sorted(one.order for one in known.values()) == [0, 1]


def test_inputs_without_a_canonical_form_are_refused_however_they_came(world, drain):
    ours: list[dict[str, Any]] = [
        {"inputs": {"n": 2**60 + 1}},
        {"reference": 2**60 + 1},
        {"inputs": {"n": "1152921504606846977"}},
    ]
    spool(world, *(_asked(str(place), **one) for place, one in enumerate(ours)))
    drained = drain.round()
    assert drained.traces == 1
    assert all("write it as a text" in reason for reason in drained.quarantined)


def _asked(name: str, **ours: Any) -> Any:
    messages = [{"role": "user", "content": "Why?"}]
    return called(
        name, request=json.dumps({"model": "tiny", "messages": messages, "inchworm": ours}).encode(), **ours
    )
