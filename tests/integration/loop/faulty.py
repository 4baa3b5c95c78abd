"""Controllers that are killed: a real control store, seeded units, and ``kill -9`` at named moments.

``python -m tests.integration.loop.faulty kills FOLDER COUNT SEED``, ``… two FOLDER SEED`` and
``… race FOLDER ROUNDS`` print JSON. A life of a controller is a process of its own, forked from this one once
everything is loaded; it ends by ``SIGKILL`` before, inside or after a write, or at a random moment from
outside, and the next one goes on.

Time is simulated and stands in a file, so that a round that was killed is made again at the same moment.
Units arrive between rounds, and are assigned by what is served then. So whatever is killed, the decisions
must be those of a run that nobody kills: all of them, with their evidence.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection, event
from tests.unit.rollout.world import APP, HOUR, STABLE, batch, metric, policy, rollout

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import ahead_of, apply, decide
from inchworm.app.loop.planning import make_plan
from inchworm.app.outbox import Outbox
from inchworm.domain.assignment import served_weight
from inchworm.domain.errors import ConflictError, StoreError, TransitionError
from inchworm.domain.ids import BenchmarkId, PlanId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock
from inchworm.domain.notice import Event, Target
from inchworm.domain.rollout import (
    Decision,
    DecisionKind,
    LedgerEntry,
    Lineage,
    Rollout,
    RolloutState,
    Stage,
)
from inchworm.domain.serving import ServingTable
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.rollout.commands import act
from inchworm.rollout.controller import tick, verify_served
from inchworm.rollout.fleet import Memo
from inchworm.rollout.ports import GateResult, Late, PairBatch, UnitBatch
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL, Act
from inchworm.store.control import ControlStore
from inchworm.store.control.database import Database

STEP_S = HOUR / 2
PER_STEP = 300
MOST_STEPS = 400
MODES = ("before", "inside", "after")
EVERYTHING = Target(url="env:NOBODY", events=tuple(one.value for one in Event))
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Kill:
    """At which write a life ends: the ``nth`` from its beginning, of all or of decisions alone."""

    nth: int
    mode: str
    decisions_only: bool = False


class FaultyDatabase(Database):
    """One that ends its process at a write."""

    kill: Kill | None = None
    _seen = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._engine.dispose()

        # What a process has written survives its end without this; only a power cut asks for more.
        @event.listens_for(self._engine, "connect")
        def quick(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As the real one, until it is time."""
        kill, caller = self.kill, sys._getframe(2).f_code.co_name
        if kill is not None and (caller == "commit" or not kill.decisions_only):
            self._seen += 1
        now = kill is not None and self._seen == kill.nth
        if now and kill is not None and kill.mode == "before":
            die()
        with super().write() as connection:
            yield connection
            if now and kill is not None and kill.mode == "inside":
                die()
        if now:
            die()


