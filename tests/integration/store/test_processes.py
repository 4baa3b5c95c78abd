"""Several processes, and processes that die: what was acknowledged is there, and nothing is half."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import pytest
from tests.integration.store.worker import folded
from tests.unit.store.values import APP, BASE, assigned, entry, exposure, lineage, rollout, score, served

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import RolloutState
from inchworm.store.control import ControlStore
from inchworm.store.control.tables import IN_FLIGHT
from inchworm.store.traces import TraceStore

ROOT = Path(__file__).resolve().parents[3]
ONE = RolloutId("r-1")
RACERS = 8


@contextmanager
def worker(*arguments):
    """A worker that is not there any more after the block."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), *map(str, arguments)]
    process = subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def fill(store, numbers, app=APP):
    assert store.start_lineage(lineage(app), served(app), entry(app))
    assert store.enqueue([rollout(n, app) for n in numbers], expected_stable=BASE.id, ledger=[])


@pytest.mark.slow
def test_of_eight_processes_that_start_a_rollout_exactly_one_does(tmp_path):
    path = tmp_path / "control.db"
    with ExitStack() as stack:
        racers = [stack.enter_context(worker("race", path, n)) for n in range(RACERS)]
        # All eight opened, and one made, a file that was not there.
        assert [racer.stdout.readline() for racer in racers] == [f"ready {n}\n" for n in range(RACERS)]
        # Eight rollouts held apart by the index alone; by the lineage as well; all eight on one rollout.
        for first, step, moves in ((10, 1, "alone"), (20, 1, "lineage"), (30, 0, "alone")):
            app = AppRef(app=f"app{first}", environment="production")
            with ControlStore.open(path) as store:
                fill(store, range(first, first + RACERS), app)
                for n, racer in enumerate(racers):
                    tell(racer, f"r-{first + step * n} {moves}")
                answers = [racer.stdout.readline().strip() for racer in racers]
                assert sorted(answers) == ["False"] * (RACERS - 1) + ["True"], (first, moves)
                (winner,) = store.rollouts(app, IN_FLIGHT)
                assert winner.id == f"r-{first + step * answers.index('True')}"
                here = store.lineage(app)
                assert here is not None
                assert here.in_flight == (winner.id if moves == "lineage" else None)
                assert sum(len(store.decisions(one.id)) for one in store.rollouts(app)) == 1
                # Whoever wrote at the same moment, there is one chain, and every row is named in it.
                assert store.verify_audit().breaks == ()


@pytest.mark.slow
def test_killed_between_or_inside_writes_the_control_store_is_whole(tmp_path):
    path = tmp_path / "control.db"
    with ControlStore.open(path) as store:
        fill(store, [1])
    for lines in (1, 4, 9, 17):
        with worker("decide", path) as process:
            for _ in range(lines):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
        with ControlStore.open(path) as store:
            one, here, table = store.rollout(ONE), store.lineage(APP), store.serving(APP)
            assert here is not None
            assert table is not None
            made = len(store.decisions(ONE))
            assert made >= acknowledged
            assert one.generation == made
            assert [taken.parent for taken in store.decisions(ONE)] == list(range(made))
            assert here.generation == table.generation == made + 1
            assert here.in_flight == (ONE if one.state is RolloutState.EXPOSING else None)
            assert [item.id for item in store.work()] == [f"r-1/{n}" for n in range(1, made + 1)]
            assert [kept.what for kept in store.ledger(APP, limit=made)][::-1] == [
                f"r-1/{n}" for n in range(1, made + 1)
            ]
            assert len(store.audit(APP, limit=made + 9)) == made + 2
            assert store.verify_audit().breaks == ()
        with sqlite3.connect(path) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        raw.close()


@pytest.mark.slow
@pytest.mark.parametrize("last", ["exposures", "traces"])
def test_killed_between_exposures_and_traces_what_was_acknowledged_is_there(tmp_path, last):
    path = tmp_path / "traces.duckdb"
    acknowledged = {"exposures": 0, "traces": 0}
    for batches in (1, 3):
        with worker("record", path) as process:
            for _ in range(batches):
                for line in process.stdout:
                    what, count = line.split()
                    acknowledged[what] = int(count)
                    if what == last:
                        break
            process.send_signal(signal.SIGKILL)
        with TraceStore.open(path) as store:
            exposed, seen = sum(store.exposures_count(ONE).values()), store.count(APP)
            assert exposed >= acknowledged["exposures"]
            assert seen >= acknowledged["traces"]
            rows = store.units(ONE, start=0, matured_before=9e9, limit=10**6)
            assert rows.order.tolist() == list(range(exposed))
            assert rows.traces.sum() == seen
            found = [one for some in store.iterate(APP) for one in some]
            assert found == [assigned(int(one.id[6:]), scores=(score(),)) for one in found]
            assert len(found) == seen
            # Handing everything in again repairs what the dead process left undone.
            store.add_traces([assigned(n, scores=(score(),)) for n in range(exposed)])
            assert store.add_exposures([exposure(n) for n in range(exposed)]) == 0
            assert store.units(ONE, start=0, matured_before=9e9, limit=10**6).traces.tolist() == [1] * exposed
        with duckdb.connect(str(path), read_only=True) as raw:
            assert raw.execute("SELECT (SELECT count(*) FROM payloads), count(*) FROM scores").fetchone() == (
                exposed,
                exposed,
            )


@pytest.mark.slow
def test_killed_while_it_replaces_every_trace_is_of_one_version_and_counted_once(tmp_path):
    path = tmp_path / "traces.duckdb"
    for lines in (3, 6):
        acknowledged: dict[tuple[str, int], int] = {}
        with worker("tell", path) as process:
            for _, line in zip(range(lines), process.stdout, strict=False):
                what, version, count = line.split()
                acknowledged[what, int(version)] = int(count)
            process.send_signal(signal.SIGKILL)
        with TraceStore.open(path) as store:
            found = {one.id: one for some in store.iterate(APP) for one in some}
            numbers = sorted(int(id_[6:]) for id_ in found)
            assert numbers == list(range(len(found)))
            assert len(found) >= acknowledged.get(("traces", 1), 0)
            for n in numbers:
                least = 2 if n < acknowledged.get(("traces", 2), 0) else 1
                mine = found[assigned(n).id]
                assert mine in [folded(n, version) for version in range(least, 3)]
            spans = store.spans(APP, list(found))
            assert {id_: len(some) for id_, some in spans.items()} == dict.fromkeys(found, 1)
            for n in range(acknowledged.get(("spans", 2), 0)):
                assert spans[assigned(n).id][0].attributes == {"told 1": True, "told 2": True}
            # The rollups are of what is there.
            page = store.traces(APP, limit=1)
            assert page.total == store.count(APP) == len(found)
            assert dict(store.facets(APP)["metric"]) == ({"right": len(found)} if found else {})
            times = [one.at for one in found.values()]
            assert store.period(APP) == (min(times), max(times))


@pytest.mark.slow
def test_a_trace_store_that_is_taken_names_its_holder(tmp_path):
    path = tmp_path / "traces.duckdb"
    with worker("hold", path) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(StoreError, match=f"in use by process {process.pid},") as caught:
            TraceStore.open(path)
        assert "stop that process" in str(caught.value.hint)
        tell(process, "done")
        assert process.wait(30) == 0
    with TraceStore.open(path) as store:
        assert store.count(APP) == 0
