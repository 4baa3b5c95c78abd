"""The audit trail is a chain: whatever is changed, removed or put in between is found."""

import itertools
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.unit.store.values import (
    APP,
    BASE,
    CANDIDATE,
    OTHER,
    after,
    benchmark,
    decision,
    entry,
    lineage,
    plan,
    rollout,
    served,
)

from inchworm.domain.access import Scope
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.evalset import EvalSet
from inchworm.domain.ids import RolloutId, short
from inchworm.domain.rollout import Approval, DecisionKind, RolloutState
from inchworm.store.control import ApiKey, AuditFilter, ControlStore
from inchworm.store.control.audit import PINNED
from inchworm.store.control.chain import BEGINNING, walk

TRIGGERS = [
    f"{table}_refuses_{act}"
    for table in ("audit", "ledger", "decisions", "approvals")
    for act in ("update", "delete")
]


def fill(store):
    """A bit of everything that the trail tells of."""
    store.put_configuration(APP, BASE, note="first", at=1.0)
    for app in (APP, OTHER):
        assert store.start_lineage(lineage(app), served(app), entry(app))
    store.append_ledger(entry(at=1.5, what="the program changed"))
    assert store.enqueue([rollout(1), rollout(2)], expected_stable=BASE.id, ledger=[entry(at=2.0)])
    on = store.rollout(RolloutId("r-1"))
    for generation, (kind, state) in enumerate(
        ((DecisionKind.START, RolloutState.EXPOSING), (DecisionKind.PAUSE, RolloutState.PAUSED)), start=1
    ):
        taken = decision(on, kind, state, at=2.0 + generation, because=f"it is „{generation}“")
        on = after(on, taken)
        assert store.commit(
            taken,
            on,
            lineage=lineage(generation=generation + 1, in_flight=on.id),
            expected_lineage=generation,
            serving=served(generation=generation + 1),
            ledger=[entry(at=2.0 + generation)],
        )
    for stage in (0, 1):
        said = Approval(rollout_id=RolloutId("r-1"), stage=stage, actor="ben", at=4.5, reason="fine")
        assert store.put_approval(APP, said, entry(at=4.5, what="ben agreed"))
    key = ApiKey(id="k1", digest="d" * 64, name="ci", scope=Scope.VIEWER, created_at=5.0, created_by="ana")
    store.put_api_key(APP, key)
    store.put_api_key(APP, replace(key, id="k2", name="other"))
    assert store.revoke_api_key(APP, "k2", actor="ana", at=6.0)
    store.touch_api_key("k1", at=7.0)


