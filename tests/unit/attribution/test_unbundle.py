"""Bundles with known culprits, taken apart by trials that this test makes up from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from inchworm.attribution.corners import corners
from inchworm.attribution.propose import from_attribution, from_failures
from inchworm.attribution.unbundle import unbundle
from inchworm.domain.attribution import Attribution
from inchworm.domain.benchmark import Trial
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotIdentifiableError, UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Errored, Ok, Outcome, Result, Scored, Unscored
from inchworm.domain.trace import Trace

APP = AppRef(app="shop", environment="production")
P, C, R = Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT
BASE = Configuration.of({P: {"v": 0}, C: {"v": 0}, R: {"v": 0}})


def candidate(*layers: Layer) -> Configuration:
    moved = BASE
    for layer in layers:
        moved = moved.with_layer(layer, {"v": 1})
    return moved


def eval_set(count: int) -> EvalSet:
    cases = tuple(
        Case(id=CaseId(f"case-{n:04}"), inputs={"n": n}, origin="test", cluster="c", group=f"g{n}")
        for n in range(count)
    )
    return EvalSet(name="main", version=1, app=APP, cases=cases, shares={"c": 1.0}, population="made up")


def runner(
    rate: Callable[[frozenset[Layer]], float], seed: int, *, errored: frozenset[str] = frozenset()
) -> Callable[[Sequence[Case], Sequence[Configuration], int], list[Trial]]:
    """Each case has a difficulty of its own; a cell passes the cases that are easier than its rate."""

    def run(cases: Sequence[Case], configurations: Sequence[Configuration], repetitions: int) -> list[Trial]:
        rng = np.random.default_rng(seed)
        difficulty = rng.random(len(cases))
        trials: list[Trial] = []
        for configuration in configurations:
            own = np.where(rng.random(len(cases)) < 0.2, rng.random(len(cases)), difficulty)
            share = rate(frozenset(BASE.moved(configuration)))
            for case, hard in zip(cases, own, strict=True):
                for repetition in range(repetitions):
                    broken = case.id in errored
                    outcome: Outcome = Errored(reason="503") if broken else Ok()
                    result: Result = Errored(reason="503") if broken else Scored(value=float(hard < share))
                    trials.append(
                        Trial(
                            case_id=case.id,
                            configuration_id=configuration.id,
                            repetition=repetition,
                            outcome=outcome,
                            results={"answered": result},
                        )
                    )
        return trials

    return run


def named(attribution: Attribution) -> set[tuple[Layer, ...]]:
    return {item.layers for item in attribution.contributions if item.named}


def test_the_culprit_of_three_is_named_and_the_innocent_are_not() -> None:
    run = runner(lambda moved: 0.9 - 0.25 * (C in moved), seed=1)
    found = unbundle(eval_set(600), BASE, candidate(P, C, R), "answered", run)
    assert named(found) == {(C,)}
    assert found.layers == (P, C, R)
    assert (found.cases, found.trials, found.errored) == (600, 4_800, 0)
    (culprit,) = [item for item in found.contributions if item.named]
    assert culprit.effect.low < -0.25 < culprit.effect.high
    assert culprit.effect.high < 0
    assert sum(share.estimate for share in found.shapley.values()) == pytest.approx(found.total.estimate)
    assert [item.layers for item in found.contributions] == [
        (P,), (C,), (R,), (P, C), (P, R), (C, R), (P, C, R),
    ]  # fmt: skip
    assert C not in found.ship.moved
    assert len(found.corners) == 8
    assert found.corners[0].moved == ()
    assert found.corners[0].effect.estimate == 0


def test_a_pure_interaction_is_named_and_its_layers_are_not() -> None:
    run = runner(lambda moved: 0.9 - 0.2 * (C in moved and P in moved), seed=2)
    found = unbundle(eval_set(600), BASE, candidate(P, C, R), "answered", run)
    assert named(found) == {(P, C)}


def test_a_gain_that_hides_a_loss_is_told_apart() -> None:
    run = runner(lambda moved: 0.75 + 0.15 * (R in moved) - 0.2 * (C in moved), seed=3)
    found = unbundle(eval_set(600), BASE, candidate(P, C, R), "answered", run)
    assert {(C,), (R,)} <= named(found)
    effects = {item.layers: item.effect.estimate for item in found.contributions}
    assert effects[C,] < 0 < effects[R,]
    assert R in found.ship.moved
    assert C not in found.ship.moved


def test_nothing_changed_names_nobody() -> None:
    quiet = 0
    for seed in range(20):
        run = runner(lambda _: 0.85, seed=100 + seed)
        found = unbundle(eval_set(300), BASE, candidate(P, C, R), "answered", run)
        quiet += named(found) == set()
    assert quiet >= 16  # nominal 95 %; 16 of 20 or more has probability .997 there


def test_broken_cases_are_proposed_and_only_those() -> None:
    run = runner(lambda moved: 0.9 - 0.25 * (C in moved), seed=4)
    cases = eval_set(600)
    wanted = candidate(P, C)
    found = unbundle(cases, BASE, wanted, "answered", run)
    (proposal,) = from_attribution(found)
    assert proposal.origin == "attribution:context"
    assert "fail only with context" in proposal.because
    by_cell = {
        (trial.case_id, trial.configuration_id): trial.results["answered"]
        for trial in run(cases.cases, [cell.configuration for cell in corners(BASE, wanted)], 1)
    }
    only_context = candidate(C).id
    expected = tuple(
        case.id
        for case in cases.cases
        if by_cell[case.id, BASE.id] == Scored(value=1.0)
        and by_cell[case.id, only_context] == Scored(value=0.0)
    )
    assert proposal.cases == expected
    assert len(expected) > 100
    assert from_attribution(found) == (proposal,)


def test_errored_trials_are_counted_and_their_cases_left_out() -> None:
    broken = frozenset(f"case-{n:04}" for n in range(30))
    run = runner(lambda _: 0.8, seed=5, errored=broken)
    found = unbundle(eval_set(200), BASE, candidate(C), "answered", run, repetitions=2)
    assert (found.cases, found.trials, found.errored) == (170, 800, 120)


def test_what_cannot_be_told_apart_is_refused() -> None:
    run = runner(lambda _: 0.8, seed=6)
    with pytest.raises(UsageError, match="the same"):
        unbundle(eval_set(50), BASE, BASE, "answered", run)
    many = candidate(P, C, R).with_layer(Layer.MODEL, {"name": "x"})
    with pytest.raises(NotIdentifiableError, match="4 layers moved"):
        unbundle(eval_set(50), BASE, many, "answered", run)
    with pytest.raises(NotIdentifiableError, match="cannot be attributed on main@1"):
        unbundle(eval_set(6), BASE, candidate(P, C), "answered", run)

    def unscored(
        cases: Sequence[Case], configurations: Sequence[Configuration], repetitions: int
    ) -> list[Trial]:
        return [
            Trial(
                case_id=case.id,
                configuration_id=configuration.id,
                repetition=repetition,
                outcome=Ok(),
                results={"answered": Unscored(reason="no reference")},
            )
            for case in cases
            for configuration in configurations
            for repetition in range(repetitions)
        ]

    with pytest.raises(NotIdentifiableError, match="answered cannot be attributed"):
        unbundle(eval_set(50), BASE, candidate(C), "answered", unscored)


def test_failures_in_production_become_cases_once() -> None:
    traces = [
        Trace(id=TraceId(f"t{n}"), app=APP, at=n, unit_id=UnitId(f"u{n}"), inputs=inputs, outcome=Ok())
        for n, inputs in enumerate([{"question": "a"}, {"question": "a"}, {"question": "b"}, {}])
    ]
    proposal, cases = from_failures(APP, "rollout:r-2", "they failed", traces, {TraceId("t0"): "refunds"})
    assert [case.inputs for case in sorted(cases, key=lambda case: case.origin)] == [
        {"question": "a"},
        {"question": "b"},
    ]
    assert {case.cluster for case in cases} == {"refunds", ""}
    assert proposal.cases == tuple(case.id for case in cases) == tuple(sorted(case.id for case in cases))
