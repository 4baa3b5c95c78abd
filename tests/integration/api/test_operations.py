"""Health, metrics and the doctor of a real server."""

import math
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.app.cli.conftest import Cli

from inchworm.app.api.operations import health_of
from inchworm.app.config.load import load
from inchworm.app.loop.changing import advance
from inchworm.app.loop.exposing import expose
from inchworm.app.serve.readings import PARTS, gateway_state
from inchworm.app.serve.state import GatewaySeen
from inchworm.domain.ids import UnitId

SECRET = "sk-proj-Zq8vLw2Xn4Rt6Yb1Kd3Mf5Hs7"


def families(text):
    return {one.name: one for one in text_string_to_metric_families(text)}


def values(text):
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(text).values()
        for sample in family.samples
    }


def scraped(api, path="/metrics"):
    answer = api("GET", path, token=None)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.body.decode()


def test_health_is_told_to_anybody_and_metrics_too(looking):
    answer = looking("GET", "/-/health", token=None)
    assert (answer.status, answer.json()) == (200, {"status": "ok", "parts": {}})
    assert families(scraped(looking)).keys() == families(scraped(looking, "/-/metrics")).keys()


def test_by_another_name_of_the_host_not_even_health_is_told(looking):
    for path in ("/-/health", "/-/metrics", "/metrics"):
        assert looking("GET", path, token=None, host="rebound.example.net").status == 421


@pytest.mark.parametrize(
    ("sentences", "stopping", "status", "word"),
    [
        ({}, False, 200, "ok"),
        ({"spool": "3 segments wait."}, False, 200, "degraded"),
        ({"publisher": "It failed 3 times."}, False, 503, "down"),
        ({}, True, 503, "stopping"),
    ],
)
def test_health_is_a_failure_only_where_the_server_is_of_no_use(sentences, stopping, status, word):
    found, said = health_of(sentences, stopping=stopping)
    assert (found, said["status"]) == (status, word)


def test_health_repeats_nothing_of_what_a_key_is_needed_for():
    sentences = {part: f"/home/ann/shop/{part} said {SECRET}" for part in (*PARTS, "ann's shop.yaml")}
    _, said = health_of(sentences, stopping=False)
    assert len(said["parts"]) == len(PARTS) + 1
    assert not re.search(r"ann|sk-proj|/home", str(said))


def test_metrics_obey_the_rules_of_prometheus(flying):
    """As ``promtool check metrics``: prometheus.io/docs/practices/naming, and the rules of its linter."""
    text = scraped(flying)
    helped = set(re.findall(r"^# HELP (\S+) .{10,}$", text, re.MULTILINE))
    found = families(text)
    assert len(found) > 20
    for name, family in found.items():
        counter = family.type == "counter"
        full = f"{name}_total" if counter else name
        assert full in helped, full
        assert name.startswith(("inchworm_", "process_")), name
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count|sum|bucket)$", name), name
        assert counter or not name.endswith("_total"), name
        assert family.documentation.strip().endswith((".", "1", "process", "bytes", "seconds")), family
        for unit in ("seconds", "bytes", "ratio"):
            if unit in name.split("_"):
                assert name.endswith(f"_{unit}") or unit == "ratio", name
        labels = {label for sample in family.samples for label in sample.labels}
        assert not labels & {"job", "instance"}
        if family.type == "histogram":
            assert {sample.labels["le"] for sample in family.samples if "le" in sample.labels} >= {"+Inf"}


@pytest.fixture
def flying(api, folder):
    """A server whose r-1 is in flight."""
    Cli(folder).declare(documents=2)
    api.state.house.follow(load(folder / "inchworm.yaml"))
    plan = api.post("/plans", {}, status=201)["plan"]["id"]
    api.post(f"/plans/{plan}/apply", status=201)
    advance(api.state.house, owner="test")
    advance(api.state.house, owner="test")
    return api


