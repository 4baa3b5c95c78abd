"""Eval sets in versions, benchmarks from the cache, and the work that rollouts wait for."""

from dataclasses import replace

import pytest
from tests.unit.app.loop.world import CountingUpstream, World

from inchworm.app.loop import measuring, working
from inchworm.app.loop.changing import apply
from inchworm.app.loop.measuring import build_eval_set, compare
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.sampling import repetitions
from inchworm.app.loop.upstreams import load_recording
from inchworm.app.loop.working import work_off
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, NotFoundError, UsageError
from inchworm.domain.ids import WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.effects import BENCHMARK


@pytest.fixture
def asked(world, monkeypatch):
    """The upstream, counting how often it is asked."""
    upstream = CountingUpstream(load_recording(world.house.spec.recording))
    monkeypatch.setattr(measuring, "upstream_for", lambda _house, _configuration: upstream)
    return upstream


def start(world: World, *layers: Layer) -> WorkItem:
    """A step that waits for its benchmark; what was asked for."""
    apply(world.house, make_plan(world.house, world.wanted(*layers)).id)
    world.round_once()
    (item,) = world.house.control.work(world.house.app)
    return item


def items(world: World) -> dict[WorkId, WorkItem]:
    return {item.id: item for item in world.house.control.work(world.house.app)}


def test_versions_of_an_eval_set_count_up(world):
    world.history(120)
    first = build_eval_set(world.house, size=30)
    world.reopen()
    second, other = build_eval_set(world.house), build_eval_set(world.house, name="other")
    assert (first.id, second.id, other.id) == ("main@1", "main@2", "other@1")
    assert (len(first.cases), len(second.cases)) == (30, 60)
    assert world.house.control.eval_set(world.house.app, "main", 1) == first
    assert world.house.control.eval_set(world.house.app, "main") == second
    told = [entry for entry in world.house.control.ledger(world.house.app) if entry.kind == "evalset"]
    assert [entry.data for entry in told] == [
        {"eval_set": "other@1", "cases": 60},
        {"eval_set": "main@2", "cases": 60},
        {"eval_set": "main@1", "cases": 30},
    ]


def test_the_same_seed_draws_the_same_cases(world):
    world.history(120)
    first, second = build_eval_set(world.house, size=20, seed=4), build_eval_set(world.house, size=20, seed=4)
    assert first.cases == second.cases
    assert build_eval_set(world.house, size=20, seed=5).cases != first.cases


def test_without_interactions_there_is_no_eval_set(world):
    with pytest.raises(InputError) as caught:
        build_eval_set(world.house)
    assert caught.value.hint is not None
    assert world.house.control.eval_sets(world.house.app) == []


def test_a_second_benchmark_asks_nobody(world, asked):
    world.history(120)
    eval_set = build_eval_set(world.house)
    base, candidate = world.stable, world.wanted(Layer.CONTEXT)
    first = compare(world.house, base, candidate, eval_set=eval_set)
    assert asked.asked == 2 * 60
    assert first.verdict is Verdict.FAIL
    world.reopen()
    assert compare(world.house, base, candidate, eval_set=eval_set) == first
    assert asked.asked == 2 * 60
    assert [one.id for one in world.house.control.benchmarks(world.house.app)] == [first.id]
    third = compare(world.house, base, world.wanted(Layer.PARAMETERS), eval_set=eval_set)
    assert asked.asked == 3 * 60, "the base was asked before"
    assert third.verdict is Verdict.PASS


def test_a_margin_factor_widens_every_margin(world):
    world.history(120)
    eval_set = build_eval_set(world.house)
    made = compare(world.house, world.stable, world.wanted(Layer.CONTEXT), eval_set=eval_set, margin_factor=4)
    assert {one.margin for one in made.comparisons} == {0.8}
    assert made.verdict is Verdict.PASS


def test_repetitions_follow_the_temperature(world):
    cold = world.stable
    warm = cold.with_layer(Layer.PARAMETERS, {"temperature": 0.7})
    unsaid = cold.with_layer(Layer.PARAMETERS, {})
    assert [repetitions([one]) for one in (cold, warm, unsaid)] == [1, 3, 3]
    assert repetitions([cold, warm]) == 3


def test_done_work_says_verdict_benchmark_and_why(world):
    world.history(120)
    build_eval_set(world.house)
    item = start(world, Layer.PARAMETERS)
    assert work_off(world.house, owner="me") == 1
    assert work_off(world.house, owner="me") == 0
    done = items(world)[item.id]
    assert done.state is WorkState.DONE
    assert done.result is not None
    (benchmark,) = world.house.control.benchmarks(world.house.app)
    assert done.result["verdict"] == "pass"
    assert done.result["benchmark_id"] == benchmark.id
    assert done.result["because"].startswith("`answered` 0.0 points")


