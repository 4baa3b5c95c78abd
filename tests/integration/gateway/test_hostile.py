"""What callers, clients and providers may send and should not: nothing of it costs an answer or an arm."""

import asyncio
import json
import threading

import pytest
from tests.integration.gateway.conftest import Gateway, World
from tests.integration.gateway.upstream_mock import Request

from inchworm.domain.rollout import UnitKind

RECORDS = "/inchworm/v1/records"


def exposure(unit: str, arm: str, *, stage: int = 0) -> bytes:
    said = {"app": "shop", "unit": unit, "rollout": "r-1", "stage": stage, "arm": arm, "probability": 0.5}
    return json.dumps({"exposed": said}).encode() + b"\n"


@pytest.fixture
def canary(world: World) -> Gateway:
    stable = world.configuration(model={"name": "small-1"})
    candidate = world.configuration(model={"name": "small-2"})
    world.control.publish(world.served(stable, candidate))
    return world.gateway()


def test_a_number_that_no_record_can_hold_costs_the_caller_nothing(canary: Gateway) -> None:
    got = canary.chat(inchworm={"inputs": {"n": 2**70}, "reference": {"n": -(2**70)}})
    assert got.status == 200, got.body
    (call,) = canary.calls()
    assert call.id == got.headers["inchworm-trace"]


def test_a_stage_that_no_rollout_has_is_refused_with_its_line(canary: Gateway) -> None:
    for stage in (70_000, 2**70):
        got = canary.ask(RECORDS, exposure("u", "candidate", stage=stage))
        assert got.status == 400, got.body
        assert "line 1" in got.json["error"]["message"]
    assert canary.records() == []


def test_what_a_client_reports_does_not_move_a_unit_that_has_an_arm(canary: Gateway) -> None:
    stay = {"inchworm-unit": "u-1"}
    first = canary.chat(headers=stay).headers["inchworm-configuration"]
    (one,) = canary.exposures()
    other = "baseline" if one.assigned.arm == "candidate" else "candidate"
    assert canary.ask(RECORDS, exposure("u-1", other)).status == 200
    assert canary.chat(headers=stay).headers["inchworm-configuration"] == first


def test_a_unit_that_does_not_come_again_is_not_remembered(world: World) -> None:
    stable = world.configuration(model={"name": "small-1"})
    candidate = world.configuration(model={"name": "small-2"})
    world.control.publish(world.served(stable, candidate, unit=UnitKind.REQUEST))
    gateway = world.gateway()
    for _ in range(3):
        assert gateway.chat().status == 200
    assert len(gateway.exposures()) == 3
    assert b"\ninchworm_gateway_kept_units 0\n" in gateway.ask("/-/metrics").body


def test_cookies_stay_here(canary: Gateway, world: World) -> None:
    assert canary.chat(headers={"cookie": "inchworm-session=secret"}).status == 200
    assert "cookie" not in world.provider.seen[-1].headers


def test_a_caller_who_waits_for_news_does_not_hold_up_the_end(world: World) -> None:
    held = world.control.publish(world.observed())
    gateway = world.gateway("--grace", "600")
    got: list[int] = []

    def wait() -> None:
        got.append(gateway.ask(f"/inchworm/v1/serving?holds={held}&wait=60").status)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert gateway.ask(f"/inchworm/v1/serving?holds={held}&wait=0.1").status == 304  # the other is there too
    assert gateway.stop() == 0
    waiting.join(20)
    assert got == [304]


def test_an_answer_packed_in_a_way_unknown_here_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def packed(request: Request, writer: asyncio.StreamWriter) -> None:
        del request
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: br\r\n"
            b"x-odd name: 1\r\ncontent-length: 4\r\n\r\n\x0b\x00\x80\x03"
        )
        await writer.drain()

    monkeypatch.setattr(world.provider, "handle", packed)
    world.control.publish(world.observed())
    got = world.gateway().chat()
    assert (got.status, got.body) == (200, b"\x0b\x00\x80\x03")
    assert got.headers["content-encoding"] == "br"


def test_a_name_that_is_no_local_one_is_not_answered(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway(environment={"INCHWORM_HOSTS": "models.example, Other.example"})
    for path in ("/-/health", "/inchworm/v1/serving", "/-/metrics"):
        for name in ("evil.example", f"evil.example:{gateway.port}", "127.0.0.1.evil.example", ""):
            assert gateway.ask(path, host=name).status == 421, name
        for name in ("localhost", f"LOCALHOST:{gateway.port}", "[::1]:1", "models.example"):
            assert gateway.ask(path, host=name).status == 200, name
    refused = gateway.chat(headers={"host": "evil.example"})
    assert (refused.status, refused.json["error"]["code"]) == (421, "host")
    assert world.provider.seen == []


def test_calls_that_go_by_one_name_are_recorded_each(canary: Gateway) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    named = ({"inchworm-trace": "mine"}, {"traceparent": parent}) * 3
    told = [canary.chat(headers=headers).headers["inchworm-trace"] for headers in named]
    assert told[:2] == ["mine", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"]
    assert len(set(told)) == 6
    assert [one.id for one in canary.calls()] == told


def test_a_mistake_of_the_gateway_is_recorded_with_the_arm_that_it_happened_in(world: World) -> None:
    prompt = {"user": "{documents}"}
    stable = world.configuration(prompt=prompt, context={"documents": 1})
    odd = world.configuration(prompt=prompt, context={"documents": "three"})  # as no server publishes it
    world.control.publish(world.served(stable, odd, weight=1.0))
    gateway = world.gateway()
    got = gateway.chat(inchworm={"inputs": {"documents": ["a", "b"]}})
    assert (got.status, got.json["error"]["code"]) == (500, "internal")
    (call,) = gateway.calls()
    assert call.assigned is not None
    assert (call.assigned.arm, call.status, call.trouble) == ("candidate", None, "cut")
    assert "a mistake" in (call.trouble_said or "")
