"""From a call to its results: the outcome decides first, and what is not known is no number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import UsageError
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Scored, Unscored
from inchworm.domain.trace import Usage
from inchworm.evaluators.score import BUILTINS, computed, origin, score, validate

YES, NO = Scored(value=1.0), Scored(value=0.0)


def metric(source: dict[str, Any], absence: Absence = Absence.FAILURE) -> Metric:
    return Metric(
        name="m",
        source=source,
        role=Role.GOAL,
        clock=Clock.FAST,
        margin=0.03,
        harm_margin=0.015,
        absence=absence,
    )


def one(
    source: dict[str, Any], outcome: Outcome | None = None, *, absence: Absence = Absence.FAILURE, **call: Any
):
    given: dict[str, Any] = {
        "output": "at 9",
        "finish_reason": "stop",
        "latency_ms": 500.0,
        "usage": Usage(cost_usd=0.002),
        "reference": "9",
    }
    return score([metric(source, absence)], outcome=outcome or Ok(), **(given | call))["m"]


SOURCES: list[dict[str, Any]] = [
    {"check": "contains_reference"},
    {"builtin": "success"},
    {"builtin": "latency_p95", "threshold_ms": 600},
    {"builtin": "cost", "cap_usd": 0.01},
    {"judge": "helpful"},
]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("absence", Absence)
def test_an_errored_call_has_no_value_anywhere(source, absence):
    assert one(source, Errored(reason="down"), absence=absence) == Errored(reason="down")


@pytest.mark.parametrize("source", SOURCES)
def test_a_failed_call_is_a_0_where_absence_is_failure(source):
    assert one(source, Failed(reason="late"), output=None) == NO


def test_a_failed_call_is_unscored_where_absence_is_void_except_for_success():
    late = Failed(reason="late")
    assert one({"check": "equals"}, late, absence=Absence.VOID) == Unscored(reason="late")
    assert one({"builtin": "success"}, late, absence=Absence.VOID) == NO


def test_answers_are_measured():
    assert one({"check": "contains_reference"}) == YES
    assert one({"check": "contains_reference"}, reference=None) == Unscored(reason="no reference")
    assert one({"builtin": "success"}) == YES
    assert isinstance(one({"judge": "helpful"}), Unscored)
    assert one({"check": {"min_words": 1}}, output=None) == NO


@pytest.mark.parametrize(("latency_ms", "result"), [(599.9, YES), (600.0, YES), (600.1, NO)])
def test_latency_is_a_share_under_a_threshold(latency_ms, result):
    assert one({"builtin": "latency_p95", "threshold_ms": 600}, latency_ms=latency_ms) == result


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ({"builtin": "latency_p95"}, {}),
        ({"builtin": "latency_p95", "threshold_ms": 600}, {"latency_ms": None}),
        ({"builtin": "cost"}, {}),
        ({"builtin": "cost", "cap_usd": 1}, {"usage": Usage()}),
    ],
)
def test_what_is_not_known_is_unscored(source, call):
    assert isinstance(one(source, **call), Unscored)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(1e-6, 10))
def test_cheaper_is_never_worse(one_cost, other_cost, cap):
    cheap, dear = sorted([one_cost, other_cost])
    source = {"builtin": "cost", "cap_usd": cap}
    assert one(source, usage=Usage(cost_usd=cheap)).value >= one(source, usage=Usage(cost_usd=dear)).value
    assert one(source, usage=Usage(cost_usd=0.0)) == YES
    assert one(source, usage=Usage(cost_usd=cap)) == NO


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"check": "equal"}, 'metric m: there is no check "equal". Did you mean "equals"?'),
        ({"check": "equals", "chek": 1}, "says nothing"),
        ({"builtin": "costs"}, 'Did you mean "cost"?'),
        ({"builtin": 3}, "there is no builtin"),
        ({"builtin": "cost", "cap": 1}, 'Did you mean "cap_usd"?'),
        ({"builtin": "cost", "cap_usd": 0}, "above 0"),
        ({"builtin": "cost", "cap_usd": float("inf")}, "above 0"),
        ({"builtin": "cost", "cap_usd": 10**400}, "above 0"),
        ({"builtin": "latency_p95", "threshold_ms": "1s"}, "above 0"),
        ({"builtin": "success", "threshold_ms": 1}, "says nothing"),
    ],
)
def test_a_wrong_source_says_what_is_wrong(source, said):
    with pytest.raises(UsageError) as caught:
        validate(metric(source))
    assert said in str(caught.value)


def test_right_sources_are_valid_and_name_their_origin():
    for source in SOURCES:
        validate(metric(source))
    assert [origin(metric(source)) for source in SOURCES] == [
        "code:contains_reference/1",
        "builtin:success",
        "builtin:latency_p95",
        "builtin:cost",
        None,
    ]
    assert [computed(metric(source)) for source in SOURCES] == [True, True, True, True, False]


def test_every_builtin_is_documented_and_measured():
    limits = {"threshold_ms": 600, "cap_usd": 0.01}
    for name, doc in BUILTINS.items():
        assert doc.endswith(".")
        source = {"builtin": name, **{key: value for key, value in limits.items() if key in doc}}
        assert isinstance(one(source), Scored)


def test_every_metric_has_a_result():
    metrics = [replace(metric(source), name=str(number)) for number, source in enumerate(SOURCES)]
    results = score(
        metrics, outcome=Ok(), output="", finish_reason=None, latency_ms=None, usage=Usage(), reference=None
    )
    assert list(results) == ["0", "1", "2", "3", "4"]
