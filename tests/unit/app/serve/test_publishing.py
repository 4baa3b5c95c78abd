"""The publisher: signed, the same for the same rows, and handed on to whoever waits when it changes."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.loop.world import World

from inchworm.app.keys import make
from inchworm.app.loop.changing import apply
from inchworm.app.loop.planning import make_plan
from inchworm.app.serve.publishing import LivePublisher
from inchworm.app.serve.state import GatewaySeen
from inchworm.domain.access import Scope
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.layers import Layer
from inchworm.domain.published import Published, PublishedApp, PublishedKey, version
from inchworm.domain.rollout import UnitKind
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act
from inchworm.store.control import ControlStore

MASTER = bytes(range(32))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


@pytest.fixture
def publisher(world: World) -> Iterator[LivePublisher]:
    made = LivePublisher(world.house, MASTER)
    yield made
    made.close()


def read(publisher: LivePublisher) -> PublishedApp:
    (one,) = Published.read(derive(MASTER, Purpose.PUBLISHED), publisher.document).apps
    return one


def fly(world: World) -> RolloutId:
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    (rollout,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    return rollout.id


def test_what_is_published_is_what_the_rows_say(world, publisher):
    stable = world.stable
    held = read(publisher)
    assert (held.app, held.unit) == (world.house.app, world.house.spec.policy.unit)
    assert held.infrastructure == {"upstream": "recorded", "timeout_s": 20}
    assert held.table == world.house.control.serving(world.house.app)
    assert held.configurations == {stable.id: stable}
    assert publisher.version == version(publisher.document)
    assert not publisher.refresh(), "the same rows, the same document"


def test_during_a_rollout_the_candidate_is_published_too(world, publisher):
    fly(world)
    assert publisher.changed()
    assert publisher.refresh()
    held = read(publisher)
    assert held.table is not None
    assert held.table.candidate is not None
    assert set(held.configurations) == {held.table.stable, held.table.candidate.configuration_id}


def test_another_unit_that_is_declared_meanwhile_counts_from_the_next_rollout_on(world, publisher):
    rollout_id = fly(world)
    before = world.house.control.rollout(rollout_id).policy.unit
    spec = world.house.spec
    world.house.follow(replace(spec, policy=replace(spec.policy, unit=UnitKind.USER)))
    publisher.refresh()
    assert (before, read(publisher).unit) == (UnitKind.SESSION, UnitKind.SESSION)
    act(world.house.control, rollout_id, Act.ABORT, actor="ana", reason="", now=world.house.now())
    world.round()
    assert publisher.refresh()
    assert read(publisher).unit is UnitKind.USER


def test_an_app_that_is_only_observed_has_no_table(tmp_path):
    from inchworm.app.config.observed import observed
    from inchworm.app.house import House

    with House(observed(tmp_path / "inchworm.yaml", environment={"OPENAI_BASE_URL": "http://h/v1"})) as house:
        assert house.control.apps() == []
        publisher = LivePublisher(house, MASTER)
        held = read(publisher)
        publisher.close()
    assert (held.table, held.configurations) == (None, {})
    assert held.infrastructure == {"upstream": "openai", "base_url": "http://h/v1"}


def test_a_commit_of_another_process_is_noticed_once(world, publisher):
    assert not publisher.changed()
    with ControlStore.open(world.house.spec.data / "control.sqlite3") as other:
        other.put_blob(world.house.app, "x", b"1", at=1.0)
    assert publisher.changed()
    assert not publisher.changed()


def test_another_declaration_is_noticed(world, publisher):
    spec = world.house.spec
    world.house.follow(replace(spec, app=replace(spec.app, app="other")))
    assert publisher.changed()
    assert publisher.refresh()
    assert read(publisher).app.app == "other"


def test_whoever_waits_gets_the_next_document_at_once(world, publisher):
    rollout_id = fly(world)
    publisher.refresh()

    async def scenario() -> tuple[bytes | None, ...]:
        held = publisher.version
        at_once = await publisher.newer_than(None, timeout_s=0.0)
        waiting = [asyncio.create_task(publisher.newer_than(held, timeout_s=60.0)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        act(world.house.control, rollout_id, Act.ABORT, actor="ana", reason="", now=world.clock.now())
        publisher.refresh()
        got = await asyncio.gather(*waiting)
        assert await publisher.newer_than(publisher.version, timeout_s=0.0) is None
        return at_once, *got

    before, *after = asyncio.run(scenario())
    assert after == [publisher.document] * 3
    assert before != publisher.document
    held = read(publisher)
    assert held.table is not None
    assert held.table.candidate is None


def test_stopping_lets_everybody_go(publisher):
    async def scenario() -> bytes | None:
        waiting = asyncio.create_task(publisher.newer_than(publisher.version, timeout_s=60.0))
        await asyncio.sleep(0)
        publisher.stop()
        got: bytes | None = await waiting
        return got

    assert asyncio.run(scenario()) is None


def test_a_store_that_cannot_be_read_is_said(publisher):
    publisher._watch.close()
    with pytest.raises(StoreError, match="cannot be read"):
        publisher.changed()


def test_gateways_are_listed_by_name_as_they_asked_last(publisher):
    for name, at in (("b", 1.0), ("a", 2.0), ("b", 3.0)):
        publisher.heard_from(GatewaySeen(name=name, url="http://h", holds=None, at=at))
    assert [(one.name, one.at) for one in publisher.gateways()] == [("a", 2.0), ("b", 3.0)]


def test_keys_that_may_send_are_published_and_revoking_one_is_news(world, publisher):
    control, app = world.house.control, world.house.app
    free, _ = make("free", Scope.VIEWER, by="ana", now=1.0, expires_at=None, random=bytes)
    bound, _ = make(
        "bound", Scope.INGEST, by="ana", now=1.0, expires_at=2e9, random=lambda n: b"x" * n, app=app
    )
    for key in (free, bound):
        control.put_api_key(app, key)
    assert publisher.changed()
    assert publisher.refresh()
    known = Published.read(derive(MASTER, Purpose.PUBLISHED), publisher.document).keys
    assert known == (
        PublishedKey(id=free.id, digest=free.digest),
        PublishedKey(id=bound.id, digest=bound.digest, app=app, expires_at=2e9),
    )
    control.touch_api_key(free.id, at=2.0)
    assert publisher.changed()
    assert not publisher.refresh(), "that it was used changes nothing for anybody"
    control.revoke_api_key(app, bound.id, actor="ana", at=3.0)
    assert publisher.refresh()
    assert Published.read(derive(MASTER, Purpose.PUBLISHED), publisher.document).keys == known[:1]