def die() -> None:
    """End this process as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


# --- the world


def steps() -> list[Rollout]:
    """Nine rollouts, of which each ends in another way."""
    metrics = (metric(margin=0.15, harm_margin=0.075),)
    gated = policy(gate=True)
    short = policy(
        gate=True,
        stages=(
            Stage(weight=0.2, min_units=10**6, min_bake_s=HOUR, max_bake_s=3 * HOUR, margin_factor=2.7),
            Stage(weight=0.5, min_units=200, min_bake_s=HOUR, max_bake_s=50 * HOUR, margin_factor=1.7),
        ),
    )

    def made(number: int, plan: str, layer: Layer, **changes: Any) -> Rollout:
        given = {"plan_id": plan, "step": 1, "policy": gated, "metrics": metrics, "layer": layer, **changes}
        return rollout(number, values={"name": f"value {number}"}, **given)

    return [
        made(1, "plan-good", Layer.MODEL),
        made(2, "plan-harm", Layer.PROMPT),
        made(3, "plan-fails", Layer.CONTEXT, steps=2),
        made(4, "plan-fails", Layer.TOOLS, step=2, steps=2, after=(Layer.CONTEXT,)),
        made(5, "plan-unclear", Layer.PARAMETERS),
        made(6, "plan-paused", Layer.PROMPT),
        made(7, "plan-slow", Layer.CONTEXT, policy=short),
        made(8, "plan-ungated", Layer.MODEL, policy=policy()),
        made(9, "plan-glass", Layer.INFRASTRUCTURE, emergency="the provider is down"),
    ]


def declare(folder: Path) -> None:
    """A store with a lineage and everything in the queue."""
    (folder / "arrivals").mkdir(parents=True)
    told = LedgerEntry(app=APP, at=0.0, kind="configuration", actor="ana", what="declared as stable.")
    with opened(folder) as store:
        store.put_configuration(APP, STABLE, note="declared as stable", at=0.0)
        assert store.start_lineage(
            Lineage(app=APP, stable=STABLE.id, generation=1, in_flight=None, since=0.0, note="declared"),
            ServingTable(app=APP, generation=1, stable=STABLE.id),
            told,
        )
        assert store.enqueue(steps(), expected_stable=STABLE.id, ledger=[])


@contextmanager
def opened(folder: Path, kill: Kill | None = None) -> Iterator[ControlStore]:
    """The store, which ends this process at ``kill``."""
    database = FaultyDatabase(folder / "control.sqlite3")
    database.kill = kill
    with ControlStore(database) as store:
        store.outbox = Outbox(lambda: (EVERYTHING,))
        yield store


class Arrived:
    """Units that arrived, one file per step: the units source of the controller."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._loaded = folder / "arrivals", 0
        self._rows: dict[str, np.ndarray[Any, Any]] = {}

    def until(self, step: int) -> Arrived:
        """With all that has arrived by ``step``."""
        while self._loaded < step:
            self._loaded += 1
            with np.load(self._folder / f"{self._loaded}.npz") as found:
                for name in found["rollout"]:
                    before = self._rows.get(str(name), np.zeros((0, 5)))
                    self._rows[str(name)] = np.concatenate([before, found["rows"]])
        return self

    def _of(self, one: Rollout) -> np.ndarray[Any, Any]:
        return self._rows.get(one.id, np.zeros((0, 5)))

    def read(
        self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
    ) -> UnitBatch:
        assert clock in Clock
        rows = self._of(rollout)[start:][:limit]
        rows = rows[rows[:, 3] <= matured_before]
        return UnitBatch(
            **{
                **fields_of(batch(a=rows[:, 1].astype(int), values={"answered": rows[:, 4]}, start=start)),
                "stage": rows[:, 0].astype(np.int64),
                "probability": rows[:, 2],
                "at": rows[:, 3],
            }
        )

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        assert (start, bool(rollout.id), matured_before >= 0, limit > 0) == (0, True, True, True)
        return PairBatch.none()

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        assert (bool(rollout.id), clock in Clock, before >= 0) == (True, True, True)
        return Late(baseline=0, candidate=0, seen=since)

    def matured(self, rollouts: Sequence[Rollout], now: float) -> Mapping[RolloutId, int]:
        return {one.id: int((self._of(one)[:, 3] <= now).sum()) for one in rollouts}

    def spent(self, rollout: Rollout) -> ShadowSpent:
        assert rollout.id
        return ShadowSpent()

    def changes(self, rollout: Rollout) -> Sequence[tuple[float, str]]:
        assert rollout.id
        return ()


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, as they are."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def arrive(folder: Path, store: ControlStore, step: int) -> None:
    """Units of the half hour before ``step``, assigned by what is served; once, also if it is made again."""
    path = folder / "arrivals" / f"{step}.npz"
    table = store.serving(APP)
    if path.exists() or table is None:
        return
    candidate, rng = table.candidate, np.random.default_rng((7, step))
    draw, luck = rng.random(PER_STEP), rng.random(PER_STEP)
    names, rows = np.array([], dtype="U8"), np.zeros((0, 5))
    if candidate is not None:
        weight = served_weight(candidate.weight)
        arm = draw < weight
        rate = np.where(arm & (candidate.rollout_id == "r-2"), 0.6, 0.97)
        at = (step - 1) * STEP_S + (np.arange(PER_STEP) + 1) * STEP_S / PER_STEP
        columns = (np.full(PER_STEP, candidate.stage), arm, np.full(PER_STEP, weight), at, luck < rate)
        rows, names = np.stack(columns, axis=1).astype(float), np.array([candidate.rollout_id])
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    with beside.open("wb") as file:
        np.savez(file, rollout=names, rows=rows)
    beside.rename(path)


