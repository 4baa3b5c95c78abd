"""What the gateway answers besides calls of a model."""

import json
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.gateway.conftest import Gateway, World, eventually

from inchworm.capture.records import Assigned, Exposed, Graded, Traced
from inchworm.domain.published import version

RECORDS = "/inchworm/v1/records"


@pytest.fixture
def gateway(observing: World) -> Gateway:
    return observing.gateways[0]


def lines(*told: object) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in told) + b"\n"


def test_clients_get_the_signed_document_and_wait_for_the_next(world: World) -> None:
    held = world.control.publish(world.observed())
    gateway = world.gateway()
    first = gateway.ask("/inchworm/v1/serving")
    assert first.status == 200
    assert version(first.body) == held
    assert first.headers["etag"] == f'"{held}"'
    assert gateway.ask(f"/inchworm/v1/serving?holds={held}&wait=0").status == 304
    assert gateway.ask("/inchworm/v1/serving", if_none_match=f'"{held}"').status == 304
    news = []
    waiting = threading.Thread(
        target=lambda: news.append(gateway.ask(f"/inchworm/v1/serving?holds={held}&wait=20"))
    )
    waiting.start()
    later = world.control.publish(world.observed(timeout_s=3))
    waiting.join(20)
    assert version(news[0].body) == later


def test_what_clients_report_is_durable_when_it_is_accepted(gateway: Gateway) -> None:
    before = len(gateway.records())
    exposed = {
        "app": "shop",
        "unit": "u",
        "rollout": "r-1",
        "stage": 0,
        "arm": "candidate",
        "probability": 0.5,
    }
    trace = {"format": "trace/1", "id": "t-1", "app": "shop", "output": "yes"}
    score = {"app": "shop", "trace": "t-1", "metric": "helpful", "value": 1, "source": "user", "at": 5.0}
    body = lines({"exposed": exposed}, {"trace": trace}, {"score": score})
    got = gateway.ask(RECORDS, body, content_type="application/x-ndjson")
    assert (got.status, got.json) == (200, {"accepted": 3})
    first, second, third = gateway.records()[before:]
    assert isinstance(first, Exposed)
    assert first.assigned == Assigned("r-1", 0, "candidate", 0.5)
    assert isinstance(second, Traced)
    assert json.loads(second.line) == trace
    assert second.app == "shop/production"
    assert third == Graded(
        app="shop/production", trace="t-1", metric="helpful", value=1, source="user", at=5.0
    )


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"{", "line 2"),
        (b"{}", "exactly one of exposed, trace, score"),
        (b'{"score": {"app": "shop", "trace": "t", "metric": "m", "value": null}}', "got `null`"),
        (b'{"score": {"app": "a/b/c", "trace": "t", "metric": "m", "value": 1}}', "names no app"),
        (b'{"trace": {"id": "t"}}', "`app`"),
        (
            b'{"score": {"app": "shop", "trace": "t", "metric": "m", "value": 1, "at": 1790000000000}}',
            "divided by 1000",
        ),
        (
            b'{"exposed": {"app":"a","unit":"u","rollout":"r","stage":0,"arm":"x","probability":1}}',
            "line 2",
        ),
    ],
)
def test_a_line_that_cannot_be_used_is_named_and_nothing_is_taken(
    gateway: Gateway, bad: bytes, why: str
) -> None:
    before = len(gateway.records())
    good = lines({"score": {"app": "shop", "trace": "t", "metric": "m", "value": 1}})
    got = gateway.ask(RECORDS, good + bad, content_type="application/x-ndjson")
    assert got.status == 400
    assert why in got.json["error"]["message"]
    assert got.json["error"]["message"].startswith("line 2: ")
    assert len(gateway.records()) == before


def test_a_page_of_another_site_cannot_use_it(gateway: Gateway) -> None:
    for path in (RECORDS, "/v1/chat/completions"):
        for simple in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            assert gateway.ask(path, b"{}", content_type=simple).status == 415


def test_a_full_spool_sends_clients_away_for_a_while(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--spool-limit", "50")
    body = lines({"trace": {"app": "shop", "output": "x" * 100}})
    got = gateway.ask(RECORDS, body, content_type="application/x-ndjson")
    assert (got.status, got.headers["retry-after"]) == (429, "1")
    assert got.json["error"]["code"] == "spool_full"


def test_the_segment_is_closed_for_who_shows_the_gateway_s_bearer(gateway: Gateway, observing: World) -> None:
    gateway.chat()
    assert gateway.ask("/-/rotate", b"", method="POST").status == 401
    assert gateway.ask("/-/rotate", b"", method="POST", authorization="Bearer x").status == 401
    bearer = f"Bearer {observing.control.bearer}"
    assert gateway.ask("/-/rotate", b"", method="POST", authorization=bearer).status == 200
    eventually(lambda: not list((gateway.data / "spool" / gateway.name).glob("*.open")))


def test_health_and_readiness_say_who_it_is_and_what_it_serves(gateway: Gateway, observing: World) -> None:
    assert gateway.ask("/-/health").json == {"status": "ok", "name": gateway.name}
    ready = gateway.ask("/-/ready").json
    assert ready["holds"] == version(observing.control.document)
    assert ready["apps"] == {"shop/production": None}
    assert ready["spool"]["failed"] == 0


def test_prometheus_can_read_the_metrics(gateway: Gateway) -> None:
    gateway.chat()
    gateway.chat(stream=True)
    gateway.chat(headers={"x-mock": "close"})
    got = gateway.ask("/-/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {one.name: one for one in text_string_to_metric_families(got.body.decode())}
    requests = families["inchworm_gateway_requests"].samples
    counted = {one.labels["status"]: one.value for one in requests}
    assert counted["2xx"] >= 2
    assert counted["5xx"] >= 1
    latency = families["inchworm_gateway_request_seconds"]
    count = next(one.value for one in latency.samples if one.name.endswith("_count"))
    assert count == sum(counted.values())
    buckets = [one.value for one in latency.samples if one.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == count
    assert families["inchworm_gateway_first_content_seconds"].samples
    assert families["inchworm_gateway_serving_age_seconds"].samples[0].value < 60
    assert families["inchworm_gateway_spool_records"].samples[0].value >= 3
    assert families["inchworm_gateway_spool_records"].type == "counter"
    assert families["inchworm_gateway_spool_failed"].samples[0].name == "inchworm_gateway_spool_failed_total"
