"""Keys of ours at a gateway: they say whose a call is, open it, and go to no provider."""

import json
import os
from dataclasses import replace

import pytest
from tests.integration.gateway.conftest import APP, Gateway, World

from inchworm.app import keys
from inchworm.domain.access import Scope
from inchworm.domain.configuration import AppRef
from inchworm.domain.published import Published, PublishedApp, PublishedKey

SEARCH = AppRef(app="search", environment="production")
CHAT = "/v1/chat/completions"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "When?"}]}).encode()


def made(app: AppRef | None = None) -> tuple[PublishedKey, str]:
    key, written = keys.make(
        "program", Scope.INGEST, by="ana", now=1.0, expires_at=None, random=os.urandom, app=app
    )
    return PublishedKey(id=key.id, digest=key.digest, app=app), written


FREE, FREELY = made()
BOUND, BOUNDLY = made(SEARCH)


def publish(world: World, *known: PublishedKey) -> str:
    """An installation with two apps, and these keys."""
    house = {"base_url": world.provider.url, "api_key": "env:HOUSE_KEY"}
    apps = (PublishedApp(app=APP, infrastructure=house), PublishedApp(app=SEARCH, infrastructure=house))
    return world.control.publish_all(Published(apps=apps, keys=known))


@pytest.fixture
def closed(world: World) -> Gateway:
    """A gateway that serves nobody without a key."""
    publish(world, FREE, BOUND)
    return world.gateway("--require-key", environment={"HOUSE_KEY": "sk-house"})


def test_a_key_opens_says_whose_call_it_is_and_is_not_forwarded(world: World, closed: Gateway) -> None:
    for headers, app in (
        ({"authorization": f"Bearer {FREELY}"}, "shop/production"),
        ({"authorization": f"Bearer {FREELY}", "inchworm-app": "search"}, "search/production"),
        ({"authorization": f"Bearer {BOUNDLY}"}, "search/production"),
        ({"x-api-key": BOUNDLY}, "search/production"),
    ):
        assert closed.ask(CHAT, BODY, **headers).status == 200
        assert closed.calls()[-1].app == app
        seen = world.provider.seen[-1].headers
        assert seen["authorization"] == "Bearer sk-house"
        assert not any("iw_" in value for value in seen.values())


def test_the_caller_s_own_key_goes_along_beside_ours(world: World, closed: Gateway) -> None:
    got = closed.ask(CHAT, BODY, authorization="Bearer sk-mine", **{"inchworm-key": FREELY})
    assert got.status == 200
    assert world.provider.seen[-1].headers["authorization"] == "Bearer sk-mine"
    assert "inchworm-key" not in world.provider.seen[-1].headers


def test_nobody_is_served_without_one_where_one_is_needed(world: World, closed: Gateway) -> None:
    unit = b'{"context": {"targetingKey": "u"}}'
    for path, body in (
        (CHAT, BODY),
        ("/inchworm/v1/serving", None),
        ("/inchworm/v1/records", b""),
        ("/ofrep/v1/evaluate/flags", unit),
    ):
        for headers in ({}, {"authorization": "Bearer sk-mine"}):
            got = closed.ask(path, body, **headers)
            assert (got.status, got.json["error"]["code"]) == (401, "key_needed")
            assert got.headers["www-authenticate"] == "Bearer"
        assert closed.ask(path, body, authorization=f"Bearer {FREELY}").status == 200
    assert len(world.provider.seen) == 1
    assert closed.ask("/-/health").status == 200


def test_a_key_that_is_revoked_opens_nothing_as_soon_as_that_is_published(
    world: World, closed: Gateway
) -> None:
    assert closed.ask(CHAT, BODY, authorization=f"Bearer {FREELY}").status == 200
    held = publish(world, BOUND)
    for _ in range(200):
        if closed.ask("/-/ready").json["holds"] == held:
            break
        closed.ask("/inchworm/v1/serving?wait=1", authorization=f"Bearer {BOUNDLY}")
    got = closed.ask(CHAT, BODY, authorization=f"Bearer {FREELY}")
    assert (got.status, got.json["error"]["code"]) == (401, "unknown_key")
    assert closed.ask(CHAT, BODY, authorization=f"Bearer {BOUNDLY}").status == 200


def test_a_bound_key_sends_for_no_other_app(closed: Gateway) -> None:
    got = closed.ask(CHAT, BODY, authorization=f"Bearer {BOUNDLY}", **{"inchworm-app": "shop"})
    assert got.status == 404
    assert "search/production alone" in got.json["error"]["message"]
    score = {"app": "shop", "trace": "t-1", "metric": "helpful", "value": 1, "source": "user", "at": 5.0}
    line = json.dumps({"score": score}).encode()
    asked = {"content-type": "application/x-ndjson", "authorization": f"Bearer {BOUNDLY}"}
    got = closed.ask("/inchworm/v1/records", line, **asked)
    assert (got.status, got.json["error"]["code"]) == (403, "not_its_app")
    assert closed.records() == []
    assert closed.ask("/inchworm/v1/records", line.replace(b"shop", b"search"), **asked).status == 200


def test_where_none_is_needed_only_one_that_opens_nothing_is_refused(world: World) -> None:
    publish(world, FREE)
    gateway = world.gateway(environment={"HOUSE_KEY": "sk-house"})
    assert gateway.chat().status == 200
    assert gateway.chat(headers={"authorization": f"Bearer {FREELY}"}).status == 200
    assert gateway.chat(headers={"authorization": f"Bearer {BOUNDLY}"}).status == 401
    ended = replace(FREE, expires_at=1.0)
    gateway.holds(publish(world, ended))
    assert gateway.chat(headers={"authorization": f"Bearer {FREELY}"}).status == 401
