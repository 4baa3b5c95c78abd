import gzip
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.capture import DIALECTS, Rejected, read
from inchworm.capture.values import MAX_LEVELS
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.trace import Trace

APP = AppRef(app="shop-support", environment="production")
NAMES = (
    "schema id app at unit configuration rollout stage arm probability inputs output outcome finish_reason "
    "latency_ms usage reference scores attributes messages request response choices message content role "
    "question answer documents metadata user error created timestamp body status_code value metric is reason "
    "prompt_tokens model stop type text"
).split()
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(
        ["trace/1", "user", "assistant", "ok", "text", "2026-11-22T10:00:00Z", "chat.completion"]
    )
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), VALUES, max_size=8)
DIALECT = st.none() | st.sampled_from(sorted(DIALECTS))


def run(data, **options):
    reading = read(io.BytesIO(data), **{"app": APP, "default_at": 0.0, **options})
    return list(reading), reading.tally


def adds_up(found, tally):
    traces = [one for one in found if isinstance(one, Trace)]
    assert tally.lines == tally.accepted + tally.rejected + tally.blank
    assert (len(traces), len(found)) == (tally.accepted, tally.accepted + tally.rejected)
    assert sum(tally.by_dialect.values()) == sum(tally.unit_from.values()) == tally.accepted
    assert tally.without_content == sum(not one.has_content for one in traces)
    assert tally.derived_units <= tally.accepted


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"{}", b"\n", b"\r", b'{"question":"x"}', b"\xff"])).map(b"".join),
    DIALECT,
)
@settings(max_examples=300)
def test_of_any_bytes_every_line_is_accounted_for_once(data, dialect):
    found, tally = run(data, dialect=dialect)
    adds_up(found, tally)
    if not data.startswith(b"\x1f\x8b"):
        assert tally.lines == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
        refused = [one.line for one in found if isinstance(one, Rejected)]
        assert refused == sorted(set(refused))


@given(st.binary(max_size=200))
def test_any_bytes_after_gzips_are_accounted_for_too(data):
    for packed in (b"\x1f\x8b" + data, gzip.compress(b'{"question":"x"}\n', mtime=0) + data):
        found, tally = run(packed)
        adds_up(found, tally)


@given(RECORDS, DIALECT)
@settings(max_examples=400)
def test_of_any_object_comes_a_trace_or_a_refusal(record, dialect):
    found, tally = run(json.dumps(record).encode() + b"\n", dialect=dialect)
    adds_up(found, tally)
    (became,) = found
    if isinstance(became, Trace):
        assert became.id
        assert became.unit_id
        assert became.app == APP
        canonical({"inputs": became.inputs, "reference": became.reference})
    else:
        assert became.line == 1
        assert became.reason


def test_a_file_of_many_shapes(imported):
    found, tally = imported(
        {"question": "a", "answer": "b"},
        {"messages": [{"role": "user", "content": "x"}], "user": "ana"},
        {"inputs": {"q": 1}, "unit": "u", "at": 5},
        {"foo": 1},
        {"schema": "trace/1", "outcome": "ok"},
    )
    assert [type(one).__name__ for one in found] == ["Trace", "Trace", "Trace", "Rejected", "Trace"]
    adds_up(found, tally)
    assert tally.by_dialect == {"question-answer": 1, "openai-chat": 1, "trace/1": 2}
    assert tally.unit_from == {"trace": 2, "metadata": 1, "stated": 1}
    assert (tally.without_content, tally.without_time, tally.derived_units) == (1, 3, 2)


def test_the_tally_can_be_asked_for_on_the_way():
    reading = read(io.BytesIO(b'\n{"question":"a"}\n{"x":1}\n'), app=APP, default_at=0.0)
    assert reading.tally.lines == 0
    next(reading)
    assert (reading.tally.lines, reading.tally.blank, reading.tally.accepted) == (2, 1, 1)
    assert [one.line for one in reading if isinstance(one, Rejected)] == [3]
    assert list(reading) == []
    assert reading.tally.rejected == 1


def test_ids_and_times_are_the_same_each_time_and_for_a_file_that_grew(imported):
    rows = [{"question": "a"}, {"question": "a"}, {"question": "b"}]
    first, _ = imported(*rows)
    again, _ = imported(*rows, packed=True)
    grown, _ = imported(*rows, {"question": "c"})
    assert first == again == grown[:3]
    assert len({one.id for one in grown}) == 4
    assert [one.at for one in grown] == sorted({one.at for one in grown})
    assert first[0].at == 1000.0


