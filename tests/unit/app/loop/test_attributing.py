"""Bundles taken apart, broken cases proposed, and admitted once."""

from dataclasses import replace

import pytest
from tests.unit.app.loop.world import NOW, World, assigned, questions

from inchworm.app.loop.attributing import attribute, propose_failures
from inchworm.app.loop.measuring import accept, build_eval_set
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.evalset import Case
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.trace import Arm


def fail(
    world: World, rollout: str, numbers: list[int], *, arm: Arm = Arm.CANDIDATE, name: str = "x"
) -> None:
    """Interactions of an arm that answered these questions wrongly."""
    world.take(
        [world.trace(n, f"{name}-{n}", output="No idea.", assignment=assigned(rollout, arm)) for n in numbers]
    )


def ids(numbers: list[int]) -> set[str]:
    known = questions()
    return {Case.identify(*known[n]) for n in numbers}


def test_the_layer_that_did_it_is_named_and_its_cases_are_proposed(world):
    world.history(300)
    all_cases = build_eval_set(world.house, name="week")
    build_eval_set(world.house, size=12)
    main = world.house.control.eval_set(world.house.app, "main")
    wanted = world.wanted(Layer.PARAMETERS, Layer.CONTEXT)
    found = attribute(world.house, world.stable, wanted, eval_set=all_cases)
    assert found.attribution.metric == "answered"
    assert [item.layers for item in found.attribution.contributions if item.named] == [(Layer.CONTEXT,)]
    assert Layer.CONTEXT not in found.attribution.ship.moved
    broken = ids([n for n in range(60) if n % 2 == 0 and n % 10])
    (proposal,) = found.proposals
    assert proposal.origin == "attribution:context"
    assert set(proposal.cases) == broken - {case.id for case in main.cases}
    assert world.house.control.proposals(world.house.app) == [proposal]
    assert world.house.control.attributions(world.house.app) == [found.attribution]
    assert world.house.control.configuration(found.attribution.ship.configuration_id)
    (entry,) = world.house.control.ledger(world.house.app, limit=1)
    assert entry.what == "answered attributed on week@1: context named."


def test_asked_twice_it_says_and_keeps_the_same(world):
    world.history(300)
    cases = build_eval_set(world.house, name="week")
    wanted = world.wanted(Layer.PARAMETERS, Layer.CONTEXT)
    first = attribute(world.house, world.stable, wanted, eval_set=cases)
    world.clock.at += 60
    world.reopen()
    assert attribute(world.house, world.stable, wanted, eval_set=cases) == first
    assert len(world.house.control.attributions(world.house.app)) == 1
    assert len(world.house.control.proposals(world.house.app, open_only=False)) == 1


