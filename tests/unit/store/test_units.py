from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store.values import APP, assigned, exposure, score, trace

from inchworm.domain.errors import ConflictError, InputError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.trace import Arm, Usage
from inchworm.store.traces import TraceStore

ROLLOUT = RolloutId("r-1")
ALL: dict[str, Any] = {"start": 0, "matured_before": 9e9, "limit": 10**6}


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "traces.duckdb") as opened:
        yield opened


def test_exposures_are_told_apart_by_place(store):
    assert store.last_order(ROLLOUT) is None
    assert store.exposures_count(ROLLOUT) == {}
    assert store.add_exposures([exposure(n) for n in range(3)]) == 3
    assert store.add_exposures([exposure(n) for n in range(1, 5)]) == 2
    assert store.add_exposures([exposure(0, "r-2")]) == 1
    assert store.add_exposures([]) == 0
    assert store.last_order(ROLLOUT) == 4
    assert store.exposures_count(ROLLOUT) == {(0, Arm.BASELINE): 3, (0, Arm.CANDIDATE): 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_id": UnitId("new")},
        {"order": 9},
        {"arm": Arm.CANDIDATE},
        {"stage": 1},
        {"probability": 0.25},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_exposure_never_changes(store, changes):
    store.add_exposures([exposure(n) for n in range(3)])
    with pytest.raises(ConflictError, match="exposures never change"):
        store.add_exposures([exposure(3), replace(exposure(2), **changes)])
    assert store.last_order(ROLLOUT) == 2


def test_a_batch_that_contradicts_itself_is_refused(store):
    with pytest.raises(ConflictError):
        store.add_exposures([exposure(0), exposure(0, unit_id=UnitId("x"))])
    assert store.add_exposures([exposure(0), exposure(0)]) == 1
    with pytest.raises(InputError, match="exposure"):
        store.add_exposures([exposure(1, unit_id=UnitId("\ud800"))])


def test_the_run_ends_at_the_first_that_is_young_or_missing(store):
    store.add_exposures([exposure(n) for n in (0, 1, 2, 4, 5)])
    assert store.units(ROLLOUT, **ALL).order.tolist() == [0, 1, 2]
    store.add_exposures([exposure(3, at=5000.0)])
    assert store.units(ROLLOUT, **ALL).order.tolist() == [0, 1, 2, 3, 4, 5]
    assert store.units(ROLLOUT, **ALL | {"matured_before": 4999.0}).order.tolist() == [0, 1, 2]
    assert store.units(ROLLOUT, **ALL | {"matured_before": 1001.0}).order.tolist() == [0, 1]
    assert store.units(ROLLOUT, **ALL | {"start": 2, "limit": 3}).order.tolist() == [2, 3, 4]
    assert store.units(ROLLOUT, **ALL | {"start": 6}).order.tolist() == []


def test_nothing_at_all_has_the_same_types(store):
    for rows in (store.units(ROLLOUT, **ALL), _one(store)):
        assert rows.order.dtype == rows.stage.dtype == rows.traces.dtype == rows.errored.dtype == np.int64
        assert rows.candidate.dtype == rows.latency_ms.present.dtype == rows.answered.dtype == np.bool_
        assert rows.probability.dtype == rows.at.dtype == rows.failed.dtype == np.float64
        assert rows.cost_usd.values.dtype == rows.output_tokens.values.dtype == np.float64
        assert not any(isinstance(one, np.ma.MaskedArray) for one in (rows.order, rows.failed, rows.at))
        assert rows.scores == {}


def _one(store):
    store.add_exposures([exposure(0)])
    rows = store.units(ROLLOUT, **ALL)
    assert len(rows) == 1
    return rows


def test_a_unit_without_traces_is_there_and_absent(store):
    store.add_exposures([exposure(n) for n in range(2)])
    store.add_traces([assigned(1), trace(0), assigned(0, "r-2", id="elsewhere")])
    rows = store.units(ROLLOUT, **ALL)
    assert rows.traces.tolist() == [0, 1]
    assert rows.answered.tolist() == [False, True]
    assert rows.latency_ms.present.tolist() == [False, True]
    assert rows.cost_usd.present.tolist() == [False, True]


def test_what_the_other_arm_answered_is_counted_and_no_evidence(store):
    store.add_exposures([exposure(n) for n in range(2)])
    mine, other = assigned(0).assignment, assigned(1).assignment
    assert mine is not None
    assert other is not None
    assert mine.arm is not other.arm
    changed = replace(
        assigned(0, id="x", outcome=Failed(reason="x")), assignment=replace(mine, arm=other.arm)
    )
    store.add_traces([assigned(0), assigned(1), changed])
    rows = store.units(ROLLOUT, **ALL)
    assert rows.traces.tolist() == [1, 1]
    assert rows.failed.tolist() == [0.0, 0.0]
    assert (store.changed_arms(ROLLOUT), store.changed_arms(RolloutId("r-2"))) == (1, 0)


def test_an_unknown_cost_is_never_summed_as_nothing(store):
    store.add_exposures([exposure(n) for n in range(3)])
    unknown, known = Usage(), Usage(output_tokens=5, cost_usd=0.5)
    store.add_traces(
        [
            assigned(0, usage=known),
            assigned(0, id="b", usage=unknown),
            assigned(1, usage=known),
            assigned(1, id="c", usage=unknown, outcome=Failed(reason="refused")),
            assigned(2, usage=unknown, outcome=Failed(reason="refused")),
        ]
    )
    rows = store.units(ROLLOUT, **ALL)
    assert rows.cost_usd.present.tolist() == rows.output_tokens.present.tolist() == [False, True, False]
    assert rows.cost_usd.values[1] == 0.5


RESULTS = st.one_of(
    st.builds(Scored, value=st.sampled_from([0.0, 0.25, 1.0])),
    st.just(Unscored(reason="x")),
    st.just(Errored(reason="x")),
)
OUTCOMES = st.sampled_from([Ok(), Failed(reason="x"), Errored(reason="x")])
NUMBERS = st.none() | st.integers(0, 9)
MADE = st.lists(
    st.tuples(
        st.integers(0, 5),
        OUTCOMES,
        NUMBERS,
        NUMBERS,
        st.lists(st.tuples(st.sampled_from(["a", "b"]), RESULTS, st.integers(0, 3)), max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(made=MADE, split=st.integers(0, 12))
def test_units_are_what_a_loop_over_traces_says(tmp_path_factory, made, split):
    traces = [
        assigned(
            unit,
            id=f"t{number}",
            outcome=outcome,
            latency_ms=latency,
            usage=Usage(cost_usd=cost, output_tokens=cost),
            scores=tuple(
                Score(metric=metric, result=result, source=f"s{place}", at=float(at))
                for place, (metric, result, at) in enumerate(scores)
            ),
        )
        for number, (unit, outcome, latency, cost, scores) in enumerate(made)
    ]
    with TraceStore.open(tmp_path_factory.mktemp("units") / "t.duckdb") as store:
        store.add_exposures([exposure(n) for n in range(5)])
        store.add_traces(traces[:split])
        store.add_traces(traces[split:])
        rows = store.units(ROLLOUT, **ALL)
    assert list(rows.scores) == sorted({s.metric for t in traces if t.unit_id != "u5" for s in t.scores})
    for unit in range(5):
        mine = [one for one in traces if one.unit_id == f"u{unit}"]
        failed = sum(isinstance(one.outcome, Failed) for one in mine)
        errored = sum(isinstance(one.outcome, Errored) for one in mine)
        answered = len(mine) - errored
        assert rows.traces[unit] == len(mine)
        assert rows.errored[unit] == errored
        assert rows.answered[unit] == (answered > 0)
        assert rows.failed[unit] == (failed / answered if answered else 0.0)
        _is(
            rows.latency_ms, unit, max((t.latency_ms for t in mine if t.latency_ms is not None), default=None)
        )
        unsaid = any(t.usage.cost_usd is None and t.outcome == Ok() for t in mine)
        costs = [t.usage.cost_usd for t in mine if t.usage.cost_usd is not None]
        for column in (rows.cost_usd, rows.output_tokens):
            _is(column, unit, None if unsaid or not costs else sum(costs))
        for metric, column in rows.scores.items():
            values = [v for v in (_latest(one, metric) for one in mine) if v is not None]
            _is(column, unit, sum(values) / len(values) if values else None)


def _latest(one, metric):
    last = None
    for kept in one.scores:
        if kept.metric == metric and (last is None or kept.at >= last.at):
            last = kept
    return last.result.value if last is not None and isinstance(last.result, Scored) else None


def _is(column, unit, expected):
    assert column.present[unit] == (expected is not None)
    assert column.values[unit] == pytest.approx(expected or 0.0)


def test_a_later_score_replaces_an_earlier_one(store):
    store.add_exposures([exposure(0)])
    store.add_traces([assigned(0, scores=(score(1.0, at=5.0),))])
    store.add_scores([(APP, assigned(0).id, score(0.25, source="human:ana", at=6.0))])
    store.add_scores([(APP, assigned(0).id, score(0.75, at=1.0))])
    assert store.units(ROLLOUT, **ALL).scores["right"].values.tolist() == [0.25]


def test_assignments_are_found_by_unit_within_their_rollout(store):
    made = [exposure(n) for n in range(4)]
    store.add_exposures([*made, exposure(7, "r-2")])
    asked = [UnitId("u3"), UnitId("u1"), UnitId("u7"), UnitId("u3")]
    assert list(store.assignments(ROLLOUT, asked).items()) == [("u1", made[1]), ("u3", made[3])]
    assert store.assignments(ROLLOUT, []) == {}
    with pytest.raises(InputError, match="surrogate"):
        store.assignments(ROLLOUT, [UnitId("\ud800")])


def call(of: int, name: str, **changes: Any) -> Any:
    """An interaction of unit ``of``; a unit may have several."""
    return assigned(of, id=TraceId(name), **changes)


def test_a_unit_has_its_id_and_the_cluster_of_its_first_trace(store):
    store.add_exposures([exposure(n) for n in range(3)])
    late, early, plain = call(0, "late", at=1200.0), call(0, "early", at=1100.0), call(1, "plain")
    store.add_traces([late, early, plain], cluster={late.id: "refunds", early.id: "orders"})
    rows = store.units(ROLLOUT, **ALL)
    assert rows.unit == ("u0", "u1", "u2")
    assert rows.cluster == ("orders", None, None)


def test_only_what_comes_within_a_units_window_counts(store):
    store.add_exposures([exposure(0, at=1000.0)])
    store.add_traces([call(0, f"t-{n}", at=1000.0 + 100 * n) for n in range(4)])
    assert store.units(ROLLOUT, **ALL).traces.tolist() == [4]
    assert store.units(ROLLOUT, **ALL, window_s=200.0).traces.tolist() == [3]
    assert store.arrived(ROLLOUT, before=1, since=-1, window_s=200.0).baseline == 3


def test_drawn_anew_at_each_stage_a_unit_is_another_each_time(store):
    """One user at two stages, by chance in the same arm: each exposure has the traces of its stage."""
    store.add_exposures([exposure(0), exposure(1, unit_id=UnitId("u0"), stage=1, arm=Arm.BASELINE, draw=1)])
    first, *then = (call(0, f"t-{n}") for n in range(3))
    then = [replace(one, assignment=replace(one.assignment, stage=1)) for one in then]
    store.add_traces([first, *then])
    store.add_scores([(APP, then[0].id, score(0.5, "helpful"))])
    rows = store.units(ROLLOUT, **ALL)
    assert rows.traces.tolist() == [1, 2]
    assert rows.scores["helpful"].present.tolist() == [False, True]
    assert store.arrived(ROLLOUT, before=1, since=-1)[:2] == (1, 0)
    assert store.arrived(ROLLOUT, before=2, since=-1)[:2] == (3, 0)


def test_what_arrives_for_units_that_were_read_is_counted_from_there(store):
    store.add_exposures([exposure(n) for n in range(4)])
    store.add_traces([call(n, f"t-{n}") for n in (0, 1)])
    baseline, candidate, seen = store.arrived(ROLLOUT, before=0, since=-1)
    assert (baseline, candidate) == (0, 0)
    store.add_traces([call(n, f"late-{n}") for n in (0, 1, 2, 3)])
    found = store.arrived(ROLLOUT, before=3, since=seen)
    assert (found.baseline, found.candidate) == (2, 1)
    assert store.arrived(ROLLOUT, before=3, since=found.seen)[:2] == (0, 0)


def test_scores_that_arrive_for_units_that_were_read_are_counted_by_metric(store):
    store.add_exposures([exposure(n) for n in range(4)])
    store.add_traces([call(n, f"t-{n}") for n in range(4)])
    assert store.scored(ROLLOUT, ["helpful"], before=3, since=-1) == (0, 0, 0)
    store.add_scores(
        [
            (APP, TraceId(name), score(0.5, named))
            for name, named in (("t-0", "helpful"), ("t-0", "other"), ("t-1", "helpful"), ("t-3", "helpful"))
        ]
    )
    found = store.scored(ROLLOUT, ["helpful"], before=3, since=0)
    assert (found.baseline, found.candidate) == (1, 1)
    assert store.scored(ROLLOUT, ["helpful"], before=3, since=found.seen)[:2] == (0, 0)
    assert store.scored(ROLLOUT, [], before=3, since=-1)[:2] == (0, 0)
