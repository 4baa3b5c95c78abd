"""Quality in bins, what traffic was answered by, and units that were seen in two arms."""

from dataclasses import replace

import pytest
from tests.unit.store.values import APP, OTHER, assigned, configuration_id, exposure, score, trace

from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.outcome import Errored, Failed
from inchworm.domain.trace import Arm
from inchworm.store.traces import QualityBin, SeenConfiguration, TraceStore

ROLLOUT = RolloutId("r-1")


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "traces.duckdb") as opened:
        yield opened


def at(number, when, **changes):
    return trace(number, at=when, **changes)


def test_outcomes_are_binned_and_what_the_harness_broke_is_left_out(store):
    store.add_traces(
        [
            at(1, 1_000.0),
            at(2, 1_059.0, outcome=Failed(reason="slow")),
            at(3, 1_060.0),
            at(4, 1_061.0, outcome=Errored(reason="503")),
            at(5, 1_200.0),
            replace(at(6, 1_010.0), app=OTHER),
        ]
    )
    assert store.quality(APP, metric=None, since=1_000.0, until=1_200.0, width_s=60.0) == [
        QualityBin(start=1_000.0, n=2, total=1.0),
        QualityBin(start=1_060.0, n=1, total=1.0),
    ]


def test_a_metric_is_binned_by_the_latest_score_of_each_trace(store):
    store.add_traces(
        [
            at(1, 1_000.0, scores=(score(0.0, at=1.0), score(1.0, source="user", at=2.0))),
            at(2, 1_010.0, scores=(score(0.5),)),
            at(3, 1_020.0, scores=(score(0.9, metric="other"),)),
            at(4, 1_130.0, scores=(score(0.25),)),
        ]
    )
    assert store.quality(APP, metric="right", since=1_000.0, until=2_000.0, width_s=60.0) == [
        QualityBin(start=1_000.0, n=2, total=1.5),
        QualityBin(start=1_120.0, n=1, total=0.25),
    ]
    assert store.quality(APP, metric="none", since=1_000.0, until=2_000.0, width_s=60.0) == []


def test_a_bin_is_longer_than_nothing(store):
    with pytest.raises(ValueError, match="longer than 0"):
        store.quality(APP, metric=None, since=0.0, until=1.0, width_s=0.0)


def test_what_traffic_was_answered_by_is_told_newest_first(store):
    one, two = configuration_id("a"), configuration_id("b")
    store.add_traces(
        [
            at(1, 1_000.0, configuration_id=one),
            at(2, 1_100.0, configuration_id=two),
            at(3, 1_050.0, configuration_id=one),
            at(4, 900.0, configuration_id=None),
            replace(at(5, 5_000.0, configuration_id=two), app=OTHER),
        ]
    )
    assert store.seen(APP) == [
        SeenConfiguration(id=two, n=1, first=1_100.0, last=1_100.0),
        SeenConfiguration(id=one, n=2, first=1_000.0, last=1_050.0),
        SeenConfiguration(id=None, n=1, first=900.0, last=900.0),
    ]
    assert len(store.seen(APP, limit=1)) == 1


def test_units_seen_in_another_arm_than_their_own_are_counted_once(store):
    store.add_exposures([exposure(n) for n in range(4)])
    own = [assigned(n) for n in range(4)]
    store.add_traces(own)
    assert store.changed_arms(ROLLOUT) == 0
    strayed = own[0].assignment
    assert strayed is not None
    other = Arm.CANDIDATE if strayed.arm is Arm.BASELINE else Arm.BASELINE
    twice = [replace(own[0], id=trace(100 + n).id, assignment=replace(strayed, arm=other)) for n in range(2)]
    unknown = replace(twice[0], id=trace(200).id, unit_id=UnitId("never-exposed"))
    store.add_traces([*twice, unknown])
    assert store.changed_arms(ROLLOUT) == 1
    assert store.changed_arms(RolloutId("r-2")) == 0
