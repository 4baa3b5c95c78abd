"""Files of every form: recognised, every row accounted for, the same as their lines of JSON would be."""

import gzip
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inchworm.capture import Rejected
from inchworm.capture.exporters import EXPORTS, written
from inchworm.capture.files import FileReading, Form, Head, form_of
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.span import Span
from inchworm.domain.trace import Arm, Assignment, Trace, Usage

APP = AppRef(app="shop-support", environment="production")


def run(data, form, **options):
    reading = FileReading(io.BytesIO(data), app=APP, form=form, default_at=1_790_000_000.0, **options)
    found = [one for entry in reading for one in entry.found]
    tally = reading.tally
    assert tally.lines == tally.accepted + tally.rejected + tally.blank
    return found, tally


def rows(text, **options):
    return run(text.encode(), Form.CSV, **options)


def parquet(records, schema=None, **options):
    held = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, schema=schema), held, **options)
    return held.getvalue()


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("a.jsonl", b'{"question": "x"}\n', Form.JSONL),
        ("a.csv", b"question,answer\n", Form.CSV),
        ("a.tsv.gz", gzip.compress(b"question\tanswer\n", mtime=0), Form.CSV),
        ("upload", b"question;answer\r\n", Form.CSV),
        ("upload", b"PAR1\x15\x04", Form.PARQUET),
        ("a.jsonl", b"PAR1\x15\x04", Form.PARQUET),
        ("spans.json", b'{"resourceSpans":[{}]}\n', Form.OTLP_JSON),
        ("spans", b'\xef\xbb\xbf {"resource_spans": [', Form.OTLP_JSON),
        ("events", b'{"batch":[', Form.LANGFUSE),
        ("a.csv", b'{"question": "x"}\n', Form.JSONL),
        ("upload", b"", Form.JSONL),
        ("upload", b"nonsense\n", Form.JSONL),
    ],
)
def test_a_form_is_told_by_beginning_and_name(name, head, form):
    assert form_of(name, head) is form


def test_a_media_type_tells_where_the_beginning_does_not():
    assert form_of("upload", b"ticket,reply\n", "text/csv; charset=utf-8") is Form.CSV
    assert form_of("upload", b"ticket,reply\n") is Form.JSONL


def test_a_stream_that_was_looked_at_begins_at_its_beginning():
    head = Head(io.BytesIO(b"abcdef" * 500))
    assert head.peek().startswith(b"abcdef")
    assert head.read(3) + head.read(10_000) == b"abcdef" * 500
    assert (head.read(1), head.taken) == (b"", 3_000)


def test_columns_are_the_members_of_a_line():
    (one,), tally = rows(
        "question,answer,expected,documents,user_id,at,latency_ms,id,shop\n"
        '"Where, when?","42","[""a"", ""b""]","[""x""]",ana,2026-11-20T10:00:00Z,12.5,t-1,north\n'
    )
    assert one.inputs == {"question": "Where, when?", "documents": ["x"]}
    assert (one.output, one.reference, one.unit_id, one.latency_ms) == ("42", ["a", "b"], "ana", 12.5)
    assert (one.id, one.attributes["shop"]) == ("t-1", "north")
    assert tally.without_time == 0


def test_dotted_columns_and_json_cells_are_objects():
    (one,), _ = rows(
        "id,at,unit,inputs.question,usage.input_tokens,outcome,attributes.session.id,attributes\n"
        'a,9,u,Why?,7,"{""is"":""failed"",""reason"":""no""}",s,"{""deep"":{""a"":1}}"\n'
    )
    assert one.inputs == {"question": "Why?"}
    assert (one.usage.input_tokens, one.outcome) == (7, Failed(reason="no"))
    assert one.attributes == {"session.id": "s", "deep": {"a": 1}}


@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
def test_what_stands_between_cells_is_told_by_the_head(between):
    (one,), _ = rows(f"question{between}answer\nWhy?{between}So.\n")
    assert (one.inputs["question"], one.output) == ("Why?", "So.")