def measure(store):
    """What is planned and measured; a second time nothing is kept, and nothing told."""
    made = benchmark()
    cases = EvalSet(name="core", version=1, app=APP, cases=(), shares={}, population="last week")
    for at in (8.0, 9.0):
        store.put_plan(plan(), at=at)
        store.put_benchmark(made, at=at)
        store.put_eval_set(cases, at=at)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file with a whole trail; copied before anybody tampers with it."""
    path = tmp_path_factory.mktemp("audit") / "control.db"
    with ControlStore.open(path) as store:
        fill(store)
    return path


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """The same, and what was measured."""
    path = copied(made, tmp_path_factory.mktemp("whole"))
    with ControlStore.open(path) as store:
        measure(store)
    return path


@pytest.fixture
def path(made, tmp_path):
    return copied(made, tmp_path)


def copied(made, folder):
    target = folder / "control.db"
    for ending in ("", "-wal", "-shm"):
        beside = made.with_name(made.name + ending)
        if beside.exists():
            shutil.copy(beside, target.with_name(target.name + ending))
    return target


def tamper(path, *statements):
    """What somebody with the file in hand does: triggers away, then as they like."""
    with closing(sqlite3.connect(path)) as raw:
        for trigger in TRIGGERS:
            raw.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            raw.execute(*statement) if isinstance(statement, tuple) else raw.execute(statement)
        raw.commit()


def verified(path, expect=None):
    with ControlStore.open(path) as store:
        return store.verify_audit(expect)


def test_a_whole_trail_is_whole_and_tells_its_head(path):
    with ControlStore.open(path) as store:
        check = store.verify_audit()
        assert check.breaks == ()
        assert check.head == store.audit_head()
        assert check.entries == check.head.number == 12
        lines = list(store.audit_lines())
        assert [one["number"] for one in lines] == list(range(1, 13))
        assert lines[0]["previous"] == BEGINNING
        assert all(later["previous"] == one["hash"] for one, later in itertools.pairwise(lines))
        # Every head that ever was is still in it.
        assert all(store.verify_audit(one["hash"]).breaks == () for one in lines)


def test_an_empty_trail_is_whole(tmp_path):
    with ControlStore.open(tmp_path / "control.db") as store:
        assert (store.audit_head().number, store.audit_head().hash) == (0, BEGINNING)
        assert store.verify_audit(BEGINNING).breaks == ()
        assert list(store.audit_lines()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_column_of_whatever_row_is_changed_is_found(whole, tmp_path_factory, data):
    table = data.draw(st.sampled_from(["audit", *PINNED]))
    path = copied(whole, tmp_path_factory.mktemp("tampered"))
    with closing(sqlite3.connect(path)) as raw:
        names = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
        # When a key was used is told of by nobody, and the place of a decision is its parent's business.
        free = {"api_keys": {"used_at", "number"}, "decisions": {"number"}}.get(table, set())
        column = data.draw(st.sampled_from([name for name in names if name not in free]))
        ids = [row[0] for row in raw.execute("SELECT rowid FROM " + table)]  # noqa: S608  # names of our own
        row = data.draw(st.sampled_from(ids))
        (old,) = raw.execute("SELECT " + column + " FROM " + table + " WHERE rowid = ?", (row,)).fetchone()  # noqa: S608  # names of our own
    if isinstance(old, int):
        new = data.draw(st.integers(100, 2**40))
    elif isinstance(old, float):
        new = data.draw(st.floats(allow_nan=False, allow_infinity=False, width=32))
    else:
        text = "" if old is None else old
        new = data.draw(st.sampled_from([text + " ", text[1:], text.upper(), "x", "", text + text]))
        if old is None and column in {"expires_at", "revoked_at"}:
            new = data.draw(st.floats(1, 1e9))
    assume(new != old)
    try:
        tamper(path, ("UPDATE " + table + " SET " + column + " = ? WHERE rowid = ?", (new, row)))  # noqa: S608  # names of our own
    except sqlite3.IntegrityError:  # two rows of one key: the database itself does not let it happen
        assume(False)
    assert verified(path).breaks != ()


def test_the_first_broken_entry_is_named_and_what_is_whole_after_it_is_not_blamed(path):
    tamper(path, "UPDATE audit SET because = 'all is well' WHERE number = 6")
    broken = verified(path).breaks
    assert [one.number for one in broken] == [6]
    assert broken[0].because == "entry 6: its hash does not fit: it, or what stood before it, was changed"


def test_a_changed_decision_is_found_by_the_entry_that_tells_of_it(path):
    with closing(sqlite3.connect(path)) as raw:
        (text,) = raw.execute("SELECT data FROM decisions WHERE id = 'r-1/2'").fetchone()
    data = json.loads(text) | {"evidence": {"format": "evidence/1", "units": 11}}
    tamper(path, ("UPDATE decisions SET data = ? WHERE id = 'r-1/2'", (json.dumps(data),)))
    (broken,) = verified(path).breaks
    assert broken.number == 7
    assert broken.because == "row r-1/2 of decisions is not what entry 7 says of it: it was changed"


def test_what_was_planned_and_measured_is_told_once(whole, tmp_path):
    path = copied(whole, tmp_path)
    with ControlStore.open(path) as store:
        told = [(one.action, one.actor, one.subject, one.because) for one in store.audit(APP, limit=3)]
        check = store.verify_audit()
    assert told == [
        ("evalset.keep", "inchworm", "core@1", "a version of 0 cases."),
        (
            "benchmark.make",
            "inchworm",
            "bench-1",
            f"{short(BASE.id)} → {short(CANDIDATE.id)} on core@1: no data.",
        ),
        ("plan.make", "ana", "plan-1", f"planned {short(BASE.id)} → {short(CANDIDATE.id)}."),
    ]
    assert (check.entries, check.breaks) == (15, ())
    tamper(path, "UPDATE benchmarks SET data = replace(data, 'no_data', 'pass')")
    (broken,) = verified(path).breaks
    assert broken.because == "row bench-1 of benchmarks is not what entry 14 says of it: it was changed"


@pytest.mark.parametrize("table", PINNED)
def test_a_row_that_is_removed_is_found(whole, tmp_path, table):
    path = copied(whole, tmp_path)
    tamper(path, "DELETE FROM " + table + " WHERE rowid = (SELECT max(rowid) FROM " + table + ")")  # noqa: S608  # names of our own
    assert any("is gone" in one.because for one in verified(path).breaks)


@pytest.mark.parametrize(
    "row",
    [
        """INSERT INTO api_keys (id, digest, name, scope, created_at, created_by)
        VALUES ('k3', 'd', 'me', 'admin', 1, 'me')""",
        "INSERT INTO ledger (app, at, data) VALUES ('shop/production', 9, '{}')",
        "INSERT INTO decisions (id, rollout_id, parent, at, data) VALUES ('r-1/9', 'r-1', 8, 9, '{}')",
    ],
)
def test_a_row_that_nobody_told_of_is_found(path, row):
    tamper(path, row)
    (broken,) = verified(path).breaks
    assert "is named by no entry" in broken.because


def test_what_is_served_cannot_be_changed_behind_the_trail(path):
    with closing(sqlite3.connect(path)) as raw:
        (text,) = raw.execute("SELECT data FROM serving WHERE app = 'shop/production'").fetchone()
    tamper(path, ("UPDATE serving SET data = ? WHERE app = 'shop/production'", (text.replace(":3", ":4"),)))
    (broken,) = verified(path).breaks
    assert broken.because.startswith("row shop/production of serving")


@pytest.mark.parametrize("removed", ["number = 4", "number IN (2, 3)", "number = 1"])
def test_an_entry_that_is_missing_in_between_is_found(path, removed):
    tamper(path, "DELETE FROM audit WHERE " + removed)  # noqa: S608  # names of our own
    assert any("what was between them is missing" in one.because for one in verified(path).breaks)


def test_an_end_that_is_cut_off_with_all_it_tells_of_is_found_by_a_head_kept_elsewhere(path):
    kept = verified(path).head.hash
    tamper(
        path,
        # The last entry revoked the key k2: an entry before it says how the key was, and so it is again.
        "DELETE FROM audit WHERE number = 12",
        "UPDATE api_keys SET revoked_at = NULL WHERE id = 'k2'",
        "UPDATE sqlite_sequence SET seq = 11 WHERE name = 'audit'",
    )
    assert verified(path).breaks == (), "nothing in the file itself shows it"
    (broken,) = verified(path, kept).breaks
    assert "was expected is not in the chain" in broken.because


def test_who_forgets_the_sequence_is_found_without_a_head(path):
    tamper(
        path, "DELETE FROM audit WHERE number = 12", "UPDATE api_keys SET revoked_at = NULL WHERE id = 'k2'"
    )
    (broken,) = verified(path).breaks
    assert broken.because == "12 numbers were given to entries, and the last one that is there is 11"


def test_after_a_cut_numbers_are_not_given_again(path):
    tamper(path, "DELETE FROM audit WHERE number = 12")
    with ControlStore.open(path) as store:
        store.append_ledger(entry(at=9.0))
        assert store.audit_head().number == 13
        assert any(one.number == 13 for one in store.verify_audit().breaks)


def test_the_lines_are_verified_without_the_database(path):
    with ControlStore.open(path) as store:
        lines = [json.loads(canonical(one)) for one in store.audit_lines()]
    assert walk(lines).breaks == []
    assert walk(lines, lines[3]["hash"]).breaks == []
    assert walk(lines[:-1], lines[-1]["hash"]).breaks[0].number is None
    for place, member in ((0, "actor"), (4, "because"), (9, "at"), (5, "previous"), (7, "hash")):
        changed = [dict(one) for one in lines]
        changed[place][member] = "x"
        assert walk(changed).breaks[0].number == place + 1
    assert walk([*lines[:3], *lines[4:]]).breaks[0].number == 5
    assert walk([*lines[:3], lines[4], lines[3], *lines[5:]]).breaks[0].number == 5


def test_entries_are_found_by_who_what_and_when(path):
    with ControlStore.open(path) as store:

        def numbers(**asked):
            return [one.number for one in store.audit_page(APP, only=AuditFilter(**asked))[0]]

        assert numbers(action="rollout") == [9, 8, 7, 6, 5, 4]
        assert numbers(action="rollout.pause") == [7]
        assert numbers(action="roll") == []
        assert numbers(subject="k2") == [12, 11]
        assert numbers(actor="inchworm") == [7, 6]
        assert numbers(since=5.0, actor="ana") == [12, 11, 10]
        first, cursor = store.audit_page(APP, limit=4)
        second, _ = store.audit_page(APP, after=cursor, limit=99)
        assert [one.number for one in [*first, *second]] == [12, 11, 10, 9, 8, 7, 6, 3, 5, 4, 1], "by time"
        assert store.audit_counts(APP) == {
            "key.add": 2,
            "key.revoke": 1,
            "ledger.append": 1,
            "lineage.start": 1,
            "rollout.approve": 2,
            "rollout.enqueue": 2,
            "rollout.pause": 1,
            "rollout.start": 1,
        }
        assert store.audit_counts(AppRef(app="no", environment="where")) == {}
