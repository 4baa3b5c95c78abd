"""The stores over the wire: every method round trips, and commands work while a server runs."""

import dataclasses
import inspect
import json
import math
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.api.serving import TOKEN
from tests.unit.app.cli import small_shop

from inchworm.app.codes import CODES, error_of
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.keys import make
from inchworm.app.remote.client import Client
from inchworm.app.remote.methods import LOCAL, METHODS, STORES, actors
from inchworm.app.remote.server import KEY, URL, Server, elsewhere, here
from inchworm.app.remote.stores import RemoteControl, RemoteTraces
from inchworm.app.remote.wire import arguments_of, result_of, wire
from inchworm.domain.access import Scope
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InchwormError, InputError, NotFoundError, StoreError, UsageError
from inchworm.domain.ids import RolloutId, TraceId, UnitId, WorkId
from inchworm.domain.outcome import Ok
from inchworm.domain.rollout import LedgerEntry, RolloutState
from inchworm.domain.shadow import MirroredCall
from inchworm.domain.span import Span
from inchworm.domain.trace import Arm, Exposure, Trace
from inchworm.domain.work import WorkItem, WorkState
from inchworm.store.control import AuditFilter, ControlStore
from inchworm.store.traces import TraceFilter, TraceStore
from inchworm.store.traces.matured import Due


def public(kind):
    return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize("store", STORES)
def test_every_method_travels_or_stays_for_a_reason(store):
    assert public(STORES[store]) == METHODS[store].keys() | LOCAL[store].keys()
    assert not METHODS[store].keys() & LOCAL[store].keys()
    assert all(LOCAL[store].values())


@pytest.mark.parametrize(("store", "method"), [(s, m) for s, methods in METHODS.items() for m in methods])
def test_how_every_method_travels_is_known(store, method):
    local = getattr(STORES[store], method)
    arguments_of(local)
    result_of(local)
    remote = {"traces": RemoteTraces, "control": RemoteControl}[store]
    assert inspect.signature(getattr(remote, method)) == inspect.signature(local)
    assert getattr(remote, method) is not local


@pytest.fixture
def stores(served):
    """A server's stores, and the same over the wire, with a rollout that has units with outcomes."""
    running, cli = served
    cli.declare(documents=2)
    cli("apply", cli.plan())
    units = cli.json("rollout", "resolve", *(f"s{number}" for number in range(80)))["units"]
    cli("import", "-", stdin=small_shop.exposed(units, harm=True, now=time.time()))
    cli("benchmark", "stable", "declared")
    cli("attribute", "stable", "declared")
    server = Server(url=running.url, token=TOKEN)
    house = running.state.house
    with RemoteTraces(server) as traces, RemoteControl(server) as control:
        yield house, traces, control


