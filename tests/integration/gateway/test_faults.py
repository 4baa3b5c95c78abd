"""Faults of providers, callers and requests: what the caller gets, and what is written down."""

import json
import socket
from typing import Any

import pytest
from tests.integration.gateway.conftest import Gateway, World, eventually, free_port

STREAM: dict[str, Any] = {"stream": True}


@pytest.fixture
def gateway(observing: World) -> Gateway:
    observing.provider.seen.clear()
    return observing.gateways[0]


def raw(gateway: Gateway, mode: str, *, stream: bool, unit: str) -> socket.socket:
    """A call on a bare socket, whose answer nobody has read yet."""
    body = json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
    made = socket.create_connection(("127.0.0.1", gateway.port))
    made.settimeout(20)
    made.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"x-mock: {mode}\r\ninchworm-unit: {unit}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    return made


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = sock.recv(65536)
        assert piece, got
        got += piece
    return got


@pytest.mark.parametrize("mode", ["stall", "hang"])
def test_a_caller_that_leaves_ends_the_provider_s_work_and_is_recorded(
    gateway: Gateway, observing: World, mode: str
) -> None:
    left = observing.provider.left
    sock = raw(gateway, mode, stream=mode == "hang", unit=f"leaver-{mode}")
    if mode == "hang":
        read_until(sock, b"It ")
    else:
        observing.provider.wait_for(lambda: bool(observing.provider.seen))
    sock.close()
    observing.provider.wait_for(lambda: observing.provider.left > left)
    eventually(lambda: any(one.unit == f"leaver-{mode}" for one in gateway.calls()))
    found = [one for one in gateway.calls() if one.unit == f"leaver-{mode}"]
    assert len(found) == 1
    assert found[0].trouble == "caller_left"
    assert found[0].status == (200 if mode == "hang" else None)
    assert (b"It " in found[0].response) == (mode == "hang")


def test_a_malformed_stream_passes_untouched(gateway: Gateway) -> None:
    got = gateway.chat(headers={"x-mock": "malformed"}, **STREAM)
    assert got.status == 200
    tail = b"this is no event\n\ndata: {not json\n\ndata: [DONE]\n\n: end"
    assert got.body.endswith(tail)
    called = gateway.calls()[-1]
    assert called.response == got.body
    assert (called.trouble, called.ttft_ms) == (None, None)


def test_malformed_json_passes_untouched(gateway: Gateway) -> None:
    got = gateway.chat(headers={"x-mock": "bad_json"})
    assert (got.status, got.body) == (200, b'{"id": "chatcmpl-1", "choices": [')
    assert gateway.calls()[-1].response == got.body


def test_what_comes_packed_is_unpacked_for_caller_and_record(gateway: Gateway) -> None:
    got = gateway.chat(headers={"x-mock": "gzip"})
    assert "content-encoding" not in got.headers
    assert got.json["choices"][0]["message"]["content"] == "packed"
    assert gateway.calls()[-1].response == got.body


@pytest.mark.parametrize("more", [{}, STREAM], ids=["plain", "stream"])
def test_a_huge_answer_passes_whole_and_is_recorded_up_to_the_limit(
    gateway: Gateway, more: dict[str, Any]
) -> None:
    got = gateway.chat(headers={"x-mock": "huge"}, **more)
    assert got.status == 200
    assert len(got.body) > 18 << 20
    assert got.body.count(b"x") >= 18 << 20
    called = gateway.calls()[-1]
    assert called.response == got.body[: 16 << 20]
    assert called.attributes["response.recorded_bytes"] == 16 << 20


@pytest.mark.parametrize("mode", ["close", "cut", "garbage"])
def test_an_answer_that_breaks_off_is_a_502_that_says_so(
    gateway: Gateway, observing: World, mode: str
) -> None:
    got = gateway.chat(headers={"x-mock": mode})
    assert got.status == 502
    error = got.json["error"]
    assert (error["type"], error["code"], error["param"]) == ("inchworm_gateway_error", "cut", None)
    assert error["message"].startswith(f"127.0.0.1:{observing.provider.port} ")
    called = gateway.calls()[-1]
    assert (called.trouble, called.trouble_said) == ("cut", error["message"])
    assert called.id == got.headers["inchworm-trace"]


