"""What cannot be drained is kept sealed, with the reason beside it."""

import json
import stat

import pytest

from inchworm.capture.spool import (
    closed_segments,
    discard,
    quarantine,
    quarantine_records,
    quarantined,
    read_segment,
    spool_size,
)
from inchworm.capture.spool.folders import segment_name
from inchworm.capture.spool.segments import Seal
from inchworm.domain.errors import StoreError

KEY, NOW = bytes(range(32)), 1_800_000_000.0
RECORDS = [b"ann.example@mailhost.net", b"her order"]
REASON = "A record is no MessagePack."


@pytest.fixture
def segment(tmp_path):
    """A closed segment of the gateway ``g``."""
    seal = Seal(KEY, bytes(16), NOW)
    path = tmp_path / "g" / segment_name(17, bytes(16)).replace(".open", ".closed")
    path.parent.mkdir()
    path.touch(0o600)
    path.write_bytes(seal.header + b"".join(seal.frame(RECORDS)) + b"".join(seal.frame([])))
    return path


def test_a_segment_is_moved_as_it_is(tmp_path, segment):
    sealed = segment.read_bytes()
    path = quarantine(tmp_path, segment, reason=REASON, at=NOW, records=2)
    assert not segment.exists()
    assert path.read_bytes() == sealed
    (found,) = quarantined(tmp_path)
    assert (found.path, found.reason, found.at) == (path, REASON, NOW)
    assert (found.records, found.source, found.bytes) == (2, "g", len(sealed))
    assert read_segment(path, KEY).records == tuple(RECORDS)


def test_what_is_in_quarantine_does_not_wait_for_the_drain(tmp_path, segment):
    quarantine(tmp_path, segment, reason=REASON, at=NOW)
    assert (closed_segments(tmp_path), spool_size(tmp_path)) == ([], 0)


def test_a_drain_that_died_may_do_it_again(tmp_path, segment):
    first = quarantine(tmp_path, segment, reason=REASON, at=NOW)
    assert quarantine(tmp_path, segment, reason="again", at=NOW + 9) == first
    one = quarantine_records(tmp_path, KEY, RECORDS, reason=REASON, at=NOW)
    assert quarantine_records(tmp_path, KEY, RECORDS, reason=REASON, at=NOW + 9) == one
    assert [(found.path, found.at, found.reason) for found in quarantined(tmp_path)] == [
        (first, NOW, REASON),
        (one, NOW, REASON),
    ]
    assert quarantine_records(tmp_path, KEY, RECORDS[:1], reason=REASON, at=NOW) != one
    assert quarantine_records(tmp_path, KEY, RECORDS, reason="Another.", at=NOW) != one


def test_single_records_are_sealed_anew(tmp_path):
    path = quarantine_records(tmp_path, KEY, RECORDS, reason=REASON, at=NOW)
    read = read_segment(path, KEY)
    assert (read.records, read.torn, read.damage, read.at) == (tuple(RECORDS), False, None, NOW)
    (found,) = quarantined(tmp_path)
    assert (found.records, found.source, found.reason) == (2, None, REASON)


def test_no_key_seals_two_contents(tmp_path):
    headers = set()
    for at in (NOW, NOW + 1):
        path = quarantine_records(tmp_path, KEY, RECORDS, reason=REASON, at=at)
        headers.add(path.read_bytes()[10:26])  # the segment's id, of which its key is made
        discard(path)
    assert len(headers) == 2


def test_nothing_of_the_content_can_be_seen(tmp_path, segment):
    quarantine(tmp_path, segment, reason=REASON, at=NOW)
    quarantine_records(tmp_path, KEY, RECORDS, reason=REASON, at=NOW)
    for path in (tmp_path / "quarantine").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for word in (b"ann", b"mailhost", b"order"):
            assert word not in path.read_bytes(), path
            assert word.decode() not in path.name
    note = json.loads((tmp_path / "quarantine" / segment.name).with_suffix(".json").read_text())
    assert note == {"format": "quarantine/1", "reason": REASON, "at": NOW, "records": None, "from": "g"}


def test_a_segment_without_a_readable_note_is_listed_all_the_same(tmp_path, segment):
    path = quarantine(tmp_path, segment, reason=REASON, at=NOW)
    for damage in (None, "{", "[]", '{"format":"quarantine/2","reason":"x"}'):
        note = path.with_suffix(".json")
        note.unlink(missing_ok=True)
        if damage is not None:
            note.write_text(damage)
        (found,) = quarantined(tmp_path)
        assert (found.reason, found.at) == ("its note is missing or damaged", path.stat().st_mtime)


def test_discarding_removes_segment_and_note(tmp_path, segment):
    path = quarantine(tmp_path, segment, reason=REASON, at=NOW)
    discard(path)
    discard(path)
    assert list((tmp_path / "quarantine").iterdir()) == []


def test_a_segment_that_is_nowhere_says_so(tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        quarantine(tmp_path, tmp_path / "g" / "nothing.closed", reason=REASON, at=NOW)
    assert quarantined(tmp_path) == []
