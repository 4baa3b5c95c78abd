"""A plan from its making to its end, on synthetic traffic and a clock that is moved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.app.loop.world import HOUR, World

from inchworm.app.loop.attributing import propose_failures
from inchworm.app.loop.changing import apply
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.measuring import accept, build_eval_set
from inchworm.app.loop.planning import make_plan
from inchworm.domain.errors import InchwormError, StaleBaseError
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Decision, Rollout
from inchworm.domain.trace import Arm
from inchworm.rollout.decide import replay
from inchworm.rollout.transitions import TERMINAL

ONE, TWO = RolloutId("r-1"), RolloutId("r-2")
SLOTS = 40


class KilledError(InchwormError):
    """The process ends here."""


def begin(folder: Path, *, gate_margin_factor: float = 1.0) -> World:
    """A shop with a history and an eval set, and a plan of a good step and a bad one."""
    world = World.build(folder, gate_margin_factor=gate_margin_factor)
    world.history(300)
    build_eval_set(world.house)
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    apply(world.house, plan.id)
    return world


def play(world: World, *, killed_each_slot: bool = False) -> list[Decision]:
    """Traffic and the control loop until every rollout has ended."""
    for _ in range(SLOTS):
        world.round()
        if all(rollout.state in TERMINAL for rollout in world.house.control.rollouts(world.house.app)):
            return world.decisions
        if killed_each_slot:
            interrupted_slot(world)
            world.reopen()
        else:
            world.slot()
    raise AssertionError("it does not come to an end")


def interrupted_slot(world: World) -> None:
    """The process ends between exposures and interactions; another one plays the same slot again."""
    before, session = world.clock.at, world._sessions
    patch = pytest.MonkeyPatch()

    def killed(*_args: object, **_named: object) -> None:
        raise KilledError("killed")

    patch.setattr(type(world.house.traces), "add_traces", killed)
    with pytest.raises(KilledError):
        world.slot()
    patch.undo()
    world.reopen()
    world.clock.at, world._sessions = before, session
    world.slot()


def told(decisions: list[Decision]) -> list[tuple[str, str, float]]:
    return [(one.rollout_id, one.kind.value, one.weight) for one in decisions]


def rollouts(world: World) -> dict[RolloutId, Rollout]:
    return {one.id: one for one in world.house.control.rollouts(world.house.app)}


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Played to its end with the gate as it is."""
    world = begin(tmp_path_factory.mktemp("gated") / "shop")
    play(world)
    yield world
    world.house.close()


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Played to its end with a gate that lets everything through."""
    world = begin(tmp_path_factory.mktemp("loose") / "shop", gate_margin_factor=10)
    play(world)
    yield world
    world.house.close()


GOOD = [
    (ONE, "start", 0.0),
    (ONE, "expose", 0.2),
    (ONE, "expand", 0.5),
    (ONE, "soak", 0.95),
    (ONE, "complete", 1.0),
]


def test_the_good_step_becomes_stable_and_the_gate_rejects_the_bad_one(gated):
    assert told(gated.decisions) == [*GOOD, (TWO, "start", 0.0), (TWO, "reject", 0.0)]
    assert gated.stable == gated.wanted(Layer.PARAMETERS)
    assert gated.house.lineage().in_flight is None
    table = gated.house.control.serving(gated.house.app)
    assert table is not None
    assert (table.stable, table.candidate) == (gated.stable.id, None)
    rejected = gated.decisions[-1]
    assert "answered" in rejected.because
    assert rejected.because.startswith(f"rejected because benchmark {rollouts(gated)[TWO].benchmark_id}")
    assert gated.house.traces.exposures_count(TWO) == {}, "nobody saw it"


def test_the_loose_gate_lets_it_through_and_the_canary_rolls_it_back(loose):
    assert told(loose.decisions) == [
        *GOOD,
        (TWO, "start", 0.0),
        (TWO, "expose", 0.2),
        (TWO, "rollback", 0.0),
    ]
    assert loose.decisions[-1].because.startswith("rolled back because answered fell by")
    assert loose.stable == loose.wanted(Layer.PARAMETERS)
    counts = loose.house.traces.exposures_count(TWO)
    candidate = sum(count for (_, arm), count in counts.items() if arm is Arm.CANDIDATE)
    assert 0 < candidate < 0.3 * sum(counts.values())


@pytest.mark.parametrize("which", ["gated", "loose"])
def test_every_decision_is_stored_and_recomputed_from_its_evidence(which, request):
    world: World = request.getfixturevalue(which)
    stored = [decision for rollout in rollouts(world) for decision in world.house.control.decisions(rollout)]
    assert stored == sorted(world.decisions, key=lambda one: (one.rollout_id, one.parent))
    assert [replay(decision) for decision in stored] == stored


def test_stages_took_the_time_and_the_units_that_the_policy_asks_for(gated):
    policy = rollouts(gated)[ONE].policy
    good = [one for one in gated.decisions if one.rollout_id == ONE]
    exposed, expanded, soaking, completed = (one.at for one in good[1:])
    assert expanded - exposed >= policy.stages[0].min_bake_s == HOUR
    assert soaking - expanded >= policy.stages[1].min_bake_s == HOUR
    assert completed - soaking >= policy.soak_s == 2 * HOUR
    counts = gated.house.traces.exposures_count(ONE)
    for stage in (0, 1):
        assert counts[stage, Arm.BASELINE] + counts[stage, Arm.CANDIDATE] >= policy.stages[stage].min_units


def test_each_exposure_stands_once_in_order_and_has_its_interaction(gated):
    total = sum(gated.house.traces.exposures_count(ONE).values())
    rows = gated.house.traces.units(ONE, start=0, matured_before=gated.clock.at, limit=10_000)
    assert rows.order.tolist() == list(range(total))
    assert rows.traces.tolist() == [1] * total
    weights = {stage: set(rows.probability[rows.stage == stage].tolist()) for stage in (0, 1, 2)}
    assert weights == {0: {0.2}, 1: {0.5}, 2: {0.95}}
    assert gated.house.control.monitor(ONE) is not None


def test_latency_was_judged_by_a_threshold_fixed_at_the_start(gated):
    first, second = rollouts(gated)[ONE], rollouts(gated)[TWO]
    limits = [one.metrics[1].source["threshold_ms"] for one in (first, second)]
    assert all(80 < limit < 140 for limit in limits)


def test_the_ledger_tells_when_stable_moved(gated):
    entries = gated.house.control.ledger(gated.house.app, limit=1_000)
    moved = [entry for entry in entries if entry.kind == "configuration" and "moved" in entry.what]
    (one,) = moved
    assert one.data["to"] == gated.stable.id
    assert one.actor == "inchworm"


def test_the_plan_is_stale_once_its_first_step_is_stable(gated):
    (plan,) = gated.house.control.plans(gated.house.app)
    with pytest.raises(StaleBaseError):
        apply(gated.house, plan.id)
    assert set(rollouts(gated)) == {ONE, TWO}


def test_what_the_canary_broke_is_proposed_and_admitted(tmp_path):
    world = World.build(tmp_path / "shop", gate_margin_factor=10)
    world.history(300)
    build_eval_set(world.house, size=10)
    apply(world.house, make_plan(world.house, world.wanted(Layer.CONTEXT)).id)
    play(world)
    assert told(world.decisions)[-1] == (ONE, "rollback", 0.0)
    (proposal,) = propose_failures(world.house, ONE)
    known = {case.id for case in world.house.control.eval_set(world.house.app, "main").cases}
    assert not known & set(proposal.cases)
    grown, added = accept(world.house, proposal.id)
    assert (grown.version, added) == (2, len(proposal.cases))
    assert added > 5
    world.house.close()


def test_killed_in_every_slot_it_decides_the_same(loose, tmp_path):
    world = begin(tmp_path / "shop", gate_margin_factor=10)
    play(world, killed_each_slot=True)
    assert [(one.id, one.because, one.evidence) for one in world.decisions] == [
        (one.id, one.because, one.evidence) for one in loose.decisions
    ]
    assert world.stored() == loose.stored()
    again = Drain(world.house).take(world.stored())
    assert again.new == 0
    world.house.close()
