"""What is too old goes from the trace store; what is needed, and what is younger, stays."""

import pytest
from tests.unit.store.values import APP, OTHER, assigned, exposure, score, trace

from inchworm.domain.forgetting import NOBODY
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.span import Span
from inchworm.domain.trace import CALL
from inchworm.store.traces import Retired, TraceFilter, TraceStore

R1 = RolloutId("r-1")
EVERY = {"payloads_before": None, "traces_before": None, "needed": ()}


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as made:
        made.add_exposures([exposure(n) for n in range(4)])
        made.add_traces([trace(n, scores=(score(),), attributes={CALL: 'a "b"', "x": 1}) for n in range(6)])
        made.add_traces([assigned(n, id=TraceId(f"in-{n}")) for n in range(4)])
        made.add_traces([trace(0, app=OTHER)])
        made.put_spans([Span(app=APP, trace_id=trace(n).id, id="s", inputs={"q": n}) for n in range(6)])
        yield made


def test_content_goes_and_the_numbers_stay(store):
    before = {one.id: one for batch in store.iterate(APP) for one in batch}
    asked = EVERY | {"payloads_before": 1003.0}
    assert store.retirable(APP, **asked) == Retired(payloads=6)
    assert store.retire(APP, **asked) == Retired(payloads=6)
    assert store.retirable(APP, **asked) == store.retire(APP, **asked) == Retired()
    old = store.trace(APP, trace(2).id)
    assert (old.is_expired, old.has_content) == (True, False)
    assert (old.inputs, old.output, old.reference) == ({}, None, None)
    assert old.call == 'a "b"'
    assert (old.scores, old.usage, old.latency_ms) == (
        before[old.id].scores,
        before[old.id].usage,
        before[old.id].latency_ms,
    )
    assert store.trace(APP, trace(3).id) == before[trace(3).id]
    assert not store.trace(OTHER, trace(0).id).is_expired
    spans = store.spans(APP, [trace(0).id, trace(4).id])
    assert spans[trace(0).id][0].inputs == {}
    assert spans[trace(4).id][0].inputs == {"q": 4}


def test_whole_interactions_go_with_scores_and_spans_and_are_counted_no_more(store):
    asked = EVERY | {"traces_before": 1003.0}
    assert store.retirable(APP, **asked) == Retired(traces=6)
    assert store.retire(APP, **asked) == Retired(traces=6)
    assert [one.id for batch in store.iterate(APP) for one in batch] == [
        *sorted([trace(3).id, TraceId("in-3")]),
        trace(4).id,
        trace(5).id,
    ]
    assert store.count(APP) == 4
    assert store.count(OTHER) == 1
    assert dict(store.facets(APP)["outcome"]) == {"ok": 4}
    assert store.spans(APP, [trace(0).id]).get(trace(0).id, ()) == ()
    assert store.exposures_count(R1).values(), "exposures are never deleted"
    assert sum(store.exposures_count(R1).values()) == 4


def test_what_a_rollout_needs_stays_as_a_whole(store):
    asked = EVERY | {"traces_before": 1e9, "needed": [R1]}
    assert store.retirable(APP, **asked) == Retired(traces=6, needed=4)
    units = store.units(R1, start=0, matured_before=1e9, limit=9)
    assert store.retire(APP, **asked).traces == 6
    after = store.units(R1, start=0, matured_before=1e9, limit=9)
    assert list(after.traces) == list(units.traces)
    assert store.traces(APP, filters=TraceFilter(rollout=R1)).total == 4


def test_some_at_a_time_the_oldest_first(store):
    asked = EVERY | {"traces_before": 1e9}
    gone = [store.retire(APP, limit=4, **asked).traces for _ in range(4)]
    assert gone == [4, 4, 2, 0]


def test_content_that_goes_with_its_interaction_is_not_counted_twice(store):
    asked = EVERY | {"traces_before": 1002.0, "payloads_before": 1004.0}
    assert store.retirable(APP, **asked) == Retired(payloads=4, traces=4)
    assert store.retire(APP, **asked) == Retired(payloads=4, traces=4)


def test_written_anew_the_units_of_ended_rollouts_lose_their_names(store):
    assert store.compact(ended=[R1], before=1002.0) == 2
    units = store.units(R1, start=0, matured_before=1e9, limit=9).unit
    assert [one.startswith(NOBODY) for one in units] == [True, True, False, False]
    assert store.compact(ended=[R1], before=1002.0) == 0
    assert store.compact() == 0
    assert store.count(APP) == 10
