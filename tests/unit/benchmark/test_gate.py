"""The gate: verdicts that are never coerced, weights that count, and a mirror when the sides are swapped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.benchmark.curate import grow
from inchworm.benchmark.gate import gate
from inchworm.domain.benchmark import Benchmark, Comparison, Trial
from inchworm.domain.configuration import AppRef
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, ConfigurationId
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.outcome import Errored, Ok, Result, Scored, Unscored
from inchworm.domain.trace import Usage
from inchworm.domain.verdict import Verdict

APP = AppRef(app="shop", environment="production")
BASE, CANDIDATE = ConfigurationId("b" * 64), ConfigurationId("c" * 64)


def metric(role: Role = Role.GOAL, name: str = "answered", *, absence: Absence = Absence.FAILURE) -> Metric:
    return Metric(
        name=name,
        source={"check": "contains_reference"},
        role=role,
        clock=Clock.FAST,
        margin=0.03,
        harm_margin=0.015,
        absence=absence,
    )


def case(number: int, cluster: str = "a", group: str | None = None, weight: float = 1.0) -> Case:
    return Case(
        id=CaseId(f"case-{number:04d}"),
        inputs={"question": f"q{number}"},
        origin="file:x",
        cluster=cluster,
        group=group or f"g{number}",
        weight=weight,
    )


def eval_set(cases: list[Case]) -> EvalSet:
    return EvalSet(name="core", version=1, app=APP, cases=tuple(cases), population="made up")


def result(value: float | Result) -> Result:
    return Scored(value=float(value)) if isinstance(value, int | float) else value


def trials(
    cases: list[Case],
    old: list[Any],
    new: list[Any],
    *,
    name: str = "answered",
    repetition: int = 0,
    cost: float = 0.001,
) -> list[Trial]:
    return [
        Trial(
            case_id=c.id,
            configuration_id=side,
            repetition=repetition,
            outcome=value if isinstance(value, Errored) else Ok(),
            usage=Usage(cost_usd=cost),
            results={name: result(value)},
        )
        for side, values in ((BASE, old), (CANDIDATE, new))
        for c, value in zip(cases, values, strict=True)
    ]


def judged(cases: list[Case], made: list[Trial], **changes: Any) -> Benchmark:
    given: dict[str, Any] = {"base": BASE, "candidate": CANDIDATE, "metrics": [metric()], "repetitions": 1}
    return gate(eval_set(cases), made, **(given | changes))


def compared(old: list[Any], new: list[Any], **changes: Any) -> Comparison:
    cases = [case(n) for n in range(len(old))]
    benchmark = judged(cases, trials(cases, old, new), **changes)
    assert benchmark.verdict is benchmark.comparisons[0].verdict
    return benchmark.comparisons[0]


def pairs(both: int, wins: int, losses: int, neither: int = 0) -> tuple[list[Any], list[Any]]:
    old = [1] * both + [0] * wins + [1] * losses + [0] * neither
    new = [1] * both + [1] * wins + [0] * losses + [0] * neither
    return old, new


def test_the_same_answers_pass_when_there_are_enough_of_them():
    c = compared(*pairs(300, 0, 0))
    assert c.verdict is Verdict.PASS
    assert c.because.startswith("Pass: `answered` 0.0 points (−")
    assert c.because.endswith(", margin −3.")
    assert c.base == pytest.approx(1)
    assert c.candidate == pytest.approx(1)
    assert (c.cases, c.cases_to_settle, c.method) == (300, None, "mcnemar-tango")


def test_a_clear_loss_fails_and_names_the_cases():
    cases = [case(n) for n in range(200)]
    benchmark = judged(cases, trials(cases, *pairs(140, 0, 60)))
    assert benchmark.verdict is Verdict.FAIL
    assert benchmark.comparisons[0].because.startswith("Fail: `answered` −30.0 points (−36.")
    assert benchmark.regressed == tuple(f"case-{n:04d}" for n in range(140, 200))
    assert [(c.cluster, c.worse) for c in benchmark.clusters] == [("a", True)]


def test_what_cannot_be_told_is_inconclusive_and_says_what_would_settle_it():
    c = compared(*pairs(240, 6, 9))
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.cases_to_settle is not None
    assert f"{c.cases_to_settle:,} more cases would settle it (≈ " in c.because
    assert f"≈ {c.cases_to_settle * 0.002:,.2f} USD" in c.because
    assert c.effect is not None
    assert c.effect.low < -0.03 < c.effect.high


def test_free_trials_have_no_price_in_the_sentence():
    cases = [case(n) for n in range(255)]
    c = judged(cases, trials(cases, *pairs(240, 6, 9), cost=0.0)).comparisons[0]
    assert c.because.endswith("more cases would settle it.")


def test_an_effect_on_the_margin_is_settled_by_no_number_of_cases():
    c = compared(*pairs(97, 0, 3))
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.cases_to_settle is None
    assert "more cases would not settle it" in c.because


def test_a_wider_gate_passes_what_a_narrow_one_cannot():
    old, new = pairs(240, 6, 9)
    assert compared(old, new, margin_factor=2.7).verdict is Verdict.PASS
    assert compared(old, new, margin_factor=100).margin == 1.0


def test_nothing_is_no_data_not_a_pass():
    benchmark = judged([], [])
    assert benchmark.verdict is Verdict.NO_DATA
    c = benchmark.comparisons[0]
    assert (c.effect, c.base, c.candidate, c.cases) == (None, None, None, 0)
    assert c.because == "No data: `answered` was measured on no case."
    assert judged([case(1)], [], metrics=[]).verdict is Verdict.NO_DATA
    assert benchmark.cost_usd is None


def test_one_case_has_no_spread():
    c = compared([1], [0])
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.effect is not None
    assert (c.effect.estimate, c.effect.low, c.effect.high) == (-1, -1, 1)
    assert (c.base, c.candidate) == (1, 0)
    assert "one independent case" in c.because


def test_many_cases_of_one_group_are_one():
    cases = [case(n, group="same") for n in range(50)]
    c = judged(cases, trials(cases, [1] * 50, [0] * 50)).comparisons[0]
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.effect is not None
    assert c.effect.estimate == -1


def test_dependent_cases_say_less_than_independent_ones():
    rng = np.random.default_rng(3)
    effect = np.repeat(rng.choice([-1, 0, 1], 40, p=[0.15, 0.7, 0.15]), 10)
    old, new = [int(e <= 0) for e in effect], [int(e >= 0) for e in effect]
    alone = [case(n) for n in range(400)]
    together = [case(n, group=f"g{n // 10}") for n in range(400)]
    wide = judged(together, trials(together, old, new)).comparisons[0].effect
    narrow = judged(alone, trials(alone, old, new)).comparisons[0].effect
    assert wide is not None
    assert narrow is not None
    assert wide.estimate == pytest.approx(narrow.estimate)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


@pytest.mark.parametrize(("errors", "verdict"), [(30, Verdict.PASS), (31, Verdict.ERRORED)])
def test_more_than_a_tenth_errored_says_nothing(errors, verdict):
    old, new = pairs(300, 0, 0)
    old[:errors] = new[:errors] = [Errored(reason="`429` slow\ndown.")] * errors
    c = compared(old, new)
    assert c.verdict is verdict
    assert c.errored == 2 * c.unscored == 2 * errors
    if verdict is Verdict.ERRORED:
        said = "Errored: `answered` has 62 errored of 600 trials (10.3 % on one side) ('429' slow down)."
        assert c.because == said


def test_all_errored_is_errored():
    down = [Errored(reason="down")] * 20
    c = compared(down, down)
    assert c.verdict is Verdict.ERRORED
    assert c.effect is None


def test_unscored_is_left_out_and_counted_and_none_scored_is_no_data():
    nothing = Unscored(reason="no reference")
    old, new = pairs(300, 0, 0)
    c = compared([*old, nothing, nothing], [*new, nothing, 1])
    assert (c.verdict, c.cases, c.unscored) == (Verdict.PASS, 300, 2)
    c = compared([nothing] * 9, [nothing] * 9)
    assert c.verdict is Verdict.NO_DATA
    assert c.because == "No data: `answered` has no value on both sides of any case (no reference)."


def test_a_metric_that_was_never_scored_is_no_data():
    assert compared([1] * 9, [1] * 9, metrics=[metric(name="other")]).verdict is Verdict.NO_DATA


def test_a_difference_in_coverage_voids_whatever_absence_means():
    gone = Unscored(reason="the judge abstained")
    old, new = [1] * 300, [*[1] * 250, *[gone] * 50]
    assert compared(old, new).verdict is Verdict.INCONCLUSIVE
    c = compared(old, new, metrics=[metric(absence=Absence.VOID)])
    assert c.verdict is Verdict.INCONCLUSIVE
    assert "It is void: 83.3 % of the candidate's trials have a value, 100.0 % of the base's." in c.because
    few = [*[1] * 299, gone]
    assert compared(old, few, metrics=[metric(absence=Absence.VOID)]).verdict is Verdict.PASS


def test_stopped_early_nothing_passes_but_a_failure_has_failed():
    stopped = "the budget of 1.00 USD is used up"
    c = compared(*pairs(300, 0, 0), stopped=stopped)
    assert c.verdict is Verdict.INCONCLUSIVE
    assert c.because.endswith(
        "It would pass so far. Stopped early: the budget of 1.00 USD is used up, after 300 of 300 cases."
    )
    assert compared(*pairs(50, 0, 50), stopped=stopped).verdict is Verdict.FAIL
    cases = [case(n) for n in range(9)]
    assert judged(cases, [], stopped=stopped).verdict is Verdict.NO_DATA


def test_signals_are_shown_and_decide_nothing():
    cases = [case(n) for n in range(300)]
    good, bad = pairs(300, 0, 0), pairs(100, 0, 200)
    made = [
        replace(one, results=one.results | other.results)
        for one, other in zip(trials(cases, *good), trials(cases, *bad, name="tone"), strict=True)
    ]
    both = [metric(), metric(Role.SIGNAL, "tone")]
    benchmark = judged(cases, made, metrics=both)
    assert [c.verdict for c in benchmark.comparisons] == [Verdict.PASS, Verdict.FAIL]
    assert benchmark.verdict is Verdict.PASS
    assert benchmark.regressed == ()
    both[1] = metric(Role.GUARDRAIL, "tone")
    assert judged(cases, made, metrics=both).verdict is Verdict.FAIL
    assert judged(cases, made, metrics=[metric(Role.SIGNAL)]).verdict is Verdict.NO_DATA


def test_repetitions_are_averaged_per_case():
    cases = [case(n) for n in range(100)]
    first = trials(cases, [1] * 100, [1] * 100)
    second = trials(cases, [1] * 100, [0] * 100, repetition=1)
    benchmark = judged(cases, [*first, *second], repetitions=2)
    c = benchmark.comparisons[0]
    assert c.effect is not None
    assert (c.effect.estimate, c.cases, benchmark.trials) == (-0.5, 100, 400)
    once = judged(cases, [*first, *second], repetitions=1)
    assert (once.trials, once.regressed) == (200, ())


def test_weights_count_and_admitted_failures_hardly_do():
    heavy = [case(n, weight=9.0) for n in range(60)]
    light = [case(100 + n, cluster="b", weight=1.0) for n in range(60)]
    cases = heavy + light
    c = judged(cases, trials(cases, [1] * 120, [1] * 60 + [0] * 60)).comparisons[0]
    assert c.effect is not None
    assert c.effect.estimate == pytest.approx(-0.1)

    parent = eval_set([case(n, weight=20.0) for n in range(400)])
    grown = grow(parent, [case(1000 + n) for n in range(200)])
    old = [1] * 600
    new = [int(c.id < "case-1000") for c in grown.cases]
    made = trials(list(grown.cases), old, new)
    benchmark = gate(grown, made, base=BASE, candidate=CANDIDATE, metrics=[metric()], repetitions=1)
    c = benchmark.comparisons[0]
    assert c.effect is not None
    assert c.effect.estimate == pytest.approx(-0.01)
    assert c.verdict is Verdict.PASS
    assert len(benchmark.regressed) == 200


@pytest.mark.parametrize("sizes", [[40], [40, 40], [3, 5, 40]])
def test_any_weights_give_the_weighted_mean_with_an_interval_around_it(sizes):
    rng = np.random.default_rng(5)
    cases: list[Case] = []
    for cluster, size in enumerate(sizes):
        weights = rng.integers(1, 40, size)
        cases += [case(len(cases) + n, f"c{cluster}", weight=float(w)) for n, w in enumerate(weights)]
    old = rng.integers(0, 2, len(cases)).tolist()
    new = rng.integers(0, 2, len(cases)).tolist()
    c = judged(cases, trials(cases, old, new)).comparisons[0]
    expected = np.average(np.array(new) - np.array(old), weights=[one.weight for one in cases])
    assert c.effect is not None
    assert c.effect.estimate == pytest.approx(float(expected))
    assert c.effect.low < c.effect.estimate < c.effect.high
    assert c.method == "bootstrap-t"


def test_a_broken_cluster_shows_though_the_mean_holds():
    cases = [case(n, "big", weight=10.0) for n in range(400)] + [case(500 + n, "small") for n in range(30)]
    benchmark = judged(cases, trials(cases, [1] * 430, [1] * 400 + [0] * 20 + [1] * 10))
    assert benchmark.verdict is Verdict.PASS
    assert [(c.cluster, c.cases, c.worse) for c in benchmark.clusters] == [
        ("small", 30, True),
        ("big", 400, False),
    ]
    assert benchmark.clusters[0].effect.estimate == pytest.approx(-2 / 3)


def test_a_cluster_of_one_is_never_worse_with_confidence():
    cases = [case(n) for n in range(40)] + [case(99, "lonely")]
    benchmark = judged(cases, trials(cases, [1] * 41, [1] * 40 + [0]))
    assert next((c.cluster, c.effect.low, c.effect.high, c.worse) for c in benchmark.clusters) == (
        "lonely",
        -1,
        1,
        False,
    )


def test_regressions_come_largest_first_then_by_what_production_asks_most():
    cases = [case(1, weight=1), case(2, weight=5), case(3), case(4), case(5)]
    benchmark = judged(cases, trials(cases, [1, 1, 1, 0.5, 1], [0, 0, 0.5, 1, 1]))
    assert benchmark.regressed == ("case-0002", "case-0001", "case-0003")


def test_other_configurations_cases_and_order_change_nothing():
    cases = [case(n) for n in range(60)]
    made = trials(cases, *pairs(50, 3, 7))
    stranger = [
        replace(made[0], configuration_id=ConfigurationId("d" * 64)),
        replace(made[0], case_id=CaseId("x")),
    ]
    benchmark = judged(cases, made)
    assert judged(cases, [*reversed(made), *stranger]) == benchmark
    assert benchmark.id.startswith("bench-")
    assert len(benchmark.id) == 14
    assert judged(cases, trials(cases, *pairs(50, 4, 6))).id != benchmark.id


values = st.sampled_from([0.0, 0.0, 0.5, 1.0, 1.0, 1.0])


@settings(max_examples=40)
@given(data=st.data(), count=st.integers(2, 40), repetitions=st.integers(1, 2))
def test_swapping_base_and_candidate_flips_the_effects(data, count, repetitions):
    cases = [
        case(
            n,
            data.draw(st.sampled_from("ab")),
            data.draw(st.sampled_from(["g1", "g2", f"own{n}"])),
            data.draw(st.sampled_from([1.0, 1.0, 3.0])),
        )
        for n in range(count)
    ]
    made: list[Trial] = []
    for repetition in range(repetitions):
        old = data.draw(st.lists(values, min_size=count, max_size=count))
        new = data.draw(st.lists(values, min_size=count, max_size=count))
        made += trials(cases, old, new, repetition=repetition)
    there = judged(cases, made, repetitions=repetitions)
    back = judged(cases, made, repetitions=repetitions, base=CANDIDATE, candidate=BASE)
    one, other = there.comparisons[0], back.comparisons[0]
    assert one.effect is not None
    assert other.effect is not None
    assert (one.base, one.candidate) == (other.candidate, other.base)
    assert one.effect.estimate == pytest.approx(-other.effect.estimate, abs=1e-9)
    assert one.effect.low == pytest.approx(-other.effect.high, abs=1e-6)
    assert one.effect.high == pytest.approx(-other.effect.low, abs=1e-6)
    flipped = {c.cluster: -c.effect.estimate for c in back.clusters}
    assert {c.cluster: c.effect.estimate for c in there.clusters} == pytest.approx(flipped)
    assert not set(there.regressed) & set(back.regressed)


def test_pairs_that_are_not_whole_are_left_out_and_counted():
    cases = [case(n) for n in range(300)]
    made = trials(cases, *pairs(300, 0, 0))
    untried = [case(1000 + n) for n in range(5)]
    benchmark = judged([*cases, *untried], made[1:])
    c = benchmark.comparisons[0]
    assert (c.cases, c.unscored, benchmark.trials, benchmark.verdict) == (299, 1, 599, Verdict.PASS)


def test_a_cost_that_nobody_knows_is_none_not_0():
    cases = [case(n) for n in range(10)]
    made = trials(cases, *pairs(10, 0, 0), cost=0.25)
    assert judged(cases, made).cost_usd == pytest.approx(5.0)
    unknown = [replace(trial, usage=Usage()) for trial in made]
    assert judged(cases, unknown).cost_usd is None