def test_cases_that_the_eval_set_has_are_not_proposed(world):
    world.history(300)
    build_eval_set(world.house)
    found = attribute(world.house, world.stable, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    assert found.attribution.total.high < 0
    assert found.proposals == ()


def test_without_an_eval_set_or_a_difference_or_a_metric_it_says_so(world):
    with pytest.raises(NotFoundError):
        attribute(world.house, world.stable, world.wanted())
    world.history(120)
    build_eval_set(world.house)
    with pytest.raises(UsageError):
        attribute(world.house, world.stable, world.stable)
    with pytest.raises(UsageError, match='no metric "nonsense" is declared; declared are answered, latency'):
        attribute(world.house, world.stable, world.wanted(), metric="nonsense")


def test_failures_of_the_candidate_are_proposed_and_no_others(world, flying):
    world.history(60)
    fail(world, flying.id, [1, 3, 5], arm=Arm.BASELINE, name="base")
    fail(world, "r-77", [2, 4], name="elsewhere")
    assert propose_failures(world.house, flying.id) == ()
    fail(world, flying.id, [7, 8, 9])
    fail(world, flying.id, [8], name="again")
    (proposal,) = propose_failures(world.house, flying.id)
    assert set(proposal.cases) == ids([7, 8, 9])
    assert proposal.origin == f"rollout:{flying.id}"
    assert proposal.because.startswith("4 ")
    _, cases = world.house.control.proposal(proposal.id)
    assert {case.id for case in cases} == ids([7, 8, 9])
    assert {case.origin.split("-")[0] for case in cases} == {"trace:t"}


def test_more_failures_than_a_page_holds_are_all_found(world, flying, monkeypatch):
    from inchworm.app.loop import attributing

    monkeypatch.setattr(attributing, "_PAGE", 4)
    fail(world, flying.id, list(range(11)))
    (proposal,) = propose_failures(world.house, flying.id)
    assert set(proposal.cases) == ids(list(range(11)))


def test_accepted_cases_make_the_next_version_and_nothing_comes_twice(world, flying):
    world.history(60)
    first = build_eval_set(world.house, size=20)
    had = {case.id for case in first.cases}
    missing = [n for n in range(60) if not ids([n]) <= had][:6]
    fail(world, flying.id, [n for n in range(60) if ids([n]) <= had][:4] + missing)
    (proposal,) = propose_failures(world.house, flying.id)
    assert set(proposal.cases) == ids(missing), "what the eval set has is not proposed"
    second, added = accept(world.house, proposal.id)
    assert (second.id, second.parent, added) == ("main@2", "main@1", 6)
    assert {case.id for case in second.cases} == had | ids(missing)
    assert world.house.control.proposals(world.house.app) == []
    assert propose_failures(world.house, flying.id) == ()
    world.reopen()
    again, none = accept(world.house, proposal.id)
    assert (again, none) == (second, 0)
    assert [one.id for one in world.house.control.eval_sets(world.house.app)] == ["main@1", "main@2"]
    assert world.house.control.eval_set(world.house.app, "main", 1) == first


def test_overlapping_proposals_admit_each_case_once(world, flying):
    world.history(60)
    build_eval_set(world.house, size=5)
    had = {case.id for case in world.house.control.eval_set(world.house.app, "main").cases}
    new = [n for n in range(60) if not ids([n]) <= had]
    fail(world, flying.id, new[:4])
    (one,) = propose_failures(world.house, flying.id)
    fail(world, flying.id, new[2:7], name="more")
    (two,) = propose_failures(world.house, flying.id)
    assert one.id != two.id
    assert accept(world.house, one.id)[1] == 4
    grown, added = accept(world.house, two.id)
    assert added == 3
    assert {case.id for case in grown.cases} == had | ids(new[:7])
    assert len(grown.cases) == 12


def test_killed_between_the_version_and_the_closing_it_is_accepted_again(world, flying, monkeypatch):
    world.history(60)
    build_eval_set(world.house, size=5)
    fail(world, flying.id, list(range(60)))
    (proposal,) = propose_failures(world.house, flying.id)

    def killed(*_args: object) -> bool:
        raise NotFoundError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.house.control), "close_proposal", killed)
        with pytest.raises(NotFoundError):
            accept(world.house, proposal.id)
    world.reopen()
    assert len(world.house.control.proposals(world.house.app)) == 1
    eval_set, added = accept(world.house, proposal.id)
    assert (eval_set.id, len(eval_set.cases), added) == ("main@2", 60, 0)
    assert world.house.control.proposals(world.house.app) == []


def test_what_is_not_there_says_so(world):
    with pytest.raises(NotFoundError):
        accept(world.house, "proposal-none")
    with pytest.raises(NotFoundError):
        propose_failures(world.house, RolloutId("r-99"))


def test_without_a_goal_the_first_metric_is_asked_about(world, flying):
    guard = Metric(
        name="answered",
        source={"check": "contains_reference"},
        role=Role.GUARDRAIL,
        clock=Clock.FAST,
        margin=0.1,
        harm_margin=0.05,
        absence=Absence.FAILURE,
    )
    world.house.spec = replace(world.house.spec, metrics=(guard,))
    fail(world, flying.id, [3])
    (proposal,) = propose_failures(world.house, flying.id)
    assert "failed answered" in proposal.because
    assert world.clock.at == NOW
