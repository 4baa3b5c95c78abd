import sqlite3
from dataclasses import replace

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from tests.unit.store.values import (
    APP,
    BASE,
    CANDIDATE,
    OTHER,
    after,
    benchmark,
    case_id,
    configuration_id,
    decision,
    entry,
    lineage,
    plan,
    rollout,
    served,
    work,
)

from inchworm.domain.attribution import Attribution, Corner, Proposal
from inchworm.domain.benchmark import Interval, Trial
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import ConflictError, InputError, NotFoundError, StoreError, UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import BenchmarkId, ConfigurationId, EvalSetId, PlanId, RolloutId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.points import MOST, EvidencePoint, MetricPoint
from inchworm.domain.rollout import Approval, DecisionKind, RolloutState
from inchworm.domain.work import WorkState
from inchworm.store.control import ControlStore, ImportRecord
from inchworm.store.control.database import REVISIONS
from inchworm.store.control.migrate import settings as alembic_settings
from inchworm.store.control.tables import APPEND_ONLY, IN_FLIGHT, configurations, metadata


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "control.db"


@pytest.fixture
def store(path):
    with ControlStore.open(path) as opened:
        yield opened


@pytest.fixture
def begun(store):
    """A store with a lineage and three rollouts in the queue."""
    store.put_configuration(APP, BASE, note="first", at=1.0)
    assert store.start_lineage(lineage(), served(), entry())
    assert store.reserve_rollouts(3) == ["r-1", "r-2", "r-3"]
    assert store.enqueue(
        [rollout(1), rollout(2), rollout(3)], expected_stable=BASE.id, ledger=[entry(at=2.0)]
    )
    return store


def start(store, number, **more):
    on = store.rollout(RolloutId(f"r-{number}"))
    taken = decision(on, DecisionKind.START, RolloutState.BENCHMARKING)
    return store.commit(taken, after(on, taken), **more)


# --- the file


@pytest.mark.usefixtures("store")
def test_the_migrations_make_exactly_the_tables_that_the_code_knows(path):
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.usefixtures("store")
def test_the_in_flight_index_of_the_file_is_that_of_the_code(path):
    with sqlite3.connect(path) as raw:
        (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'ux_rollouts_in_flight'").fetchone()
    raw.close()
    assert sql.startswith("CREATE UNIQUE INDEX")
    named = sql.partition(" IN (")[2].rstrip(")").replace("'", "").split(", ")
    assert named == [state.value for state in IN_FLIGHT]


def test_every_migration_is_known_by_name_and_says_when_it_runs():
    scripts = ScriptDirectory.from_config(alembic_settings())
    found = [script.revision for script in scripts.walk_revisions()][::-1]
    assert tuple(found) == REVISIONS
    assert all(name[:4].isdecimal() and name[5:].split("_")[0] in {"pre", "post"} for name in found)


@pytest.mark.parametrize("since", REVISIONS[:-1])
def test_whatever_an_older_version_wrote_is_there_after_an_upgrade(path, since):
    with ControlStore.open(path) as store:
        store.put_configuration(APP, BASE, note="first", at=1.0)
        assert store.start_lineage(lineage(), served(), entry())
        store.reserve_rollouts(1)
        assert store.enqueue([rollout(1)], expected_stable=BASE.id, ledger=[entry(at=2.0)])
        assert start(store, 1)
        store.put_plan(plan(), at=3.0)
        store.put_eval_set(_eval_set(1, (_case(1),)), at=3.0)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.downgrade(alembic_settings(connection), since)
    engine.dispose()
    before = dump(path)
    assert before["alembic_version"] == [(since,)]
    before["audit"] = [row[:7] for row in before["audit"]]  # without the chain, where there was one

    with ControlStore.open(path) as store:
        assert store.rollout(RolloutId("r-1")).state is RolloutState.BENCHMARKING
        assert store.points(RolloutId("r-1")) == []
        assert store.api_keys() == []
        assert store.reserve_rollouts(1) == ["r-2"], "ids are never given twice"
        assert store.verify_audit().breaks == ()
        assert store.audit_head().number == len(before["audit"])
    after_it = dump(path)
    after_it["audit"] = [row[:7] for row in after_it["audit"]]
    assert after_it.pop("alembic_version") == [(REVISIONS[-1],)]
    unchanged = before.keys() - {"alembic_version", "counters", "sqlite_sequence"}
    assert {"configurations", "lineages", "serving", "rollouts", "decisions", "ledger", "audit"} <= unchanged
    assert {name: after_it[name] for name in unchanged} == {name: before[name] for name in unchanged}


def dump(path):
    """Every row of every table."""
    with sqlite3.connect(path) as raw:
        names = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: raw.execute("SELECT * FROM " + name + " ORDER BY rowid").fetchall() for name in names}  # noqa: S608  # our own names
    raw.close()
    return rows


