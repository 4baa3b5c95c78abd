"""Resolving units: fixed at first exposure, in order without gaps, durable before anything else."""

from dataclasses import replace

import pytest
from tests.unit.app.loop.world import NOW, World

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.exposing import expose
from inchworm.domain.assignment import served_weight
from inchworm.domain.errors import InchwormError, NotFoundError
from inchworm.domain.ids import DecisionId, RolloutId, UnitId
from inchworm.domain.rollout import Rollout
from inchworm.domain.serving import Resolved
from inchworm.domain.trace import Arm, Exposure
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act


def units(first: int, last: int) -> list[tuple[UnitId, float]]:
    return [(UnitId(f"s-{n}"), NOW + n) for n in range(first, last)]


def order_of(world: World, rollout: RolloutId) -> list[Exposure]:
    known = world.house.traces.assignments(rollout, [unit for unit, _ in units(0, 2_000)])
    return sorted(known.values(), key=lambda one: one.order)


def serve(world: World, rollout: Rollout, weight: float, stage: int) -> None:
    """The stage has grown: the serving row says another weight."""
    control = world.house.control
    table, lineage = control.serving(world.house.app), control.lineage(world.house.app)
    assert table is not None
    assert lineage is not None
    assert table.candidate is not None
    candidate = replace(table.candidate, weight=weight, stage=stage)
    grown = replace(table, generation=table.generation + 1, candidate=candidate)
    after = replace(rollout, generation=rollout.generation + 1, stage=stage)
    last = control.decisions(rollout.id)[-1]
    decision = replace(
        last,
        id=DecisionId(f"{rollout.id}/{after.generation}"),
        parent=rollout.generation,
        stage=stage,
        weight=weight,
    )
    assert control.commit(decision, after, serving=grown)


def arms(resolved: list[Resolved]) -> list[Arm | None]:
    return [None if one.assignment is None else one.assignment.arm for one in resolved]


def test_without_a_candidate_nobody_is_exposed(world):
    resolved = expose(world.house, units(0, 50))
    assert {one.configuration_id for one in resolved} == {world.house.lineage().stable}
    assert arms(resolved) == [None] * 50
    world.take([world.trace(0, "s-0")])
    world.house.close()
    assert order_of(world, RolloutId("r-1")) == []


def test_before_anything_is_served_it_says_what_to_do(world, tmp_path):
    (tmp_path / "inchworm.yaml").write_text((world.folder / "inchworm.yaml").read_text())
    with House(load(tmp_path / "inchworm.yaml")) as house, pytest.raises(NotFoundError) as caught:
        expose(house, units(0, 1))
    assert caught.value.hint == "inchworm adopt"


def test_exposures_stand_in_order_with_the_weight_that_was_served(world, flying):
    resolved = expose(world.house, units(0, 500))
    found = order_of(world, flying.id)
    assert [one.order for one in found] == list(range(500))
    assert [(one.unit_id, one.at) for one in found] == units(0, 500)
    assert {one.probability for one in found} == {served_weight(0.2)}
    assert [one.arm for one in found] == arms(resolved)
    share = sum(one.arm is Arm.CANDIDATE for one in found) / 500
    assert 0.15 < share < 0.25
    for one in resolved:
        assert one.assignment is not None
        inside = one.assignment.arm is Arm.CANDIDATE
        assert one.configuration_id == (flying.candidate if inside else flying.base)


def test_a_weight_between_two_buckets_is_recorded_as_it_is_served(world, flying):
    serve(world, flying, 0.123456, 0)
    expose(world.house, units(0, 30))
    assert {one.probability for one in order_of(world, flying.id)} == {0.1235}


def test_an_arm_is_fixed_at_first_exposure_while_the_stage_grows(world, flying):
    before = expose(world.house, units(0, 400))
    serve(world, flying, 0.9, 1)
    world.reopen()
    after = expose(world.house, units(0, 400))
    assert after == before
    fresh = expose(world.house, units(400, 800))
    found = order_of(world, flying.id)
    assert [one.order for one in found] == list(range(800))
    assert [(one.stage, one.probability) for one in found] == [(0, 0.2)] * 400 + [(1, 0.9)] * 400
    assert arms(fresh).count(Arm.CANDIDATE) > 300


def test_calls_with_overlapping_units_leave_no_gaps_and_no_doubles(world, flying):
    first = expose(world.house, [*units(0, 30), *units(10, 20)])
    second = expose(world.house, [*units(20, 45), *units(5, 8), *units(40, 50)])
    assert arms(first)[10:20] == arms(first)[30:]
    assert arms(second)[:10] == arms(first)[20:30]
    found = order_of(world, flying.id)
    assert [one.order for one in found] == list(range(50))
    assert [one.unit_id for one in found] == [unit for unit, _ in units(0, 50)]
    assert len(second) == 38


def test_no_units_is_no_exposure(world, flying):
    assert expose(world.house, []) == []
    assert order_of(world, flying.id) == []


def test_a_rollback_overrides_what_was_kept(world, flying):
    expose(world.house, units(0, 100))
    act(world.house.control, flying.id, Act.ABORT, actor="ana", reason="", now=NOW)
    resolved = expose(world.house, units(0, 100))
    assert {one.configuration_id for one in resolved} == {flying.base}
    assert arms(resolved) == [None] * 100
    assert len(order_of(world, flying.id)) == 100


class KilledError(InchwormError):
    """The process ends here."""


def test_nobody_is_told_an_arm_that_was_not_written_down(world, flying, monkeypatch):
    def killed(*_args: object) -> int:
        raise KilledError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.house.traces), "add_exposures", killed)
        with pytest.raises(KilledError):
            expose(world.house, units(0, 10))
    assert order_of(world, flying.id) == []
    assert len(arms(expose(world.house, units(0, 10)))) == 10
    assert [one.order for one in order_of(world, flying.id)] == list(range(10))
