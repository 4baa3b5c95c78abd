"""Filters as they are typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.filters import attribute, between, slower
from inchworm.domain.errors import UsageError


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("2s", 2_000), ("800ms", 800), (" 1.5 min ", 90_000), ("250", 250), ("0s", 0)],
)
def test_how_long_it_took(text, milliseconds):
    assert slower(text) == milliseconds


@pytest.mark.parametrize("text", ["", "fast", "-2s", "2h", "1" + "0" * 400 + "s"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="2s or 800ms"):
        slower(text)


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_range_of_a_metric(metric, one, other):
    low, high = sorted((one, other))
    assert between(f"{metric}={low!r}..{high!r}") == (metric, low, high)
    if low < high:
        with pytest.raises(UsageError):
            between(f"{metric}={high!r}..{low!r}")


@pytest.mark.parametrize("text", ["", "helpful", "helpful=", "helpful=0.1", "=0..1", "m=nan..1", "m=0..inf"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="METRIC=LOW"):
        between(text)


def test_an_attribute_and_its_value():
    assert attribute("region=eu=west") == ("region", "eu=west")
    assert attribute("region=") == ("region", "")
    for text in ("region", "=eu"):
        with pytest.raises(UsageError, match="NAME=VALUE"):
            attribute(text)
