"""What a policy would do: the processes' own decisions on the same units, error rates, and refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.unit.rollout import world

from inchworm.domain.errors import InputError
from inchworm.domain.metric import Clock, Role
from inchworm.domain.rollout import StageKind
from inchworm.domain.targeting import Condition
from inchworm.rollout.evidence.populations import design_of
from inchworm.rollout.simulate import (
    METHODS,
    Judged,
    Question,
    Rates,
    Shadow,
    Span,
    Tables,
    bounded,
    declared,
    ours,
    simulate,
)
from inchworm.rollout.simulate.result import EXPANDED, HELD, ROLLED_BACK, Ends, summary
from inchworm.rollout.simulate.source import Drawn, Source
from inchworm.stats import eprocess
from inchworm.stats.eprocess import Design


def judged(baseline=0.85, candidate=0.77, **more: Any) -> Judged:
    return Judged(name="solved", outcomes=Rates(baseline=baseline, candidate=candidate), **more)


def asked(*metrics: Judged, **more: Any) -> Question:
    given: dict[str, Any] = {
        "metrics": metrics or (judged(),),
        "stages": (Span(weight=0.05),),
        "max_units": 20_000,
        "runs": 300,
        "seed": 1,
        "alphas": ((Clock.FAST, 0.05),),
    }
    return Question(**(given | more))


class Recorder(Source):
    """Keeps what was drawn, by run."""

    kept: tuple[list[int], list[list[np.ndarray]], list[list[np.ndarray]]]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        runs = args[2]
        Recorder.kept = (list(range(runs)), [[] for _ in range(runs)], [[] for _ in range(runs)])

    def keep(self, which):
        super().keep(which)
        left, a, y = Recorder.kept
        Recorder.kept = ([run for run, on in zip(left, which, strict=True) if on], a, y)

    def draw(self, start, size, pi) -> Drawn:
        drawn = super().draw(start, size, pi)
        left, a, y = Recorder.kept
        for place, run in enumerate(left):
            a[run].append(drawn.a[place])
            y[run].append(drawn.y[:, place])
        return drawn


@pytest.mark.parametrize("tables", [False, True])
@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_every_run_ends_where_the_process_itself_would_end_it(monkeypatch, weight, tables):
    monkeypatch.setattr(ours, "Source", Recorder)
    metric = judged(margins=(0.12,), harm_margin=0.01)
    if tables:
        metric = replace(metric, outcomes=Tables(baseline=bounded(0.8, 0.2), candidate=bounded(0.74, 0.2)))
    question = asked(metric, runs=40, max_units=3_000, stages=(Span(weight=weight, min_units=100),))
    ends = ours.play(question)
    design = Design(delta_harm=0.01, margins=(0.12,), stages=1)
    for run in range(40):
        a = np.concatenate(Recorder.kept[1][run])
        y = np.concatenate(Recorder.kept[2][run], axis=1)[0]
        _, harm, expand = eprocess.trajectory(
            design,
            eprocess.init(design),
            y=y,
            a=a,
            pi=np.full(a.size, weight),
            stage=np.zeros(a.size, dtype=int),
        )
        line = math.log(20)
        met = (expand[0] >= line) & (np.arange(a.size) >= 99)
        times = {ROLLED_BACK: np.flatnonzero(harm >= line), EXPANDED: np.flatnonzero(met)}
        first = {kind: hits[0] + 1 if hits.size else math.inf for kind, hits in times.items()}
        kind = min(first, key=lambda one: first[one])
        assert ends.kind[run] == (kind if math.isfinite(first[kind]) else HELD)
        units = min(first[kind], 3_000)
        assert ends.units[run] == units
        assert ends.candidates[run] == a[: int(units)].sum()


def test_the_plainest_question_is_answered_as_published():
    # STATISTICS: .85 -> .77 at 5/95, median 139 candidate units; 1,000 runs, standard error about 4.
    found = simulate(asked(runs=1_000, max_units=100_000))
    assert found.rollback_rate > 0.99
    assert found.expand_rate == 0.0
    assert found.median_candidate_units == pytest.approx(139, rel=0.1)
    middle = found.median_candidate_units or 0
    assert found.median_units == pytest.approx(20 * middle, rel=0.1)
    assert middle < (found.p90_candidate_units or 0)
    assert found == simulate(asked(runs=1_000, max_units=100_000))


RUNS = 600
AT_MOST = stats.binom.ppf(0.999, RUNS, 0.05) / RUNS


@pytest.mark.parametrize(
    "scenario",
    [
        {},
        {"stages": (Span(weight=0.5),)},
        {"icc": 0.3, "units_per_user": 8},
        {"missing": (0.3, 0.3)},
        {"delay_units": 500},
        {
            "stages": (Span(weight=0.05), Span(weight=0.25), Span(weight=0.5)),
            "drift": -0.05,
            "metrics": (judged(0.85, 0.85, margins=(None,) * 3),),
        },
        {"metrics": (judged(0.98, 0.98),)},
        {"metrics": (judged(0.85, 0.85, weight=0.5), judged(0.9, 0.9, weight=0.5))},
    ],
)
def test_a_change_without_effect_is_rarely_rolled_back_in_any_traffic(scenario):
    given = {"metrics": (judged(0.85, 0.85),), "runs": RUNS, "max_units": 5_000} | scenario
    found = simulate(asked(**given))
    assert found.rollback_rate <= AT_MOST
    assert found.median_units is None
    assert found.hold_rate == pytest.approx(1 - found.rollback_rate)


def test_outcomes_of_one_user_are_as_alike_as_asked():
    question = asked(judged(0.7, 0.7), icc=0.4, units_per_user=4)
    source = Source(question, np.random.default_rng(2), 300)
    # Blocks that cut users in two must not change that.
    parts = [source.draw(start, 50, np.full(300, 0.5)).y[0] for start in range(0, 400, 50)]
    y = np.concatenate(parts, axis=1).reshape(-1, 4)
    pairs = np.concatenate([y[:, [i, j]] for i in range(4) for j in range(i)])
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(0.4, abs=0.03)
    apart = np.corrcoef(y[:-1, 3], y[1:, 0])[0, 1]
    assert abs(apart) < 0.03
    assert y.mean() == pytest.approx(0.7, abs=0.02)


def test_stages_wait_for_their_margins_and_least_units():
    metric = judged(0.9, 0.9, margins=(0.1, 0.05), harm_margin=0.02)
    stages = (Span(weight=0.25, min_units=640), Span(weight=0.5, min_units=640))
    found = simulate(asked(metric, stages=stages, max_units=20_000))
    assert found.expand_rate > 0.95
    assert (found.median_expand_units or 0) >= 1_280
    assert found.reached[0] == 1.0
    assert found.reached[1] == pytest.approx(found.expand_rate, abs=0.05)
    late = tuple(replace(stage, max_units=650) for stage in stages)
    stopped = simulate(asked(metric, stages=late, max_units=20_000))
    assert stopped.hold_rate > found.hold_rate
    assert stopped.mean_units < found.mean_units
    worse = judged(0.9, 0.8, margins=(0.1, 0.05), harm_margin=0.02)
    assert simulate(asked(worse, stages=stages)).expand_rate <= AT_MOST


def test_another_population_begins_its_own_evidence():
    metric = judged(0.9, 0.9, margins=(0.08, 0.08), harm_margin=0.02)
    stages = (Span(weight=0.5), Span(weight=0.5))
    one = simulate(asked(metric, stages=stages, max_units=10_000))
    two = simulate(asked(metric, stages=stages, max_units=10_000, populations=(0, 1)))
    # What was shown of the first people passes both stages, unless the second are others.
    assert (two.median_expand_units or 0) > 1.5 * (one.median_expand_units or math.inf)
    audience = (Condition(attribute="plan", values=("staff",)),)
    first, second = world.policy().stages
    policy = world.policy(stages=(replace(first, audience=audience), second))
    outcomes = {"solved": Rates(baseline=0.9, candidate=0.9)}
    question = declared(policy, (world.metric("solved"),), outcomes, max_units=10, runs=1, seed=1)
    assert question.populations == (0, 1)
    with pytest.raises(InputError, match="population"):
        replace(question, populations=(0,))


def test_metrics_share_the_budget_and_all_must_be_within_their_margin():
    good = judged(0.9, 0.9, margins=(0.08,), weight=0.5)
    bad = replace(judged(0.9, 0.8, margins=(0.08,), weight=0.5), name="second")
    alone = simulate(asked(replace(bad, weight=1.0), stages=(Span(weight=0.5),)))
    both = simulate(asked(good, bad, stages=(Span(weight=0.5),)))
    assert both.rollback_rate > 0.9
    assert (alone.median_candidate_units or 0) < (both.median_candidate_units or 0)
    assert both.expand_rate <= AT_MOST


def test_late_outcomes_let_more_in_before_a_decision():
    quick, slow = (simulate(asked(delay_units=delay, units_per_hour=100.0)) for delay in (0, 400))
    assert (slow.median_units or 0) == (quick.median_units or 0) + 400
    assert slow.exposure == pytest.approx(quick.exposure + 20, abs=0.5)
    assert slow.median_hours == pytest.approx((slow.median_units or 0) / 100)
    assert slow.expected_hours == pytest.approx(slow.mean_units / 100)


def test_what_was_never_found_counts_as_infinite():
    ends = Ends(
        kind=np.array([ROLLED_BACK, ROLLED_BACK, HELD, HELD]),
        units=np.array([10.0, 20.0, 100.0, 100.0]),
        candidates=np.array([1.0, 2.0, 5.0, 5.0]),
        stage=np.zeros(4, dtype=np.int64),
    )
    found = summary("inchworm", asked(runs=4, max_units=100), ends)
    assert (found.rollback_rate, found.hold_rate) == (0.5, 0.5)
    assert (found.median_units, found.p90_units) == (20, None)
    assert (found.median_candidate_units, found.p90_candidate_units) == (2, None)
    assert found.exposure == 3.25


@pytest.mark.parametrize(
    ("method", "low", "high"),
    # STATISTICS §1 at 5/95: medians of candidate units.
    [
        ("oracle", 90, 140),
        ("fixed-z", 20, 55),
        ("msprt", 215, 290),
        ("growthbook", 200, 265),
        ("growthbook-one-sided", 165, 230),
        ("safestats", 225, 310),
        ("obrien-fleming", 150, 210),
        ("obrien-fleming-peeked", 140, 190),
        ("kayenta", 240, 400),
        ("threshold", 100, 101),
    ],
)
def test_other_rules_find_the_harm_when_their_figures_say(method, low, high):
    found = simulate(asked(max_units=14_000, runs=200), method)
    assert found.method == method
    assert low <= (found.median_candidate_units or math.inf) <= high
    assert found.median_units == pytest.approx(20 * (found.median_candidate_units or 0), rel=0.15)
    assert found.expand_rate == 0.0


def test_pooling_a_ramp_with_drift_fools_others_and_not_us():
    metric = judged(0.9, 0.9, margins=(None,) * 3)
    stages = (Span(weight=0.05), Span(weight=0.25), Span(weight=0.5))
    question = asked(metric, stages=stages, drift=-0.1, max_units=9_000, runs=100)
    fooled = {name: simulate(question, name).rollback_rate for name in ("inchworm", "growthbook", "fixed-z")}
    assert fooled["inchworm"] <= 0.1
    assert fooled["growthbook"] > 0.3
    assert fooled["fixed-z"] > 0.8


def test_the_oracle_knows_when_there_is_no_harm():
    assert simulate(asked(judged(0.85, 0.85), runs=5), "oracle").rollback_rate == 0.0


def test_shadow_stages_expose_nobody():
    stage = (Span(weight=0.5),)
    question = asked(judged(margins=(0.05,)), stages=stage, shadow=Shadow(discordance=0.2), runs=600)
    found = simulate(question)
    assert found.rollback_rate > 0.95
    assert found.median_units == pytest.approx(181, rel=0.15)
    assert (found.exposure, found.median_candidate_units) == (0.0, 0)
    equal = simulate(replace(question, metrics=(judged(0.85, 0.85, margins=(0.05,)),)))
    assert equal.median_expand_units == pytest.approx(466, rel=0.15)
    same = np.linspace(0, 1, 50)
    together = replace(
        question,
        metrics=(Judged(name="t", outcomes=Tables(baseline=same, candidate=same), margins=(0.05,)),),
        shadow=Shadow(together=True),
    )
    assert simulate(together).expand_rate == 1.0


def test_a_declared_policy_is_simulated_with_its_budget_and_margins():
    goal, guard = world.metric("solved"), world.metric("fast_enough", role=Role.GUARDRAIL)
    signal = world.metric("long", role=Role.SIGNAL)
    outcomes = {name: Rates(baseline=0.9, candidate=0.9) for name in ("solved", "fast_enough")}
    given: dict[str, Any] = {"max_units": 30_000, "runs": 50, "seed": 1}
    question = declared(world.policy(), (goal, guard, signal), outcomes, **given, units_per_hour=100.0)
    assert [one.name for one in question.metrics] == ["solved", "fast_enough"]
    assert np.allclose(np.array(question.metrics[0].margins, dtype=float), [0.081, 0.051])
    assert sum(one.weight for one in question.metrics) == pytest.approx(1.0)
    assert question.alpha == pytest.approx(0.05)
    assert [stage.min_units for stage in question.stages] == [200, 200]
    assert [stage.max_units for stage in question.stages] == [5_000, 5_000]
    # The same processes as the monitor's own.
    assert ours.designs(question) == tuple(design_of(world.policy(), one) for one in (goal, guard))
    assert simulate(question).rollback_rate <= 0.2
    with pytest.raises(InputError, match="fast_enough") as caught:
        declared(world.policy(), (goal, guard), {"solved": outcomes["solved"]}, **given)
    assert "--metric solved:BASE:CANDIDATE" in (caught.value.hint or "")
    with pytest.raises(InputError, match="does not gate on"):
        declared(world.policy(), (goal,), outcomes, **given)
    hidden = tuple(replace(stage, kind=StageKind.SHADOW) for stage in world.policy().stages)
    with pytest.raises(InputError, match="no stage that exposes"):
        declared(world.policy(stages=hidden), (goal,), {"solved": outcomes["solved"]}, **given)


def test_bounded_outcomes_have_their_mean_and_spread():
    values = bounded(0.8, 0.2)
    assert values.mean() == pytest.approx(0.8, abs=1e-3)
    assert values.std() == pytest.approx(0.2, abs=1e-3)
    assert values.min() >= 0.0
    assert np.all(np.diff(values) >= 0)
    with pytest.raises(InputError, match="standard deviation"):
        bounded(0.9, 0.4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runs": 0}, "--runs"),
        ({"max_units": 0}, "--max-units"),
        ({"runs": 100_000, "max_units": 10_000_000}, "more than is simulated"),
        ({"stages": (Span(weight=1.0),)}, "share"),
        ({"stages": ()}, "a metric and a stage"),
        ({"icc": 1.5}, "--icc"),
        ({"missing": (0.1, -0.1)}, "--missing"),
        ({"units_per_user": 65}, "--units-per-user"),
        ({"alphas": ((Clock.FAST, 0.0),)}, "alpha"),
        ({"units_per_hour": 0.0}, "--units-per-hour"),
        ({"metrics": (judged(margins=(0.0,)),)}, "margin"),
        ({"metrics": (judged(margins=(0.1, 0.1)),)}, "2 margins for 1 stages"),
        ({"metrics": (judged(1.2),)}, "rate"),
        ({"drift": 0.5}, "drift"),
        ({"metrics": (judged(harm_margin=1.0),)}, "harm margin"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_a_reason(wrong, message):
    with pytest.raises(InputError, match=message):
        asked(**wrong)


def test_methods_refuse_what_they_are_not_made_for():
    table = Judged(name="t", outcomes=Tables(baseline=bounded(0.8, 0.1), candidate=bounded(0.7, 0.1)))
    for method in ("oracle", "safestats"):
        with pytest.raises(InputError, match=r"yes/no|two rates"):
            simulate(asked(table, runs=2, max_units=500), method)
    with pytest.raises(InputError, match="no method"):
        simulate(asked(), "guess")
    with pytest.raises(InputError, match="knows no pairs"):
        simulate(asked(shadow=Shadow()), "msprt")
    with pytest.raises(InputError, match="differ"):
        simulate(asked(shadow=Shadow(discordance=0.9)))
    with pytest.raises(InputError, match="one metric"):
        simulate(asked(judged(), judged(), shadow=Shadow()))
    with pytest.raises(InputError, match="drift"):
        asked(table, drift=0.1)
    for more in ({"icc": 0.1}, {"missing": (0.1, 0.1)}, {"drift": -0.01}):
        with pytest.raises(InputError, match="pairs"):
            simulate(asked(shadow=Shadow(), **more))
    assert METHODS[0] == "inchworm"
