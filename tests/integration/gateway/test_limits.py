"""Limits, breakers and other tries between a gateway and its provider; keys that are in files."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.gateway.conftest import Gateway, Reply, World, eventually, free_port

STALL, SLOW = {"x-mock": "stall"}, {"x-mock": "slow"}


def metric(gateway: Gateway, name: str) -> dict[str, float]:
    """The values of one metric, by its labels as they are written."""
    lines = gateway.ask("/-/metrics").body.decode().splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(name))
    return {labels.removeprefix(name): float(value) for labels, _, value in found}


def started(world: World, **infrastructure: Any) -> Gateway:
    world.control.publish(world.observed(**infrastructure))
    return world.gateway()


def test_further_requests_wait_in_line_and_past_its_end_get_429(world: World) -> None:
    gateway = started(world, max_concurrency=2)
    with ThreadPoolExecutor(66) as pool:
        held = [pool.submit(gateway.chat, stream=True, headers=SLOW) for _ in range(2)]
        world.provider.wait_for(lambda: len(world.provider.seen) == 2)
        waiting = [pool.submit(gateway.chat) for _ in range(64)]
        eventually(lambda: sum(metric(gateway, "inchworm_gateway_upstream_waiting").values()) == 64)
        assert sum(metric(gateway, "inchworm_gateway_upstream_in_flight").values()) == 2
        refused = gateway.chat()
        assert (refused.status, refused.json["error"]["code"]) == (429, "busy")
        assert refused.headers["retry-after"] == "1"
        assert len(world.provider.seen) == 2
        world.provider.release()
        assert [one.result().status for one in (*held, *waiting)] == [200] * 66
    assert sum(metric(gateway, "inchworm_gateway_upstream_in_flight").values()) == 0
    recorded = next(one for one in gateway.calls() if one.trouble == "busy")
    assert recorded.status is None
    assert recorded.attributes["provider.attempts"] == 0


def test_the_deadline_counts_from_before_the_line(world: World) -> None:
    gateway = started(world, max_concurrency=1, timeout_s=0.3)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: gateway.chat(headers=STALL), range(3)))
    assert [one.status for one in got] == [504] * 3
    assert {one.trouble for one in gateway.calls()} == {"deadline"}
    assert sum(metric(gateway, "inchworm_gateway_upstream_waiting").values()) == 0


def test_a_caller_who_leaves_gives_the_place_back(world: World) -> None:
    gateway = started(world, max_concurrency=1)
    with ThreadPoolExecutor(1) as pool:
        with socket.create_connection(("127.0.0.1", gateway.port)) as left:
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "?"}]})
            left.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-mock: stall\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            )
            world.provider.wait_for(lambda: len(world.provider.seen) == 1)
            other = pool.submit(gateway.chat)
        assert other.result().status == 200


def test_a_provider_that_is_gone_is_not_asked_for_a_while(world: World) -> None:
    dead = f"http://127.0.0.1:{free_port()}/v1"
    world.control.publish(world.observed(base_url=dead))
    gateway = world.gateway()
    got: list[Reply] = [gateway.chat() for _ in range(12)]
    assert [one.status for one in got[:10]] == [502] * 10
    assert [(one.status, one.json["error"]["code"]) for one in got[10:]] == [(503, "broken")] * 2
    assert int(got[-1].headers["retry-after"]) >= 1
    assert list(metric(gateway, "inchworm_gateway_upstream_breaker").values()) == [1]
    troubles = [one.trouble for one in gateway.calls()]
    assert troubles == ["connect"] * 10 + ["broken"] * 2
    said = gateway.calls()[-1].trouble_said
    assert said is not None
    assert "failed too often" in said


def test_it_is_asked_again_later_and_then_by_everybody(world: World) -> None:
    gateway = started(world)
    assert {gateway.chat(headers={"x-mock": "500"}).status for _ in range(10)} == {500}
    assert gateway.chat().json["error"]["code"] == "broken"
    eventually(lambda: gateway.chat().status == 200)
    assert list(metric(gateway, "inchworm_gateway_upstream_breaker").values()) == [0]
    assert gateway.chat().status == 200


def test_who_is_refused_for_missed_deadlines_counts_as_late(world: World) -> None:
    gateway = started(world, timeout_s=0.1)
    assert [gateway.chat(headers=STALL).status for _ in range(11)] == [504] * 10 + [503]
    first, *_, last = gateway.calls()
    assert (last.trouble, last.trouble_said) == ("deadline", "deadline of 0.1 s missed")
    assert (first.trouble, first.trouble_said) == (last.trouble, last.trouble_said)
    assert last.attributes["provider.attempts"] == 0


def test_what_a_candidate_s_values_break_costs_stable_nothing(world: World) -> None:
    stable = world.configuration(model={"name": "good"})
    candidate = world.configuration(model={"name": "bad"})
    world.control.publish(world.served(stable, candidate))
    gateway = world.gateway()
    got = [gateway.chat(headers={"x-mock": "500@bad", "inchworm-unit": f"u{number}"}) for number in range(80)]
    assert {one.status for one in got} == {200, 500, 503}
    by_arm: dict[str, set[str | None]] = {}
    for one in gateway.calls():
        assert one.assigned is not None
        by_arm.setdefault(one.assigned.arm, set()).add(one.trouble)
    assert by_arm == {"baseline": {None}, "candidate": {None, "broken"}}


@contextmanager
def counting(replies: list[tuple[int, dict[str, str]]]) -> Iterator[tuple[str, list[bytes]]]:
    """A provider that gives these answers in turn, the last one for ever; its base URL and what it got."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            status, headers = replies[min(len(got), len(replies)) - 1]
            body = b'{"choices": []}'
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1", got
        finally:
            server.shutdown()
            thread.join()