def test_without_an_eval_set_the_work_fails_and_a_person_is_asked(world):
    item = start(world, Layer.PARAMETERS)
    (decision,) = world.round()
    failed = items(world)[item.id]
    assert failed.state is WorkState.FAILED
    assert failed.error is not None
    assert "no eval set main" in failed.error
    assert "inchworm evalset" in failed.error, "it says what to do"
    assert decision.state is RolloutState.HOLDING
    assert "no eval set main" in decision.because


def test_an_error_without_a_hint_ends_with_its_message(world, monkeypatch):
    def gone(*_args: object, **_named: object) -> None:
        raise NotFoundError("there is no configuration abcd")

    world.history(60)
    build_eval_set(world.house)
    item = start(world, Layer.PARAMETERS)
    monkeypatch.setattr(working, "compare", gone)
    work_off(world.house, owner="me")
    assert items(world)[item.id].error == "there is no configuration abcd"


def test_a_recording_that_lacks_the_candidate_is_errored_and_never_a_pass(world):
    world.history(120)
    build_eval_set(world.house)
    declared = world.house.spec.configuration
    unknown = declared.with_layer(Layer.PARAMETERS, declared.layer(Layer.PARAMETERS) | {"max_tokens": 7})
    apply(world.house, make_plan(world.house, unknown).id)
    started, held = world.round()
    assert started.state is RolloutState.BENCHMARKING
    assert held.state is RolloutState.HOLDING
    assert "could not be made" in held.because
    assert "no recording of the request" in held.because
    (item,) = items(world).values()
    assert item.result is not None
    assert item.result["verdict"] == "errored"
    table = world.house.control.serving(world.house.app)
    assert table is not None
    assert table.candidate is None


def test_a_recording_that_is_gone_fails_the_work(world):
    world.history(120)
    build_eval_set(world.house)
    (world.folder / "answers.jsonl.gz").unlink()
    item = start(world, Layer.PARAMETERS)
    (held,) = world.round()
    assert items(world)[item.id].state is WorkState.FAILED
    assert "there is no recording" in (items(world)[item.id].error or "")
    assert held.state is RolloutState.HOLDING


def test_a_recording_that_is_not_named_says_what_to_add(world):
    world.history(120)
    eval_set = build_eval_set(world.house)
    world.house.spec = replace(world.house.spec, recording=None)
    with pytest.raises(UsageError) as caught:
        compare(world.house, world.stable, world.wanted(Layer.PARAMETERS), eval_set=eval_set)
    assert "recording: PATH" in (caught.value.hint or "")


def test_an_unknown_upstream_is_refused(world):
    world.history(120)
    eval_set = build_eval_set(world.house)
    odd = world.stable.with_layer(Layer.INFRASTRUCTURE, {"upstream": "pigeon"})
    with pytest.raises(UsageError, match='no upstream "pigeon"'):
        compare(world.house, world.stable, odd, eval_set=eval_set)


def test_an_expired_lease_is_taken_over_and_its_owner_comes_too_late(world):
    world.history(120)
    build_eval_set(world.house)
    item = start(world, Layer.PARAMETERS)
    control = world.house.control
    (taken,) = control.lease_work([BENCHMARK], owner="dead", now=world.clock.at, lease_s=600)
    assert taken.id == item.id
    assert work_off(world.house, owner="me") == 0
    world.clock.at += 599
    assert work_off(world.house, owner="me") == 0
    world.clock.at += 1
    assert work_off(world.house, owner="me") == 1
    done = items(world)[item.id]
    assert (done.state, done.attempts) == (WorkState.DONE, 2)
    assert not control.finish_work(item.id, owner="dead", result={"verdict": "fail"})
    assert items(world)[item.id] == done


def test_work_of_another_app_in_the_same_directory_is_left_to_it(world):
    world.history(120)
    build_eval_set(world.house)
    other = AppRef(app="other-shop", environment="production")
    item = start(world, Layer.PARAMETERS)
    spec = world.house.spec
    world.house.spec = replace(spec, app=other)
    assert work_off(world.house, owner="me") == 0
    left = world.house.control.work()
    assert [(one.id, one.state) for one in left] == [(item.id, WorkState.READY)]
    world.house.spec = spec
    assert work_off(world.house, owner="me") == 1
    assert items(world)[item.id].state is WorkState.DONE


def test_whoever_lost_the_lease_writes_nothing(world, monkeypatch):
    world.history(120)
    build_eval_set(world.house)
    item = start(world, Layer.PARAMETERS)
    control, slow = world.house.control, compare

    def overtaken(*args: object, **named: object) -> object:
        made = slow(*args, **named)  # type: ignore[arg-type]  # handed through
        control.lease_work([BENCHMARK], owner="other", now=world.clock.at + 601, lease_s=600)
        return made

    monkeypatch.setattr(working, "compare", overtaken)
    assert work_off(world.house, owner="me") == 1
    assert items(world)[item.id].state is WorkState.LEASED
    assert control.finish_work(item.id, owner="other", result={"verdict": "pass", "because": "x"})
    assert items(world)[item.id].state is WorkState.DONE
