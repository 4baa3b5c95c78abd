"""What is said of interactions, metrics and rollouts."""

from dataclasses import replace

import pytest

from inchworm.app.doctor import seen, traffic
from inchworm.app.doctor.findings import Level

NOW = 1_790_000_000.0
WELL = seen.Traffic(stored=1_000, last_at=NOW - 5, sampled=500, recent=1_000)
STILL = seen.Rollouts(stable=True, waiting=(), unlike=(), failed=())


def bad(found):
    return [(one.level, one.said) for one in found if one.level is not Level.OK]


def test_ordinary_traffic_is_well():
    usual = replace(WELL, failed=10, errored=10, derived=50, without_content=100, assigned=300)
    found = traffic.traffic(replace(usual, unapplied={"prompt": 2}), NOW)
    assert [one.level for one in found] == [Level.OK]
    assert found[0].said == "Stored: 1,000 interactions, the last one 5 s ago."


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        (
            {"without_content": 300},
            Level.WARNING,
            "60 % of the latest 500 interactions do not say what was asked",
        ),
        ({"errored": 150}, Level.WARNING, "30 %"),
        ({"failed": 150}, Level.WARNING, "failed"),
        ({"derived": 300}, Level.NOTE, "60 %"),
        (
            {"assigned": 100, "unapplied": {"prompt": 40}},
            Level.WARNING,
            "prompt layer could not be applied to 40 %",
        ),
        ({"unscored": ("helpful",)}, Level.WARNING, "helpful has no score"),
        ({"last_at": NOW - 200_000}, Level.NOTE, "Does your program still call the gateway?"),
    ],
)
def test_what_is_unusual_is_said_with_its_share(changes, level, words):
    ((found, said),) = bad(traffic.traffic(replace(WELL, **changes), NOW))
    assert found is level
    assert words in said


def test_who_sends_no_unit_is_told_the_header():
    ((_, said),) = bad(traffic.traffic(replace(WELL, derived=500), NOW))
    assert "inchworm-unit" in said
    assert bad(traffic.traffic(replace(WELL, derived=500, by_request=True), NOW)) == []


def test_of_a_few_interactions_no_share_is_said():
    few = replace(WELL, stored=9, sampled=9, errored=9, derived=9, recent=9, unscored=("helpful",))
    assert bad(traffic.traffic(few, NOW)) == []


def test_without_any_it_is_said_how_to_begin():
    (found,) = traffic.traffic(seen.Traffic(stored=0, last_at=None), NOW)
    assert (found.level, found.command) == (Level.NOTE, "inchworm import FILE.jsonl")


def test_a_rollout_that_waits_is_named_with_what_to_type():
    waiting = seen.Waiting(id="r-7", state="holding", because="the deadline passed.", since=NOW - 7_200)
    (found,) = traffic.rollouts(replace(STILL, waiting=(waiting,)), NOW)
    assert (found.level, found.command) == (Level.WARNING, "inchworm rollout show r-7")
    assert found.said == "r-7 is holding for 2 h and waits for a person: the deadline passed."


def test_what_is_served_unlike_the_record_is_a_problem():
    (found,) = traffic.rollouts(replace(STILL, unlike=("a/b serves c as stable, recorded is d.",)), NOW)
    assert found.level is Level.PROBLEM


def test_work_that_failed_is_named():
    (found,) = traffic.rollouts(replace(STILL, failed=(("benchmark/r-1", "no key."),)), NOW)
    assert found.level is Level.WARNING
    assert "benchmark/r-1" in found.said


def test_nothing_stable_is_a_note_and_nothing_waiting_is_well():
    assert [one.command for one in traffic.rollouts(replace(STILL, stable=False), NOW)] == ["inchworm adopt"]
    assert [one.level for one in traffic.rollouts(STILL, NOW)] == [Level.OK]
