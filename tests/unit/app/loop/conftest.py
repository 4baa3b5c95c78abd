"""The small shop, opened and closed around each test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.loop.world import World

from inchworm.app.loop.changing import apply
from inchworm.app.loop.planning import make_plan
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Rollout


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


@pytest.fixture
def flying(world: World) -> Rollout:
    """A rollout that exposes a harmless change to a fifth of the sessions, without a benchmark."""
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    (rollout,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    return world.house.control.rollout(rollout.id)
