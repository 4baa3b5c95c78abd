"""Plans over HTTP: measured, over another configuration, joint, and refused where nothing can be decided."""

from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import Cli

from inchworm.app.config.load import load


def declare(api, folder, **moved):
    """Another inchworm.yaml, which the server follows; the id of what it declares."""
    Cli(folder).declare(**moved)
    spec = load(folder / "inchworm.yaml")
    api.state.house.follow(spec)
    return spec.configuration.id


def test_a_plan_is_measured_with_every_combination(api, folder):
    declare(api, folder, documents=2, system=small_shop.BETTER)
    plan = api.post("/plans", {"measure": True, "reason": "both"}, status=201)["plan"]
    assert {tuple(one["layers"]): one["verdict"] for one in plan["corners"]} == {
        ("context", "prompt"): "fail",
        ("context",): "fail",
        ("prompt",): "inconclusive",
    }
    made = {one["id"] for one in api.get("/benchmarks")["benchmarks"]}
    assert {one["benchmark_id"] for one in plan["corners"]} <= made
    refused = api("POST", "/api/v1/plans", {"measure": True, "max_usd": 1})
    assert refused.error["message"] == "a budget is set, but nobody said what tiny costs"


def test_a_way_leads_over_a_configuration_that_is_stored(api, folder):
    bridge = declare(api, folder, system=small_shop.BETTER)
    api.post("/plans", {}, status=201)
    declare(api, folder, documents=2)
    plan = api.post("/plans", {"via": bridge[:10]}, status=201)["plan"]
    assert plan["via"] == bridge
    assert [step["layer"] for step in plan["steps"]] == ["prompt", "context", "prompt"]
    assert api("POST", "/api/v1/plans", {"via": "bridge.yaml"}).status == 404
    assert api("POST", "/api/v1/plans", {"joint": True}).error["code"] == "usage"


def test_what_cannot_be_decided_is_applied_for_a_reason_only(api, folder):
    declare(api, folder, documents=2, stages="[5%, 25%, 50%]")
    planned = api.post("/plans", {}, status=201)
    name = planned["plan"]["id"]
    assert planned["plan"]["undecided"]
    assert planned["outlook"]["undecided"][0]["instead"]
    for nothing in (None, {}, {"undecided_because": " "}):
        assert api("POST", f"/api/v1/plans/{name}/apply", nothing).error["code"] == "usage"
    api.post(f"/plans/{name}/apply", {"undecided_because": "the season ends"}, status=201)
    assert any("the season ends" in one["what"] for one in api.get("/ledger")["entries"])