def test_it_survives_being_closed(path):
    with ControlStore.open(path) as first:
        first.put_configuration(APP, BASE, note="first", at=1.0)
    with ControlStore.open(path) as second:
        assert second.configuration(BASE.id) == BASE


def test_it_runs_with_a_write_ahead_log_and_full_synchronisation(store):
    with store._db.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000


def test_a_newer_file_is_left_alone(path):
    ControlStore.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999_pre_future'")
    raw.close()
    with pytest.raises(StoreError, match=r"newer version.*9999_pre_future") as caught:
        ControlStore.open(path)
    assert "upgrade" in str(caught.value.hint)


def test_a_foreign_database_is_left_alone(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE cats (name)")
    raw.close()
    with pytest.raises(StoreError, match="not one of Inchworm's"):
        ControlStore.open(path)


def test_what_is_no_database_is_said_so(path):
    path.parent.mkdir()
    path.write_bytes(b"hello, I am a text file" * 100)
    with pytest.raises(StoreError, match="no intact SQLite database"):
        ControlStore.open(path)
    assert path.read_bytes().startswith(b"hello")


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written to") as caught:
        ControlStore.open(tmp_path / "file" / "control.db")
    assert "data directory" in str(caught.value.hint)


def test_a_path_that_is_a_folder_is_said_so(tmp_path):
    (tmp_path / "control.db").mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        ControlStore.open(tmp_path / "control.db")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("act", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
def test_what_was_appended_cannot_be_changed_or_removed(begun, path, table, act):
    assert start(begun, 1)
    said = Approval(rollout_id=RolloutId("r-1"), stage=0, actor="ben", at=2.0)
    assert begun.put_approval(APP, said, entry())
    with sqlite3.connect(path) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(act.format(table))
    raw.close()


# --- configurations, lineage, plans, ledger


def test_a_configuration_is_kept_once_and_found_by_what_a_user_types(begun):
    begun.put_configuration(APP, BASE, note="again", at=9.0)
    begun.put_configuration(APP, CANDIDATE, note="second", at=2.0)
    assert [(kept.configuration, kept.note) for kept in begun.configurations(APP)] == [
        (CANDIDATE, "second"),
        (BASE, "first"),
    ]
    assert begun.configurations(OTHER) == []
    for name in ("stable", BASE.id, BASE.id[:4], BASE.id[:9].upper()):
        assert begun.find_configuration(APP, name) == BASE


def test_a_name_that_finds_nothing_or_too_much_is_said_so(begun):
    with pytest.raises(NotFoundError, match='no configuration "zzzz"'):
        begun.find_configuration(APP, "zzzz")
    with pytest.raises(UsageError, match="too short"):
        begun.find_configuration(APP, BASE.id[:3])
    with pytest.raises(NotFoundError, match="no stable"):
        begun.find_configuration(OTHER, "stable")
    with pytest.raises(NotFoundError, match=r"no configuration c{4}…cc"):
        begun.configuration(configuration_id("c"))
    with pytest.raises(NotFoundError):
        begun.find_configuration(APP, "____")
    # Two ids that begin alike are rarer than this test is patient: the rows say so themselves.
    with begun._db.write() as connection:
        for name in ("abcda", "abcdb"):
            row = {"app": str(APP), "id": name, "note": "", "at": 0.0, "data": ""}
            connection.execute(configurations.insert().values(row))
    with pytest.raises(UsageError, match="ambiguous: abcda, abcdb"):
        begun.find_configuration(APP, "abcd")


def test_a_lineage_begins_once(begun):
    assert not begun.start_lineage(lineage(note="another"), served(), entry())
    assert begun.lineage(APP) == lineage()
    assert begun.serving(APP) == served()
    assert begun.lineage(OTHER) is None
    assert begun.serving(OTHER) is None
    assert begun.apps() == [APP]
    assert [one.action for one in begun.audit(APP)][-1] == "lineage.start"
    with pytest.raises(ValueError, match="one app"):
        begun.start_lineage(lineage(), served(OTHER), entry())


def test_apps_whose_names_would_fall_together_are_refused(store):
    with pytest.raises(InputError, match="names no app"):
        store.lineage(AppRef(app="a/b", environment="c"))


def test_plans_come_back(store):
    store.put_plan(plan(), at=1.0)
    store.put_plan(replace(plan(), notes=("other",)), at=2.0)
    store.put_plan(plan(name="plan-2"), at=3.0)
    assert store.plan(PlanId("plan-1")) == plan()
    assert [one.id for one in store.plans(APP)] == ["plan-2", "plan-1"]
    with pytest.raises(NotFoundError, match="plan-9"):
        store.plan(PlanId("plan-9"))


def test_the_ledger_is_read_newest_first_and_bounded(store):
    for at in (3.0, 1.0, 2.0, 2.0):
        store.append_ledger(entry(at=at, what=f"at {at}"))
    assert [one.at for one in store.ledger(APP)] == [3.0, 2.0, 2.0, 1.0]
    assert [one.at for one in store.ledger(APP, since=2.0, limit=2)] == [3.0, 2.0]
    assert store.ledger(OTHER) == []


def test_text_that_is_no_unicode_is_refused_whole(store):
    with pytest.raises(InputError, match="surrogate"):
        store.append_ledger(entry(what="\ud800"))
    with pytest.raises(InputError, match="surrogate"):
        store.put_configuration(APP, BASE, note="\udcff", at=1.0)
    assert store.ledger(APP) == []
    store.append_ledger(entry(what="a\0b"))
    assert store.ledger(APP)[0].what == "a\0b"


# --- rollouts


def test_ids_are_never_given_twice(path):
    with ControlStore.open(path) as one, ControlStore.open(path) as two:
        given = [*one.reserve_rollouts(2), *two.reserve_rollouts(1), *one.reserve_rollouts(0)]
        assert given == ["r-1", "r-2", "r-3"]
        assert two.reserve_rollouts(1) == ["r-4"]


def test_rollouts_queue_together_or_not_at_all(begun):
    stale = [rollout(4)]
    assert not begun.enqueue(stale, expected_stable=CANDIDATE.id, ledger=[entry(at=9.0)])
    with pytest.raises(ConflictError, match="step 1 of plan-1 is queued or in flight already"):
        begun.enqueue([rollout(4), rollout(1)], expected_stable=BASE.id, ledger=[])
    assert [one.id for one in begun.rollouts()] == ["r-1", "r-2", "r-3"]
    assert len(begun.ledger(APP)) == 2
    with pytest.raises(NotFoundError, match="no stable"):
        begun.enqueue([rollout(4, OTHER)], expected_stable=BASE.id, ledger=[])
    with pytest.raises(ValueError, match="one app"):
        begun.enqueue([rollout(4), rollout(5, OTHER)], expected_stable=BASE.id, ledger=[])
    with pytest.raises(ValueError, match="no rollout id"):
        begun.enqueue([replace(rollout(4), id=RolloutId("x-4"))], expected_stable=BASE.id, ledger=[])


def test_rollouts_are_ordered_by_number_not_by_text(begun):
    assert begun.enqueue([rollout(11), rollout(10)], expected_stable=BASE.id, ledger=[])
    assert [one.id for one in begun.rollouts(APP)] == ["r-1", "r-2", "r-3", "r-10", "r-11"]
    assert begun.rollouts(OTHER) == []
    assert begun.rollouts(states=[]) == []
    assert start(begun, 2)
    assert [one.id for one in begun.rollouts(APP, {RolloutState.BENCHMARKING})] == ["r-2"]
    assert begun.rollout(RolloutId("r-10")) == rollout(10)


def test_a_decision_lands_with_all_that_follows(begun):
    moved = lineage(generation=2, in_flight=RolloutId("r-1"))
    more = {
        "lineage": moved,
        "expected_lineage": 1,
        "serving": served(generation=2),
        "ledger": [entry(at=5.0, what="started")],
        "work": [work("w-1"), work("w-1")],
    }
    assert start(begun, 1, **more)
    now = begun.rollout(RolloutId("r-1"))
    assert (now.state, now.generation) == (RolloutState.BENCHMARKING, 1)
    assert begun.lineage(APP) == moved
    assert begun.serving(APP) == served(generation=2)
    assert begun.ledger(APP)[0].what == "started"
    assert [item.id for item in begun.work()] == ["w-1"]
    assert [one.id for one in begun.decisions(now.id)] == ["r-1/1"]
    last = begun.audit(APP)[0]
    assert (last.action, last.subject, last.actor, last.because) == (
        "rollout.start",
        "r-1",
        "inchworm",
        "as told",
    )


@pytest.mark.parametrize("missed", ["rollout", "lineage", "held lineage", "serving", "in flight"])
def test_a_decision_that_misses_writes_nothing(begun, missed):
    on = begun.rollout(RolloutId("r-2"))
    taken = decision(on, DecisionKind.START, RolloutState.BENCHMARKING)
    more = {
        "lineage": lineage(generation=2, in_flight=on.id),
        "expected_lineage": 1,
        "serving": served(generation=2),
        "ledger": [entry(at=5.0)],
        "work": [work("w-1")],
    }
    if missed == "rollout":
        taken = replace(taken, parent=7)
    elif missed == "lineage":
        more |= {"expected_lineage": 0, "lineage": lineage(generation=9)}
    elif missed == "held lineage":
        more |= {"expected_lineage": 0, "lineage": None}
    elif missed == "serving":
        more["serving"] = served(generation=1)
    else:
        assert start(begun, 1)
    before = _everything(begun)
    assert not begun.commit(taken, after(on, taken), **more)
    assert _everything(begun) == before


def _everything(store):
    return (
        store.rollouts(),
        store.lineage(APP),
        store.serving(APP),
        store.ledger(APP),
        store.audit(APP),
        store.work(),
        [store.decisions(one.id) for one in store.rollouts()],
    )


def test_contradictory_arguments_are_a_fault_of_the_caller(begun):
    on = begun.rollout(RolloutId("r-1"))
    taken = decision(on, DecisionKind.START, RolloutState.BENCHMARKING)
    then = after(on, taken)
    for problem, more in (
        ("does not lead", {"rollout": replace(then, generation=5)}),
        ("does not lead", {"rollout": replace(then, id=RolloutId("r-2"))}),
        ("name it", {"lineage": lineage(generation=2)}),
        ("does not grow", {"lineage": lineage(), "expected_lineage": 1}),
        ("does not move the lineage", {"lineage": lineage(OTHER, generation=2), "expected_lineage": 1}),
        ("does not move what", {"serving": served(OTHER, 2)}),
    ):
        with pytest.raises(ValueError, match=problem):
            begun.commit(taken, **({"rollout": then} | more))
    with pytest.raises(NotFoundError, match="r-9"):
        begun.commit(replace(taken, rollout_id=RolloutId("r-9")), replace(then, id=RolloutId("r-9")))
    assert begun.decisions(on.id) == []


def test_unknown_rollouts_are_said_so(begun):
    unknown = RolloutId("r-9")
    for ask in (
        lambda: begun.rollout(unknown),
        lambda: begun.decisions(unknown),
        lambda: begun.save_monitor(unknown, expected=0, watermark=1, state={}),
    ):
        with pytest.raises(NotFoundError, match="r-9"):
            ask()


@settings(max_examples=40)
@given(moves=st.lists(st.tuples(st.integers(1, 3), st.sampled_from(sorted(RolloutState))), max_size=25))
def test_at_most_one_is_in_flight_and_generations_count_decisions(tmp_path_factory, moves):
    with ControlStore.open(tmp_path_factory.mktemp("control") / "c.db") as store:
        store.start_lineage(lineage(), served(), entry())
        store.enqueue([rollout(n) for n in (1, 2, 3)], expected_stable=BASE.id, ledger=[])
        for number, state in moves:
            on = store.rollout(RolloutId(f"r-{number}"))
            others = [one for one in store.rollouts(APP, IN_FLIGHT) if one.id != on.id]
            taken = decision(on, DecisionKind.EXPOSE, state)
            assert store.commit(taken, after(on, taken)) == (not others or state not in IN_FLIGHT)
            assert len(store.rollouts(APP, IN_FLIGHT)) <= 1
        for one in store.rollouts():
            assert one.generation == len(store.decisions(one.id))


def test_the_monitor_moves_by_compare_and_set(begun):
    one = RolloutId("r-1")
    assert begun.monitor(one) is None
    assert not begun.save_monitor(one, expected=5, watermark=6, state={})
    assert begun.save_monitor(one, expected=0, watermark=0, state={"sum": 0.0})
    assert begun.save_monitor(one, expected=0, watermark=5, state={"sum": 0.1})
    assert not begun.save_monitor(one, expected=0, watermark=7, state={"sum": 9.0})
    assert begun.save_monitor(one, expected=5, watermark=7, state={"sum": 0.1 + 0.2})
    assert begun.monitor(one) == (7, {"sum": 0.1 + 0.2})
    with pytest.raises(ValueError, match="never goes back"):
        begun.save_monitor(one, expected=7, watermark=6, state={})
    with pytest.raises(InputError, match="JSON"):
        begun.save_monitor(one, expected=7, watermark=8, state={"e": float("nan")})


# --- evidence over time


def point(consumed, at=None, stage=0, effect=0.012345678):
    said = MetricPoint(
        name="answered",
        effect=effect,
        low=None if effect is None else -0.05,
        high=None if effect is None else 0.07,
        baseline=consumed - 1,
        candidate=1,
        log_e_harm=-2.5,
        log_e_expand=1.25,
    )
    return EvidencePoint(
        rollout_id=RolloutId("r-1"),
        at=float(consumed) if at is None else at,
        consumed=consumed,
        stage=stage,
        metrics=(said,),
    )


def test_points_come_back_rounded_to_what_a_plot_can_show(begun):
    assert begun.points(RolloutId("r-1")) == []
    assert begun.save_point(point(10, effect=None))
    assert begun.save_point(point(20))
    first, second = begun.points(RolloutId("r-1"))
    assert first == point(10, effect=None)
    assert second == point(20, effect=0.012346)


def test_a_point_without_new_units_writes_nothing(begun, path):
    assert begun.save_point(point(10))
    with sqlite3.connect(path) as other:
        version = other.execute("PRAGMA data_version").fetchone()
        assert not begun.save_point(point(10, at=99.0))
        assert not begun.save_point(point(9, at=99.0))
        assert other.execute("PRAGMA data_version").fetchone() == version
    other.close()
    assert begun.points(RolloutId("r-1")) == [point(10, effect=0.012346)]


def test_of_many_points_a_few_are_kept_the_first_and_the_newest_among_them(begun):
    for number in range(1, MOST + 12):
        assert begun.save_point(point(number))
    kept = begun.points(RolloutId("r-1"))
    assert len(kept) == MOST
    assert (kept[0].consumed, kept[-1].consumed) == (1, MOST + 11)


def test_a_point_that_is_no_number_is_refused(begun):
    with pytest.raises(InputError, match="JSON"):
        begun.save_point(point(10, effect=float("nan")))
    assert begun.points(RolloutId("r-1")) == []


# --- eval sets, benchmarks, attributions


def _case(number):
    return Case(
        id=case_id(number), inputs={"question": str(number)}, origin="file:x", cluster="c", group=str(number)
    )


def _eval_set(version, cases):
    return EvalSet(
        name="core", version=version, app=APP, cases=cases, shares={"c": 1.0}, population="last week"
    )


def test_versions_of_an_eval_set_never_change(store):
    first, second = _eval_set(1, (_case(1),)), _eval_set(2, (_case(1), _case(2)))
    store.put_eval_set(first, at=1.0)
    store.put_eval_set(second, at=2.0)
    store.put_eval_set(first, at=3.0)
    assert store.eval_set(APP, "core") == second
    assert store.eval_set(APP, "core", 1) == first
    assert [(one.id, one.cases, one.at) for one in store.eval_sets(APP)] == [
        ("core@1", 1, 1.0),
        ("core@2", 2, 2.0),
    ]
    with pytest.raises(ConflictError, match="core@1"):
        store.put_eval_set(_eval_set(1, ()), at=4.0)
    with pytest.raises(NotFoundError, match="core@3"):
        store.eval_set(APP, "core", 3)
    with pytest.raises(NotFoundError, match="no eval set core"):
        store.eval_set(OTHER, "core")


def test_a_proposal_is_closed_once(store):
    made = Proposal(id="p-1", app=APP, origin="attribution:model", because="it broke", cases=(case_id(1),))
    store.put_proposal(made, [_case(1)], at=1.0)
    assert store.proposals(APP) == [made]
    assert store.proposal("p-1") == (made, [_case(1)])
    assert store.close_proposal("p-1", "admitted")
    assert not store.close_proposal("p-1", "declined")
    store.put_proposal(made, [], at=2.0)
    assert store.proposals(APP) == []
    assert store.proposals(APP, open_only=False) == [made]
    for ask in (lambda: store.proposal("p-2"), lambda: store.close_proposal("p-2", "admitted")):
        with pytest.raises(NotFoundError, match="p-2"):
            ask()
    with pytest.raises(ValueError, match="open"):
        store.close_proposal("p-1", "open")


def test_benchmarks_and_attributions_come_back_newest_first(store):
    made = benchmark()
    store.put_benchmark(made, at=1.0)
    store.put_benchmark(replace(made, id=BenchmarkId("bench-2")), at=2.0)
    store.put_benchmark(made, at=3.0)
    assert store.benchmark(BenchmarkId("bench-1")) == made
    assert [one.id for one in store.benchmarks(APP)] == ["bench-2", "bench-1"]
    with pytest.raises(NotFoundError, match="bench-3"):
        store.benchmark(BenchmarkId("bench-3"))

    zero = Interval(estimate=0.0, low=-0.1, high=0.1)
    corner = Corner(moved=(), configuration_id=BASE.id, mean=0.5, effect=zero)
    found = Attribution(
        app=APP,
        metric="right",
        base=BASE.id,
        candidate=CANDIDATE.id,
        eval_set=EvalSetId("core@1"),
        layers=(Layer.MODEL,),
        cases=1,
        trials=2,
        errored=0,
        total=zero,
        contributions=(),
        shapley={Layer.MODEL: zero},
        corners=(corner,),
        ship=corner,
    )
    store.put_attribution(found, at=1.0)
    store.put_attribution(found, at=2.0)
    store.put_attribution(replace(found, metric="short"), at=3.0)
    assert store.attributions(APP) == [replace(found, metric="short"), found]


def test_trials_are_cached_but_errors_of_the_harness_are_not(store):
    good = Trial(case_id=case_id(1), configuration_id=BASE.id, repetition=0, outcome=Ok(), output="yes")
    failed = replace(good, case_id=case_id(2), outcome=Failed(reason="late"), output=None)
    errored = replace(good, case_id=case_id(3), outcome=Errored(reason="no network"))
    store.put_trials([good, failed, errored])
    store.put_trials([replace(good, output="no")])
    store.put_trials([])
    ids = [case_id(n) for n in range(12_000)]
    assert store.trials(ids, [BASE.id]) == {
        (case_id(1), BASE.id, 0): replace(good, output="no"),
        (case_id(2), BASE.id, 0): failed,
    }
    assert store.trials(ids, [CANDIDATE.id]) == {}
    assert store.trials([], []) == {}


# --- work, blobs, imports


def test_an_owner_that_begins_anew_gives_its_work_back(store):
    store.add_work([work("w-1"), work("w-2"), work("w-3", app=OTHER)])
    kinds = {"benchmark"}
    store.lease_work(kinds, owner="a", now=100.0, lease_s=1_000.0)
    store.lease_work(kinds, owner="b", now=100.0, lease_s=1_000.0)
    assert store.release_work(owner="a") == 1
    assert store.release_work(owner="a") == 0
    assert [item.id for item in store.lease_work(kinds, owner="c", now=101.0, lease_s=10.0)] == ["w-1"]
    assert store.lease_work(kinds, owner="c", now=101.0, lease_s=10.0, limit=9, app=APP) == []
    left = store.lease_work(kinds, owner="c", now=101.0, lease_s=10.0, limit=9, app=OTHER)
    assert [item.id for item in left] == ["w-3"]


def test_work_is_leased_to_one_owner_at_a_time(store):
    assert store.add_work([work("w-1"), work("w-2"), work("w-3", kind="import")]) == 3
    assert store.add_work([work("w-1"), work("w-4", app=OTHER)]) == 1
    kinds = {"benchmark"}
    (first,) = store.lease_work(kinds, owner="a", now=100.0, lease_s=10.0)
    assert (first.id, first.state, first.attempts, first.lease_until) == ("w-1", WorkState.LEASED, 1, 110.0)
    rest = store.lease_work(kinds, owner="b", now=109.9, lease_s=10.0, limit=9)
    assert [item.id for item in rest] == ["w-2", "w-4"]
    (again,) = store.lease_work(kinds, owner="b", now=110.0, lease_s=10.0, limit=9)
    assert (again.id, again.attempts) == ("w-1", 2)
    assert not store.finish_work(first.id, owner="a", result={})
    assert store.finish_work(first.id, owner="b", result={"n": 1})
    assert not store.finish_work(first.id, owner="b", result={"n": 2})
    assert store.fail_work(WorkId("w-2"), owner="b", error="no network", retry=True)
    assert store.fail_work(WorkId("w-4"), owner="b", error="no key", retry=False)
    states = {item.id: (item.state, item.result, item.error) for item in store.work()}
    assert states == {
        "w-1": (WorkState.DONE, {"n": 1}, None),
        "w-2": (WorkState.READY, None, "no network"),
        "w-3": (WorkState.READY, None, None),
        "w-4": (WorkState.FAILED, None, "no key"),
    }
    assert [item.id for item in store.work(APP, {WorkState.READY})] == ["w-2", "w-3"]
    assert store.lease_work(set(), owner="a", now=0.0, lease_s=1.0) == []
    with pytest.raises(NotFoundError, match="w-9"):
        store.finish_work(WorkId("w-9"), owner="a", result={})


def test_blobs_are_replaced(store):
    assert store.blob(APP, "clusters") is None
    store.put_blob(APP, "clusters", b"\0one", at=1.0)
    store.put_blob(APP, "clusters", b"two\xff", at=2.0)
    assert store.blob(APP, "clusters") == b"two\xff"
    assert store.blob(OTHER, "clusters") is None


def test_imports_are_remembered(store):
    one = ImportRecord(app=APP, digest="d1", file="a.jsonl", counts={"new": 2}, at=1.0)
    assert store.import_seen(APP, "d1") is None
    store.put_import(one)
    store.put_import(replace(one, digest="d2", at=2.0))
    store.put_import(replace(one, counts={"new": 2, "duplicate": 1}))
    assert store.import_seen(APP, "d1") == replace(one, counts={"new": 2, "duplicate": 1})
    assert store.import_seen(OTHER, "d1") is None
    assert [record.digest for record in store.imports(APP)] == ["d2", "d1"]


def test_a_configuration_may_belong_to_two_apps(store):
    store.put_configuration(APP, BASE, note="here", at=1.0)
    store.put_configuration(OTHER, BASE, note="there", at=2.0)
    assert store.configuration(ConfigurationId(BASE.id)) == Configuration.from_content(BASE.content())
    assert [kept.note for kept in store.configurations(OTHER)] == ["there"]
