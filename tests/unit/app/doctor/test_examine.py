"""The doctor in real folders: empty, wrong, damaged, full of data; it changes nothing in any of them."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import Cli
from tests.unit.app.loop.spooled import KEY, called

from inchworm.app.config.load import load
from inchworm.app.doctor import observe, stored
from inchworm.app.doctor.examine import examine
from inchworm.app.doctor.findings import Level
from inchworm.app.house import House
from inchworm.app.serve.files import ServeFile
from inchworm.capture.records import encode
from inchworm.capture.spool import quarantine_records


@pytest.fixture
def shop(tmp_path):
    """A folder with a file, a stable configuration and some traffic."""
    folder = tmp_path / "shop"
    folder.mkdir()
    small_shop.open_shop(folder)
    cli = Cli(folder)
    cli("import", str(small_shop.write_traces(folder, now=1_790_000_000.0)))
    cli("adopt")
    (folder / ".inchworm").chmod(0o700)
    return cli


def everything(folder):
    """Every file with its content."""
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"
    }


def found(folder, environ=None, *, offline=True):
    report = examine(folder / "inchworm.yaml", environ or {}, offline=offline)
    return {(one.part, one.level): one for one in report.findings}, report


def test_an_empty_folder_stays_empty_and_is_no_problem(tmp_path):
    seen, report = found(tmp_path)
    assert report.worst in {Level.NOTE, Level.WARNING}  # a warning where somebody has our ports
    assert seen["inchworm.yaml", Level.NOTE].command == "inchworm serve"
    assert list(tmp_path.iterdir()) == []


def test_a_shop_that_is_well(shop):
    before = everything(shop.folder)
    seen, report = found(shop.folder)
    assert report.count(Level.PROBLEM) == 0, report
    assert ("traffic", Level.OK) in seen or ("traffic", Level.NOTE) in seen
    assert ("rollouts", Level.OK) in seen
    assert ("stores", Level.OK) in seen
    assert everything(shop.folder) == before


def test_a_wrong_file_is_a_problem_and_the_rest_is_looked_at_all_the_same(shop):
    (shop.folder / "inchworm.yaml").write_text("app: [no\n")
    seen, report = found(shop.folder)
    assert report.worst is Level.PROBLEM
    assert "inchworm.yaml:" in seen["inchworm.yaml", Level.PROBLEM].said
    assert ("stores", Level.OK) in seen
    assert ("data", Level.OK) in seen


def test_a_key_that_is_gone_is_missed_and_not_made_anew(shop):
    key = shop.folder / ".inchworm" / "secret.key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    seen, _ = found(shop.folder)
    assert seen["key", Level.PROBLEM].command == f"chmod 600 {key}"
    key.unlink()
    seen, _ = found(shop.folder)
    assert "is missing" in seen["key", Level.PROBLEM].said
    assert not key.exists()
    seen, _ = found(shop.folder, {"INCHWORM_KEY": "ab" * 32})
    assert ("key", Level.OK) in seen
    seen, report = found(shop.folder, {"INCHWORM_KEY": "sk-a-typing-mistake"})
    assert ("key", Level.PROBLEM) in seen
    assert "typing-mistake" not in str(report.plain())


def test_an_older_store_is_not_migrated_and_a_newer_one_is_left_alone(shop):
    path = shop.folder / ".inchworm" / "control.sqlite3"
    for revision, level in (("0001_pre_foundation", Level.NOTE), ("9999_of_tomorrow", Level.PROBLEM)):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        seen, _ = found(shop.folder)
        assert revision in seen["stores", level].said
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)


@pytest.mark.parametrize("name", ["control.sqlite3", "traces.duckdb"])
def test_a_damaged_store_is_a_problem(shop, name):
    path = shop.folder / ".inchworm" / name
    path.write_bytes(b"this is none" * 1_000)
    seen, report = found(shop.folder)
    assert report.worst is Level.PROBLEM
    assert name in seen["stores", Level.PROBLEM].said


def test_stores_that_another_command_has_open_are_left_to_it(shop):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, shop.folder / ".inchworm" / "traces.duckdb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen, report = found(shop.folder)
        process.communicate()
    assert "in use by another command" in seen["stores", Level.NOTE].said
    assert report.count(Level.PROBLEM) == 0


def test_what_a_killed_server_left_behind_is_told_from_one_that_runs(shop):
    data = shop.folder / ".inchworm"
    ServeFile(pid=1, url="http://127.0.0.1:1", gateway_url="", token="t", started_at=0.0).write(data)
    seen, _ = found(shop.folder)
    assert "killed one left behind" in seen["server", Level.NOTE].said


def test_quarantine_is_told_without_what_is_in_it(shop):
    root = shop.folder / ".inchworm" / "spool"
    raw = encode(called("1", unit="ann.example@mailhost.net"))
    quarantine_records(root, KEY, [raw, raw], reason="It has no place.", at=1_790_000_000.0)
    seen, report = found(shop.folder)
    assert "2 records" in seen["quarantine", Level.WARNING].said
    assert seen["quarantine", Level.NOTE].said == "2 × It has no place."
    assert "mailhost" not in str(report.plain())


def test_a_provider_is_tried_and_its_user_and_password_are_not_repeated(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://ann:hidden@127.0.0.1:{port}/v1")
        seen, report = found(tmp_path, offline=False)
        assert f"http://127.0.0.1:{port}/v1 can be reached" in seen["provider", Level.OK].said
    assert "hidden" not in str(report.plain())
    seen, _ = found(tmp_path, offline=False)
    assert seen["provider", Level.PROBLEM].command == f"curl -v http://127.0.0.1:{port}/v1"


def test_a_key_that_the_file_refers_to_has_to_be_there(tmp_path):
    text = "app: a/b\nlayers:\n  infrastructure: {base_url: 'http://127.0.0.1:9', api_key: env:MY_KEY}\n"
    (tmp_path / "inchworm.yaml").write_text(
        text + "  model: {name: tiny}\nmetrics: {latency: {builtin: latency_p95, guardrail: true}}\n"
    )
    spec = load(tmp_path / "inchworm.yaml")
    without = observe.upstream(spec, {}, offline=True)
    given = observe.upstream(spec, {"MY_KEY": "sk-1"}, offline=True)
    assert without is not None
    assert given is not None
    assert (without.reference, without.given, given.given) == ("MY_KEY", False, True)
    assert "sk-1" not in repr(given)


def test_a_server_elsewhere_without_a_key_or_an_answer_is_a_problem(tmp_path):
    seen, _ = found(tmp_path, {"INCHWORM_SERVER": "http://127.0.0.1:1"})
    assert "INCHWORM_API_KEY" in seen["server", Level.PROBLEM].said
    seen, _ = found(tmp_path, {"INCHWORM_SERVER": "http://127.0.0.1:1", "INCHWORM_API_KEY": "iw_x_y"})
    assert "does not answer" in seen["server", Level.PROBLEM].said


def test_what_is_stored_is_counted_as_it_is(shop):
    with House(load(shop.folder / "inchworm.yaml")) as house:
        seen = stored.traffic(house)
        total = house.traces.count(house.app)
    assert seen.stored == total > 0
    assert seen.sampled == min(total, stored.SAMPLE)
    assert seen.failed + seen.errored <= seen.sampled


def test_the_command_prints_what_it_found_and_its_exit_code_tells_problems(shop):
    said = shop.json("doctor", "--offline")
    assert said["worst"] != "problem"
    text = shop("doctor", "--offline").stdout
    assert all(one["said"].split()[0] in text for one in said["findings"])
    (shop.folder / "inchworm.yaml").write_text("app: [no\n")
    assert "PROBLEM" in shop("doctor", "--offline", exit_code=1).stdout