def test_line_ends_and_byte_order_marks_do_not_change_an_id(imported):
    (plain,), _ = imported(raw=b'{"question":"a"}\n')
    (other,), _ = imported(raw=b'\xef\xbb\xbf{"question":"a"}\r\n')
    assert plain == other


NESTED = '{"question":"x","deep":' + "[" * (MAX_LEVELS - 1) + "]" * (MAX_LEVELS - 1) + "}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"[1]", "a line is a JSON object, not an array"),
        (b"null", "a line is a JSON object, not null"),
        (b'{"question":NaN}', "it holds NaN, which is no JSON"),
        (b'{"question":"x","n":-Infinity}', "it holds -Infinity"),
        (b'{"question":"x","n":1e999}', "out of range"),
        (b'{"question":"x","n":' + b"9" * 5000 + b"}", "out of range"),
        (b'{"question":"x","n":{"m":[9223372036854775808]}}', "n.m[0] is an integer beyond 64 bits"),
        (b'{"question":"x","documents":[9007199254740993]}', "inputs: the integer 9007199254740993"),
        (b'{"question":"x","target":9007199254740993}', "reference: the integer 9007199254740993"),
        (b'{"question":"\\u0000"}', "question has a NUL character"),
        (b'{"question":"x","a":{"\\u0000":1}}', "a has a NUL character"),
        (b'{"question":"\x00"}', "NUL bytes"),
        (b'{"question":"\\ud800"}', "lone surrogate"),
        (b'{"question":"\\udc00x"}', "lone surrogate"),
        (b'{"question":"x",}', "it is no JSON"),
        (b'\xef\xbb\xbf{"question":"x"}', "it is no JSON"),
        (b'{"question":"x"} {}', "it is no JSON"),
        (b"[" * 100_000, "100 levels deep or deeper"),
        (b'{"question":"x","deep":' + b"[" * 99 + b"]" * 99 + b"}", "100 levels deep or deeper"),
        (b'{"question":"x","deep":' + b'{"a":' * 2000 + b"1" + b"}" * 2001, "100 levels deep or deeper"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_rest_imported(imported, line, said):
    good = b'{"question":"before"}\n'
    found, tally = imported(raw=good + line + b"\n" + good)
    assert [type(one) for one in found] == [Trace, Rejected, Trace]
    assert found[1].line == 2
    assert said in found[1].reason
    assert found[1].reason in str(found[1])
    adds_up(found, tally)


@pytest.mark.parametrize(
    "line",
    [
        NESTED,
        '{"question":"x","n":9223372036854775807}',
        '{"question":"x","id_of_ours":9007199254740993}',
        '{"question":"x","documents":[9007199254740992, 10000000000000000]}',
        '{"question":"a text may say \\\\u0000 and 12345678901234567890123 and ' + "[{" * 200 + '"}',
        '{"question":"\\ud83d\\ude00"}',
        '{"question":"x","n":-0.0,"m":1e308}',
    ],
)
def test_what_only_looks_like_it_is_kept(imported, line):
    (trace,), _ = imported(raw=line.encode())
    assert isinstance(trace, Trace)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (b'{"question":"x"}', None),
        (b'{"question":"x', "half-written"),
        (b'{"question":{"a":1}', "half-written"),
        ('{"question":"ü'.encode()[:-1], "half-written"),
        (b'{"foo":1}', "no known shape"),
        (b'{"question":NaN}', "it holds NaN"),
    ],
)
def test_a_last_line_without_its_end_is_taken_if_it_is_whole(imported, last, said):
    *_, became = imported(raw=b'{"question":"a"}\n' + last)[0]
    if said is None:
        assert isinstance(became, Trace)
    else:
        assert became.reason.startswith(said)
        assert became.line == 2


def test_every_example_of_the_docs_is_imported(imported):
    page = (Path(__file__).parents[3] / "docs" / "importing.md").read_text("utf-8")
    examples = re.findall(r"```json\n(.+)\n```", page)
    found, tally = imported(raw="\n".join(examples).encode())
    answers = [one.output for one in found]
    assert answers == ["On its way.", "On its way.", "Hello.", "Hello.", "On its way."]
    assert tally.by_dialect == {"trace/1": 1, "openai-chat": 3, "question-answer": 1}


def test_an_unknown_dialect_is_refused_at_once():
    with pytest.raises(InputError, match='no dialect "csv"') as caught:
        read(io.BytesIO(b""), app=APP, default_at=0.0, dialect="csv")
    assert caught.value.hint == "known are: trace/1, openai-chat, question-answer"
