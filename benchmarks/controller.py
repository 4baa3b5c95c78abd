"""Controllers that are killed, two at once, many apps at once, and a long audit trail: ``controller.py``.

Four parts: ``kills`` (kill -9 before, inside and after every decision's write, then anywhere, 200 times; the
decisions must be those of an undisturbed run), ``two`` (two controllers on one database, some killed),
``race`` (two teams that apply at one moment), ``fleet`` (a tick over 1,000 apps with a rollout in flight each
and nothing new), ``audit`` (the chain of 100,000 entries: appended, verified).

The worlds are those of ``tests/integration/loop/faulty.py``.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.unit.rollout.world import STABLE, Verdicts, batch, metric, policy, rollout  # noqa: E402

from inchworm.domain.configuration import AppRef  # noqa: E402
from inchworm.domain.ids import PlanId, RolloutId  # noqa: E402
from inchworm.domain.metric import Clock  # noqa: E402
from inchworm.domain.rollout import LedgerEntry, Lineage, Rollout, Stage  # noqa: E402
from inchworm.domain.serving import ServingTable  # noqa: E402
from inchworm.domain.shadow import ShadowSpent  # noqa: E402
from inchworm.rollout.controller import tick  # noqa: E402
from inchworm.rollout.fleet import Memo  # noqa: E402
from inchworm.rollout.ports import Late, PairBatch, UnitBatch  # noqa: E402
from inchworm.store.control import AuditEntry, ControlStore  # noqa: E402
from inchworm.store.control.audit import append_audit  # noqa: E402
from inchworm.store.control.database import Database  # noqa: E402
from inchworm.store.control.lineage import append_ledger  # noqa: E402

UNITS = 200
"""Units that each app's rollout has consumed."""
TICKS = 9
ALONE, TOGETHER = 2_000, 10_000
"""Audit entries that are appended in a transaction each, and those that share one."""


