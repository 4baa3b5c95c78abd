"""What tracing clients send to a gateway: acknowledged is durable, refused is said and counted."""

import gzip
import http.client
import json
import zlib
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.gateway import telemetry_bodies as bodies
from tests.integration.gateway.conftest import Gateway, Reply, World
from tests.integration.gateway.telemetry_bodies import GOOD, JSON, PROTOBUF, Good

from inchworm.capture.records import Exported, Graded
from inchworm.capture.telemetry import check


@pytest.fixture
def gateway(observing: World) -> Gateway:
    return observing.gateways[0]


def send(gateway: Gateway, good: Good, body: bytes | None = None, **headers: str) -> Reply:
    said = {**good.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return gateway.ask(good.path, good.body if body is None else body, **said)


def kept(gateway: Gateway) -> int:
    """How many records are durable, without reading them."""
    number: int = gateway.ask("/-/ready").json["spool"]["records"]
    return number


def fresh(gateway: Gateway, before: int) -> list[Any]:
    return [*gateway.records()][before:]


def counted(gateway: Gateway, name: str) -> dict[tuple[str, ...], float]:
    families = {
        one.name: one for one in text_string_to_metric_families(gateway.ask("/-/metrics").body.decode())
    }
    family = families.get(f"inchworm_gateway_{name}")
    samples = [] if family is None else family.samples
    return {tuple(one.labels.values()): one.value for one in samples if one.name.endswith("_total")}


@pytest.mark.parametrize("name", GOOD)
def test_what_every_client_sends_is_durable_when_it_is_acknowledged(gateway: Gateway, name: str) -> None:
    before = kept(gateway)
    got = send(gateway, GOOD[name])
    assert got.status == GOOD[name].status, got.body
    records = fresh(gateway, before)
    assert records
    for one in records:
        assert one.app == "shop/production"
        if isinstance(one, Exported):
            assert check(one.dialect, one.body) > 0
        else:
            assert isinstance(one, Graded)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/traces",
        "/api/public/otel/v1/traces",
        "/api/public/otel",
        "/otel/v1/traces",
        "/api/v1/private/otel/v1/traces",
    ],
)
@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_every_path_takes_traces_as_they_are_or_packed(gateway: Gateway, path: str, encoding: str) -> None:
    before = kept(gateway)
    plain = bodies.otlp().SerializeToString()
    packed = {"identity": plain, "gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}[encoding]
    got = gateway.ask(path, packed, content_type=PROTOBUF, content_encoding=encoding)
    assert (got.status, got.headers["content-type"], got.body) == (200, PROTOBUF, b"")
    (one,) = fresh(gateway, before)
    assert (one.dialect, one.body) == ("otlp-protobuf", plain)


def test_the_answer_is_in_the_form_of_the_question(gateway: Gateway) -> None:
    got = gateway.ask("/v1/traces", bodies.otlp_json(), content_type="application/json; charset=utf-8")
    assert (got.status, got.headers["content-type"], got.json) == (200, JSON, {})
    bad = gateway.ask("/v1/traces", b"[]", content_type=JSON)
    assert (bad.status, bad.headers["content-type"], bad.json["code"]) == (400, JSON, 3)
    wire = gateway.ask("/v1/traces", b"\xff\xff", content_type=PROTOBUF)
    assert (wire.status, wire.headers["content-type"]) == (400, PROTOBUF)
    assert wire.body[:3] == b"\x08\x03\x12"  # google.rpc.Status: code INVALID_ARGUMENT, then a message
    assert b"ExportTraceServiceRequest" in wire.body


def test_an_empty_request_is_taken_and_nothing_is_kept(gateway: Gateway) -> None:
    before = kept(gateway)
    assert gateway.ask("/v1/traces", b"", method="POST", content_type=PROTOBUF).status == 200
    assert gateway.ask("/v1/traces", b"{}", content_type=JSON).status == 200
    assert kept(gateway) == before


def test_spans_that_cannot_be_placed_are_told_at_once(gateway: Gateway) -> None:
    request = bodies.otlp(3)
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = bytes(16)
    got = gateway.ask("/v1/traces", request.SerializeToString(), content_type=PROTOBUF)
    assert got.status == 200
    partial = ExportTraceServiceResponse.FromString(got.body).partial_success
    assert partial.rejected_spans == 1
    assert "in quarantine" in partial.error_message
    text = bodies.otlp_json(2).replace(b"0000000000000002", b"short")
    said = gateway.ask("/v1/traces", text).json["partialSuccess"]
    assert said["rejectedSpans"] == "1"


def test_a_large_request_is_kept_in_several_records(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway()
    whole = bodies.otlp(60, "x" * 200_000)
    assert gateway.ask("/v1/traces", whole.SerializeToString(), content_type=PROTOBUF).status == 200
    records = [one for one in gateway.records() if isinstance(one, Exported)]
    assert len(records) > 1
    assert all(len(one.body) <= (4 << 20) + 100 for one in records)
    said = [
        span.span_id
        for one in records
        for group in ExportTraceServiceRequest.FromString(one.body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    assert said == [(number + 1).to_bytes(8, "big") for number in range(60)]


def test_a_prompt_of_twenty_megabytes_is_taken(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway()
    body = bodies.otlp(1, "word " * (4 << 20)).SerializeToString()
    assert (
        gateway.ask(
            "/v1/traces", gzip.compress(body, 1), content_type=PROTOBUF, content_encoding="gzip"
        ).status
        == 200
    )
    (one,) = gateway.records()
    assert isinstance(one, Exported)
    assert one.body == body


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_only_traces_are_taken_and_the_answer_says_what_to_turn_off(gateway: Gateway, signal: str) -> None:
    got = gateway.ask(f"/v1/{signal}", b"{}", content_type=JSON)
    assert got.status == 404
    assert f"OTEL_{signal.upper()}_EXPORTER=none" in got.json["message"]


def test_events_of_langfuse_are_answered_one_by_one(gateway: Gateway) -> None:
    before = kept(gateway)
    batch = [
        bodies.event("trace-create", "good", id="t-9", name="n"),
        bodies.event("no-such-thing", "unknown"),
        {"id": "no-type"},
        bodies.event("score-create", "no-trace", name="helpful", value=1),
        bodies.event("score-create", "nan", traceId="t", name="helpful", value=10**400),
        "no object",
    ]
    got = gateway.ask("/api/public/ingestion", json.dumps({"batch": batch}).encode())
    assert got.status == 207
    assert got.json["successes"] == [{"id": "good", "status": 201}]
    errors = {one["id"]: one for one in got.json["errors"]}
    assert errors.keys() == {"unknown", "no-type", "no-trace", "nan", ""}
    assert all(one["status"] == 400 and one["error"] for one in errors.values())
    (one,) = fresh(gateway, before)
    assert [each["id"] for each in json.loads(one.body)["batch"]] == ["good"]


def test_scores_of_langfuse_are_kept_as_they_were_given(gateway: Gateway) -> None:
    before = kept(gateway)
    assert gateway.ask("/api/public/scores", bodies.langfuse_scores()).json == {"message": "Accepted"}
    first, second, third = fresh(gateway, before)
    assert (first.id, first.trace, first.value, first.timed, first.at) == (
        "a",
        bodies.TRACE_ID,
        1.0,
        True,
        1_795_343_315.0,
    )
    assert (second.span, second.value, second.timed) == (bodies.SPAN_ID, "good", False)
    assert (third.trace, third.unit, third.value, third.comment) == (None, "s-1", True, "x")
    single = gateway.ask("/api/public/scores", b'{"id": "z", "traceId": "t", "name": "m", "value": 0.5}')
    assert (single.status, single.json) == (200, {"id": "z"})
    some = b'[{"traceId": "t", "name": "m", "value": 1}, {"name": "m", "value": 1}]'
    mixed = gateway.ask("/api/public/scores", some)
    assert mixed.status == 207
    assert (mixed.json["accepted"], mixed.json["rejected"]) == (1, 1)
    assert "neither an interaction" in mixed.json["errors"][0]["message"]


def test_a_score_that_does_not_say_when_is_marked_so_that_its_id_alone_counts(gateway: Gateway) -> None:
    before = kept(gateway)
    for id_ in ("one", "two", "one"):
        body = json.dumps({"id": id_, "trace": "t", "metric": "m", "value": 1}).encode()
        assert gateway.ask("/api/v1/scores", body).json == {"version": 1, "accepted": 1}
    first, second, again = fresh(gateway, before)
    assert (first.id, second.id, again.id) == ("one", "two", "one")
    assert not any(one.timed for one in (first, second, again))


def test_runs_in_a_form_become_whole_runs_and_attachments_are_counted(gateway: Gateway) -> None:
    before = kept(gateway)
    dropped = counted(gateway, "ingest_dropped").get(("langsmith", "attachment"), 0)
    assert send(gateway, GOOD["langsmith form"]).status == 202
    work, feedback = fresh(gateway, before)
    (post,) = json.loads(work.body)["post"]
    assert (post["id"], post["inputs"], post["outputs"]) == (bodies.RUN, {"x": 1}, {"y": 2})
    assert (feedback.trace, feedback.metric, feedback.value, feedback.id) == (
        bodies.RUN,
        "helpful",
        1.0,
        "f-1",
    )
    assert counted(gateway, "ingest_dropped")["langsmith", "attachment"] == dropped + 1


def test_feedback_that_cannot_be_used_costs_nobody_the_runs_beside_it(gateway: Gateway) -> None:
    before = kept(gateway)
    body = bodies.form((f"post.{bodies.RUN}", bodies.run()), ("feedback.1", {"run_id": "r", "key": "note"}))
    assert send(gateway, GOOD["langsmith form"], body).status == 202
    assert [one.dialect for one in fresh(gateway, before)] == ["langsmith"]


def test_more_of_a_run_is_said_with_patch(gateway: Gateway) -> None:
    before = kept(gateway)
    got = gateway.ask(f"/runs/{bodies.RUN}", b'{"outputs": {"y": 3}}', method="PATCH")
    assert got.status == 202
    (one,) = fresh(gateway, before)
    assert json.loads(one.body) == {"post": [], "patch": [{"id": bodies.RUN, "outputs": {"y": 3}}]}


def test_a_page_of_another_site_cannot_send_a_form(gateway: Gateway) -> None:
    kind = GOOD["langsmith form"].headers["content-type"]
    got = gateway.ask("/runs/multipart", bodies.multipart(), content_type=kind, origin="https://evil.example")
    assert got.status == 401
    assert send(gateway, GOOD["langsmith form"], origin="https://evil.example").status == 202  # with a key


SCORE = b'{"trace": "t", "metric": "m", "value": '
HOSTILE: dict[str, tuple[Good, bytes, dict[str, str], int]] = {
    "no protobuf": (GOOD["otlp protobuf"], b"\x0a\xff\xff\xff\xff\x0f", {}, 400),
    "no ids": (GOOD["otlp protobuf"], b"\x0a\x04\x12\x02\x12\x00", {}, 400),
    "truncated gzip": (GOOD["otlp gzip"], GOOD["otlp gzip"].body[:-9], {}, 400),
    "no gzip": (GOOD["otlp gzip"], b"plain", {}, 400),
    "bomb": (GOOD["otlp gzip"], gzip.compress(bytes(20 << 20), 9), {}, 413),
    "larger bomb": (GOOD["otlp gzip"], gzip.compress(bytes(40 << 20), 1), {}, 413),
    "zstd": (GOOD["otlp gzip"], b"(\xb5/\xfd", {"content_encoding": "zstd"}, 415),
    "other type": (GOOD["otlp json"], b"{}", {"content_type": "text/plain"}, 415),
    "other charset": (GOOD["otlp json"], '{"resourceSpans": "ü"}'.encode("latin-1"), {}, 400),
    "deep": (GOOD["otlp json"], b'{"resourceSpans":' + b"[" * 100_000, {}, 400),
    "surrogate": (GOOD["otlp json"], b'{"resourceSpans": [{"a": "\\ud800"}]}', {}, 400),
    "nan": (GOOD["otlp json"], b'{"resourceSpans": [NaN]}', {}, 400),
    "wrong types": (GOOD["otlp json"], b'{"resourceSpans": [{"scopeSpans": [{"spans": 5}]}]}', {}, 400),
    "events no list": (GOOD["langfuse events"], b'{"batch": {}}', {}, 400),
    "events no json": (GOOD["langfuse events"], b"\xff", {}, 400),
    "events deep": (GOOD["langfuse events"], b'{"batch": [' + b"[" * 100_000 + b"]", {}, 400),
    "events type": (
        GOOD["langfuse events"],
        GOOD["langfuse events"].body,
        {"content_type": "text/plain"},
        415,
    ),
    "score huge": (GOOD["scores"], SCORE + b"9" * 400 + b"}", {}, 400),
    "score digits": (
        GOOD["scores"],
        SCORE + b"9" * 9_000 + b"}",
        {},
        400,
    ),
    "score of nothing": (GOOD["scores"], b'{"metric": "m", "value": 1}', {}, 400),
    "score typo": (GOOD["scores"], b'{"trace": "t", "metrik": "m", "value": 1}', {}, 400),
    "score milliseconds": (
        GOOD["scores"],
        SCORE + b'1, "at": 1795000000000}',
        {},
        400,
    ),
    "scores too many": (
        GOOD["scores"],
        b"[" + b",".join([SCORE + b"1}"] * 1_001) + b"]",
        {},
        400,
    ),
    "runs no json": (GOOD["langsmith batch"], b"{", {}, 400),
    "runs deep": (GOOD["langsmith batch"], b'{"post": [' + b'{"a":' * 100_000, {}, 400),
    "form cut": (GOOD["langsmith form"], GOOD["langsmith form"].body[:-30], {}, 400),
    "form no boundary": (GOOD["langsmith form"], b"x", {"content_type": "multipart/form-data"}, 400),
    "form other parts": (GOOD["langsmith form"], bodies.form(("file", {})), {}, 400),
    "form no json": (GOOD["langsmith form"], bodies.form((f"post.{bodies.RUN}", b"{")), {}, 400),
    "form deep": (
        GOOD["langsmith form"],
        bodies.form((f"post.{bodies.RUN}.inputs", b"[" * 100_000)),
        {},
        400,
    ),
    "feedback of nothing": (GOOD["langsmith feedback"], b'{"key": "m", "score": 1}', {}, 400),
    "another app": (GOOD["otlp json"], GOOD["otlp json"].body, {"inchworm_app": "nobody"}, 404),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_and_counted_and_nothing_is_kept(gateway: Gateway, name: str) -> None:
    good, body, headers, status = HOSTILE[name]
    before, refused = kept(gateway), sum(counted(gateway, "ingest_refused").values())
    got = send(gateway, good, body, **headers)
    assert got.status == status, got.body
    assert got.body
    assert sum(counted(gateway, "ingest_refused").values()) == refused + 1
    assert kept(gateway) == before
    assert send(gateway, good).status == good.status  # and goes on


def test_what_is_too_large_is_refused_whether_it_says_so_or_not(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--max-body", "100000")
    body = bodies.otlp(1, "x" * 200_000).SerializeToString()
    assert gateway.ask("/v1/traces", body, content_type=PROTOBUF).status == 413
    packed = gateway.ask("/v1/traces", gzip.compress(body), content_type=PROTOBUF, content_encoding="gzip")
    assert packed.status == 413
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    connection.request("POST", "/v1/traces", pieces, {"content-type": PROTOBUF}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()
    # What is left out may be larger than what is kept.
    form = bodies.form(
        (f"post.{bodies.RUN}", bodies.run()), (f"attachment.{bodies.RUN}.film", bytes(500_000))
    )
    assert send(gateway, GOOD["langsmith form"], form).status == 202
    assert gateway.records() != []


def test_a_full_spool_sends_clients_away_for_a_while(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--spool-limit", "50")
    for good in GOOD.values():
        got = send(gateway, good)
        assert (got.status, got.headers["retry-after"]) == (429, "1"), good.path


def test_nobody_is_served_before_it_is_known_what_to_serve(world: World) -> None:
    gateway = world.gateway(ready=False)
    got = send(gateway, GOOD["otlp json"])
    assert (got.status, got.json["code"], got.headers["retry-after"]) == (503, 14, "1")


def test_langfuse_s_clients_learn_whose_project_it_is_and_what_is_stable(world: World) -> None:
    prompt = {
        "system": "Be {tone}.",
        "user": "{question}",
        "calls": {"title": {"system": "Name {it}.", "user": "{it}"}},
    }
    stable = world.configuration(model={"name": "small-1"}, prompt=prompt, parameters={"temperature": 0.5})
    candidate = world.configuration(model={"name": "small-1"}, prompt={"user": "New: {question}"})
    world.control.publish(world.served(stable, candidate, generation=7))
    gateway = world.gateway()
    assert gateway.ask("/api/public/health").json["status"] == "OK"
    (project,) = gateway.ask("/api/public/projects").json["data"]
    assert (project["name"], project["organization"]["name"]) == ("shop", "Inchworm")
    got = gateway.ask("/api/public/v2/prompts/shop?label=production").json
    assert (got["type"], got["version"], got["config"]["temperature"]) == ("chat", 7, 0.5)
    assert got["prompt"] == [
        {"role": "system", "content": "Be {{tone}}."},
        {"role": "user", "content": "{{question}}"},
    ]
    titled = gateway.ask("/api/public/v2/prompts/title?version=7").json
    assert titled["prompt"][0]["content"] == "Name {{it}}."
    new = gateway.ask("/api/public/v2/prompts/shop%2Fproduction?label=candidate").json
    assert (new["type"], new["prompt"], new["labels"]) == ("text", "New: {{question}}", ["candidate"])
    for missing in ("none", "shop?label=staging", "shop?version=6"):
        assert gateway.ask(f"/api/public/v2/prompts/{missing}").status == 404


def test_langsmith_s_clients_learn_what_is_taken(gateway: Gateway) -> None:
    for path in ("/info", "/api/info", "/api/v1/info"):
        got = gateway.ask(path).json
        assert got["batch_ingest_config"]["use_multipart_endpoint"] is True
        assert "zstd" not in json.dumps(got)


def test_other_methods_are_refused_in_the_protocol_s_words(gateway: Gateway) -> None:
    assert gateway.ask("/v1/traces").headers["allow"] == "POST"
    assert "detail" in gateway.ask("/runs/batch").json
    assert "message" in gateway.ask("/api/public/ingestion").json
    assert gateway.ask(f"/runs/{bodies.RUN}").status == 405
