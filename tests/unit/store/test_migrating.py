"""A file that an older version wrote is opened by this one, whole."""

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.unit.store.values import APP, assigned, exposure, trace

from inchworm.domain.errors import ConflictError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.trace import Arm
from inchworm.store.traces import TraceStore, database
from inchworm.store.traces.schema import MIGRATIONS

OLD = Path(__file__).parent / "data" / "traces-schema-1.duckdb.gz"
"""By the version that had the first schema: 40 and 5 exposures, 30 assigned traces with a score, 5 others."""
ROLLOUT = RolloutId("r-1")
ALL: dict[str, Any] = {"start": 0, "matured_before": 9e9, "limit": 10**6}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "traces.duckdb"
    made.write_bytes(gzip.decompress(OLD.read_bytes()))
    return made


def check(store: TraceStore) -> None:
    assert store.exposures_count(ROLLOUT) == {(0, Arm.BASELINE): 20, (0, Arm.CANDIDATE): 20}
    assert store.last_order(RolloutId("r-2")) == 4
    known = store.assignments(ROLLOUT, [UnitId(f"u{n}") for n in range(60)])
    assert list(known.values()) == [exposure(n) for n in range(40)]
    rows = store.units(ROLLOUT, **ALL)
    assert rows.traces.tolist() == [1] * 30 + [0] * 10
    assert rows.scores["right"].present.tolist() == [True] * 30 + [False] * 10
    plain = store.trace(APP, TraceId("plain-3"))
    assert plain == trace(3, id=TraceId("plain-3"))
    assert plain.shadow_of is None


def test_an_old_file_has_all_that_it_had_and_takes_what_is_new(path: Path) -> None:
    with TraceStore.open(path) as store:
        check(store)
        # The same units once more are nothing new, in another draw they are.
        assert store.add_exposures([exposure(n) for n in range(40)]) == 0
        again = [exposure(40 + n, unit_id=UnitId(f"u{n}"), stage=1, draw=1) for n in range(3)]
        assert store.add_exposures(again) == 3
        with pytest.raises(ConflictError):
            store.add_exposures([exposure(43, unit_id=UnitId("u0"), stage=1, draw=1)])
        with pytest.raises(ConflictError):
            store.add_exposures([exposure(43, unit_id=UnitId("u5"))])
        shadow = trace(7, id=TraceId("shadow"), shadow_of=TraceId("trace-0007"))
        store.add_traces([shadow, assigned(35)])
    with TraceStore.open(path) as store:
        assert store.assignments(ROLLOUT, [UnitId("u1")], draw=1) == {UnitId("u1"): again[1]}
        assert store.assignments(ROLLOUT, [UnitId("u1")], draw=0) == {UnitId("u1"): exposure(1)}
        assert store.assignments(ROLLOUT, [UnitId("u1")]) == {UnitId("u1"): again[1]}
        assert store.last_order(ROLLOUT) == 42


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (MIGRATIONS[0], (*MIGRATIONS[1], "SELECT * FROM nothing")))
        with pytest.raises(duckdb.Error):
            TraceStore.open(path)
    with duckdb.connect(str(path)) as raw:
        assert raw.execute("SELECT max(version) FROM inchworm_schema").fetchall() == [(1,)]
        assert raw.execute("SELECT count(*) FROM exposures").fetchall() == [(45,)]
    with TraceStore.open(path) as store:
        check(store)


def test_a_new_file_and_an_old_one_end_up_the_same(path: Path, tmp_path: Path) -> None:
    TraceStore.open(path).close()
    TraceStore.open(tmp_path / "new.duckdb").close()
    columns = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default "
        "FROM information_schema.columns ORDER BY ALL"
    )
    constraints = (
        "SELECT table_name, constraint_type, constraint_column_names FROM duckdb_constraints() ORDER BY ALL"
    )
    found = []
    for one in (path, tmp_path / "new.duckdb"):
        with duckdb.connect(str(one)) as raw:
            found.append([raw.execute(query).fetchall() for query in (columns, constraints)])
    assert found[0] == found[1]
