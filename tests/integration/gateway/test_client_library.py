"""The client library and a real gateway: one table, one arm, everything recorded."""

import asyncio
import signal
import uuid
from typing import Any

import openai
import pytest
from tests.integration.client.stub import until
from tests.integration.gateway.conftest import World
from tests.integration.gateway.upstream_mock import WORDS

from inchworm.capture.client import Client
from inchworm.capture.client.core import LAST, OPEN
from inchworm.capture.records import Assigned, Called, Exposed, Graded, Traced

ASK: list[Any] = [{"role": "user", "content": "Q: How much?"}]


@pytest.fixture
def served(world: World):
    stable = world.configuration(model={"name": "small"}, prompt={"user": "Q: {question}"})
    candidate = world.configuration(model={"name": "large"}, prompt={"user": "Briefly: {question}"})
    world.control.publish(world.served(stable, candidate, weight=0.5))
    gateway = world.gateway()
    client = Client(gateway.url, app="shop")
    yield world, gateway, client
    client.close(0.1)
    OPEN.set(None)
    LAST.set(None)


def test_client_and_gateway_draw_the_same_arm_and_both_are_recorded(served):
    _, gateway, client = served
    units = [f"u-{number}" for number in range(20)]
    drawn = {}
    for unit in units:
        with client.trace("shop", unit=unit, inputs={"question": "q"}) as t:
            drawn[unit] = client.resolve().assignment
            t.output("a")
        client.feedback(t, "helpful", 1)
    assert client.flush(20)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", http_client=client.http_client()) as sdk:
        for unit in units:
            sdk.chat.completions.create(model="m", messages=ASK, extra_headers={"inchworm-unit": unit})
    records = gateway.records()
    expected = {
        unit: Assigned(one.rollout_id, one.stage, one.arm.value, one.probability)
        for unit, one in drawn.items()
        if one is not None
    }
    assert {one.unit: one.assigned for one in records if isinstance(one, Exposed)} == expected
    assert {one.unit: one.assigned for one in records if isinstance(one, Called)} == expected
    assert sum(isinstance(one, Traced) for one in records) == len(units)
    assert sum(isinstance(one, Graded) for one in records) == len(units)
    assert {one.arm for one in expected.values()} == {"baseline", "candidate"}


def test_a_rollback_reaches_the_client_through_the_gateway(served):
    world, _, client = served
    assert client.resolve("shop", "ana").arm is not None
    stable = world.configuration(model={"name": "small"})
    world.control.publish(world.served(stable, generation=2))
    until(lambda: client.resolve("shop", "ana").arm is None)


def test_while_nobody_watches_the_client_exposes_nobody_new_either(served):
    world, gateway, client = served
    kept = client.resolve("shop", "ana")
    assert kept.arm is not None
    world.control.stop()
    gateway.kill()
    gateway.start()  # it knows what is served, and hears from nobody who would roll it back
    until(lambda: client.resolve("shop", uuid.uuid4().hex).known and client.counts().connected)
    assert {client.resolve("shop", f"new-{number}").arm for number in range(20)} == {None}
    assert client.resolve("shop", "ana").arm == kept.arm
    assert client.counts().unexposed >= 20
    world.control = world.control.again()
    stable, candidate = world.configuration(model={"name": "small"}), world.configuration(model={"name": "l"})
    world.control.publish(world.served(stable, candidate, weight=0.5))
    until(lambda: client.resolve("shop", uuid.uuid4().hex).arm is not None)
    assert client.flush(20)
    assert not [one for one in gateway.exposures() if one.unit.startswith("new-")]


def test_a_stream_goes_through_the_gateway_and_on_without_it(served):
    world, gateway, client = served

    async def main():
        async with openai.AsyncOpenAI(
            base_url=world.provider.url, api_key="k", http_client=client.async_http_client(), max_retries=0
        ) as sdk:
            for number in range(2):
                stream = await sdk.chat.completions.create(model="m", messages=ASK, stream=True)
                said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
                assert "".join(said) == "".join(WORDS)
                assert client.counts().direct == number
                if number == 0:
                    gateway.signal(signal.SIGKILL)
                    await asyncio.to_thread(gateway.wait)

    asyncio.run(main())