def test_a_rollout_in_flight_is_told_with_its_evidence(flying):
    house = flying.state.house
    expose(house, [(UnitId(f"s-{n}"), house.now() - 1) for n in range(200)])
    advance(house, owner="test")
    seen = values(scraped(flying))
    assert seen["inchworm_rollouts", "exposing"] == 1.0
    assert seen["inchworm_rollouts", "queued"] == 0.0
    assert seen["inchworm_rollout_stage", "context", "r-1"] == 0.0
    assert seen["inchworm_rollout_weight_ratio", "r-1"] == 0.5
    arms = [seen["inchworm_rollout_exposed_units", *labels] for labels in _arms(seen)]
    assert sum(arms) == 200
    assert min(arms) > 60
    line = seen["inchworm_rollout_sample_ratio_log_e_limit", "r-1"]
    assert line == pytest.approx(math.log(100))
    assert seen["inchworm_rollout_sample_ratio_log_e", "r-1"] < line
    assert seen["inchworm_rollout_state", "r-1", "exposing"] == 1.0
    told = {key[1:] for key in seen if key[0] == "inchworm_rollout_metric_log_e"}
    assert {("fast", "answered", "harm", "r-1"), ("fast", "answered", "expand", "r-1")} <= told


def test_what_was_decided_and_whether_it_is_trusted_is_told_for_good(flying):
    house = flying.state.house
    seen = values(scraped(flying))
    assert seen["inchworm_decisions_total", "start"] == 1.0
    assert seen["inchworm_decisions_total", "rollback"] == 0.0
    assert seen["inchworm_audit_head_number",] == house.control.audit_head().number > 0
    assert seen["inchworm_frozen",] == 0.0
    assert [seen["inchworm_notices", state] for state in ("waiting", "sent", "failed")] == [0.0] * 3
    assert seen["inchworm_notifications_total", "sent"] == 0.0
    # An act of a person counts as well, and a server that begins anew has not forgotten it.
    flying.post("/rollouts/r-1/pause", {})
    assert values(scraped(flying))["inchworm_decisions_total", "pause"] == 1.0


def _arms(seen):
    return [key[1:] for key in seen if key[0] == "inchworm_rollout_exposed_units"]


def test_requests_are_counted_by_route_and_never_by_what_somebody_typed(looking):
    typed = "somebody-typed-this"
    for path in (f"/api/v1/traces/{typed}", f"/{typed}", "/-/health", f"/api/v1/rollouts/{typed}"):
        looking("GET", path)
    looking("BREW", f"/{typed}")
    text = scraped(looking)
    assert typed not in text
    seen = {
        (labels["method"], labels["route"], labels["status"])
        for sample in families(text)["inchworm_http_requests"].samples
        for labels in [sample.labels]
    }
    assert any(
        method == "GET" and re.fullmatch(r"/api/v1/traces/\{\w+\}", route) and status == "4xx"
        for method, route, status in seen
    )
    assert ("GET", "/-/health", "2xx") in seen
    assert ("GET", "none", "4xx") in seen
    assert any(method == "other" for method, _, _ in seen)


@pytest.mark.parametrize(
    ("holds", "age_s", "expected"),
    [("v1", 1.0, "current"), ("v0", 1.0, "behind"), (None, 1.0, "behind"), ("v1", 61.0, "silent")],
)
def test_a_gateway_is_current_behind_or_silent(holds, age_s, expected):
    seen = GatewaySeen(name="g", url="http://127.0.0.1:1", holds=holds, at=1_000.0 - age_s)
    assert gateway_state(seen, "v1", 1_000.0) == expected


def test_the_doctor_takes_an_admin_and_says_what_the_command_says(api):
    deployer = api.key("deployer")["key"]
    assert api("GET", "/api/v1/doctor", token=deployer).status == 403
    assert api("GET", "/api/v1/doctor", token=None).status == 401
    said = api.get("/doctor?offline=true")
    assert said["worst"] in {"ok", "note", "warning", "problem"}
    assert {one["part"] for one in said["findings"]} >= {
        "program",
        "data",
        "stores",
        "spool",
        "rollouts",
        "traffic",
    }
    for one in said["findings"]:
        assert one.keys() == {"part", "level", "said", "command"}
