"""What an address of the Traces page asks for."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.web.views.asked import Asked, below, filters
from inchworm.domain.errors import UsageError
from inchworm.domain.trace import Arm
from inchworm.store.traces import TraceFilter

TEXT = st.none() | st.text(min_size=1, alphabet=st.characters(codec="utf-8"))
ASKED = st.builds(Asked, **dict.fromkeys(Asked.__slots__, TEXT))


@given(ASKED)
def test_an_address_asks_for_what_it_was_made_of(asked):
    assert Asked.of(dict(parse_qsl(urlsplit(asked.href()).query, strict_parsing=asked != Asked()))) == asked


def test_what_an_address_does_not_know_is_left_out():
    assert Asked.of({"colour": "green", "arm": "", "outcome": "ok"}) == Asked(outcome="ok")
    assert Asked().href() == "/traces"


@given(ASKED, st.sampled_from(["outcome", "arm", "topic", "finish"]), st.text(min_size=1))
def test_choosing_a_value_twice_takes_it_away_and_starts_at_the_first_page(asked, name, value):
    once = asked.without(name).with_facet(name, value)
    assert getattr(once, name) == value
    assert (once.after, once.peek) == (None, None)
    assert once.with_facet(name, value) == asked.without(name)


def test_facets_among_the_words_are_facets():
    asked = Asked(q='refund outcome:failed topic:"size advice" http://example.com now', arm="candidate")
    assert asked.spread() == Asked(
        q="refund http://example.com now", outcome="failed", topic="size advice", arm="candidate"
    )
    assert Asked(q="outcome:ok").spread() == Asked(outcome="ok")
    assert Asked(q="no facet").spread() == Asked(q="no facet")


@given(ASKED)
def test_spreading_twice_spreads_no_more(asked):
    assert asked.spread().spread().q == asked.spread().spread().spread().q


def test_the_store_is_asked_for_the_same():
    asked = Asked(
        outcome="failed",
        arm="baseline",
        topic="x",
        finish="stop",
        below="right=0.5",
        q="w",
        since="2h",
        peek="p",
    )
    assert filters(asked, 10_000.0) == TraceFilter(
        outcome="failed",
        arm=Arm.BASELINE,
        cluster="x",
        finish_reason="stop",
        metric_below=("right", 0.5),
        text="w",
        since=2_800.0,
    )
    assert filters(Asked(), 0.0) == TraceFilter()


@pytest.mark.parametrize(
    "text", ["", "right", "=0.5", "right=", "right=high", "right=2", "right=nan", "right=-1"]
)
def test_a_bound_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="METRIC=VALUE"):
        below(text)