def test_bad_rows_are_refused_and_the_others_read():
    found, tally = rows(
        "question,answer,latency_ms\na,b,1\nc,d\n\ne,f,g,h\ni,j,soon\n,k,3\n" + '"open, l,4\nm,n,5\n'
    )
    refused = {one.line: one.reason for one in found if isinstance(one, Rejected)}
    assert refused.keys() == {3, 5, 6, 7, 8}
    assert refused[3] == "the row has 2 cells, and the head has 3"
    assert refused[5] == "the row has 4 cells, and the head has 3"
    assert refused[6] == "latency_ms is a text; a number is expected"
    assert (tally.lines, tally.accepted, tally.rejected, tally.blank) == (7, 1, 5, 1)


def test_bytes_that_are_no_utf_8_are_refused_row_by_row():
    found, _ = run(b"question,answer\na,b\n\xff,c\nd,e\n", Form.CSV)
    assert [isinstance(one, Rejected) for one in found] == [False, True, False]
    assert "UTF-8" in found[1].reason


def test_a_gzipped_table_that_is_cut_short_gives_what_could_be_read():
    whole = gzip.compress(("question,answer\n" + "why?,so.\n" * 3).encode())
    found, _ = run(whole[:-9], Form.CSV)
    assert isinstance(found[-1], Rejected)
    assert "gzip" in found[-1].reason


@pytest.mark.parametrize("text", ["", "\n", "question,question\na,b\n"])
def test_a_table_needs_a_head_of_different_names(text):
    with pytest.raises(InputError):
        rows(text)


def test_parquet_has_types_of_its_own():
    moment = datetime(2026, 11, 20, 10, 0, 0, 250_000, tzinfo=UTC)
    (one,), _ = run(
        parquet(
            [
                {
                    "question": "Why?",
                    "documents": ["a", "b"],
                    "usage": {"prompt": None},
                    "created": moment,
                    "latency_ms": Decimal("12.50"),
                    "price": float("nan"),
                    "tags": {"shop": "north", "none": None},
                    "raw": b"bytes",
                }
            ],
            row_group_size=1,
        ),
        Form.PARQUET,
    )
    assert one.inputs == {"question": "Why?", "documents": ["a", "b"]}
    assert (one.at, one.latency_ms) == (moment.timestamp(), 12.5)
    assert one.attributes["tags"] == {"shop": "north"}
    assert (one.attributes["raw"], "price" in one.attributes) == ("bytes", False)


def test_parquet_refuses_rows_that_json_cannot_say():
    held = parquet(
        [{"question": "a", "x": 1.0}, {"question": "b", "x": float("inf")}, {"question": "c", "x": 2.0}]
    )
    found, tally = run(held, Form.PARQUET)
    assert [getattr(one, "line", None) for one in found] == [None, 2, None]
    assert tally.rejected == 1


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_is_said(data):
    with pytest.raises(InputError, match="no Parquet file"):
        run(data, Form.PARQUET)


@pytest.mark.parametrize("start", [0, 1, 6, 7, 20, 21, 30])
def test_a_file_goes_on_where_it_was_with_the_same_ids(start):
    records = [{"question": f"q{number}", "answer": "a"} for number in range(30)]
    lines = "".join(json.dumps(one) + "\n" for one in records).encode()
    table = ("question,answer\n" + "".join(f"q{number},a\n" for number in range(30))).encode()
    for form, data in (
        (Form.JSONL, lines),
        (Form.CSV, table),
        (Form.PARQUET, parquet(records, row_group_size=7)),
    ):
        whole, _ = run(data, form)
        head = 1 if form is Form.CSV else 0
        rest, _ = run(data, form, start=start + head)
        assert [one.id for one in rest] == [one.id for one in whole][start:]


def test_lines_of_telemetry_are_spans_and_may_stand_among_others():
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "name": "chat",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
    }
    bad = {**span, "spanId": "zz"}
    request = {"resourceSpans": [{"scopeSpans": [{"spans": [span, bad]}]}]}
    data = "".join(json.dumps(one) + "\n" for one in (request, {"question": "Why?"}, {"batch": 3}))
    found, tally = run(data.encode(), Form.JSONL)
    assert [type(one) for one in found] == [Span, Rejected, Trace, Rejected]
    assert (tally.lines, tally.accepted, tally.rejected) == (3, 2, 1)
    found, tally = run(b'{"question": "Why?"}\n', Form.OTLP_JSON)
    assert (tally.accepted, tally.rejected) == (0, 1)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