def faulty(*words: object) -> dict[str, Any]:
    """What the program of the tests prints."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.loop.faulty", *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=ROOT)
    said: dict[str, Any] = json.loads(done.stdout)
    print(f"  {said}", file=sys.stderr)
    return said


# --- a thousand apps


@dataclass(slots=True)
class Unchanged:
    """Units of many rollouts, all matured long ago.

    Attributes:
        made: per rollout its units, drawn once.
        reads: how often somebody read any.
    """

    made: dict[RolloutId, UnitBatch] = field(default_factory=dict)
    reads: int = 0

    def of(self, one: Rollout) -> UnitBatch:
        """The units of a rollout."""
        if one.id not in self.made:
            rng = np.random.default_rng(int(one.id.removeprefix("r-")))
            candidate = rng.random(UNITS) < 0.2
            self.made[one.id] = batch(a=candidate, values={"answered": rng.random(UNITS) < 0.95})
        return self.made[one.id]

    def read(
        self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
    ) -> UnitBatch:
        """Those from ``start`` on."""
        del clock, matured_before
        self.reads += 1
        every, part = self.of(rollout), slice(start, start + limit)
        return replace(
            every,
            order=every.order[part],
            stage=every.stage[part],
            candidate=every.candidate[part],
            probability=every.probability[part],
            at=every.at[part],
            silent=every.silent[part],
            errored=every.errored[part],
            values={name: one[part] for name, one in every.values.items()},
            present={name: one[part] for name, one in every.present.items()},
        )

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        """None: nothing is mirrored here."""
        del rollout, start, matured_before, limit
        return PairBatch.none()

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        """Nothing comes late."""
        del rollout, clock, before
        return Late(baseline=0, candidate=0, seen=since)

    def matured(self, rollouts: Sequence[Rollout], now: float) -> Mapping[RolloutId, int]:
        """All of them have."""
        del now
        return {one.id: UNITS for one in rollouts}

    def spent(self, rollout: Rollout) -> ShadowSpent:
        """Nothing."""
        del rollout
        return ShadowSpent()

    def changes(self, rollout: Rollout) -> Sequence[tuple[float, str]]:
        """Nothing else changed."""
        del rollout
        return ()


def fleet(folder: Path, apps: int) -> dict[str, Any]:
    """Ticks over many apps in whose rollouts nothing is new."""
    slow = Stage(weight=0.2, min_units=10**6, min_bake_s=3_600.0, max_bake_s=9e6, margin_factor=2.7)
    rules = policy(stages=(slow, replace(slow, weight=0.5, margin_factor=1.7)))
    units, times = Unchanged(), list[float]()
    with ControlStore.open(folder / "fleet.sqlite3") as store:
        for number in range(1, apps + 1):
            app = AppRef(app=f"app{number}", environment="production")
            told = LedgerEntry(app=app, at=0.0, kind="configuration", actor="ana", what="declared.")
            store.put_configuration(app, STABLE, note="declared", at=0.0)
            store.start_lineage(
                Lineage(app=app, stable=STABLE.id, generation=1, in_flight=None, since=0.0, note="declared"),
                ServingTable(app=app, generation=1, stable=STABLE.id),
                told,
            )
            waiting = rollout(
                number,
                app=app,
                plan_id=PlanId(f"plan-{number}"),
                policy=rules,
                metrics=(metric(),),
                step=1,
            )
            store.enqueue([waiting], expected_stable=STABLE.id, ledger=[])
        memo, began = Memo(), time.perf_counter()
        started = len(tick(store, units, Verdicts(), 1.0, memo=memo))
        begin_s = time.perf_counter() - began
        began = time.perf_counter()
        tick(store, units, Verdicts(), 2_000.0, memo=memo)
        consume_s = time.perf_counter() - began
        reads = units.reads
        for turn in range(TICKS):
            began = time.perf_counter()
            made = tick(store, units, Verdicts(), 2_001.0 + turn, memo=memo)
            times.append(time.perf_counter() - began)
            if made:
                raise SystemExit(f"nothing was new, and {len(made)} decisions were made")
        unread = units.reads - reads
        began = time.perf_counter()
        tick(store, units, Verdicts(), 2_100.0, memo=Memo())
        cold_s = time.perf_counter() - began
    return {
        "apps": apps,
        "started": started,
        "units_each": UNITS,
        "ticks": TICKS,
        "reads_of_units": unread,
        "begin_all_s": begin_s,
        "consume_all_s": consume_s,
        "tick_median_ms": 1e3 * statistics.median(times),
        "tick_max_ms": 1e3 * max(times),
        "first_tick_of_a_new_process_ms": 1e3 * cold_s,
    }


# --- the audit trail


def audit(folder: Path, entries: int) -> dict[str, Any]:
    """A chain of ``entries``, of which the first ones are appended in a transaction each; then verified."""
    app = AppRef(app="shop", environment="production")
    path, alone = folder / "audit.sqlite3", min(entries, ALONE)

    def told(number: int) -> LedgerEntry:
        return LedgerEntry(
            app=app,
            at=float(number),
            kind="observed",
            actor="inchworm",
            what=f"r-{number} context: expanded to 25 % because the loss is within 2.7 points.",
            data={"number": number},
        )

    with ControlStore.open(path) as store:
        began = time.perf_counter()
        for number in range(alone):
            store.append_ledger(told(number))
        append_s = time.perf_counter() - began
    database = Database(path)
    for start in range(alone, entries, TOGETHER):
        with database.write() as connection:
            for number in range(start, min(start + TOGETHER, entries)):
                entry = told(number)
                kept = append_ledger(connection, entry)
                append_audit(
                    connection,
                    AuditEntry(
                        app=app,
                        at=entry.at,
                        actor=entry.actor,
                        action="ledger.append",
                        subject=entry.kind,
                        because=entry.what,
                    ),
                    kept,
                )
    database.close()
    with ControlStore.open(path) as store:
        began = time.perf_counter()
        check = store.verify_audit()
        verify_s = time.perf_counter() - began
        if check.breaks or check.entries != entries:
            raise SystemExit(f"the trail is broken: {check.breaks}")
        began = time.perf_counter()
        exported = sum(1 for _ in store.audit_lines())
        export_s = time.perf_counter() - began
    return {
        "entries": exported,
        "append_us": 1e6 * append_s / alone,
        "verify_s": verify_s,
        "export_s": export_s,
    }


def main() -> None:
    """Run the parts that are asked for, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=3, help="of two controllers at once")
    parser.add_argument("--rounds", type=int, default=25, help="of two teams that apply at once")
    parser.add_argument("--apps", type=int, default=1_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    found: dict[str, Any] = {
        "machine": {"python": platform.python_version(), "cpus": os.cpu_count(), "system": platform.system()}
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.kills:
            found["kills"] = faulty("kills", folder / "kills", options.kills, options.seed)
        if options.worlds:
            found["two"] = [
                faulty("two", folder / f"two-{world}", options.seed + world)
                for world in range(options.worlds)
            ]
        if options.rounds:
            found["race"] = faulty("race", folder / "race", options.rounds)
        if options.apps:
            found["fleet"] = fleet(folder, options.apps)
        if options.entries:
            found["audit"] = audit(folder, options.entries)
    text = json.dumps(found, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    problems = [
        *found.get("kills", {}).get("problems", ()),
        *(problem for one in found.get("two", ()) for problem in one["problems"]),
        *found.get("race", {}).get("problems", ()),
    ]
    unlike = found.get("kills", {}).get("runs_unlike_the_unkilled_one", 0) + sum(
        one["unlike_one_controller"] for one in found.get("two", ())
    )
    if problems or unlike:
        raise SystemExit(f"{len(problems)} invariants were broken, {unlike} runs ended otherwise")


if __name__ == "__main__":
    main()
