"""Whose a record is, in every form in which one arrives."""

import json

import msgspec
import pytest
from tests.unit.app.loop.spooled import called, exposed, rated, traced

from inchworm.app.loop.whose import Whose
from inchworm.capture.records import Exported, Graded, Mirrored, encode
from inchworm.domain.ids import TraceId, UnitId

APP = "small-shop/production"


def pseudonym(unit):
    """Addresses are stored under another name."""
    return UnitId(f"u-{len(unit)}") if "@" in unit else unit


def is_theirs(record, *names, traces=()):
    raw = record if isinstance(record, bytes) else encode(record)
    return Whose(names, [TraceId(one) for one in traces], pseudonym)(raw)


@pytest.mark.parametrize(
    "record",
    [
        called("1", unit="ana"),
        exposed("1", unit="ana"),
        traced({"id": "l", "unit": "ana", "inputs": {}}),
        traced({"id": "l", "attributes": {"gen_ai.user.id": "ana"}}),
        called("1", request=json.dumps({"user": "ana"}).encode()),
        Mirrored(app=APP, unit="ana", rollout="r", stage=0, trace="t", shadow="s", probability=0.5, at=1.0),
        Graded(app=APP, unit="ana", metric="m", value=1.0, source="s", at=1.0),
    ],
)
def test_a_record_that_names_a_unit_is_its_own(record):
    assert is_theirs(record, "ana")
    assert not is_theirs(record, "an")
    assert not is_theirs(record, "bob")


def test_a_name_is_known_by_what_it_is_stored_as():
    assert is_theirs(called("1", unit="ana@mailhost.net"), "u-16")
    assert is_theirs(traced({"user": "ana@mailhost.net"}), "u-16")
    assert not is_theirs(called("1", unit="bob.b@mailhost.net"), "u-16")


def test_feedback_and_spans_belong_to_their_interaction():
    assert is_theirs(rated("1"), "ana", traces=["t-1"])
    assert not is_theirs(rated("2"), "ana", traces=["t-1"])
    assert is_theirs(Graded(app=APP, trace="t-1", metric="m", value=True, source="s", at=1.0), traces=["t-1"])


def test_what_cannot_be_read_is_searched_for_whole_values():
    unit = "session-4711"
    span = json.dumps({"attributes": [{"key": "session.id", "value": {"stringValue": unit}}]}).encode()
    assert is_theirs(Exported(app=APP, dialect="otlp-json", body=span, at=1.0), unit)
    protobuf = b"\x0a\x05\x1a" + bytes([len(unit)]) + unit.encode() + b"\x22\x01x"
    assert is_theirs(Exported(app=APP, dialect="otlp-protobuf", body=protobuf, at=1.0), unit)
    assert not is_theirs(Exported(app=APP, dialect="otlp-json", body=span, at=1.0), "session-471")
    assert is_theirs(b"\x00broken" + msgspec.msgpack.encode(unit), unit)
    assert is_theirs(b'broken {"x": "session-4711"', unit)
    assert is_theirs(b'broken {"x": "{\\"user\\": \\"session-4711\\"}"', unit)
    assert not is_theirs(b"broken session-47112", unit)
    long = "session-" + "x" * 200
    assert is_theirs(b"\x0a" + bytes([208 % 128 + 128, 1]) + long.encode(), long)


def test_short_names_are_looked_for_where_a_unit_stands_and_nowhere_else():
    assert is_theirs(called("1", unit="42"), "42")
    assert not is_theirs(traced({"unit": "x", "inputs": {"n": "42"}}), "42")
