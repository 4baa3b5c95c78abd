"""Whom a request belongs to."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.pseudonyms import _DERIVED
from inchworm.capture.fields import UnitFrom
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.gateway.units import LONGEST, unit_of_request

KEY, TRACE = b"k" * 32, TraceId("t-1")


def unit(headers=None, body=None, *, kind=UnitKind.SESSION, key=KEY, examples=()):
    return unit_of_request(headers or {}, body or {}, kind=kind, trace_id=TRACE, key=key, examples=examples)


def said(*texts):
    return {
        "messages": [{"role": "system", "content": "s"}, *({"role": "user", "content": t} for t in texts)]
    }


CHAIN = [
    ({"inchworm-unit": "h"}, {}, ("h", UnitFrom.STATED)),
    ({}, {"inchworm": {"unit": "b"}}, ("b", UnitFrom.STATED)),
    ({}, {"metadata": {"session_id": "m"}}, ("m", UnitFrom.METADATA)),
    ({}, {"thread_id": 7}, ("7", UnitFrom.METADATA)),
    ({}, {"user": "u"}, ("u", UnitFrom.METADATA)),
    ({}, {"safety_identifier": "s"}, ("s", UnitFrom.METADATA)),
]


@pytest.mark.parametrize("first", range(len(CHAIN)))
def test_the_first_link_of_the_chain_that_is_there_counts(first):
    headers: dict[str, str] = {}
    body = said("Hello")
    for more_headers, more_body, _ in CHAIN[first:]:
        headers |= more_headers
        body |= more_body
    assert unit(headers, body) == CHAIN[first][2]


def test_for_users_a_user_comes_before_a_session():
    body = {"metadata": {"session_id": "s-1"}, "user": "ana"}
    assert unit(body=body) == ("s-1", UnitFrom.METADATA)
    assert unit(body=body, kind=UnitKind.USER) == ("ana", UnitFrom.METADATA)
    assert unit(body={"metadata": {"session_id": "s-1"}}, kind=UnitKind.USER) == ("s-1", UnitFrom.METADATA)


def test_for_requests_each_trace_is_its_own_unit_whatever_the_request_says():
    headers, body = {"inchworm-unit": "h"}, {"user": "u"}
    assert unit(headers, body, kind=UnitKind.REQUEST) == (TRACE, UnitFrom.TRACE)


def test_a_conversation_is_known_by_what_was_said_first():
    first, where = unit(body=said("Where is my parcel?"))
    assert where is UnitFrom.FIRST_USER_MESSAGE
    assert unit(body=said("Where is my parcel?", "And now?"))[0] == first
    assert unit(body=said("Where is my bill?"))[0] != first
    parts = [{"type": "text", "text": "Where is my parcel?"}]
    assert unit(body=said(parts))[0] == first


def test_it_is_derived_with_the_key_and_the_house_knows_its_form():
    first, _ = unit(body=said("Hello"))
    assert _DERIVED.fullmatch(first)
    assert unit(body=said("Hello"), key=b"x" * 32)[0] != first


def test_examples_that_every_conversation_begins_with_are_passed_over():
    one = unit(body=said("Example?", "Mine?"), examples={"Example?"})
    two = unit(body=said("Example?", "Yours?"), examples={"Example?"})
    assert one != two
    assert unit(body=said("Example?"), examples={"Example?"}) == (TRACE, UnitFrom.TRACE)


def test_without_anything_the_trace_is_the_unit():
    assert unit() == (TRACE, UnitFrom.TRACE)
    assert (
        unit(body={"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})[1] is UnitFrom.TRACE
    )


def test_an_absurdly_long_id_stands_as_its_hash_and_still_tells_units_apart():
    one, _ = unit({"inchworm-unit": "a" * 1_000_000})
    two, _ = unit({"inchworm-unit": "a" * 1_000_001})
    assert len(one) < LONGEST
    assert one != two
    assert unit(body={"user": 10**LONGEST}) == (TRACE, UnitFrom.TRACE)


def test_an_id_that_utf8_cannot_say_stands_as_its_hash():
    found, where = unit(body={"user": "\ud800"})
    assert where is UnitFrom.METADATA
    assert re.fullmatch("unit-[0-9a-f]{32}", found)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMED = st.sampled_from(["messages", "metadata", "user", "inchworm", "session_id", "safety_identifier"])


@given(st.dictionaries(NAMED, ANY), st.sampled_from(UnitKind))
def test_whatever_a_body_holds_there_is_a_unit_that_can_be_written(body, kind):
    found, where = unit(body=body, kind=kind)
    assert found
    assert found.encode()
    assert isinstance(where, UnitFrom)


@given(
    st.lists(st.fixed_dictionaries({}, optional={"role": st.just("user") | ANY, "content": ANY}) | ANY),
)
def test_whatever_the_messages_hold_the_same_body_has_the_same_unit(messages):
    assert unit(body={"messages": messages}) == unit(body={"messages": messages})


def test_ids_are_texts():
    assert unit({"inchworm-unit": "x"})[0] == UnitId("x")
    assert unit(body={"user": True}) == (TRACE, UnitFrom.TRACE)
    assert unit(body={"user": "  "}) == (TRACE, UnitFrom.TRACE)
