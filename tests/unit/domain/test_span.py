"""Spans: what several reports of one come to."""

from dataclasses import replace

import pytest

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Failed, Ok
from inchworm.domain.span import Span, SpanKind, merged
from inchworm.domain.trace import Usage

SPAN = Span(app=AppRef(app="shop", environment="production"), trace_id=TraceId("t"), id="s")


def test_a_later_report_adds_to_an_earlier_one() -> None:
    begun = replace(SPAN, name="ask", kind=SpanKind.LLM, started_at=1.0, inputs={"q": 1}, revision=1.0)
    ended = replace(SPAN, ended_at=2.0, output="a", outcome=Ok(), usage=Usage(output_tokens=3), revision=2.0)
    both = replace(begun, ended_at=2.0, output="a", outcome=Ok(), usage=Usage(output_tokens=3), revision=2.0)
    assert merged(begun, ended) == merged(ended, begun) == both


def test_what_both_say_is_what_the_later_one_says() -> None:
    early = replace(SPAN, name="a", attributes={"x": 1, "y": 1}, people={"user": "u"}, revision=1.0)
    late = replace(SPAN, name="c", attributes={"y": 2}, outcome=Failed(reason="no"), revision=2.0)
    both = merged(early, late)
    assert both == merged(late, early)
    assert (both.name, both.attributes, both.people) == ("c", {"x": 1, "y": 2}, {"user": "u"})


def test_a_report_twice_is_a_report_once() -> None:
    one = replace(SPAN, name="a", attributes={"x": 1}, revision=1.0)
    assert merged(one, one) == one


def test_reports_of_two_spans_are_not_one() -> None:
    with pytest.raises(ValueError, match="is not"):
        merged(SPAN, replace(SPAN, id="other"))
