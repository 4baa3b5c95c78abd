"""Feedback as the client library sends it: of an interaction, a step of it or a unit, on any scale."""

import json

import pytest

from inchworm.capture.records import Graded
from inchworm.domain.errors import InputError
from inchworm.gateway.client_records import read_records

AT = 7.0


def read(**score):
    (record,) = read_records(json.dumps({"score": {"app": "shop", "metric": "m"} | score}).encode(), at=AT)
    return record


@pytest.mark.parametrize("value", [4, -2.5, True, "good"])
def test_it_is_kept_as_it_was_given(value):
    record = read(trace="t", value=value)
    assert record == Graded(
        app="shop/production", trace="t", metric="m", value=value, source="user", at=AT, timed=False
    )
    assert isinstance(record.value, bool) is isinstance(value, bool)


def test_it_may_be_of_a_step_or_a_unit_and_say_more():
    record = read(trace="t", span="s", unit="u", value=1, id="f", source="survey", comment="fine", at=5)
    assert (record.trace, record.span, record.unit) == ("t", "s", "u")
    assert (record.id, record.source, record.comment, record.at, record.timed) == (
        "f",
        "survey",
        "fine",
        5,
        True,
    )
    assert read(unit="u", value=1).trace is None


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({"value": 1}, "neither an interaction nor a session or unit"),
        ({"trace": "", "value": 1}, "trace has 0 characters"),
        ({"trace": "t", "value": "x" * 5_000}, "value has 5000 characters"),
        ({"trace": "t", "value": [1]}, "got `array`"),
        ({"trace": "t", "value": 1, "at": 1e15}, "divided by 1000"),
        ({"trace": "t", "value": 1, "metric": ""}, "metric has 0 characters"),
    ],
)
def test_what_cannot_be_kept_is_refused(score, said):
    with pytest.raises(InputError, match=f"line 1: .*{said}"):
        read(**score)