@dataclass(frozen=True)
class Benchmarked:
    """Benchmarks that are done half an hour after they were asked for."""

    now: float

    def result(self, rollout: Rollout) -> GateResult | None:
        if rollout.started_at is None or rollout.started_at >= self.now:
            return None
        verdict = {"r-3": Verdict.FAIL, "r-5": Verdict.INCONCLUSIVE}.get(rollout.id, Verdict.PASS)
        return GateResult(verdict=verdict, benchmark_id=BenchmarkId(f"b-{rollout.id}"), because="as drawn.")

    def budget(self, rollout: Rollout) -> GateResult | None:
        return None if rollout.anchor is None else self.result(rollout)


def people(store: ControlStore, now: float) -> None:
    """What people do, by where things stand: resume and promote some, give others up, take r-8 back."""

    def done(one: Rollout, wish: Act) -> None:
        act(store, one.id, wish, actor="ben", reason="as agreed", now=now)

    for one in store.rollouts(APP, {RolloutState.HOLDING, RolloutState.PAUSED, RolloutState.EXPOSING}):
        if now - one.entered_at < HOUR:
            continue
        if one.state is RolloutState.HOLDING:
            done(one, Act.PROMOTE if one.id == "r-5" else Act.ABORT)
        elif one.state is RolloutState.PAUSED:
            done(one, Act.RESUME)
        elif one.id == "r-6" and DecisionKind.PAUSE not in {each.kind for each in store.decisions(one.id)}:
            done(one, Act.PAUSE)
    last = store.rollout(RolloutId("r-8"))
    if last.state is RolloutState.COMPLETED and now - last.entered_at >= HOUR:
        done(last, Act.UNDO)


def over(store: ControlStore) -> bool:
    """Whether everything has ended, and what was completed last was taken back."""
    return store.rollout(RolloutId("r-8")).state is RolloutState.UNDONE and all(
        one.state in TERMINAL for one in store.rollouts(APP)
    )


def round_of(folder: Path, store: ControlStore, step: int, units: Arrived, memo: Memo) -> None:
    """One step of the world: units arrive, people act, the controller goes round."""
    now = step * STEP_S
    arrive(folder, store, step)
    people(store, now)
    tick(store, units.until(step), Benchmarked(now), now, APP, memo=memo)


def step_of(folder: Path) -> int:
    """The step that is under way."""
    path = folder / "step"
    return int(path.read_text()) if path.exists() else 1


def live(folder: Path, kill: Kill | None) -> None:
    """A controller from where the last one ended, until it is killed or everything is over."""
    units, memo = Arrived(folder), Memo()
    with opened(folder, kill) as store:
        while not over(store):
            step = step_of(folder)
            assert step < MOST_STEPS
            round_of(folder, store, step, units, memo)
            beside = folder / "step.tmp"
            beside.write_text(str(step + 1))
            beside.rename(folder / "step")


# --- lives


def forked(body: Callable[[], None]) -> int:
    """Run ``body`` in a process of its own; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        body()
    except BaseException:  # noqa: BLE001  # the child must not go on as its parent, whatever happened
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def ended(pid: int) -> int:
    """Its exit code; negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@dataclass
class Seen:
    """What came of many lives."""

    kills: int = 0
    lives: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def check(folder: Path) -> list[str]:
    """What must hold at every moment, whoever was killed."""
    found: list[str] = []
    with opened(folder) as store:
        found += verify_served(store, APP)
        every = store.rollouts(APP)
        flying = [one.id for one in every if one.state in IN_FLIGHT]
        if len(flying) > 1:
            found.append(f"in flight at once: {flying}")
        for one in every:
            made = store.decisions(one.id)
            if one.generation != len(made) or [each.parent for each in made] != list(range(len(made))):
                found.append(f"{one.id} is of generation {one.generation} with {len(made)} decisions")
            table = store.serving(APP)
            shown = None if table is None else table.candidate
            decided = [each.weight for each in made[-1:]]
            if shown is not None and shown.rollout_id == one.id and [shown.weight] != decided:
                found.append(f"{one.id} is served at {shown.weight}, decided was {decided}")
    return found


@dataclass(frozen=True)
class Ending:
    """All that a run came to."""

    decisions: tuple[Decision, ...]
    states: tuple[str, ...]
    stable: str
    notices: tuple[str, ...]
    audit: tuple[tuple[str, str, str], ...]
    broken: tuple[str, ...]