def test_a_connection_that_the_provider_closed_meanwhile_costs_no_call(
    gateway: Gateway, observing: World
) -> None:
    assert gateway.chat().status == 200
    observing.provider.drop_connections()
    assert gateway.chat().status == 200


def test_who_cannot_be_reached_is_named(world: World) -> None:
    nobody = free_port()
    world.control.publish(world.observed(base_url=f"http://127.0.0.1:{nobody}/v1"))
    gateway = world.gateway()
    got = gateway.chat()
    assert got.status == 502
    assert got.json["error"]["code"] == "connect"
    assert got.json["error"]["message"] == f"127.0.0.1:{nobody} could not be reached: Connection refused."
    called = gateway.calls()[-1]
    assert (called.trouble, called.status) == ("connect", None)


def test_a_missed_deadline_is_a_504_that_says_how_long_it_was(world: World) -> None:
    world.control.publish(world.observed(timeout_s=0.15))
    gateway = world.gateway()
    plain = gateway.chat(headers={"x-mock": "stall"})
    assert plain.status == 504
    assert plain.json["error"]["code"] == "deadline"
    assert "did not answer within the 0.15 s" in plain.json["error"]["message"]
    assert plain.headers["x-should-retry"] == "false"
    stream = gateway.chat(headers={"x-mock": "hang"}, **STREAM)
    assert stream.status == 200
    events = [json.loads(one.removeprefix(b"data: ")) for one in stream.body.split(b"\n\n") if one]
    assert events[1]["choices"][0]["delta"]["content"] == "It "
    assert events[-1]["error"]["code"] == "deadline"
    assert [(one.trouble, one.trouble_said) for one in gateway.calls()] == [
        ("deadline", "deadline of 0.15 s missed")
    ] * 2
    world.provider.wait_for(lambda: world.provider.left == 2)


def test_in_a_replay_the_recording_says_when_and_how_long(world: World) -> None:
    world.control.publish(world.observed(timeout_s=5))
    for arguments, late in ((("--replay",), True), ((), False)):
        gateway = world.gateway(*arguments, name=f"g-{late}")
        said = {"x-mock": "processing", "inchworm-at": "1700000000.5"}
        slow = gateway.chat(headers={**said, "x-takes-ms": "6000"})
        quick = gateway.chat(headers={**said, "x-takes-ms": "4000"})
        assert (slow.status, quick.status) == (504 if late else 200, 200)
        first, second = gateway.calls()
        assert (first.trouble == "deadline") == late
        assert ((first.latency_ms, second.latency_ms) == (6000, 4000)) == late
        assert (first.at == 1700000000.5) == late


def test_requests_that_are_none_get_errors_that_clients_can_read(gateway: Gateway) -> None:
    path = "/v1/chat/completions"
    known = len(gateway.calls())
    got = {
        "invalid_json": gateway.ask(path, b"{"),
        "not_found": gateway.ask("/v1/images", b"{}"),
        "method_not_allowed": gateway.ask(path),
        "unsupported_media_type": gateway.ask(path, b"{}", content_type="text/plain"),
        "unknown_app": gateway.chat(headers={"inchworm-app": "other"}),
        "request_too_large": gateway.ask(path, b" " * ((32 << 20) + 1)),
    }
    statuses = {code: reply.status for code, reply in got.items()}
    assert statuses == {
        "invalid_json": 400,
        "not_found": 404,
        "method_not_allowed": 405,
        "unsupported_media_type": 415,
        "unknown_app": 404,
        "request_too_large": 413,
    }
    for code, reply in got.items():
        assert reply.json["error"]["code"] == code
        assert reply.json["error"]["type"] == "inchworm_gateway_error"
    assert "POST /v1/chat/completions" in got["not_found"].json["error"]["message"]
    assert "shop/production" in got["unknown_app"].json["error"]["message"]
    assert got["method_not_allowed"].headers["allow"] == "POST"
    assert gateway.ask(path, b"[1]").json["error"]["code"] == "invalid_json"
    assert len(gateway.calls()) == known


def test_a_body_that_comes_in_chunks_is_taken(gateway: Gateway) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "in chunks"}]}'
    with socket.create_connection(("127.0.0.1", gateway.port)) as sock:
        sock.settimeout(20)
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for start in range(0, len(body), 16):
            piece = body[start : start + 16]
            sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")
        assert read_until(sock, b"Tuesday").startswith(b"HTTP/1.1 200")
    assert gateway.calls()[-1].request == body
