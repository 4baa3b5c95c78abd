"""Kills, stops, and a server that is away."""

import asyncio
import json
import signal
import threading

from openai import APIConnectionError, AsyncOpenAI
from tests.integration.gateway.conftest import World, eventually

from inchworm.domain.keys import KEY_BYTES


def test_after_kill_9_under_load_each_answered_call_is_in_the_spool_exactly_once(world: World) -> None:
    stable = world.configuration(model={"name": "small-1"})
    candidate = world.configuration(model={"name": "small-2"})
    world.control.publish(world.served(stable, candidate))
    gateway = world.gateway()
    answered: list[str] = []
    enough = asyncio.Event()

    async def caller(client: AsyncOpenAI, lane: int) -> None:
        for number in range(10_000):
            try:
                got = await client.chat.completions.with_raw_response.create(
                    model="m",
                    messages=[{"role": "user", "content": "Hi"}],
                    extra_headers={"inchworm-unit": f"u-{lane}-{number // 3}"},
                )
            except APIConnectionError:
                return
            answered.append(got.headers["inchworm-trace"])
            if len(answered) == 60:
                enough.set()

    async def until_killed() -> None:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=0) as client:
            callers = [asyncio.create_task(caller(client, lane)) for lane in range(8)]
            await enough.wait()
            gateway.signal(signal.SIGKILL)
            await asyncio.gather(*callers)

    asyncio.run(until_killed())
    gateway.wait()
    calls = gateway.calls()
    ids = [one.id for one in calls]
    assert len(ids) == len(set(ids))
    assert set(answered) <= set(ids)
    units = [one.unit for one in gateway.exposures()]
    assert len(units) == len(set(units))
    assert {one.unit for one in calls} <= set(units)
    gateway.start()  # at the same port, at once
    assert gateway.chat().status == 200
    assert set(answered) <= {one.id for one in gateway.calls()}


def test_without_the_server_it_starts_and_serves_what_it_knew_and_hears_of_news_again(world: World) -> None:
    old, new = world.configuration(model={"name": "old"}), world.configuration(model={"name": "new"})
    world.control.publish(world.served(old))
    gateway = world.gateway()
    eventually((gateway.data / "gateway" / gateway.name / "published.json").exists)
    world.control.stop()
    assert gateway.chat().json["model"] == "old"
    gateway.kill()
    gateway.start()
    assert gateway.chat().json["model"] == "old"
    assert gateway.ask("/-/ready").json["confirmed_at"] is None
    world.control = world.control.again()
    gateway.holds(world.control.publish(world.served(new, generation=2)))
    assert gateway.chat().json["model"] == "new"
    assert gateway.ask("/-/ready").json["apps"] == {"shop/production": 2}


def test_knowing_nothing_it_says_so_until_it_does(world: World) -> None:
    gateway = world.gateway(ready=False)
    reply = gateway.chat()
    assert (reply.status, reply.json["error"]["code"]) == (503, "not_ready")
    assert reply.headers["retry-after"] == "1"
    assert gateway.ask("/-/ready").status == 503
    held = world.control.publish(world.observed())
    gateway.ask("/inchworm/v1/serving?wait=20")
    gateway.holds(held)
    assert gateway.chat().status == 200


def test_a_document_of_another_installation_changes_nothing(world: World) -> None:
    world.control.publish(world.served(world.configuration(model={"name": "ours"})))
    gateway = world.gateway()
    foreign = world.served(world.configuration(model={"name": "foreign"}), generation=9)
    world.control.publish(foreign, key=b"k" * KEY_BYTES)
    eventually(lambda: any(one["event"] == "server_unreachable" for one in gateway.events()))
    assert gateway.chat().json["model"] == "ours"
    assert b"foreign" not in (gateway.data / "gateway" / gateway.name / "published.json").read_bytes()


def test_a_damaged_last_known_good_document_is_not_served(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway()
    path = gateway.data / "gateway" / gateway.name / "published.json"
    eventually(path.exists)
    gateway.stop()
    world.control.stop()
    path.write_bytes(path.read_bytes().replace(b"shop", b"shap"))
    gateway.start(ready=False)
    assert gateway.chat().status == 503
    assert "last_known_good_unusable" in [one["event"] for one in gateway.events()]
    world.control = world.control.again()


def test_sigterm_finishes_what_is_in_flight_and_ends_in_order(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway()
    replies = []
    caller = threading.Thread(
        target=lambda: replies.append(gateway.chat(headers={"x-mock": "slow"}, stream=True))
    )
    caller.start()
    world.provider.wait_for(lambda: bool(world.provider.seen))
    gateway.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in [one["event"] for one in gateway.events()])
    world.provider.release()
    caller.join(20)
    assert gateway.wait() == 0
    assert replies[0].body.endswith(b"data: [DONE]\n\n")
    assert [one.trouble for one in gateway.calls()] == [None]
    assert not list((gateway.data / "spool" / gateway.name).glob("*.open"))
    assert gateway.events()[-1]["event"] == "stopped"


def test_what_outlasts_the_grace_is_told_and_recorded(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway("--grace", "0.2")
    replies = []
    callers = [
        threading.Thread(target=lambda: replies.append(gateway.chat(headers={"x-mock": "stall"}))),
        threading.Thread(
            target=lambda: replies.append(gateway.chat(headers={"x-mock": "hang"}, stream=True))
        ),
    ]
    for one in callers:
        one.start()
    world.provider.wait_for(lambda: len(world.provider.seen) == 2)
    gateway.signal(signal.SIGTERM)
    for one in callers:
        one.join(20)
    assert gateway.wait() == 0
    plain, stream = sorted(replies, key=lambda reply: -reply.status)
    assert (plain.status, plain.json["error"]["code"]) == (503, "stopping")
    last = [one for one in stream.body.split(b"\n\n") if one][-1]
    assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "stopping"
    assert [one.trouble for one in gateway.calls()] == ["cut", "cut"]


def test_two_gateways_share_neither_a_port_nor_a_name(world: World) -> None:
    world.control.publish(world.observed())
    first = world.gateway()
    for other in (
        world.gateway(start=False, port=first.port, name="other"),
        world.gateway(start=False, name=first.name),
    ):
        other.launch()
        assert other.wait() == 1
        assert other.events()[-1]["event"] == "cannot_start"
    assert first.chat().status == 200


def test_the_log_is_json_and_holds_nothing_that_somebody_said(world: World) -> None:
    world.control.publish(world.observed())
    gateway = world.gateway()
    gateway.chat("my secret is 4711", headers={"x-mock": "cut"})
    gateway.stop()
    events = gateway.events()
    assert {"time", "level", "event"} <= set(events[0])
    text = gateway.log.read_text("utf-8")
    assert "4711" not in text
    assert "sk-mine" not in text