def test_a_provider_that_says_when_is_asked_again_in_the_deadline(world: World) -> None:
    again = {"retry-after-ms": "20"}
    with counting([(429, again), (503, again), (200, {})]) as (url, got):
        world.control.publish(world.observed(base_url=url, retries=2))
        gateway = world.gateway()
        assert gateway.chat().status == 200
        assert len(got) == 3
        assert len(set(got)) == 1
        assert gateway.calls()[0].attributes["provider.attempts"] == 3
        assert sum(metric(gateway, "inchworm_gateway_upstream_retries_total").values()) == 2


def test_it_is_not_asked_more_often_than_is_said_nor_past_the_deadline(world: World) -> None:
    with counting([(429, {"retry-after": "30"})]) as (url, got):
        world.control.publish(world.observed(base_url=url, retries=5, timeout_s=2))
        gateway = world.gateway()
        reply = gateway.chat()
        assert (reply.status, reply.headers["retry-after"], len(got)) == (429, "30", 1)
    with counting([(429, {"retry-after-ms": "1"})]) as (url, got):
        gateway.holds(world.control.publish(world.observed(base_url=url, retries=1)))
        assert (gateway.chat().status, len(got)) == (429, 2)
        gateway.holds(world.control.publish(world.observed(base_url=url)))
        assert (gateway.chat().status, len(got)) == (429, 3)


def test_nothing_is_sent_twice_that_may_have_been_worked_on(world: World) -> None:
    gateway = started(world, retries=3, timeout_s=0.5)
    for mode, status in (("close", 502), ("500", 500), ("cut", 502), ("stall", 504)):
        before = len(world.provider.seen)
        assert gateway.chat(headers={"x-mock": mode}).status == status
        assert len(world.provider.seen) == before + 1
    assert all("provider.attempts" not in one.attributes for one in gateway.calls())


def test_a_provider_that_is_not_there_yet_is_tried_again(world: World) -> None:
    world.control.publish(world.observed(base_url=f"http://127.0.0.1:{free_port()}/v1", retries=2))
    gateway = world.gateway()
    assert gateway.chat().status == 502
    assert gateway.calls()[0].attributes["provider.attempts"] == 3


def test_a_key_in_a_file_is_sent_and_read_again_when_it_changed(world: World, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-first\n")
    gateway = started(world, api_key=f"file:{file}")

    def sent() -> str:
        assert gateway.ask("/v1/chat/completions", b'{"model": "m", "messages": []}').status == 200
        return world.provider.seen[-1].headers["authorization"]

    assert sent() == "Bearer sk-first"
    file.write_text("sk-second\n")
    eventually(lambda: sent() == "Bearer sk-second")
    gateway.stop()
    written = [one.read_bytes() for one in gateway.data.rglob("*") if one.is_file()]
    for secret in (b"sk-first", b"sk-second"):
        assert all(secret not in one for one in (*written, gateway.log.read_bytes()))


def test_answers_that_are_kept_for_their_records_have_an_end_together(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--kept-bytes", "300")
    for stream in (False, True):
        reply = gateway.chat(stream=stream)
        assert reply.status == 200
        assert b"Tuesday." in reply.body
    whole, streamed = gateway.calls()
    assert len(streamed.response) < 300
    assert streamed.attributes["response.recorded_bytes"] == len(streamed.response)
    assert not whole.streamed
    assert metric(gateway, "inchworm_gateway_capture_troubles_total")['{kind="answer"}'] >= 1
    assert metric(gateway, "inchworm_gateway_kept_bytes") == {"": 0}


def test_what_is_held_in_memory_has_an_end(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--held-bytes", "20000")
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(gateway.chat, "x" * 15_000, stream=True, headers=SLOW)
        world.provider.wait_for(lambda: len(world.provider.seen) == 1)
        assert metric(gateway, "inchworm_gateway_held_bytes")[""] > 15_000
        refused = gateway.chat("x" * 15_000)
        assert (refused.status, refused.json["error"]["code"]) == (429, "no_memory")
        assert refused.headers["retry-after"] == "1"
        assert gateway.chat("small").status == 200
        world.provider.release()
        assert held.result().status == 200
    assert gateway.chat("x" * 15_000).status == 200
    assert metric(gateway, "inchworm_gateway_held_bytes") == {"": 0}


def test_what_is_only_announced_is_held_already(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--held-bytes", "20000")
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 15_000}]}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as slow:
        slow.sendall(head.encode() + body[:1000])
        eventually(lambda: metric(gateway, "inchworm_gateway_held_bytes") == {"": len(body)})
        refused = gateway.chat("x" * 15_000)
        assert (refused.status, refused.json["error"]["code"]) == (429, "no_memory")
        slow.sendall(body[1000:])
        with slow.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 200")
    eventually(lambda: metric(gateway, "inchworm_gateway_held_bytes") == {"": 0})
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as gone:
        gone.sendall(head.encode() + body[:1000])
        eventually(lambda: metric(gateway, "inchworm_gateway_held_bytes") == {"": len(body)})
    eventually(lambda: metric(gateway, "inchworm_gateway_held_bytes") == {"": 0})