def ending(folder: Path) -> Ending:
    """What a run came to."""
    with opened(folder) as store:
        every = store.rollouts(APP)
        lineage = store.lineage(APP)
        assert lineage is not None
        return Ending(
            decisions=tuple(each for one in every for each in store.decisions(one.id)),
            states=tuple(one.state.value for one in every),
            stable=lineage.stable,
            notices=tuple(one.id for one in store.notices(APP, limit=10_000)),
            audit=tuple((one.action, one.subject, one.because) for one in store.audit(APP, limit=10_000)),
            broken=tuple(one.because for one in store.verify_audit().breaks),
        )


def unkilled(folder: Path) -> Ending:
    """The run that nobody disturbs."""
    declare(folder)
    assert ended(forked(lambda: live(folder, None))) == 0
    assert check(folder) == []
    return ending(folder)


def killed(folder: Path, count: int, rng: random.Random, seen: Seen, *, decisions: bool) -> bool:
    """Lives in one world until there were ``count`` kills in all, or everything is over; whether it is."""
    declare(folder)
    turn = 0
    while seen.kills < count:
        mode = MODES[turn % 3] if decisions else rng.choice([*MODES, "outside"])
        kill = Kill(1 if decisions else rng.randint(1, 4), mode, decisions)
        turn += 1
        seen.lives += 1
        pid = forked(lambda kill=kill: live(folder, None if kill.mode == "outside" else kill))  # type: ignore[misc]  # bound now
        if mode == "outside":
            time.sleep(rng.uniform(0.005, 0.06))
            os.kill(pid, signal.SIGKILL)
        code = ended(pid)
        if code not in {0, KILLED}:
            seen.problems.append(f"a life ended with {code}")
            return True
        if code == 0:
            return True
        seen.kills += 1
        seen.modes[mode] += 1
        seen.problems += check(folder)
    return False


