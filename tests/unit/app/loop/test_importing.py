"""Imports: every form, on from where they were ended, every line accounted for, nothing raw told."""

import gzip
import hashlib
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.unit.app.loop.world import World

from inchworm.app.loop import importing
from inchworm.app.loop.importing import Stood
from inchworm.app.loop.intake import BATCH, Drain
from inchworm.app.loop.resuming import Resuming
from inchworm.app.loop.taking import SHOWN
from inchworm.capture.files import Form
from inchworm.domain.errors import InputError

COUNT = BATCH + 500


def lines(count=COUNT):
    return b"".join(
        json.dumps({"question": f"Where is {number}?", "answer": "Here.", "user": f"u{number}"}).encode()
        + b"\n"
        for number in range(count)
    )


def take(world, data, name="a.jsonl", **options):
    digest = hashlib.sha256(data).hexdigest()
    return importing.take(
        world.house, Drain(world.house, metrics=()), io.BytesIO(data), name, **{"digest": digest, **options}
    )


def stop_after(stored):
    def watch(stood: Stood) -> None:
        if stood.stored >= stored:
            raise KeyboardInterrupt

    return watch


def test_an_import_that_was_interrupted_goes_on_where_it_was(world):
    data = lines()
    with pytest.raises(KeyboardInterrupt):
        take(world, data, watch=stop_after(BATCH))
    assert world.house.traces.count(world.house.app) == BATCH
    world.clock.at += 3_600
    world.reopen()
    stood: list[Stood] = []
    said = take(world, data, watch=stood.append)
    assert stood[0].stored == BATCH, "what is stored is not read in again"
    assert (said["resumed"], said["lines"], said["new"], said["duplicate"]) == (BATCH, COUNT, COUNT, 0)
    assert said["without_time"] == COUNT
    (first, *_, last) = [one for batch in world.house.traces.iterate(world.house.app) for one in batch]
    assert last.at - first.at == pytest.approx((COUNT - 1) * 0.001), "as if it had never been ended"
    assert importing.known(world.house, "a.jsonl", hashlib.sha256(data).hexdigest()) is not None
    assert take(world, data)["resumed"] == 0


def test_begun_anew_it_knows_what_it_stored(world):
    data = lines()
    with pytest.raises(KeyboardInterrupt):
        take(world, data, watch=stop_after(BATCH))
    said = take(world, data, anew=True)
    assert (said["resumed"], said["new"], said["duplicate"]) == (0, COUNT - BATCH, BATCH)


KILLED = """
import os, signal, sys
from pathlib import Path
from inchworm.app.clock import SystemClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop import importing
from inchworm.app.loop.intake import Drain
house = House(load(Path(sys.argv[1])), clock=SystemClock(), actor="ana")
def watch(stood):
    if stood.stored >= 2000 and stood.line > stood.stored:
        os.kill(os.getpid(), signal.SIGKILL)
file = open(sys.argv[2], "rb")
importing.take(house, Drain(house, metrics=()), file, sys.argv[2], digest=sys.argv[3], watch=watch)
"""


def test_killed_it_loses_nothing_and_counts_nothing_twice(tmp_path):
    world = World.build(tmp_path / "shop")
    world.house.close()
    table = pa.Table.from_pylist([{"question": f"Where is {number}?"} for number in range(COUNT)])
    file = tmp_path / "a.parquet"
    pq.write_table(table, file, row_group_size=700)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    words = [sys.executable, "-c", KILLED, str(world.folder / "inchworm.yaml"), str(file), digest]
    killed = subprocess.run(words, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    world.reopen()
    with file.open("rb") as opened:
        said = importing.take(world.house, Drain(world.house, metrics=()), opened, str(file), digest=digest)
    assert (said["resumed"], said["new"], said["duplicate"]) == (BATCH, COUNT, 0)
    assert world.house.traces.count(world.house.app) == COUNT
    world.house.close()


def test_every_line_that_is_not_stored_is_told_sanitized(world):
    bad = [{"qestion": "call ann.example@mailhost.net"}, {"question": 3}]
    data = lines(3) + b"".join(json.dumps(one).encode() + b"\n" for one in bad * SHOWN)
    data += b'{"question": "x", "at": "by ann.example@mailhost.net"}\n'
    told = []
    said = take(world, data, refusals=lambda line, reason: told.append((line, reason)))
    assert (said["accepted"], said["rejected"], len(said["first_rejected"])) == (3, 2 * SHOWN + 1, SHOWN)
    assert [line for line, _ in told] == list(range(4, 3 + 2 * SHOWN + 2))
    assert "ann.example" not in json.dumps([told, said])
    assert "EMAIL" in told[-1][1]


def span(number, **more):
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "startTimeUnixNano": "1789990000000000000",
        "endTimeUnixNano": "1789990001000000000",
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
            {"key": "session.id", "value": {"stringValue": "ann.example@mailhost.net"}},
            {"key": "input.value", "value": {"stringValue": "Where is it? I am ann.example@mailhost.net"}},
            {"key": "openinference.span.kind", "value": {"stringValue": "LLM"}},
        ],
        **more,
    }


def collected(*spans):
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [one]} for one in spans]}]}
    return json.dumps(request).encode() + b"\n"


def test_what_a_collector_wrote_is_read_as_it_arrives_otherwise(world):
    child = span(1, spanId="b" * 16, parentSpanId=f"{1:016x}")
    odd = span(3, attributes=[{"key": "inchworm.arm", "value": {"stringValue": "candidate"}}])
    data = collected(span(1), span(2)) + collected(child, odd)
    said = take(world, data, "spans.json")
    assert (said["form"], said["lines"], said["accepted"], said["rejected"]) == ("otlp-json", 2, 2, 0)
    assert (said["spans"], said["spans_rejected"], said["new"]) == (3, 1, 2)
    found = [one for batch in world.house.traces.iterate(world.house.app) for one in batch]
    assert len(found) == 2
    assert "mailhost" not in repr(found)
    assert {one.attributes["inchworm.spans"] for one in found} == {1, 2}
    again = take(world, data, "spans.json", anew=True)
    assert (again["new"], again["spans"], again["spans_known"]) == (0, 0, 3)


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_csv_file_may_come_through_a_pipe(world, gzipped):
    data = b"question,answer,user_id\nWhere?,Here.,ana\n"
    data = gzip.compress(data) if gzipped else data
    said = take(world, data, "standard input", digest=None, form=Form.CSV if gzipped else None)
    assert (said["form"], said["new"]) == ("csv", 1)
    assert importing.known(world.house, "x", hashlib.sha256(data).hexdigest()) is not None


def test_a_wrong_form_is_said(world):
    with pytest.raises(InputError, match="no Parquet"):
        take(world, lines(2), form=Form.PARQUET)


def test_unfinished_imports_are_bounded_and_each_by_itself(world):
    for number in range(60):
        resuming = Resuming(world.house, f"digest-{number}")
        resuming.keep(replace(resuming.begin(), place={"line": number}))
    assert Resuming(world.house, "digest-59").begin().place == {"line": 59}
    assert Resuming(world.house, "digest-0").begin().place == {}
    Resuming(world.house, "digest-59").done()
    assert Resuming(world.house, "digest-59").begin().place == {}
    assert Resuming(world.house, "digest-58").begin().place == {"line": 58}