def same(one, other):
    """Equal, with arrays by their type and their values."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if dataclasses.is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
        )
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return (
            type(one) is type(other)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    return type(one) is type(other) and one == other


def test_what_is_read_over_the_wire_is_what_is_there(stores):
    house, traces, control = stores
    app, now = house.app, time.time()
    rollout = house.control.rollouts(app)[0]
    some = house.traces.traces(app, limit=3).traces
    benchmark, plan = house.control.benchmarks(app)[0], house.control.plans(app)[0]
    cases = house.control.eval_set(app, "main").cases
    shadow = dataclasses.replace(some[0], id=TraceId("c-1"), assignment=None, shadow_of=some[0].id)
    mirrored = MirroredCall(
        rollout_id=rollout.id,
        order=0,
        trace_id=some[0].id,
        shadow_id=shadow.id,
        unit_id=some[0].unit_id,
        stage=0,
        at=some[0].at,
    )
    assert traces.add_mirrored([mirrored]) == 1
    house.traces.add_traces([shadow])
    spanned = Span(app=app, trace_id=some[0].id, id="s-1", outcome=Ok(), people={"session": "x"})
    assert traces.put_spans([spanned]).new == 1
    assert traces.put_traces([some[0]]).duplicate == 1
    due = {"start": 0, "matured_before": math.inf, "waited_before": math.inf, "limit": 9}
    assert house.traces.pairs(app, rollout.id, **due).candidate.traces.tolist() == [1]
    key, _ = make("k", Scope.VIEWER, by="ana", now=now, expires_at=None, random=bytes)
    house.control.put_api_key(app, key)
    trace_calls = {
        "arrived": (rollout.id, {"before": 99, "since": -1, "window_s": math.inf}),
        "arrived_after": (app, 3, {"filters": TraceFilter(arm=Arm.BASELINE), "limit": 2}),
        "assignments": (rollout.id, ["s1", "s2", "nobody"]),
        "changed_arms": (rollout.id,),
        "clusters": (app,),
        "count": (app,),
        "exposures_count": (rollout.id,),
        "facets": (app, TraceFilter(since=0.0)),
        "known": (app, {some[0].id, "nobody"}),
        "known_mirrored": (rollout.id, ["c-1", "nobody"]),
        "last_mirrored": (rollout.id,),
        "last_order": (rollout.id,),
        "pairs": (app, rollout.id, due),
        "matured": ([Due(rollout_id=rollout.id, units_until=(now, 0.0), pairs_until=now)],),
        "period": (app,),
        "quality": (app, {"metric": "answered", "since": 0.0, "until": now, "width_s": 86_400.0}),
        "quantile": (app, "latency_ms", 0.5, {"since": 0.0, "until": math.inf}),
        "scored": (rollout.id, ["answered"], {"before": 99, "since": -1, "window_s": math.inf}),
        "seen": (app,),
        "shadow_of": (app, some[0].id),
        "shadow_spent": (app, rollout.id, 0),
        "spans": (app, [spanned.trace_id, TraceId("nobody")]),
        "summary": (app, {"by": "cluster", "metrics": ["answered"], "since": 0.0, "until": now}),
        "trace": (app, some[0].id),
        "traces": (app, {"filters": TraceFilter(metric_below=("answered", 0.5), arm=Arm.CANDIDATE)}),
        "latest_of_units": (app, [(some[0].unit_id, now), (UnitId("nobody"), now)]),
        "scores_by_id": (app, {"feedback-1"}),
        "scores_of": (app, {some[0].id}),
        "traces_of_spans": (app, {spanned.id}),
        "traffic": (app, {"now": now, "days": 7.0}),
        "units": (rollout.id, {"start": 0, "matured_before": math.inf, "limit": 1_000}),
    }
    control_calls = {
        "api_key": (key.id,),
        "api_keys": (),
        "approvals": ([rollout.id],),
        "apps": (),
        "attributions": (app,),
        "audit": (app,),
        "audit_counts": (app,),
        "audit_head": (),
        "audit_page": (app, {"only": AuditFilter(action="rollout"), "limit": 2}),
        "benchmark": (benchmark.id,),
        "benchmarks": (app,),
        "blob": (app, "label/embedder"),
        "blob_at": (app, "label/embedder"),
        "configuration": (rollout.base,),
        "configurations": (app,),
        "decisions": (rollout.id,),
        "eval_set": (app, "main"),
        "eval_sets": (app,),
        "find_configuration": (app, "stable"),
        "import_seen": (app, house.control.imports(app)[0].digest),
        "imports": (app,),
        "ledger": (app, {"since": 1.0}),
        "ledger_page": (app,),
        "lineage": (app,),
        "lineages": (),
        "monitor": (rollout.id,),
        "notice_counts": (app,),
        "notices": (app,),
        "plan": (plan.id,),
        "plans": (app,),
        "points": (rollout.id,),
        "proposal": (house.control.proposals(app)[0].id,) if house.control.proposals(app) else None,
        "proposals": (app,),
        "rollout": (rollout.id,),
        "rollouts": (app, {RolloutState.EXPOSING}),
        "serving": (app,),
        "servings": (),
        "stable_at": (app, now),
        "trials": ([case.id for case in cases], [benchmark.base, benchmark.candidate]),
        "verify_audit": ("0" * 64,),
        "watermarks": ([rollout.id],),
        "work": (app, {WorkState.READY, WorkState.DONE}),
        "work_items": ([one.id for one in house.control.work(app)],),
    }
    reading = {
        name: {one for one, scope in methods.items() if scope in {Scope.VIEWER, Scope.ADMIN}}
        for name, methods in METHODS.items()
    }
    assert trace_calls.keys() == reading["traces"] - {"iterate"}
    assert control_calls.keys() == reading["control"] - {"audit_lines", "put_api_key", "revoke_api_key"}
    for local, remote, calls in (
        (house.traces, traces, trace_calls),
        (house.control, control, control_calls),
    ):
        for name, said in calls.items():
            if said is None:
                continue
            named = said[-1] if said and isinstance(said[-1], dict) else {}
            positional = said[:-1] if named else said
            one, other = (getattr(store, name)(*positional, **named) for store in (local, remote))
            assert same(one, other), name
    assert [len(batch) for batch in traces.iterate(app, batch=70)] == [
        len(batch) for batch in house.traces.iterate(app, batch=70)
    ]
    assert same([*traces.iterate(app)], [*house.traces.iterate(app)])
    assert [*control.audit_lines()] == [*house.control.audit_lines()]


def test_what_is_written_over_the_wire_is_there(stores):
    house, traces, control = stores
    app = house.app
    some = house.traces.traces(app, limit=2).traces
    fresh = [dataclasses.replace(one, id=f"new-{n}", scores=()) for n, one in enumerate(some)]
    assert traces.add_traces(fresh, cluster={fresh[0].id: "elsewhere"}).new == 2
    traces.set_clusters(app, {fresh[1].id: "there"})
    assert house.traces.clusters(app, ["new-0", "new-1"]) == {"new-0": "elsewhere", "new-1": "there"}
    assert traces.add_scores([(app, fresh[0].id, some[0].scores[0])]) == 1
    assert house.traces.trace(app, "new-0").scores == some[0].scores[:1]
    order = (house.traces.last_order("r-1") or 0) + 1
    exposure = Exposure(
        rollout_id=RolloutId("r-1"),
        order=order,
        unit_id=UnitId("u"),
        stage=0,
        arm=Arm.BASELINE,
        probability=0.5,
        at=1.0,
    )
    assert traces.add_exposures([exposure]) == 1
    assert house.traces.assignments("r-1", ["u"]) == {"u": exposure}
    assert control.reserve_rollouts(2) == ["r-2", "r-3"]
    control.put_blob(app, "x", b"\x00\xff", at=1.0)
    assert house.control.blob(app, "x") == b"\x00\xff"
    item = WorkItem(id=WorkId("w"), app=app, kind="k", payload={"a": [1, None]})
    assert control.add_work([item]) == 1
    (leased,) = control.lease_work(["k"], owner="o", now=2.0, lease_s=3.0)
    assert leased.lease_until == 5.0
    assert control.finish_work("w", owner="o", result={"ok": True})
    watermark, state = house.control.monitor("r-1") or (0, {"version": 1})
    assert control.save_monitor("r-1", expected=watermark, watermark=watermark, state=state)


def test_errors_come_back_as_what_they_were(stores):
    house, traces, _ = stores
    with pytest.raises(NotFoundError, match="has no trace nothing-like-it") as caught:
        traces.trace(house.app, "nothing-like-it")
    assert caught.value.hint == "inchworm traces list"
    with pytest.raises(ValueError, match="quantiles are of latency_ms"):
        traces.quantile(house.app, "latency_ms", 7.0, since=0.0, until=1.0)
    for bad in ("\ud800", float("nan")):
        trace = house.traces.traces(house.app, limit=1).traces[0]
        for store in (house.traces, traces):
            with pytest.raises(InputError):
                store.add_traces([dataclasses.replace(trace, id=TraceId("bad"), inputs={"x": bad})])


@pytest.mark.parametrize("kind", CODES)
def test_every_kind_of_error_has_a_code_of_its_own(kind):
    again = error_of(CODES[kind][0], "what", "and then")
    assert isinstance(again, InchwormError)
    assert type(again) is kind
    assert (again.message, again.hint) == ("what", "and then")


def test_a_key_acts_under_its_own_name_only(stores, served):
    running, _ = served
    key = running.key("deployer", name="ci")["key"]
    house, *_ = stores
    with RemoteControl(Server(url=running.url, token=key)) as control:
        entry = LedgerEntry(app=house.app, at=1.0, kind="observed", actor="ci", what="I was here.")
        control.append_ledger(entry)
        with pytest.raises(UsageError, match="under its own name, ci, and not as ana"):
            control.append_ledger(dataclasses.replace(entry, actor="ana"))
        with pytest.raises(UsageError, match="the scope deployer"):
            control.api_keys()
    assert actors("append_ledger", {"entry": dataclasses.replace(entry, actor="inchworm")}) == set()


def test_a_server_that_stops_in_the_middle_of_a_list_is_told_from_its_end(served, monkeypatch):
    running, _ = served
    house = running.state.house

    def breaking(_self, app: AppRef) -> Iterator[list[Trace]]:
        yield list(house.traces.traces(app, limit=2).traces)
        raise StoreError("the disk is gone", hint="look at it")

    monkeypatch.setattr(TraceStore, "iterate", breaking)
    with RemoteTraces(Server(url=running.url, token=TOKEN)) as traces:
        items = traces.iterate(house.app)
        assert len(next(items)) == 2
        with pytest.raises(StoreError, match="the disk is gone"):
            next(items)


def test_a_server_that_is_gone_is_said(served):
    running, _ = served
    port = running.port + 1
    with suppress(StoreError):
        Client(Server(url=f"http://127.0.0.1:{port}", token="x")).wake()
    with (
        RemoteTraces(Server(url="http://127.0.0.1:1", token="x")) as traces,
        pytest.raises(StoreError) as caught,
    ):
        traces.count(running.state.house.app)
    assert "cannot be reached" in caught.value.message


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(served):
    running, _ = served
    app = running.state.house.app
    with RemoteTraces(Server(url=running.url, token=TOKEN)) as traces:
        first = traces.count(app)
        traces._client._mine.connection.sock.close()
        assert traces.count(app) == first


# --- Commands while a server runs ---------------------------------------------------------------------------


def test_commands_work_while_a_server_runs(served):
    running, cli = served
    status = cli.json("status")
    assert (status["traces"] or 0) > 0
    assert status["traces_unknown_because"] is None
    assert cli.json("traces", "list", "--limit", "3")["total"] == status["traces"]
    assert cli.json("label")["topics"]
    assert cli.json("evalset", "build", "--name", "other", "--size", "20")["eval_set"]["id"] == "other@1"
    cli.declare(documents=2)
    plan = cli.plan()
    before = running.state.pulse.count
    assert cli.json("apply", plan)["first"]["state"] == "exposing"
    assert running.state.pulse.count > before
    before = len(running.woken)
    assert cli.json("rollout", "abort", "r-1")["state"] == "aborted"
    assert len(running.woken) > before
    assert cli.json("ledger", "--limit", "1")["entries"][0]["actor"] == "ana"


def test_looking_does_not_wake_the_server(served):
    running, cli = served
    before = len(running.woken), running.state.pulse.count
    cli("status")
    cli("rollout", "ls")
    cli("traces")
    assert (len(running.woken), running.state.pulse.count) == before


def test_files_are_opened_where_no_server_runs(folder):
    spec = load(folder / "inchworm.yaml")
    assert here(spec.data) is None
    with House(spec=spec) as house:
        assert type(house.traces) is TraceStore
        assert type(house.control) is ControlStore


def test_a_server_opens_its_own_files(served):
    running, _ = served
    spec = running.state.house.spec
    assert here(spec.data) is not None
    assert type(running.state.house.traces) is TraceStore
    with House(spec=spec) as house:
        assert type(house.traces) is RemoteTraces
        assert type(house.control) is ControlStore
    shared = running.state.house.acting("ben")
    shared.close()
    assert running.state.house.traces.count(spec.app) > 0


@pytest.fixture
def far(served, tmp_path, monkeypatch):
    """Another machine: the same inchworm.yaml in an empty folder, and a key."""
    from tests.unit.app.cli.conftest import Cli

    running, cli = served
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("inchworm.yaml", "answers.jsonl.gz"):
        (folder / name).write_bytes((cli.folder / name).read_bytes())
    key = running.key("deployer", name="laptop")["key"]
    monkeypatch.setenv(URL, running.url)
    monkeypatch.setenv(KEY, key)

    class Far(Cli):
        """Without --actor: there a key acts under its own name."""

        def __call__(self, *words, exit_code=0, stdin=None):
            from click.testing import CliRunner

            from inchworm.app.cli import main

            result = CliRunner().invoke(main, ["-f", str(self.folder / "inchworm.yaml"), *words], input=stdin)
            assert result.exit_code == exit_code, (result.output, result.exception)
            return result

    return running, Far(folder)


def test_commands_work_from_another_machine(far):
    running, cli = far
    assert cli.json("status")["traces"] > 0
    cli.declare(documents=2)
    cli("apply", cli.plan())
    assert cli.json("rollout", "show", "r-1")["rollout"]["author"] == "laptop"
    assert cli.json("rollout", "abort", "r-1", "--reason", "enough")["state"] == "aborted"
    assert running.state.house.control.rollouts()[0].state is RolloutState.ABORTED
    assert not (cli.folder / ".inchworm" / "control.sqlite3").exists()
    assert not (cli.folder / ".inchworm" / "secret.key").exists()


def test_ids_are_not_made_pseudonymous_with_a_key_of_another_machine(far):
    _, cli = far
    line = {"question": "Where is it?", "answer": "On its way.", "session_id": "ana.maria@example.org"}
    (cli.folder / "one.jsonl").write_text(json.dumps(line), "utf-8")
    result = cli("import", str(cli.folder / "one.jsonl"), exit_code=2)
    assert "lies with its server" in result.stderr
    assert not (cli.folder / ".inchworm" / "secret.key").exists()


def test_what_the_environment_says_of_a_server_is_checked():
    assert elsewhere({}) is None
    assert elsewhere({URL: "https://x.example/base/", KEY: "k"}) == Server(
        url="https://x.example/base", token="k"
    )
    for wrong in ("x.example", "ftp://x.example", "http://", "http://x/?q"):
        with pytest.raises(UsageError):
            elsewhere({URL: wrong, KEY: "k"})
    with pytest.raises(UsageError, match="INCHWORM_API_KEY is not"):
        elsewhere({URL: "http://x"})


# --- The wire -----------------------------------------------------------------------------------------------


@given(st.dictionaries(st.tuples(st.integers(), st.sampled_from(Arm)), st.integers()))
def test_dictionaries_with_other_keys_than_texts_travel(value):
    one = wire(dict[tuple[int, Arm], int])
    assert one.unpack(json.loads(json.dumps(one.pack(value)))) == value


@given(st.binary())
def test_bytes_travel(value):
    assert wire(bytes).unpack(json.loads(json.dumps(wire(bytes).pack(value)))) == value


@given(st.floats())
def test_numbers_travel_to_the_last_bit(value):
    again = wire(float).unpack(json.loads(json.dumps(wire(float).pack(value))))
    assert np.float64(again).tobytes() == np.float64(value).tobytes() or math.isnan(value)


@pytest.mark.parametrize("kind", [bool, int, float, str, bytes, list[int], tuple[str, float], dict[str, int]])
@pytest.mark.parametrize("wrong", [{"x": []}, [[], []], None, [1, "a", 2], 1.5e300, "\x00"])
def test_what_has_another_shape_is_refused(kind, wrong):
    if (kind is float and isinstance(wrong, float)) or (kind is str and isinstance(wrong, str)):
        return
    with pytest.raises(ValueError, match=r".*"):
        wire(kind).unpack(wrong)


def test_types_of_which_nobody_said_how_they_travel_are_an_error():
    class Unknown:
        pass

    Unknown.__module__ = "inchworm.store.x"
    with pytest.raises(TypeError, match="nobody said how"):
        wire(Unknown)