def kills(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill ``count`` times: every decision before, inside and after its write; then any write, any moment."""
    began, rng, seen = time.perf_counter(), random.Random(seed), Seen()
    reference = unkilled(folder / "reference")
    worlds = different = 0
    while seen.kills < count:
        here = folder / f"world-{worlds}"
        # The first world goes through every decision in turn; those after it are left to chance.
        if not killed(here, count, rng, seen, decisions=worlds == 0):
            assert ended(forked(lambda here=here: live(here, None))) == 0  # type: ignore[misc]  # bound now
        worlds += 1
        came = ending(here)
        different += came != reference
        seen.problems += check(here)
    return {
        "kills": seen.kills,
        "worlds": worlds,
        "decisions_per_world": len(reference.decisions),
        "kinds": sorted({one.kind.value for one in reference.decisions}),
        "modes": dict(sorted(seen.modes.items())),
        "problems": seen.problems,
        "runs_unlike_the_unkilled_one": different,
        "audit_broken": list(reference.broken),
        "seconds": time.perf_counter() - began,
    }


def two(folder: Path, seed: int, *, kill_share: float = 0.2) -> dict[str, Any]:
    """Two controllers at every step of one world, some of them killed; then one that nobody kills."""
    began, rng = time.perf_counter(), random.Random(seed)
    reference = unkilled(folder / "reference")
    here = folder / "both"
    declare(here)
    problems: list[str] = []
    killed_count = step = 0
    while True:
        step += 1
        with opened(here) as store:
            if over(store):
                break
            arrive(here, store, step)
        codes = _at_once(here, step, rng, kill_share)
        if KILLED in codes:  # what a killed round left undone, the next one of this moment does
            codes.append(ended(forked(lambda step=step: _once(here, step, None, None))))  # type: ignore[misc]  # bound now
        killed_count += codes.count(KILLED)
        problems += [f"a controller ended with {code}" for code in codes if code not in {0, KILLED}]
        problems += check(here)
        if problems:
            break
    came = ending(here)
    return {
        "steps": step,
        "kills": killed_count,
        "decisions": len(came.decisions),
        "problems": problems,
        "unlike_one_controller": came != reference,
        "audit_broken": list(came.broken),
        "seconds": time.perf_counter() - began,
    }


def _at_once(folder: Path, step: int, rng: random.Random, kill_share: float) -> list[int]:
    """The exit codes of two controllers that begin at one moment."""
    waits, goes = os.pipe()
    pids = []
    for _ in range(2):
        dies = rng.random() < kill_share
        kill = Kill(rng.randint(1, 3), rng.choice(MODES)) if dies else None
        pids.append(forked(lambda kill=kill: _once(folder, step, kill, (waits, goes))))  # type: ignore[misc]  # bound now
    os.close(waits)
    os.close(goes)
    return [ended(pid) for pid in pids]


def _once(folder: Path, step: int, kill: Kill | None, gate: tuple[int, int] | None) -> None:
    """One round of one of several controllers. Who loses a race to act reads again at the next round."""
    with opened(folder, kill) as store:
        if gate is not None:
            os.close(gate[1])
            os.read(gate[0], 1)  # ends when everybody has closed the other end
        now = step * STEP_S
        try:
            people(store, now)
        except (ConflictError, TransitionError):
            people(store, now)
        tick(store, Arrived(folder).until(step), Benchmarked(now), now, APP)


# --- two teams


SHOP = """\
app: race/production
layers:
  infrastructure: {{upstream: recorded}}
  model: {{name: {model}}}
  prompt: {{system: {prompt}}}
metrics:
  brief: {{check: {{max_words: 50}}, goal: true}}
rollout: {{gate: false}}
"""
TEAMS = (("ana", {"model": "new", "prompt": "old"}), ("ben", {"model": "old", "prompt": "new"}))


def shop(folder: Path) -> dict[str, str]:
    """An app for which two people have a plan each, on the same stable; the plans by their names."""
    file, plans = folder / "inchworm.yaml", dict[str, str]()
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(SHOP.format(model="old", prompt="old"))
    with House(load(file), actor="ana") as house:
        house.declare_stable()
    for name, moved in TEAMS:
        file.write_text(SHOP.format(**moved))
        with House(load(file), actor=name) as house:
            plans[name] = make_plan(house, house.spec.configuration).id
    return plans


def race(folder: Path, rounds: int) -> dict[str, Any]:
    """Two processes that apply at one moment, again and again."""
    began, problems, firsts = time.perf_counter(), list[str](), Counter[str]()
    for number in range(rounds):
        here = folder / f"race-{number}"
        plans = shop(here)
        problems += [f"an apply ended with {code}" for code in _both(here, plans) if code]
        with House(load(here / "inchworm.yaml"), actor="ana") as house:
            every = house.control.rollouts(house.app)
            flying = [one.id for one in every if one.state in IN_FLIGHT]
            if len(flying) != 1 or {one.author for one in every} != {"ana", "ben"}:
                problems.append(f"round {number}: {[(one.id, one.author, one.state.value) for one in every]}")
                continue
            problems += verify_served(house.control, house.app)
            problems += [one.because for one in house.control.verify_audit().breaks]
        winner = next(one for one in every if one.id == flying[0])
        firsts[winner.author] += 1
        for name, _ in TEAMS:
            expected = "starts" if name == winner.author else f"behind {winner.id}"
            if (said := (here / f"{name}.said").read_text()) != expected:
                problems.append(f"round {number}: {name} was told {said}, and not {expected}")
    return {
        "rounds": rounds,
        "first": dict(sorted(firsts.items())),
        "problems": problems,
        "seconds": time.perf_counter() - began,
    }


def _both(folder: Path, plans: Mapping[str, str]) -> list[int]:
    """The exit codes of two that apply at one moment."""
    waits, goes = os.pipe()
    pids = [
        forked(lambda name=name: _applies(folder, name, plans[name], (waits, goes)))  # type: ignore[misc]  # bound now
        for name, _ in TEAMS
    ]
    os.close(waits)
    os.close(goes)
    return [ended(pid) for pid in pids]


def _applies(folder: Path, name: str, plan: str, gate: tuple[int, int]) -> None:
    """What ``inchworm apply`` does, in a process of its own."""
    with House(load(folder / "inchworm.yaml"), actor=name) as house:
        _ = house.control
        os.close(gate[1])
        os.read(gate[0], 1)
        (mine,) = apply(house, PlanId(plan))
        for _ in range(1_000):
            try:
                decide(house)
                break
            except StoreError:  # the other one has the traces, for as long as its own round takes
                time.sleep(0.01)
        ahead = ahead_of(house, house.control.rollout(mine.id))
    (folder / f"{name}.said").write_text("starts" if ahead is None else f"behind {ahead.id}")


def main(what: str, folder: str, *rest: str) -> None:
    """Do what the command line says, and print JSON."""
    if what == "kills":
        came = kills(Path(folder), int(rest[0]), int(rest[1]))
    elif what == "race":
        came = race(Path(folder), int(rest[0]))
    else:
        came = two(Path(folder), int(rest[0]))
    print(json.dumps(came))  # noqa: T201  # that is how a program speaks


if __name__ == "__main__":
    main(*sys.argv[1:])
