"""Users, the holdout and audiences in the stores: a user is exposed once in each stage, in one order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop.changing import apply
from inchworm.app.loop.exposing import expose, record
from inchworm.app.loop.planning import make_plan
from inchworm.domain.assignment import arm_of, held_out, stage_salt
from inchworm.domain.ids import DecisionId, RolloutId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Rollout, UnitKind
from inchworm.domain.serving import Candidate, resolve
from inchworm.domain.targeting import Condition
from inchworm.domain.trace import Arm, Assignment, Exposure

UNITS = [(UnitId(f"u-{number}"), NOW + number) for number in range(40)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop", extra="  holdout: 10%\n  hash: growthbook\nunit: user\n")
    yield made
    made.house.close()


@pytest.fixture
def rollout(world: World) -> Rollout:
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    (made,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    return world.house.control.rollout(made.id)


def candidate(world: World) -> Candidate:
    table = world.house.control.serving(world.house.app)
    assert table is not None
    assert table.candidate is not None
    return table.candidate


def serve(world: World, rollout: Rollout, **changes: object) -> None:
    """The serving row says something else of the candidate."""
    control = world.house.control
    table, present = control.serving(world.house.app), control.rollout(rollout.id)
    assert table is not None
    grown = replace(
        table,
        generation=table.generation + 1,
        candidate=replace(candidate(world), **changes),  # type: ignore[arg-type]  # by the tests' own names
    )
    last = control.decisions(rollout.id)[-1]
    after = replace(present, generation=present.generation + 1, stage=candidate(world).stage)
    decision = replace(last, id=DecisionId(f"{rollout.id}/{after.generation}"), parent=present.generation)
    assert control.commit(decision, after, serving=grown)


def test_what_is_declared_is_what_is_served(world: World, rollout: Rollout) -> None:
    policy = rollout.policy
    assert (policy.unit, policy.holdout, policy.hash_version) == (UnitKind.USER, 0.1, 2)
    served = candidate(world)
    assert (served.per_stage, served.holdout, served.hash_version, served.audience) == (True, 0.1, 2, ())
    answers = expose(world.house, UNITS)
    for (unit, _), one in zip(UNITS, answers, strict=True):
        if held_out("small-shop/production", unit, 0.1):
            assert one.assignment is None
        else:
            assert one.assignment is not None
            assert one.assignment.arm is arm_of(2, stage_salt(served.salt, 0), unit, served.weight)


def test_a_user_is_drawn_and_recorded_anew_at_each_stage(world: World, rollout: Rollout) -> None:
    first = expose(world.house, UNITS)
    assert expose(world.house, UNITS) == first
    inside = [unit for (unit, _), one in zip(UNITS, first, strict=True) if one.assignment is not None]
    serve(world, rollout, stage=1, weight=0.5)
    second = expose(world.house, UNITS)
    assert expose(world.house, UNITS) == second
    assert {one.assignment.stage for one in second if one.assignment is not None} == {1}
    traces = world.house.traces
    for stage in (0, 1):
        known = traces.assignments(rollout.id, [unit for unit, _ in UNITS], draw=stage)
        assert list(known) == inside
        assert {(one.stage, one.draw) for one in known.values()} == {(stage, stage)}
        places = [one.order for one in known.values()]
        assert places == list(range(stage * len(inside), (stage + 1) * len(inside)))
    assert traces.last_order(rollout.id) == 2 * len(inside) - 1


def test_what_gateways_tell_is_kept_once_for_each_stage(world: World, rollout: Rollout) -> None:
    def said(unit: str, stage: int, arm: Arm = Arm.CANDIDATE) -> tuple[UnitId, Assignment, float]:
        given = Assignment(rollout_id=rollout.id, stage=stage, arm=arm, probability=0.5)
        return UnitId(unit), given, NOW - 10 + stage

    # Two gateways, late and out of order: the first of each stage counts.
    assert record(world.house, [said("a", 1), said("a", 0), said("b", 1), said("a", 0, Arm.BASELINE)]) == 3
    assert record(world.house, [said("a", 1, Arm.BASELINE), said("b", 0), said("a", 0)]) == 1
    found = world.house.traces.assignments(rollout.id, [UnitId("a"), UnitId("b")], draw=1)
    assert {unit: one.arm for unit, one in found.items()} == {"a": Arm.CANDIDATE, "b": Arm.CANDIDATE}
    assert world.house.traces.last_order(rollout.id) == 3
    # Nobody knows what a rollout of another installation draws by: its units are told apart by themselves.
    unknown = replace(said("a", 0)[1], rollout_id=RolloutId("r-elsewhere"))
    assert record(world.house, [(UnitId("a"), replace(unknown, stage=n), NOW) for n in (0, 1)]) == 1


def test_a_user_whom_the_version_before_exposed_is_not_counted_twice_in_the_same_stage(
    world: World, rollout: Rollout
) -> None:
    """It drew users once: every exposure of a rollout that was in flight has draw 0, whatever its stage."""
    former = [
        Exposure(
            rollout_id=rollout.id,
            order=order,
            unit_id=UnitId(f"old-{order}"),
            stage=1,
            arm=Arm.CANDIDATE,
            probability=0.25,
            at=NOW - 100,
        )
        for order in range(3)
    ]
    assert world.house.traces.add_exposures(former) == 3

    def said(unit: str, stage: int) -> tuple[UnitId, Assignment, float]:
        given = Assignment(rollout_id=rollout.id, stage=stage, arm=Arm.CANDIDATE, probability=0.25)
        return UnitId(unit), given, NOW - 10

    assert record(world.house, [said("old-0", 1), said("new", 1)]) == 1
    assert record(world.house, [said("old-0", 2)]) == 1
    serve(world, rollout, stage=1, weight=0.25, holdout=0.0)
    (again,) = expose(world.house, [(UnitId("old-1"), NOW)])
    assert again.assignment is not None
    assert (again.assignment.arm, again.assignment.stage) == (Arm.CANDIDATE, 1)
    assert world.house.traces.last_order(rollout.id) == 4


def test_who_is_named_by_an_address_gets_what_gateways_give_it(world: World, rollout: Rollout) -> None:
    units = [(UnitId(f"user{number}@example.com"), NOW) for number in range(20)]
    serve(world, rollout, weight=0.5)
    answers = expose(world.house, units)
    table = world.house.control.serving(world.house.app)
    assert table is not None
    assert [one.assignment for one in answers] == [resolve(table, unit).assignment for unit, _ in units]
    assert expose(world.house, units) == answers
    stored = [world.house.pseudonym(unit) for unit, _ in units]
    assert not set(stored) & {unit for unit, _ in units}
    known = world.house.traces.assignments(rollout.id, stored)
    assert len(known) == sum(one.assignment is not None for one in answers)
    ana = Condition(attribute="unit", values=("ana@example.com",))
    serve(world, rollout, weight=1.0, holdout=0.0, audience=(ana,))
    (got,) = expose(world.house, [(UnitId("ana@example.com"), NOW)])
    assert got.assignment is not None


def test_only_the_audience_is_exposed(world: World, rollout: Rollout) -> None:
    serve(world, rollout, audience=(Condition(attribute="tenant", values=("acme",)),), holdout=0.0)
    assert {one.assignment for one in expose(world.house, UNITS)} == {None}
    assert {one.assignment for one in expose(world.house, UNITS, {"tenant": "globex"})} == {None}
    inside = expose(world.house, UNITS[:20], {"tenant": "acme"})
    assert None not in {one.assignment for one in inside}
    # They keep what they got, also where nobody says any more who they are.
    assert expose(world.house, UNITS[:20]) == inside
    assert world.house.traces.last_order(rollout.id) == 19
