"""What the control loop asks of many rollouts at once, approvals, and work that is wanted after all."""

from dataclasses import replace

import pytest
from tests.unit.store.values import APP, BASE, OTHER, after, decision, entry, lineage, rollout, served, work

from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, UnitId, WorkId
from inchworm.domain.rollout import Approval, DecisionKind, RolloutState
from inchworm.domain.trace import Arm, Exposure
from inchworm.domain.work import WorkState
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceStore
from inchworm.store.traces.matured import Due


@pytest.fixture
def store(tmp_path):
    with ControlStore.open(tmp_path / "control.db") as opened:
        opened.put_configuration(APP, BASE, note="first", at=1.0)
        for app in (APP, OTHER):
            assert opened.start_lineage(lineage(app), served(app), entry(app))
        opened.reserve_rollouts(3)
        assert opened.enqueue([rollout(1), rollout(2)], expected_stable=BASE.id, ledger=[])
        yield opened


def test_lineages_and_tables_of_all_apps_come_in_one_answer(store):
    assert store.lineages() == [store.lineage(app) for app in store.apps()]
    assert store.servings() == [store.serving(app) for app in store.apps()]


def test_watermarks_of_many_rollouts(store):
    assert store.save_monitor(RolloutId("r-2"), expected=0, watermark=7, state={})
    many = [RolloutId(f"r-{number}") for number in range(2_000)]
    assert store.watermarks(many) == {"r-2": 7}
    assert store.watermarks([]) == {}


def test_a_word_is_kept_once_and_told(store):
    said = Approval(rollout_id=RolloutId("r-1"), stage=0, actor="ben", at=3.0, reason="fine")
    assert store.put_approval(APP, said, entry(at=3.0, what="ben agreed"))
    assert not store.put_approval(APP, replace(said, at=4.0), entry(at=4.0, what="again"))
    assert store.put_approval(APP, replace(said, stage=1), entry(at=5.0, what="ben agreed"))
    assert [one.stage for one in store.approvals([RolloutId("r-1"), RolloutId("r-2")])] == [0, 1]
    assert store.approvals([RolloutId("r-2")]) == []
    assert [one.action for one in store.audit(APP, limit=2)] == ["rollout.approve", "rollout.approve"]
    assert [one.what for one in store.ledger(APP, limit=2)] == ["ben agreed", "ben agreed"]
    with pytest.raises(NotFoundError):
        store.put_approval(APP, replace(said, rollout_id=RolloutId("r-9")), entry())
    assert store.verify_audit().breaks == ()


def started(store, wanted):
    """r-1 starts, and waits for this item."""
    on = store.rollout(RolloutId("r-1"))
    taken = decision(on, DecisionKind.START, RolloutState.BENCHMARKING)
    assert store.commit(taken, after(on, taken), work=[wanted])


@pytest.mark.parametrize("before", [WorkState.READY, WorkState.FAILED])
def test_what_was_optional_and_not_made_is_ready_again_once_it_is_waited_for(store, before):
    early = replace(work("w-1"), kind="early")
    store.add_work([early])
    if before is WorkState.FAILED:
        store.lease_work(["early"], owner="me", now=1.0, lease_s=9)
        store.fail_work(WorkId("w-1"), owner="me", error="no", retry=False)
    started(store, work("w-1"))
    (leased,) = store.lease_work([work("w-1").kind], owner="me", now=2.0, lease_s=9)
    assert (leased.id, leased.kind) == ("w-1", work("w-1").kind)


def test_what_is_being_made_or_is_made_stays_as_it_is(store):
    early = replace(work("w-1"), kind="early")
    store.add_work([early])
    store.lease_work(["early"], owner="me", now=1.0, lease_s=9)
    started(store, work("w-1"))
    assert store.finish_work(WorkId("w-1"), owner="me", result={"x": 1})
    assert store.work_items([WorkId("w-1"), WorkId("w-2")]) == {
        "w-1": replace(early, state=WorkState.DONE, result={"x": 1}, attempts=1)
    }


def test_a_failed_item_that_was_waited_for_already_is_not_made_again(store):
    store.add_work([work("w-1")])
    store.lease_work([work("w-1").kind], owner="me", now=1.0, lease_s=9)
    store.fail_work(WorkId("w-1"), owner="me", error="no", retry=False)
    started(store, work("w-1"))
    assert store.work_items([WorkId("w-1")])[WorkId("w-1")].state is WorkState.FAILED


def test_matured_units_of_many_rollouts_are_counted_once_per_clock(tmp_path):
    with TraceStore.open(tmp_path / "traces.duckdb") as traces:
        traces.add_exposures(
            [
                Exposure(
                    rollout_id=RolloutId(f"r-{number}"),
                    order=place,
                    unit_id=UnitId(f"u-{place}"),
                    stage=0,
                    arm=Arm.BASELINE,
                    probability=0.5,
                    at=float(place),
                )
                for number in (1, 2)
                for place in range(10)
            ]
        )
        asked = [
            Due(rollout_id=RolloutId("r-1"), units_until=(4.0,)),
            Due(rollout_id=RolloutId("r-2"), units_until=(9.0, 2.5), pairs_until=9.0),
            Due(rollout_id=RolloutId("r-3"), units_until=(9.0,)),
        ]
        assert traces.matured(asked) == {"r-1": 5, "r-2": 13}
        assert traces.matured([]) == {}
