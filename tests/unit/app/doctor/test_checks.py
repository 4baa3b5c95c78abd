"""From what is seen to what is said: each thing that can be wrong, and nothing where nothing is."""

from dataclasses import replace

import pytest

from inchworm.app.doctor import checks, seen
from inchworm.app.doctor.findings import Finding, Level, Report, note, ok, problem, warning

NOW = 1_790_000_000.0
GB = 1 << 30
PROGRAM = seen.Program(version="1.2", python="3.13.1", system="Linux", unfetched=())
FOLDER = seen.Folder(path="/d", there=True, writable=True, mode=0o700, free=50 * GB, sizes={"spool": 2048})
KEY = seen.Key(path="/d/secret.key", given=False, size=32, mode=0o600, needed=True)
STORE = seen.Store(path="/d/control.sqlite3", revision="0002", known=("0001", "0002"))
GATEWAY = seen.Gateway(
    name="local", url="http://x", own=True, asked_at=NOW - 3, current=True, answers=True, offset_s=0.1
)
SPOOL = seen.Spool(segments=0, bytes=0, oldest_at=None, refused=(), folder="/d/spool/quarantine")
UPSTREAM = seen.Upstream(url="https://u/v1", error=None)


def levels(found):
    return [one.level for one in found]


def worst(found):
    return Report(version="", findings=tuple(found)).worst


def the(found):
    """The one that is not fine."""
    (one,) = [one for one in found if one.level is not Level.OK]
    return one


def test_where_all_is_well_nothing_but_that_is_said():
    every = [
        *checks.program(PROGRAM),
        *checks.declaration(seen.Declaration(file="i.yaml", there=True, app="a/b"), data=True),
        *checks.folder(FOLDER),
        *checks.key(KEY),
        *checks.store(STORE),
        *checks.server(seen.Server(url="http://s", pid=1, runs=True, answers=True)),
        *checks.health({}),
        *checks.gateways([GATEWAY], NOW),
        *checks.ports([seen.Port(number=4140, option="--port", taken=False)]),
        *checks.upstream(UPSTREAM),
        *checks.spool(SPOOL, NOW, runs=True),
        *checks.api_keys([seen.ApiKey(id="k", name="ci", expires_at=None, used_at=None)], NOW),
    ]
    assert set(levels(every)) == {Level.OK}
    assert all(one.command is None for one in every)


@pytest.mark.parametrize(
    ("found", "level", "command"),
    [
        (checks.program(replace(PROGRAM, system="Windows")), Level.WARNING, None),
        (checks.program(replace(PROGRAM, unfetched=("a.js",))), Level.PROBLEM, "pip install"),
        (checks.folder(seen.Folder(path="/d", there=False)), Level.NOTE, None),
        (checks.folder(replace(FOLDER, writable=False)), Level.PROBLEM, "chown"),
        (checks.folder(replace(FOLDER, mode=0o755)), Level.WARNING, "chmod 700 /d"),
        (checks.folder(replace(FOLDER, free=GB)), Level.WARNING, "du"),
        (checks.folder(replace(FOLDER, free=1 << 20)), Level.PROBLEM, "du"),
        (checks.key(replace(KEY, given=None)), Level.PROBLEM, None),
        (checks.key(replace(KEY, given=True)), Level.NOTE, None),
        (checks.key(replace(KEY, size=None)), Level.PROBLEM, None),
        (checks.key(replace(KEY, size=31)), Level.PROBLEM, None),
        (checks.key(replace(KEY, mode=0o640)), Level.PROBLEM, "chmod 600 /d/secret.key"),
        (checks.store(replace(STORE, revision="0001")), Level.NOTE, "inchworm status"),
        (checks.store(replace(STORE, revision="0009")), Level.PROBLEM, "pip install --upgrade"),
        (checks.store(replace(STORE, revision=None, error="malformed")), Level.PROBLEM, None),
        (checks.store(replace(STORE, revision=None, error="lock", held=True)), Level.NOTE, None),
        (checks.server(seen.Server(url=None, pid=None, runs=False)), Level.NOTE, "inchworm serve"),
        (checks.server(seen.Server(url="u", pid=9, runs=False)), Level.NOTE, "inchworm serve"),
        (checks.server(seen.Server(url="u", pid=9, runs=True)), Level.PROBLEM, "kill 9"),
        (checks.health({"drain": "It failed 3 times"}), Level.WARNING, None),
        (checks.gateways([], NOW), Level.WARNING, "inchworm serve"),
        (checks.gateways([replace(GATEWAY, answers=False)], NOW), Level.PROBLEM, None),
        (checks.gateways([replace(GATEWAY, asked_at=None)], NOW), Level.PROBLEM, None),
        (checks.gateways([replace(GATEWAY, asked_at=NOW - 90)], NOW), Level.PROBLEM, None),
        (checks.gateways([replace(GATEWAY, asked_at=NOW - 90, own=False)], NOW), Level.WARNING, None),
        (checks.gateways([replace(GATEWAY, current=False)], NOW), Level.WARNING, None),
        (checks.gateways([replace(GATEWAY, offset_s=-40.0)], NOW), Level.WARNING, "timedatectl"),
        (
            checks.ports([seen.Port(number=4141, option="--gateway-port", taken=True)]),
            Level.WARNING,
            "inchworm serve --gateway-port 4151",
        ),
        (checks.upstream(replace(UPSTREAM, error="refused")), Level.PROBLEM, "curl -v https://u/v1"),
        (checks.upstream(replace(UPSTREAM, reference="MY_KEY")), Level.PROBLEM, "export MY_KEY=…"),
        (
            checks.spool(replace(SPOOL, segments=2, oldest_at=NOW - 9), NOW, runs=False),
            Level.NOTE,
            "inchworm serve",
        ),
        (checks.spool(replace(SPOOL, segments=2, oldest_at=NOW - 20), NOW, runs=True), Level.WARNING, None),
        (checks.spool(replace(SPOOL, segments=2, oldest_at=NOW - 999), NOW, runs=True), Level.PROBLEM, None),
        (
            checks.api_keys([seen.ApiKey(id="k", name="ci", expires_at=NOW - 1, used_at=None)], NOW),
            Level.NOTE,
            "inchworm keys revoke k",
        ),
        (
            checks.api_keys([seen.ApiKey(id="k", name="ci", expires_at=NOW + 9_999, used_at=None)], NOW),
            Level.NOTE,
            'inchworm keys add "ci"',
        ),
    ],
)
def test_what_is_wrong_is_said_as_badly_as_it_is_with_what_mends_it(found, level, command):
    assert the(found).level is level
    if command is None:
        assert the(found).command is None
    else:
        assert (the(found).command or "").startswith(command)


