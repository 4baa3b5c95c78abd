"""Somebody is taken out of the trace store: no byte of theirs is left, and nobody else has changed."""

import secrets
from pathlib import Path

import pytest
from tests.unit.store.values import APP, OTHER, assigned, exposure, score, trace

from inchworm.domain.errors import StoreError
from inchworm.domain.forgetting import NOBODY
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.shadow import MirroredCall
from inchworm.domain.span import Span
from inchworm.store.traces import Theirs, TraceStore
from inchworm.store.traces.erase import KNOWN

R1 = RolloutId("r-1")


def token() -> str:
    """Of hexadecimal digits: it does not compress, so that it lies in the file as it is."""
    return secrets.token_hex(24)


def found_in(folder: Path, text: str) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()}


def reopened(store, path):
    """What is written is in the file itself, and not in its log."""
    store.close()
    return TraceStore.open(path)


def fill(store, *, unit="u1"):
    """Six units, each with two answers and scores; the tokens of the one that is to be forgotten."""
    words = {
        name: token() for name in ("unit", "question", "answer", "attribute", "reason", "span", "reference")
    }
    named = {unit: words["unit"]}
    store.add_exposures([exposure(n, unit_id=UnitId(named.get(f"u{n}", f"u{n}"))) for n in range(6)])
    traces = []
    for n in range(12):
        one = assigned(n % 6, id=TraceId(f"trace-{n:04d}"), scores=(score(0.5),))
        if one.unit_id in named:
            one = assigned(
                n % 6,
                id=TraceId(f"trace-{n:04d}"),
                unit_id=UnitId(named[one.unit_id]),
                inputs={"question": words["question"]},
                output=words["answer"],
                reference=words["reference"],
                attributes={"city": words["attribute"]},
                scores=(score(0.5, source=words["reason"]),),
            )
        traces.append(one)
    store.add_traces(traces)
    store.put_spans(
        [
            Span(app=APP, trace_id=TraceId("trace-0001"), id="s1", inputs={"q": words["span"]}),
            Span(app=APP, trace_id=TraceId("trace-0002"), id="s2", inputs={"q": "others"}),
        ]
    )
    return words


def test_no_byte_of_somebody_is_left(tmp_path):
    path = tmp_path / "t.duckdb"
    store = TraceStore.open(path)
    words = fill(store)
    store = reopened(store, path)
    assert all(found_in(tmp_path, word) == {"t.duckdb"} for word in words.values())
    theirs = store.theirs([words["unit"]])
    assert theirs.traces == {APP: (TraceId("trace-0001"), TraceId("trace-0007"))}
    counts = store.erase(theirs)
    assert {name: counts[name] for name in ("traces", "payloads", "scores", "spans", "exposures")} == {
        "traces": 2,
        "payloads": 2,
        "scores": 2,
        "spans": 1,
        "exposures": 1,
    }
    assert not [word for word in words.values() if found_in(tmp_path, word)]
    store.close()
    assert not [word for word in words.values() if found_in(tmp_path, word)]


