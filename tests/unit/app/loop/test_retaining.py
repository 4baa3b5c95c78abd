"""Retention by what inchworm.yaml says; and the quarantine, looked at, tried again and emptied."""

from dataclasses import replace

import pytest
from tests.unit.app.loop.spooled import KEY, called, rated, root, spool
from tests.unit.app.loop.world import DAY, NOW

from inchworm.app.config.retention import Retention
from inchworm.app.loop import quarantining, retaining
from inchworm.app.loop.draining import Draining
from inchworm.capture.spool import closed_segments, quarantine_records, quarantined
from inchworm.domain.errors import NotFoundError, UsageError

SECRET = "ann.example@mailhost.net"


def keep(world, **ages):
    world.house.spec = replace(world.house.spec, retention=Retention(**ages))


def refuse(world, *records, reason="It is of another app.", at=NOW):
    from inchworm.capture.records import encode

    return quarantine_records(root(world), KEY, [encode(one) for one in records], reason=reason, at=at)


@pytest.fixture(autouse=True)
def _one_key(monkeypatch):
    monkeypatch.setattr(quarantining, "derive", lambda *_: KEY)


def test_what_is_too_old_goes_and_the_file_is_written_anew_when_enough_did(world):
    world.history(30, days=3)
    keep(world, payloads_s=DAY, traces_s=2 * DAY)
    found = retaining.look(world.house)
    assert (found.payloads, found.traces) == (10, 10)
    assert retaining.look(world.house) == found
    ran = retaining.run(world.house)
    assert (ran.payloads, ran.traces, ran.rebuilt) == (10, 10, True)
    assert sum(one.is_expired for one in world.stored()) == 10
    assert len(world.stored()) == 20
    again = retaining.run(world.house)
    assert (again.payloads, again.traces, again.rebuilt) == (0, 0, False)


def test_little_is_left_in_the_file_for_a_week_at_most(world):
    world.history(100, days=10)
    keep(world, traces_s=9.75 * DAY)
    assert retaining.run(world.house).rebuilt is False
    world.clock.at += 8 * DAY
    keep(world, traces_s=17.8 * DAY)
    assert retaining.run(world.house).rebuilt is True


def test_nothing_goes_while_nothing_is_said(world):
    world.history(10)
    refuse(world, called("1"))
    world.clock.at += 10_000 * DAY
    assert retaining.look(world.house) == retaining.run(world.house) == retaining.Outlived()


@pytest.mark.usefixtures("flying")
def test_an_open_rollout_keeps_its_interactions(world):
    world.slot(20)
    keep(world, traces_s=DAY)
    world.clock.at += 30 * DAY
    assert (retaining.look(world.house).traces, retaining.look(world.house).needed) == (0, 20)
    retaining.run(world.house)
    assert len(world.stored()) == 20


def test_the_quarantine_is_emptied_by_age(world):
    refuse(world, called("1"), at=NOW - 3 * DAY)
    refuse(world, called("2"), at=NOW)
    keep(world, quarantine_s=2 * DAY)
    assert retaining.look(world.house).quarantined == 1
    assert retaining.run(world.house).quarantined == 1
    assert [one.at for one in quarantined(root(world))] == [NOW]


def test_the_quarantine_is_listed_by_reason_and_shown_sanitized(world):
    refuse(world, called("1", attributes={"mail": SECRET}), b_rated := rated("2"), reason="One.")
    refuse(world, b_rated, reason="Two.")
    found = quarantining.everything(world.house)
    assert quarantining.reasons(found) == {"One.": 2, "Two.": 1}
    one = next(kept for kept in found if kept.one.reason == "One.")
    shown = quarantining.show(world.house, one.id.removeprefix("records-")[:8])
    assert [record["kind"] for record in shown.records] == ["called/1", "rated/1"]
    assert shown.records[0]["request"]["model"] == "tiny"
    assert SECRET not in str(shown)
    assert "EMAIL" in str(shown)


def test_what_is_no_record_is_told_by_its_size(world):
    quarantine_records(root(world), KEY, [b"nothing"], reason="No.", at=NOW)
    (one,) = quarantining.everything(world.house)
    assert quarantining.show(world.house, one.id).records == ({"kind": "unreadable", "bytes": 7},)


def test_tried_again_it_is_taken_in_once(world):
    refuse(world, called("1"), rated("1"))
    spool(world, called("1"))
    draining = Draining(world.house, KEY)
    draining.round()
    (one,) = quarantining.retry(world.house, ["all"])
    assert quarantined(root(world)) == []
    assert len(closed_segments(root(world))) == 1
    drained = draining.round()
    assert (drained.records, drained.traces, drained.duplicates, drained.scores) == (2, 0, 1, 1)
    assert closed_segments(root(world)) == []
    assert len(world.stored()) == 1
    told = world.house.control.ledger(world.house.app)[0]
    assert (told.kind, told.what) == ("quarantine", "2 records in quarantine given to the drain again.")
    assert told.data["ids"] == [one.id]
    draining.close()


def test_what_still_cannot_be_taken_in_comes_back(world):
    refuse(world, called("1", app="other/production"), reason="Before.")
    quarantining.retry(world.house, ["all"])
    draining = Draining(world.house, KEY)
    draining.round()
    draining.close()
    (one,) = quarantining.everything(world.house)
    assert "other/production" in one.one.reason
    assert [path.suffix for path in sorted((root(world) / "quarantine").iterdir())] == [".closed", ".json"]


def test_discarded_it_is_gone_with_its_note(world):
    refuse(world, called("1"))
    refuse(world, called("2"), reason="Other.")
    first = quarantining.everything(world.house)[0]
    assert [one.id for one in quarantining.remove(world.house, [first.id])] == [first.id]
    assert len(list((root(world) / "quarantine").iterdir())) == 2
    with pytest.raises(NotFoundError):
        quarantining.remove(world.house, [first.id])
    with pytest.raises(NotFoundError):
        quarantining.find(world.house, ["no"])


def test_two_that_begin_alike_are_not_told_apart(world):
    refuse(world, called("1"))
    refuse(world, called("2"))
    with pytest.raises(UsageError, match="ambiguous"):
        quarantining.find(world.house, ["records-"])