NUMBERS = st.floats(0, 1e9, allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
INPUTS = st.dictionaries(TEXTS, JSON.filter(lambda one: one is not None), min_size=1, max_size=3)
IDS = st.text("abcdef0123456789-", min_size=1, max_size=20)
SCORES = st.builds(
    Score,
    metric=IDS,
    result=st.builds(Scored, value=st.floats(0, 1)) | st.builds(Unscored, reason=TEXTS),
    source=IDS,
    at=NUMBERS,
)
TRACES = st.builds(
    Trace,
    id=IDS.map(TraceId),
    app=st.just(APP),
    at=NUMBERS,
    unit_id=IDS.map(UnitId),
    configuration_id=st.none() | IDS.map(ConfigurationId),
    assignment=st.none()
    | st.builds(
        Assignment,
        rollout_id=IDS.map(RolloutId),
        stage=st.integers(0, 9),
        arm=st.sampled_from(Arm),
        probability=st.floats(0, 1),
    ),
    inputs=INPUTS,
    output=st.none() | TEXTS,
    outcome=st.just(Ok()) | st.builds(Failed, reason=TEXTS) | st.builds(Errored, reason=TEXTS),
    finish_reason=st.none() | TEXTS,
    latency_ms=st.none() | NUMBERS,
    usage=st.builds(
        Usage,
        input_tokens=st.none() | st.integers(0, 10**9),
        output_tokens=st.none() | st.integers(0, 10**9),
        cost_usd=st.none() | NUMBERS,
    ),
    reference=JSON,
    scores=st.lists(SCORES, max_size=2).map(tuple),
    attributes=st.dictionaries(TEXTS, JSON.filter(lambda one: one is not None), max_size=3),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(TRACES, min_size=1, max_size=3))
def test_exported_and_imported_again_it_is_the_same(traces):
    for form in ("jsonl", "csv", "parquet"):
        data = b"".join(written(form, [traces[:2], traces[2:]], Counter()))
        found, _ = run(data, form_of(f"x{EXPORTS[form].ending}", data[:1000]))
        assert found == traces, form


SIMPLE = st.builds(
    lambda trace, question: replace(trace, inputs={"messages": [{"role": "user", "content": question}]}),
    TRACES,
    TEXTS,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(SIMPLE)
def test_a_chat_log_says_what_was_asked_and_answered(trace):
    (one,), _ = run(b"".join(written("openai-chat", [[trace]], Counter())), Form.JSONL)
    for name in ("id", "at", "unit_id", "inputs", "output", "reference", "latency_ms"):
        assert getattr(one, name) == getattr(trace, name), name
    assert trace.output is None or one.finish_reason == trace.finish_reason
    assert type(one.outcome) is type(trace.outcome)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(SIMPLE)
def test_telemetry_is_read_as_spans_of_the_same_interactions(trace):
    trace = replace(trace, at=trace.at / 2 + 1e9, attributes={}, latency_ms=12.5)
    (span,), _ = run(b"".join(written("otlp-json", [[trace]], Counter())), Form.JSONL)
    assert (span.inputs, span.output, span.people["unit"]) == (trace.inputs, trace.output, trace.unit_id)
    assert (span.assignment, span.configuration_id) == (trace.assignment, trace.configuration_id)
    assert span.usage == trace.usage
    events, _ = run(b"".join(written("langfuse", [[trace]], Counter())), Form.JSONL)
    assert {one.trace_id for one in events} == {trace.id}
    assert all(one.inputs == trace.inputs for one in events)


def test_what_has_no_question_is_left_out_of_a_chat_log_and_said():
    left: Counter[str] = Counter()
    trace = Trace(id=TraceId("a"), app=APP, at=1.0, unit_id=UnitId("u"), inputs={"x": 1}, outcome=Ok())
    assert b"".join(written("openai-chat", [[trace]], left)) == b""
    assert left.total() == 1
