"""Several calls of one app through a real gateway, and what the calling program states of itself."""

from __future__ import annotations

from typing import Any

from tests.integration.gateway.conftest import World

from inchworm.capture.calls import trace_of
from inchworm.capture.records import Called


def test_each_call_reaches_the_provider_with_its_own_values(world: World) -> None:
    stable = world.configuration(
        model={"name": "large", "calls": {"rerank": {"name": "small"}}},
        parameters={"temperature": 0.5, "calls": {"rerank": {"temperature": 0, "max_tokens": 9}}},
        prompt={"system": "Help.", "calls": {"rerank": {"system": "Sort."}}},
    )
    world.control.publish(world.served(stable))
    gateway = world.gateway()
    ways: list[dict[str, Any]] = [
        {},
        {"headers": {"inchworm-call": "rerank"}},
        {"model": "app:shop/rerank"},
        {"inchworm": {"call": "rerank"}},
        {"headers": {"inchworm-call": "other"}},
    ]
    for asked in ways:
        reply = gateway.chat(**asked)
        assert reply.status == 200
        assert reply.headers["inchworm-configuration"] == stable.id
    sent = [one.json for one in world.provider.seen]
    assert [one["model"] for one in sent] == ["large", "small", "small", "small", "large"]
    assert [one["temperature"] for one in sent] == [0.5, 0, 0, 0, 0.5]
    assert [one["messages"][0]["content"] for one in sent] == ["Help.", "Sort.", "Sort.", "Sort.", "Help."]
    assert all("calls" not in one for one in sent)
    called = [one for one in gateway.records() if isinstance(one, Called)]
    assert [one.call for one in called] == [None, "rerank", "rerank", "rerank", "other"]
    assert {one.configuration for one in called} == {stable.id}


def test_what_the_program_states_is_recorded_and_goes_to_no_provider(world: World) -> None:
    world.control.publish(world.served(world.configuration(model={"name": "large"})))
    gateway = world.gateway()
    gateway.chat(headers={"inchworm-application": "9b2d4c1", "inchworm-observed": "index=faq-2026-11-02"})
    (called,) = [one for one in gateway.records() if isinstance(one, Called)]
    attributes = trace_of(called).attributes
    assert attributes["inchworm.application"] == "9b2d4c1"
    assert attributes["inchworm.observed"] == {"index": "faq-2026-11-02"}
    assert not [name for name in world.provider.seen[-1].headers if name.lower().startswith("inchworm-")]
