"""Canonical JSON against RFC 8785's own rules and an independent implementation."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.canonical import canonical, digest, number

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53 - 1), max_value=2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(json_values)
def test_agrees_with_an_independent_implementation(value: Any) -> None:
    assert canonical(value).encode() == rfc8785.dumps(value)


@given(json_values)
def test_is_json_and_a_fixed_point(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_exactly(value: float) -> None:
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (333333333.33333329, "333333333.3333333"),
    ],
)
def test_number_vectors(value: float, text: str) -> None:
    assert number(value) == text


def test_members_are_sorted_by_utf_16_code_units() -> None:
    assert canonical({"\ufb33": 1, "\U0001f600": 2, "a": 3}) == '{"a":3,"\U0001f600":2,"\ufb33":1}'


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53 + 1, 10**400, "\ud800", {1: 2}, {"\udfff": 1}, b"bytes", {1, 2}, object()],
)
def test_what_json_does_not_know_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="canonical form"):
        canonical(value)


def test_large_integers_that_a_double_equals() -> None:
    assert canonical(2**53) == "9007199254740992"
    assert canonical(10**22) == "1e+22"


def test_digest_is_pinned() -> None:
    assert digest({"b": [1, 2.5, None], "a": "é"}) == (
        "d764fee2563da33e3d57334755404e635da33c995824b0adfabc4b6e1af4f608"
    )
