"""The waterfall of spans."""

from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.web.views.spans import MOST, waterfall
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Errored
from inchworm.domain.span import Span, SpanKind

APP = AppRef(app="shop", environment="production")
AT = st.none() | st.floats(1.79e9, 1.79e9 + 100)


def span(id_, **more):
    return Span(app=APP, trace_id=TraceId("t"), id=id_, **more)


def href(id_):
    return f"?span={id_}"


def drawn(*spans, opened=None):
    found = waterfall(spans, opened, href)
    assert found is not None
    return found


def test_without_spans_there_is_none():
    assert waterfall([], None, href) is None


@given(st.lists(st.tuples(AT, AT), min_size=1, max_size=5))
def test_bars_lie_within_the_whole_time(times):
    spans = [
        span(str(n), started_at=start, ended_at=end if start is None or end is None else max(start, end))
        for n, (start, end) in enumerate(times)
    ]
    for row in drawn(*spans).rows:
        assert 0 < row.wide <= 100.0001
        if row.left is not None:
            assert 0 <= row.left < 100
            assert row.left + row.wide <= 100.5


def test_kinds_are_told_by_word_and_form():
    kinds = (SpanKind.LLM, SpanKind.TOOL, SpanKind.RETRIEVER, SpanKind.AGENT, SpanKind.EVENT)
    rows = drawn(*(span(kind, kind=kind, started_at=1.0, ended_at=2.0) for kind in kinds)).rows
    assert {(row.kind, row.shape) for row in rows} == {
        ("llm", "solid"),
        ("tool", "hollow"),
        ("retriever", "striped"),
        ("agent", "thin"),
        ("event", "tick"),
    }


def test_what_is_open_tells_what_went_in_and_out():
    tool = span(
        "a",
        kind=SpanKind.TOOL,
        inputs={"order": "ORDER_1"},
        output='{"state":"shipped"}',
        outcome=Errored(reason="no carrier"),
        parent_id="x",
        attributes={"b": 1, "a": "2"},
    )
    (row,) = drawn(tool, opened="a").rows
    assert (row.bad, row.lost, row.took, row.left) == ("errored", True, "not ended", None)
    assert row.href == "?span=None"
    assert row.opened is not None
    assert row.opened.inputs == (("order", "ORDER_1"),)
    assert row.opened.output == '{\n  "state": "shipped"\n}'
    assert row.opened.attributes == (("a", "2"), ("b", "1"))
    facts = dict(row.opened.facts)
    assert facts["outcome"] == "errored, because no carrier"
    assert facts["under"] == "x, which has not come"
    assert drawn(tool).rows[0].opened is None
    assert drawn(tool, opened="b").gone == "b"


def test_a_conversation_in_a_span_is_shown_as_one():
    talk = {"messages": [{"role": "user", "content": "Hi"}]}
    (row,) = drawn(span("a", kind=SpanKind.LLM, inputs=talk, output="Hello"), opened="a").rows
    assert row.opened is not None
    assert [(turn.role, turn.text) for turn in row.opened.turns] == [("user", "Hi"), ("assistant", "Hello")]
    assert row.opened.output is None


def test_a_long_trace_is_cut_but_for_what_is_open():
    spans = [span(f"{n:04}", started_at=float(n), ended_at=n + 1.0) for n in range(MOST + 50)]
    assert len(drawn(*spans).rows) == MOST
    found = drawn(*spans, opened="0240")
    assert (len(found.rows), found.count, found.rows[-1].id) == (MOST + 1, MOST + 50, "0240")
