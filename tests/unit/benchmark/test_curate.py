"""Drawing and growing eval sets: whole, honest in their weights, and the same for a seed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.benchmark.curate import ADMITTED_SHARE, NO_CLUSTER, draw, grow
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.rollout import UnitKind
from inchworm.domain.trace import Trace

APP = AppRef(app="shop", environment="production")
NOV_9 = datetime(2026, 11, 9, tzinfo=UTC).timestamp()


def trace(
    number: int, question: str | None, *, unit: str | None = None, at: float = NOV_9, reference: Any = None
):
    return Trace(
        id=TraceId(f"t{number}"),
        app=APP,
        at=at,
        unit_id=UnitId(unit or f"s{number}"),
        inputs={} if question is None else {"question": question},
        outcome=Ok(),
        reference=reference,
    )


def traffic(counts: dict[str, list[int]]) -> tuple[list[Trace], dict[TraceId, str]]:
    """``{"cluster": [3, 1]}``: one question asked three times, another asked once."""
    traces: list[Trace] = []
    clusters: dict[TraceId, str] = {}
    for cluster, times in counts.items():
        for question, count in enumerate(times):
            for _ in range(count):
                traces.append(trace(len(traces), f"{cluster} {question}", reference="yes"))
                clusters[traces[-1].id] = cluster
    return traces, clusters


def drawn(counts: dict[str, list[int]], **settings: Any) -> EvalSet:
    traces, clusters = traffic(counts)
    return draw(traces, clusters, **{"size": 10, "seed": 1, "name": "core", "app": APP, **settings})


counts_strategy = st.dictionaries(
    st.sampled_from("abcdefg"), st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1
)


@given(counts=counts_strategy, size=st.integers(1, 40), seed=st.integers(0, 5), floor=st.integers(1, 6))
def test_the_weights_add_up_to_the_population(counts, size, seed, floor):
    result = drawn(counts, size=size, seed=seed, floor=floor)
    questions = sum(len(times) for times in counts.values())
    interactions = sum(sum(times) for times in counts.values())
    assert len(result.cases) == min(size, questions)
    assert sum(case.weight for case in result.cases) == pytest.approx(interactions)
    assert len({case.id for case in result.cases}) == len(result.cases)
    assert sum(result.shares.values()) == pytest.approx(1)
    assert all(case.weight >= 1 - 1e-9 for case in result.cases)
    if size >= len(counts):
        for cluster, times in counts.items():
            inside = [case for case in result.cases if case.cluster == cluster]
            assert len(inside) >= min(floor, size // len(counts), len(times))
            assert sum(case.weight for case in inside) == pytest.approx(sum(times))


@given(counts=counts_strategy, seed=st.integers(0, 3))
def test_the_order_of_the_traces_does_not_matter(counts, seed):
    traces, clusters = traffic(counts)
    shuffled = list(traces)
    random.Random(seed).shuffle(shuffled)
    settings: dict[str, Any] = {"size": 8, "seed": seed, "name": "core", "app": APP}
    assert draw(traces, clusters, **settings) == draw(shuffled, clusters, **settings)


def test_another_seed_draws_other_cases():
    counts = {"a": [1] * 200}
    assert drawn(counts, seed=1).cases != drawn(counts, seed=2).cases


def test_allocation_is_proportional_above_the_floor():
    result = drawn({"big": [1] * 900, "mid": [1] * 90, "tiny": [1] * 10}, size=100, floor=5)
    sizes = {name: sum(case.cluster == name for case in result.cases) for name in ("big", "mid", "tiny")}
    assert sizes == {"big": 86, "mid": 9, "tiny": 5}
    assert result.shares == {"big": 0.9, "mid": 0.09, "tiny": 0.01}


def test_the_weighted_mean_is_unbiased_over_seeds():
    # Frequent questions are good, rare ones are bad: unweighted or badly weighted draws would show it.
    counts = {"a": [40, 20, 10, *[1] * 60], "b": [8, 8, *[2] * 30]}
    truth = (40 + 20 + 10 + 8 + 8) / (130 + 76)
    good = {
        Case.identify({"question": f"{c} {n}"}, "yes")
        for c, times in counts.items()
        for n, t in enumerate(times)
        if t > 2
    }
    means = []
    for seed in range(300):
        cases = drawn(counts, size=20, seed=seed).cases
        weights = np.array([case.weight for case in cases])
        means.append(float(np.average([case.id in good for case in cases], weights=weights)))
    error = float(np.mean(means)) - truth
    assert abs(error) < 3 * float(np.std(means)) / 300**0.5 + 1e-12


def test_cases_keep_reference_origin_and_group_of_their_first_trace():
    traces = [
        trace(2, "open?", unit="late", at=NOV_9 + 9, reference="9 am"),
        trace(1, "open?", unit="early", at=NOV_9, reference="9 am"),
        trace(3, "open?", unit="other", reference="10 am"),
    ]
    result = draw(traces, {traces[0].id: "hours"}, size=5, seed=0, name="core", app=APP)
    by_reference = {case.reference: case for case in result.cases}
    assert by_reference["9 am"].origin == "trace:t1"
    assert by_reference["9 am"].group == "early"
    assert by_reference["9 am"].weight == 2
    assert by_reference["10 am"].cluster == NO_CLUSTER


def test_the_population_is_a_sentence_with_its_period_and_counts():
    week = [trace(n, f"q{n}", unit=f"s{n // 2}", at=NOV_9 + n * 86_400) for n in range(8)]
    empty = [trace(100 + n, None) for n in range(3)]
    result = draw([*week, *empty], {}, size=4, seed=0, name="core", app=APP)
    assert result.population == (
        "8 interactions in 4 sessions of 9–16 Nov 2026; 3 more left out, which came without content"
    )
    sessions = draw(week[::2], {}, size=4, seed=0, name="core", app=APP)
    assert sessions.population == "4 sessions of 9–15 Nov 2026"
    requests = draw(week[:1], {}, size=4, seed=0, name="core", app=APP, unit=UnitKind.REQUEST)
    assert requests.population == "1 request of 9 Nov 2026"
    long = draw([week[0], trace(9, "q", at=NOV_9 + 30 * 86_400)], {}, size=4, seed=0, name="core", app=APP)
    assert long.population == "2 sessions of 9 Nov – 9 Dec 2026"
    years = draw([week[0], trace(9, "q", at=NOV_9 + 60 * 86_400)], {}, size=4, seed=0, name="core", app=APP)
    assert years.population == "2 sessions of 9 Nov 2026 – 8 Jan 2027"


def test_nothing_to_draw_from_is_an_input_error():
    with pytest.raises(InputError, match="none of 1 interactions"):
        draw([trace(1, None)], {}, size=1, seed=0, name="core", app=APP)
    with pytest.raises(UsageError):
        drawn({"a": [1]}, size=0)


def proposed(number: int, cluster: str = "a") -> Case:
    inputs = {"question": f"hard {number}"}
    return Case(
        id=Case.identify(inputs, None),
        inputs=inputs,
        origin="trace:x",
        cluster=cluster,
        group=f"g{number}",
        weight=99,
    )


@pytest.mark.parametrize("count", [1, 3, 200])
def test_growing_keeps_the_total_and_lets_admitted_cases_weigh_little(count):
    parent = drawn({"a": [1] * 300, "b": [3] * 100}, size=60)
    grown = grow(parent, [proposed(n) for n in range(count)])
    assert (grown.version, grown.parent, grown.id) == (2, "core@1", "core@2")
    assert len(grown.cases) == 60 + count
    assert sum(case.weight for case in grown.cases) == pytest.approx(600)
    known = {case.id for case in parent.cases}
    admitted = [case.weight for case in grown.cases if case.id not in known]
    assert max(admitted) <= 1
    assert sum(admitted) <= ADMITTED_SHARE * 600 + 1e-9
    assert sum(grown.shares.values()) == pytest.approx(1)
    assert [case.id for case in grown.cases] == sorted(case.id for case in grown.cases)
    assert "admitted in version 2" in grown.population


def test_growing_by_what_is_there_changes_nothing():
    parent = drawn({"a": [1] * 30})
    assert grow(parent, []) is parent
    assert grow(parent, [replace(parent.cases[0], origin="benchmark:bench-1")]) is parent
    twice = grow(parent, [proposed(1), proposed(1)])
    assert len(twice.cases) == len(parent.cases) + 1
    assert grow(twice, [proposed(1)]) is twice


def test_an_empty_set_grows_too():
    empty = EvalSet(name="core", version=1, app=APP, cases=(), population="nothing yet")
    assert [case.weight for case in grow(empty, [proposed(1), proposed(2, "new")]).cases] == [1.0, 1.0]