def test_everybody_else_is_as_before(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        words = fill(store)
        before = [one for batch in store.iterate(APP) for one in batch if one.unit_id != words["unit"]]
        counts = store.exposures_count(R1)
        units = store.units(R1, start=0, matured_before=1e9, limit=100)
        store.erase(store.theirs([words["unit"]]))
        assert [one for batch in store.iterate(APP) for one in batch] == before
        assert store.count(APP) == 10
        assert store.exposures_count(R1) == counts, "the denominators are what they were"
        after = store.units(R1, start=0, matured_before=1e9, limit=100)
        assert list(after.order) == list(units.order), "the order of assignment has no gap"
        assert list(after.candidate) == list(units.candidate)
        assert [one for one in after.unit if one.startswith(NOBODY)] == [after.unit[1]]
        assert list(after.traces) == [2, 0, 2, 2, 2, 2]
        assert store.facets(APP)["outcome"] == [("ok", 10)]
        added = store.add_traces([trace(99)])
        assert added.new == 1


def test_one_name_takes_the_place_of_a_unit_in_each_rollout(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        store.add_exposures(
            [
                exposure(0, unit_id=UnitId("ana"), draw=0),
                exposure(1, unit_id=UnitId("ana"), draw=1),
                exposure(0, "r-2", unit_id=UnitId("ana")),
            ]
        )
        store.erase(store.theirs(["ana"]))
        names = {
            one: set(store.units(RolloutId(one), start=0, matured_before=1e9, limit=9).unit)
            for one in ("r-1", "r-2")
        }
        assert len(names["r-1"]) == len(names["r-2"]) == 1
        assert names["r-1"] != names["r-2"], "nobody can be followed from one rollout to the next"
        assert store.assignments(R1, [UnitId("ana")]) == {}


def test_a_user_is_found_in_spans_attributes_and_shadows(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        store.add_traces(
            [
                trace(1, unit_id=UnitId("session-1")),
                trace(2, unit_id=UnitId("session-2"), attributes={"gen_ai.user.id": "bob"}),
                trace(3, unit_id=UnitId("session-3"), attributes={"port": "bob"}),
                trace(4, unit_id=UnitId("session-2"), shadow_of=trace(2).id),
                trace(5, unit_id=UnitId("session-5"), app=OTHER),
                trace(6, unit_id=UnitId("session-1")),
            ]
        )
        people = {"session": "session-1", "user": "bob"}
        store.put_spans([Span(app=APP, trace_id=trace(1).id, id="a", people=people)])
        store.put_spans([Span(app=OTHER, trace_id=trace(5).id, id="a", people={"user": "bob"})])
        theirs = store.theirs(["bob"])
        assert {app: set(ids) for app, ids in theirs.traces.items()} == {
            APP: {trace(1).id, trace(2).id, trace(4).id},
            OTHER: {trace(5).id},
        }
        # Somebody else spoke in the first session too: its other interaction is not known to be theirs.
        assert theirs.units == {"bob", "session-2", "session-5"}
        store.erase(theirs)
        assert [one.id for batch in store.iterate(APP) for one in batch] == [trace(3).id, trace(6).id]


def test_mirrored_calls_keep_their_places(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        store.add_mirrored(
            [
                MirroredCall(
                    rollout_id=R1,
                    order=n,
                    trace_id=TraceId(f"t{n}"),
                    shadow_id=TraceId(f"s{n}"),
                    unit_id=UnitId("ana" if n == 1 else f"u{n}"),
                    stage=0,
                    at=1.0,
                )
                for n in range(3)
            ]
        )
        last = store.last_mirrored(R1)
        counts = store.erase(store.theirs(["ana"]))
        assert counts["mirrored"] == 1
        assert store.last_mirrored(R1) == last
        assert store.known_mirrored(R1, [TraceId("s0"), TraceId("s1")]) == {TraceId("s0")}


def test_what_cannot_be_written_leaves_everything_as_it_was(tmp_path, monkeypatch):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        words = fill(store)

        def broken(*_):
            raise StoreError("no room")

        theirs = store.theirs([words["unit"]])
        monkeypatch.setattr("inchworm.store.traces.erase.rollups.rebuild", broken)
        with pytest.raises(StoreError, match="no room"):
            store.erase(theirs)
        monkeypatch.undo()
        assert store.count(APP) == 12
        assert sorted(path.name for path in tmp_path.iterdir() if "rebuilt" in path.name) == []
        assert store.erase(store.theirs([words["unit"]]))["traces"] == 2


def test_a_file_that_was_not_finished_is_removed_at_the_next_start(tmp_path):
    path = tmp_path / "t.duckdb"
    TraceStore.open(path).close()
    for name in ("t.duckdb.rebuilt", "t.duckdb.rebuilt.wal"):
        (tmp_path / name).write_bytes(b"half")
    with TraceStore.open(path) as store:
        assert store.count(APP) == 0
    assert [one.name for one in tmp_path.iterdir() if "rebuilt" in one.name] == []


def test_every_table_is_known_to_be_copied_or_made_anew(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store, store._db.read() as run:
        tables = {name for (name,) in run.rows("SELECT table_name FROM duckdb_tables()")}
    assert tables == KNOWN


def test_numbers_of_what_is_gone_are_not_given_again(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        store.add_traces([trace(1), trace(2, unit_id=UnitId("ana"))])
        seen = store.arrived(R1, before=0, since=0).seen
        store.erase(store.theirs(["ana"]))
        store.add_traces([trace(3)])
        assert store.arrived(R1, before=0, since=0).seen > seen


def test_nothing_to_erase_writes_the_file_anew(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as store:
        fill(store)
        assert store.erase(Theirs(units=frozenset({"nobody"})))["traces"] == 0
        assert store.count(APP) == 12
