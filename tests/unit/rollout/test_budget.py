"""The error budget: shares, clocks, and who is named."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rollout.world import metric, policy

from inchworm.domain.metric import Clock, Role
from inchworm.rollout.evidence.budget import Watch, alphas, culprits, shares
from inchworm.rollout.monitor.crossing import crossed


def test_goals_share_half_of_their_clock():
    metrics = (
        metric("a"),
        metric("b", role=Role.GUARDRAIL),
        metric("c", role=Role.GUARDRAIL),
        metric("d", role=Role.GUARDRAIL, clock=Clock.JUDGED),
        metric("e", role=Role.SIGNAL),
        metric("f", role=Role.SIGNAL),
    )
    found = shares(policy(), metrics)
    assert {name: share.weight for name, share in found.items()} == {
        "a": 0.5,
        "b": 0.25,
        "c": 0.25,
        "d": 1.0,
        "e": 0.5,
        "f": 0.5,
    }
    assert found["a"].alpha == 0.01
    assert found["d"].alpha == 0.04
    # Signals alone on the fast clock have all of their own budget.
    assert found["e"].alpha == pytest.approx(0.05)
    assert found["d"].log_alone == pytest.approx(math.log(25))


def test_a_clock_without_metrics_gives_its_share_away():
    assert alphas(policy(), {Clock.JUDGED}) == {Clock.JUDGED: pytest.approx(0.05)}
    assert alphas(policy(), {Clock.FAST, Clock.JUDGED}) == {Clock.FAST: 0.01, Clock.JUDGED: 0.04}
    assert alphas(policy(), set()) == {}


@given(
    st.lists(st.floats(-3, 6), min_size=1, max_size=5),
    st.lists(st.floats(0.05, 1), min_size=5, max_size=5),
)
def test_culprits_are_those_of_closed_testing(log_e, raw):
    """Against the definition: j is named iff every set with j in it is rejected by its weighted mean."""
    names = [f"m{place}" for place in range(len(log_e))]
    total = sum(raw[: len(names)])
    weights = {name: raw[place] / total for place, name in enumerate(names)}
    e_values = dict(zip(names, map(math.exp, log_e), strict=True))
    line = 1 / 0.05
    slack = 1e-9

    def rejected(chosen, shift):
        mean = sum(weights[n] * e_values[n] for n in chosen) / sum(weights[n] for n in chosen)
        return mean >= line + shift

    def closed(shift):
        return {
            name
            for name in names
            if all(
                rejected((name, *rest), shift)
                for size in range(len(names))
                for rest in itertools.combinations([n for n in names if n != name], size)
            )
        }

    found = set(culprits(dict(zip(names, log_e, strict=True)), weights, 0.05))
    assert closed(slack) <= found <= closed(-slack)


def test_what_is_void_keeps_its_weight_when_names_are_named():
    """Left out it would lend its weight to others: c, with hardly more than the line, would be named too."""
    found = crossed(
        unit=9,
        candidate=2,
        total=math.log(61.5 / 3),
        log_e={Watch("a"): -math.inf, Watch("b"): math.log(41), Watch("c"): math.log(20.5)},
        weights=dict.fromkeys(map(Watch, "abc"), 1 / 3),
        alpha=0.05,
    )
    assert found.culprits == ("b",)
    assert found.leading == "b"


def test_nobody_is_named_alone_where_only_the_sum_is_harmed():
    log_e = {"a": math.log(21), "b": math.log(19)}
    assert culprits(log_e, {"a": 0.5, "b": 0.5}, 0.05) == ("a",)
    assert culprits({"a": math.log(21), "b": 0.0}, {"a": 0.5, "b": 0.5}, 0.05) == ()
    assert culprits({"a": 5_000.0, "b": 0.0}, {"a": 0.5, "b": 0.5}, 0.05) == ("a",)
