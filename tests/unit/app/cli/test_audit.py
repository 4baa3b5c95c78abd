"""The audit trail from the command line: listed, verified, exported, and verified without the database."""

import json
import sqlite3
from contextlib import closing


def test_what_was_done_is_listed_by_who_and_what(flying):
    listed = flying("audit").stdout
    assert "rollout.start" in listed
    assert "inchworm audit export" not in listed
    entries = flying.json("audit", "ls", "--action", "rollout", "--subject", "r-1")["entries"]
    assert [one["action"] for one in entries] == ["rollout.start", "rollout.enqueue"]
    assert [one["actor"] for one in entries] == ["inchworm", "ana"]
    assert flying.json("audit", "ls", "--actor", "nobody")["entries"] == []
    assert "older ones" in flying("audit", "ls", "--limit", "1").stderr


def test_a_whole_trail_prints_its_head_and_finds_it_again(flying):
    told = flying.json("audit", "verify")
    assert told["whole"]
    head = told["head"]["hash"]
    assert f"head {head}" in flying("audit", "verify").stdout
    flying("rollout", "pause", "r-1")
    assert flying.json("audit", "verify", "--expect", head)["head"]["number"] == told["head"]["number"] + 1
    assert "64 hexadecimal" in flying("audit", "verify", "--expect", "abc", exit_code=2).stderr


def test_a_broken_trail_is_said_and_ends_with_1(flying):
    path = flying.folder / ".inchworm" / "control.sqlite3"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TRIGGER audit_refuses_update")
        raw.execute("UPDATE audit SET actor = 'somebody' WHERE number = 2")
        raw.commit()
    assert "BROKEN: entry 2: its hash does not fit" in flying("audit", "verify", exit_code=1).stdout
    told = flying.json("audit", "verify", exit_code=1)
    assert (told["whole"], [one["number"] for one in told["breaks"]]) == (False, [2])
    found = flying.json("doctor", "--offline", exit_code=1)["findings"]
    assert [one["level"] for one in found if one["part"] == "audit"] == ["problem"]


def test_the_trail_is_verified_from_a_file_alone(flying, tmp_path):
    file = tmp_path / "trail.jsonl"
    flying("audit", "export", "-o", str(file))
    assert flying("audit", "export").stdout == file.read_text("utf-8")
    head = flying.json("audit", "verify")["head"]
    (flying.folder / "inchworm.yaml").unlink()  # nothing but the file is looked at
    assert flying.json("audit", "verify", "--file", str(file), "--expect", head["hash"])["head"] == head
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
    assert flying.json("audit", "verify", "--file", str(file))["whole"]
    assert not flying.json("audit", "verify", "--file", str(file), "--expect", head["hash"], exit_code=1)[
        "whole"
    ]
    changed = json.loads(lines[1]) | {"because": "all is well"}
    file.write_text("\n".join([lines[0], json.dumps(changed), *lines[2:]]), "utf-8")
    assert flying.json("audit", "verify", "--file", str(file), exit_code=1)["breaks"][0]["number"] == 2
    file.write_text("{}\n", "utf-8")
    assert f"{file}:1 is no line" in flying("audit", "verify", "--file", str(file), exit_code=2).stderr
