"""Mirrored calls: their order, both answers side by side, and that nobody else sees the second one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store.values import APP, CANDIDATE, score, trace

from inchworm.domain.errors import ConflictError, InputError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome
from inchworm.domain.shadow import MirroredCall, ShadowSpent
from inchworm.domain.trace import Trace, Usage
from inchworm.store.traces import TraceFilter, TraceStore

ROLLOUT = RolloutId("r-1")
ALL: dict[str, Any] = {"start": 0, "matured_before": 9e9, "waited_before": 9e9, "limit": 10**6}


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "traces.duckdb") as opened:
        yield opened


def mirrored(number: int, rollout_id: str = "r-1", **changes: Any) -> MirroredCall:
    made = MirroredCall(
        rollout_id=RolloutId(rollout_id),
        order=number,
        trace_id=TraceId(f"trace-{number:04d}"),
        shadow_id=TraceId(f"shadow-{number:04d}"),
        unit_id=UnitId(f"u{number}"),
        stage=0,
        at=1000.0 + number,
    )
    return replace(made, **changes)


def shadow(number: int, **changes: Any) -> Trace:
    made = trace(
        number,
        id=TraceId(f"shadow-{number:04d}"),
        at=1001.0 + number,
        configuration_id=CANDIDATE.id,
        shadow_of=TraceId(f"trace-{number:04d}"),
    )
    return replace(made, **changes)


def test_a_mirrored_call_has_one_place_for_good(store):
    assert store.last_mirrored(ROLLOUT) is None
    assert store.add_mirrored([]) == 0
    assert store.add_mirrored([mirrored(n) for n in range(3)]) == 3
    assert store.add_mirrored([mirrored(n) for n in range(1, 5)]) == 2
    assert store.add_mirrored([mirrored(0, "r-2")]) == 1
    assert store.last_mirrored(ROLLOUT) == 4
    known = store.known_mirrored(ROLLOUT, [TraceId("shadow-0003"), TraceId("shadow-0009")])
    assert known == {"shadow-0003"}
    assert store.known_mirrored(ROLLOUT, []) == set()
    for wrong in (mirrored(2, unit_id=UnitId("x")), mirrored(9, shadow_id=TraceId("shadow-0001"))):
        with pytest.raises(ConflictError):
            store.add_mirrored([mirrored(5), wrong])
    with pytest.raises(InputError):
        store.add_mirrored([mirrored(5, unit_id=UnitId("\ud800"))])
    assert store.last_mirrored(ROLLOUT) == 4


OUTCOMES: list[Outcome] = [Ok(), Failed(reason="late"), Errored(reason="cut")]
SIDE = st.none() | st.tuples(
    st.sampled_from(OUTCOMES),
    st.none() | st.sampled_from([10.0, 250.0]),
    st.none() | st.sampled_from([0.001, 0.5]),
    st.none() | st.sampled_from([0.0, 1.0]),
)


def told(given: Any, base: Trace) -> Trace:
    outcome, latency, cost, right = given
    return replace(
        base,
        outcome=outcome,
        latency_ms=latency,
        usage=Usage(cost_usd=cost),
        scores=() if right is None else (score(right),),
    )


@settings(max_examples=30)
@given(st.lists(st.tuples(SIDE, SIDE), max_size=8), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_pairs_are_what_became_of_both_calls_in_order(tmp_path_factory, calls, matured, waited, backwards):
    with TraceStore.open(tmp_path_factory.mktemp("store") / "t.duckdb") as store:
        store.add_mirrored([mirrored(n) for n in range(len(calls))])
        answers = [told(b, trace(n)) for n, (b, _) in enumerate(calls) if b is not None]
        answers += [told(c, shadow(n)) for n, (_, c) in enumerate(calls) if c is not None]
        store.add_traces(answers[::-1] if backwards else answers)
        store.add_traces([trace(50 + n, at=1000.0 + n) for n in range(3)])  # traffic that is not mirrored
        rows = store.pairs(
            APP, ROLLOUT, start=0, matured_before=1000.0 + matured, waited_before=1000.0 + waited, limit=99
        )
        due = 0
        while (
            due < len(calls) and due <= matured and (due <= waited or None not in calls[due])
        ):  # each call came a second after the one before it
            due += 1
        assert rows.order.tolist() == list(range(due))
        assert rows.at.tolist() == [1000.0 + n for n in range(due)]
        for place in range(due):
            for side, given_ in zip((rows.baseline, rows.candidate), calls[place], strict=True):
                check_side(side, place, given_)


def check_side(side: Any, place: int, given_: Any) -> None:
    outcome, latency, cost, right = given_ or (None, None, None, None)
    assert side.traces[place] == (given_ is not None)
    assert side.failed[place] == isinstance(outcome, Failed)
    assert side.errored[place] == isinstance(outcome, Errored)
    assert side.answered[place] == isinstance(outcome, Ok | Failed)
    for measured, expected in ((side.latency_ms, latency), (side.cost_usd, cost)):
        assert measured.present[place] == (expected is not None)
        if expected is not None:
            assert measured.values[place] == expected
    scores = side.scores.get("right")
    assert (right is not None) == (scores is not None and bool(scores.present[place]))
    if right is not None:
        assert scores.values[place] == right


@pytest.mark.parametrize("cuts", [[1, 1, 1, 1, 1], [2, 3], [4, 1]])
def test_pairs_come_the_same_in_any_cut(store, cuts):
    store.add_mirrored([mirrored(n) for n in range(6)])
    store.add_traces([one for n in range(6) for one in (trace(n), shadow(n, scores=(score(n / 6),)))])
    whole = store.pairs(APP, ROLLOUT, **ALL)
    start, parts = 0, []
    for limit in [*cuts, 99]:
        parts.append(store.pairs(APP, ROLLOUT, **ALL | {"start": start, "limit": limit}))
        start += len(parts[-1])
    assert np.concatenate([one.order for one in parts]).tolist() == whole.order.tolist()
    values = [one.candidate.scores["right"].values for one in parts]
    assert np.concatenate(values).tolist() == whole.candidate.scores["right"].values.tolist()


def test_the_first_call_of_a_unit_is_told_from_those_after_it(store):
    """In any cut: also where the first one was read long ago, and not by the calls of another rollout."""
    units = ["a", "b", "a", "c", "b", "a"]
    store.add_mirrored([mirrored(0, "r-2", unit_id=UnitId("c"))])
    store.add_mirrored([mirrored(n, unit_id=UnitId(unit)) for n, unit in enumerate(units)])
    assert store.pairs(APP, ROLLOUT, **ALL).again.tolist() == [False, False, True, False, True, True]
    rows = store.pairs(APP, ROLLOUT, **ALL | {"start": 3, "limit": 2})
    assert (rows.order.tolist(), rows.again.tolist()) == ([3, 4], [False, True])


def test_a_hole_in_the_order_ends_the_run(store):
    store.add_mirrored([mirrored(n) for n in (0, 1, 3)])
    assert store.pairs(APP, ROLLOUT, **ALL).order.tolist() == [0, 1]
    assert len(store.pairs(APP, ROLLOUT, **ALL | {"start": 2})) == 0
    assert len(store.pairs(APP, RolloutId("r-9"), **ALL)) == 0


def test_the_latest_score_counts_and_a_later_one_is_seen(store):
    store.add_mirrored([mirrored(0)])
    store.add_traces([trace(0, scores=(score(1.0),)), shadow(0, scores=(score(1.0),))])
    store.add_scores([(APP, TraceId("shadow-0000"), score(0.0, at=5.0))])
    rows = store.pairs(APP, ROLLOUT, **ALL)
    assert (rows.baseline.scores["right"].values[0], rows.candidate.scores["right"].values[0]) == (1.0, 0.0)


def test_nothing_that_looks_at_the_traffic_sees_an_answer_that_nobody_saw(store):
    def looked() -> list[Any]:
        everything: dict[str, Any] = {"since": 0.0, "until": 9e9}
        return [
            store.traces(APP).traces,
            store.traces(APP).total,
            store.facets(APP),
            store.count(APP),
            store.period(APP),
            [one.id for batch in store.iterate(APP) for one in batch],
            store.traffic(APP, now=2000.0, days=1),
            store.summary(APP, by="configuration", metrics=["right"], **everything),
            store.quality(APP, metric="right", width_s=1e9, **everything),
            store.quality(APP, metric=None, width_s=1e9, **everything),
            store.quantile(APP, "latency_ms", 0.5, **everything),
            store.quantile(APP, "cost_usd", 0.5, configuration=CANDIDATE.id, **everything),
            store.seen(APP),
            store.clusters(APP),
            store.traces(APP, filters=TraceFilter(text="shadow says")).total,
        ]

    store.add_traces([trace(n, scores=(score(1.0),)) for n in range(3)])
    before = looked()
    store.add_traces(
        [
            shadow(
                n, unit_id=UnitId(f"other-{n}"), output="shadow says", latency_ms=9e6, scores=(score(0.0),)
            )
            for n in range(3)
        ]
    )
    assert looked() == before
    page = store.traces(APP, filters=TraceFilter(shadow=True))
    assert [one.id for one in page.traces] == ["shadow-0002", "shadow-0001", "shadow-0000"]
    beside = store.shadow_of(APP, TraceId("trace-0001"))
    assert (beside.id, beside.shadow_of, beside.output) == ("shadow-0001", "trace-0001", "shadow says")
    assert store.trace(APP, "shadow-0001") == beside
    assert store.shadow_of(APP, TraceId("trace-0007")) is None


def test_what_was_spent_is_counted_apart_per_stage(store):
    assert store.shadow_spent(APP, ROLLOUT, 0) == ShadowSpent()
    store.add_mirrored([mirrored(n, stage=n // 4) for n in range(5)])
    unknown = Usage(input_tokens=1, output_tokens=1)
    store.add_traces(
        [
            shadow(0, usage=Usage(cost_usd=0.5)),
            shadow(1, usage=unknown),
            shadow(2, usage=unknown, outcome=Failed(reason="refused")),
            shadow(4, usage=Usage(cost_usd=4.0)),
            trace(0, usage=Usage(cost_usd=100.0)),
        ]
    )
    assert store.shadow_spent(APP, ROLLOUT, 0) == ShadowSpent(calls=4, priced=1, unpriced=1, usd=0.5)
    assert store.shadow_spent(APP, ROLLOUT, 1) == ShadowSpent(calls=1, priced=1, usd=4.0)
