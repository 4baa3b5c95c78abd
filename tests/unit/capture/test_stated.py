"""What a calling program states of itself, in headers and in traces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.attributes import to_header
from inchworm.capture.dialects import trace_1
from inchworm.capture.fields import Place
from inchworm.capture.stated import MOST, application_of, observed_of, read_observed, stated
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId

PLACE = Place(app=AppRef(app="shop", environment="production"), id=TraceId("t"), at=0.0)


def test_the_headers_of_a_call_become_attributes() -> None:
    headers = {"inchworm-application": " 9b2d4c1 ", "inchworm-observed": "index=faq-2026-11-02, rules=v%2C3"}
    assert stated(headers) == {
        "inchworm.application": "9b2d4c1",
        "inchworm.observed": {"index": "faq-2026-11-02", "rules": "v,3"},
    }
    assert stated({}) == {}


@pytest.mark.parametrize("value", ["", "   ", "x" * 257, "a\nb", "a\x00", None, 7, ["a"]])
def test_what_is_no_version_counts_as_not_said(value: object) -> None:
    assert application_of(value) is None
    assert observed_of({"index": value}) == {}


@pytest.mark.parametrize("header", ["index", "=x", "in dex=x", "1=x", "index=", f"index={'x' * 5_000}"])
def test_what_is_no_reference_counts_as_not_said(header: str) -> None:
    assert read_observed(header) == {}


def test_of_a_name_that_comes_twice_the_first_counts_and_no_call_states_too_many() -> None:
    assert read_observed("index=a,index=b") == {"index": "a"}
    assert len(read_observed(",".join(f"n{number}=v" for number in range(100)))) == MOST


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_what_is_written_for_a_header_is_read_back(said: dict[str, str]) -> None:
    assert read_observed(to_header(said)) == said


@given(st.text(max_size=300))
def test_no_header_is_an_error(text: str) -> None:
    assert set(stated({"inchworm-application": text, "inchworm-observed": text})) <= {
        "inchworm.application",
        "inchworm.observed",
    }


def test_a_trace_says_it_in_a_member_and_keeps_it_when_it_is_written_and_read() -> None:
    record = {"schema": "trace/1", "inputs": {"question": "Q"}, "application": "9b2d4c1"}
    read = trace_1.read(record, PLACE).trace
    assert read.attributes["inchworm.application"] == "9b2d4c1"
    import json

    again = trace_1.read(json.loads(trace_1.to_json(read)), PLACE).trace
    assert again.attributes == read.attributes
    with pytest.raises(InputError, match="application is"):
        trace_1.read({**record, "application": 7}, PLACE)
