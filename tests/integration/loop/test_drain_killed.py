"""The drain, killed with -9 between its steps: everything is there once, as if nothing had been."""

import signal
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from tests.integration.loop import drain_worker
from tests.integration.loop.drain_worker import KEY
from tests.unit.app.loop.spooled import called, exposed, rated, root, spool
from tests.unit.app.loop.telling import exported, span, trace_id
from tests.unit.app.loop.world import World

from inchworm.app.clock import SystemClock
from inchworm.app.loop.draining import Draining
from inchworm.capture.keyfile import KEY as KEY_FILE
from inchworm.capture.records import Assigned
from inchworm.capture.spool import closed_segments, quarantined
from inchworm.domain.ids import RolloutId, TraceId

ASSIGNED = {
    "inchworm.rollout.id": "r-1",
    "inchworm.stage": "0",
    "inchworm.arm": "candidate",
    "inchworm.probability": "0.2",
}
# One process imports everything once; each worker begins as a copy of it.
WORKERS = get_context("forkserver")
WORKERS.set_forkserver_preload(["tests.integration.loop.drain_worker"])
POINTS = ["add_exposures", "put_spans", "put_traces", "destroy"]


def built(folder: Path) -> World:
    """A shop with telemetry of four traces and two calls in its spool; nothing is drained yet."""
    world = World.build(folder)
    (world.house.spec.data / KEY_FILE).write_bytes(bytes(32))
    world.house.clock = SystemClock()  # the worker has that one too
    spool(
        world,
        exported(span(1), span(1, 2, parent=1, said=ASSIGNED), span(2)),
        exposed("1"),
        called("1", assigned=Assigned("r-1", 0, "baseline", 0.2)),
    )
    spool(
        world, exported(span(2, 2, parent=1), span(3), span(4)), b"nothing", called("2"), rated("1"), at=2e9
    )
    return world


def drained(world: World) -> dict[str, Any]:
    """Drain the rest; what is there in the end."""
    drain = Draining(world.house, KEY)
    while not drain.round().idle:
        pass
    drain.close()
    house = world.house
    numbers = [TraceId(trace_id(number).hex()) for number in range(1, 5)]
    traces = sorted(world.stored(), key=lambda one: one.id)
    found = {
        "traces": [replace(one, scores=()) for one in traces],
        "scores": [sorted((s.metric, str(s.result), s.source) for s in one.scores) for one in traces],
        "spans": house.traces.spans(house.app, numbers),
        "exposures": house.traces.exposures_count(RolloutId("r-1")),
        "quarantined": [(one.reason, one.records) for one in quarantined(root(world))],
        "left": closed_segments(root(world)),
    }
    house.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return drained(built(tmp_path_factory.mktemp("undisturbed") / "shop"))


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_it_comes_to_the_same(tmp_path, undisturbed, point):
    world = built(tmp_path / "shop")
    file = world.house.spec.file
    world.house.close()
    worker = WORKERS.Process(target=drain_worker.main, args=(str(file), point))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert drained(world) == undisturbed
    assert len(undisturbed["traces"]) == 6
    assert undisturbed["left"] == []
