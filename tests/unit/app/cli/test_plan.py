"""What ``inchworm plan`` says, and what it refuses to let through."""

import pytest
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import UNGATED

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.domain.rollout import StageKind
from inchworm.store.traces import TraceStore

SLOW = {"stages": "[5%, 25%, 50%]"}


@pytest.fixture
def measured(shop):
    """A shop whose documents confuse it, whatever the prompt says."""
    shop.declare(documents=2, system=small_shop.BETTER)
    return shop


def words(text):
    return " ".join(text.split())


def test_measured_it_shows_every_combination_with_its_verdict(measured):
    result = measured("plan", "--measure")
    assert "measuring 3 combinations on main@1: 420 calls" in result.stderr
    text = words(result.stdout)
    assert "context + prompt fails `answered` −" in text
    assert "prompt inconclusive `answered`" in text
    assert "The candidate as a whole does not pass" in text
    plan = measured.json("plan", "--measure")["plan"]
    assert {tuple(one["layers"]): one["verdict"] for one in plan["corners"]} == {
        ("context", "prompt"): "fail",
        ("context",): "fail",
        ("prompt",): "inconclusive",
    }
    assert plan["eval_set"] == "main@1"
    assert all(one["benchmark_id"] for one in plan["corners"])
    markdown = measured("plan", "--measure", "--markdown").stdout
    assert "| context \\+ prompt |" in markdown or "| context + prompt | fails |" in markdown


def test_every_step_says_what_was_looked_at(measured):
    text = words(measured("plan").stdout)
    assert (
        "after steps 1 and 2: documents 2: up to 2 were recorded; prompt uses {documents}, {question}" in text
    )
    checks = measured.json("plan")["plan"]["checks"]
    assert [one["step"] for one in checks] == [1, 2]


def test_a_plan_that_is_applied_already_says_where_and_offers_to_watch_it(flying):
    text = words(flying("plan").stdout)
    assert "is applied already: r-1 (context)" in text
    assert "Watch it: inchworm rollout watch r-1" in text
    assert "Apply with" not in text
    assert flying.json("plan")["next"] == "inchworm rollout watch r-1"
    assert "Watch it with `inchworm rollout watch r-1`." in flying("plan", "--markdown").stdout


def test_the_benchmark_of_each_step_is_told_by_itself(shop):
    shop.declare(documents=2, system=small_shop.BETTER)
    told = shop.json("plan")["outlook"]
    assert [one["step"] for one in told["benchmarks"]] == [1, 2]
    assert sum(one["calls"] for one in told["benchmarks"]) == told["calls"] > 0


def test_a_policy_that_changed_since_the_plan_is_held_against_the_traffic_again(shop):
    shop.declare(documents=2)
    quick = shop.plan()
    shop.declare(documents=2, **SLOW)
    assert "its policy cannot decide" in words(shop("apply", quick, exit_code=2).stderr)
    slow = shop.plan()
    assert slow != quick
    shop.declare(documents=2)
    shop("apply", slow)
    assert [one["plan"] for one in shop.json("rollout", "ls")["rollouts"]] == [slow]


@pytest.mark.parametrize("ends", [True, False])
def test_a_plan_is_queued_while_another_command_has_the_traces_and_starts_when_that_ends(
    shop, monkeypatch, ends
):
    shop.declare(documents=2)
    name = shop.plan()
    other = TraceStore.open(shop.folder / ".inchworm" / "traces.duckdb")

    def sleep(seconds):
        assert seconds < 1
        if ends:
            other.close()

    monkeypatch.setattr("inchworm.app.cli.apply.time.sleep", sleep)
    text = words(shop("apply", name).stdout)
    if ends:
        assert "r-1, context) is exposing" in text
    else:
        assert "is queued, and could not be started yet: " in text
        assert "traces.duckdb is in use by" in text
        assert "It starts with: inchworm rollout watch" in text
        other.close()


def test_what_cannot_be_decided_is_said_refused_and_let_through_for_a_reason(shop):
    shop.declare(documents=2, **SLOW)
    text = words(shop("plan").stdout)
    assert "Stage 1 of 3 (5 %) would end undecided: `answered` and its other gates take about" in text
    assert "As it is it is not applied" in text
    plan = shop.json("plan")
    assert plan["next"].endswith("--undecided-because REASON")
    assert plan["plan"]["undecided"]
    assert [stage["undecided"] for stage in plan["outlook"]["stages"]] == [True, True, True]
    name = plan["plan"]["id"]
    refused = shop("apply", name, exit_code=2).stderr
    assert "its policy cannot decide at this traffic" in words(refused)
    assert "shadow first decides the same margin" in words(refused)
    assert f"inchworm apply {name} --undecided-because REASON" in words(refused)
    assert not shop.json("rollout", "ls")["rollouts"]
    shop("apply", name, "--undecided-because", "the season ends tomorrow")
    with House(load(shop.folder / "inchworm.yaml")) as house:
        told = [entry.what for entry in house.control.ledger(house.app)]
    assert any("It may end undecided, and is wanted: the season ends tomorrow" in what for what in told)


def test_the_stages_that_are_proposed_for_low_traffic_can_be_written_down(shop):
    shop.declare(documents=2, **SLOW)
    said = shop.json("plan")["outlook"]["proposal"]
    shadow, half = said["yaml"].partition("  stages:\n")[2].splitlines()[1::2]
    stages = f"\n    {shadow.strip()}\n    {half.strip()}"
    text = small_shop.yaml(documents=2, stages=stages, extra=UNGATED)
    for name, margin in said["margins"].items():
        text = text.replace(f"{name}: {{check: ", f"{name}: {{margin: {margin}, check: ").replace(
            ", margin: 0.03}", "}"
        )
    (shop.folder / "inchworm.yaml").write_text(text, "utf-8")
    spec = load(shop.folder / "inchworm.yaml")
    assert [stage.kind for stage in spec.policy.stages] == [StageKind.SHADOW, StageKind.SPLIT]
    assert {metric.name: metric.margin for metric in spec.metrics} == said["margins"]
    plan = shop.json("plan")
    assert plan["plan"]["undecided"] == []
    first, second = plan["outlook"]["stages"]
    assert first["days"] == pytest.approx(said["shadow_days"], rel=0.1)
    assert second["days"] == pytest.approx(said["split_days"], rel=0.1)


def test_the_way_may_lead_over_a_file_or_an_id(measured):
    bridge = measured.folder / "bridge.yaml"
    bridge.write_text(small_shop.yaml(documents=1, system=small_shop.BETTER, temperature=0.5), "utf-8")
    plan = measured.json("plan", "--via", str(bridge))["plan"]
    assert [step["layer"] for step in plan["steps"]] == ["parameters", "prompt", "parameters", "context"]
    assert plan["via"] == load(bridge).configuration.id
    text = words(measured("plan", "--via", plan["via"][:10]).stdout)
    assert "The way leads over" in text
    assert "bridge to" in text
    assert "is an end of the way" in measured("plan", "--via", "stable", exit_code=2).stderr


def test_joint_is_for_what_is_coupled_and_a_budget_for_what_is_measured(measured):
    assert "nothing couples context and prompt" in measured("plan", "--joint", exit_code=2).stderr
    assert "--max-usd is for --measure" in measured("plan", "--max-usd", "1", exit_code=2).stderr