def test_a_wrong_file_is_said_with_its_own_hint():
    wrong = seen.Declaration(file="i.yaml", there=True, app=None, error="i.yaml:3: no", hint="write yes")
    (found,) = checks.declaration(wrong, data=True)
    assert (found.level, found.command) == (Level.PROBLEM, "write yes")
    assert found.said == "i.yaml:3: no."


def test_without_a_file_it_depends_on_whether_something_is_recorded():
    missing = seen.Declaration(file="i.yaml", there=False, app="shop/production")
    assert [one.command for one in checks.declaration(missing, data=True)] == ["inchworm init"]
    assert [one.command for one in checks.declaration(missing, data=False)] == ["inchworm serve"]


def test_without_data_no_key_is_missed():
    assert checks.key(replace(KEY, size=None, needed=False)) == []


def test_no_key_is_proposed_where_data_are_sealed_with_another():
    (found,) = checks.key(replace(KEY, given=None, needed=False))
    assert found.command == "export INCHWORM_KEY=$(openssl rand -hex 32)"
    (found,) = checks.key(replace(KEY, given=None, needed=True))
    assert found.command is None


def test_segments_that_just_came_are_no_backlog():
    found = checks.spool(replace(SPOOL, segments=2, oldest_at=NOW - 1), NOW, runs=True)
    assert levels(found) == [Level.OK]


def test_quarantine_is_told_with_its_reasons_the_most_frequent_first_and_not_all_of_them():
    refused = tuple(seen.Refused(reason=f"reason {n}", records=10 - n, since=NOW - 60 * n) for n in range(8))
    found = checks.spool(replace(SPOOL, refused=refused), NOW, runs=True)
    assert found[0].level is Level.WARNING
    assert "52 records" in found[0].said
    assert "7 min" in found[0].said
    assert [one.said for one in found[1:]] == [
        *(f"{10 - n} × reason {n}." for n in range(5)),
        "And 3 other reasons.",
    ]


def test_one_word_of_health_is_left_to_who_says_it_better():
    assert checks.health({"spool": "late", "quarantine": "3 records"}) == []


def test_a_report_is_as_bad_as_its_worst_finding_and_travels_whole():
    report = Report(version="1", findings=(ok("a", "b."), warning("c", "d.", "e"), note("f", "g.")))
    assert report.worst is Level.WARNING
    assert report.count(Level.NOTE) == 1
    assert [Finding.read(one) for one in report.plain()["findings"]] == list(report.findings)
    assert Report(version="1", findings=()).worst is Level.OK
    assert worst([problem("a", "b."), warning("c", "d.")]) is Level.PROBLEM
