import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.capture import DERIVED, Rejected, read, to_json
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.trace import Arm, Assignment, Trace, Usage

APP = AppRef(app="shop-support", environment="production")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = TEXTS.filter(bool)
TIMES = st.floats(-62_135_596_800, 253_402_300_799)
SIZES = st.floats(0, allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**63 - 1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
OUTCOMES = st.just(Ok()) | st.builds(Failed, reason=TEXTS) | st.builds(Errored, reason=TEXTS)
RESULTS = (
    st.builds(Scored, value=st.floats(0, 1))
    | st.builds(Unscored, reason=TEXTS)
    | st.builds(Errored, reason=TEXTS)
)
TRACES = st.builds(
    Trace,
    id=NAMES,
    app=st.just(APP),
    at=TIMES,
    unit_id=NAMES,
    configuration_id=st.none() | NAMES,
    assignment=st.none()
    | st.builds(
        Assignment,
        rollout_id=NAMES,
        stage=st.integers(0, 2**31 - 1),
        arm=st.sampled_from(Arm),
        probability=st.floats(0, 1),
    ),
    inputs=OBJECTS,
    output=st.none() | TEXTS,
    outcome=OUTCOMES,
    finish_reason=st.none() | TEXTS,
    latency_ms=st.none() | SIZES,
    usage=st.builds(
        Usage,
        input_tokens=st.none() | COUNTS,
        output_tokens=st.none() | COUNTS,
        cost_usd=st.none() | SIZES,
    ),
    reference=JSON,
    scores=st.lists(st.builds(Score, metric=NAMES, result=RESULTS, source=NAMES, at=TIMES), max_size=3).map(
        tuple
    ),
    attributes=OBJECTS,
)


def trace_of(**members):
    return Trace(**members)


def assigned(**members):
    return Assignment(**members)


@given(TRACES)
@settings(max_examples=300)
def test_what_is_exported_and_imported_is_the_same_trace(trace):
    line = to_json(trace)
    assert "\n" not in line
    assert list(read(io.BytesIO(line.encode()), app=APP, default_at=0.0)) == [trace]


def test_every_member_has_a_plain_name(one):
    record = {
        "schema": "trace/1",
        "id": "t-1",
        "app": "shop-support/production",
        "at": "2026-11-22T10:00:00+01:00",
        "unit": "ana",
        "configuration": "c1",
        "rollout": "r-1",
        "stage": 0,
        "arm": "candidate",
        "probability": 0.05,
        "inputs": {"question": "Where is it?"},
        "output": "There.",
        "outcome": {"is": "failed", "reason": "late"},
        "finish_reason": "stop",
        "latency_ms": 12,
        "usage": {"input_tokens": 5, "output_tokens": 2.0, "cost_usd": 0.001},
        "reference": "there",
        "scores": [
            {"metric": "helpful", "value": 1, "source": "human:ana", "at": 1_800_000_000},
            {"metric": "kind", "unscored": "nobody asked"},
        ],
        "attributes": {"a": None},
    }
    at = 1_795_338_000.0
    assert one(record) == trace_of(
        id="t-1",
        app=APP,
        at=at,
        unit_id="ana",
        configuration_id="c1",
        assignment=assigned(rollout_id="r-1", stage=0, arm=Arm.CANDIDATE, probability=0.05),
        inputs={"question": "Where is it?"},
        output="There.",
        outcome=Failed(reason="late"),
        finish_reason="stop",
        latency_ms=12.0,
        usage=Usage(input_tokens=5, output_tokens=2, cost_usd=0.001),
        reference="there",
        scores=(
            Score(metric="helpful", result=Scored(value=1.0), source="human:ana", at=1_800_000_000.0),
            Score(metric="kind", result=Unscored(reason="nobody asked"), source="import", at=at),
        ),
        attributes={"a": None},
    )


def test_what_is_missing_is_made_up_and_marked(one):
    trace = one({"inputs": {"messages": [{"role": "user", "content": "Hi"}]}})
    assert trace.at == 1000.0
    assert trace.outcome == Ok()
    assert trace.id.startswith("line-")
    assert trace.attributes == {DERIVED: {"id": "content", "at": "default", "unit": "first_user_message"}}


BASE = {"id": "t", "at": 1.0, "unit": "u", "inputs": {"q": "x"}}
ASSIGNED = {"rollout": "r-1", "stage": 0, "arm": "baseline", "probability": 0.5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schema": "trace/2"}, 'schema is "trace/2", which another version of Inchworm wrote'),
        ({"schema": "trace/x"}, '"trace/1" is expected'),
        ({"schema": 1}, "schema is a number"),
        (
            {"app": "other/production"},
            'app is "other/production", and this import is for shop-support/production',
        ),
        ({"app": "a/b/c"}, "names no app"),
        ({"app": 3}, "app is a number; a text is expected"),
        ({"id": ""}, "id is empty"),
        ({"id": ["t"]}, "id is an array; a text is expected"),
        ({"unit": True}, "unit is true or false"),
        ({"at": "yesterday"}, 'at is "yesterday"; a time is ISO 8601'),
        ({"at": "2026-11-22T10:00:00"}, "has no zone"),
        ({"at": "0001-01-01T00:00:00+14:00"}, None),
        ({"at": 1_700_000_000_000}, "divide by 1000"),
        ({"at": -1e300}, "no time in seconds"),
        ({"at": True}, "at is true or false; a time is expected"),
        ({"inputs": [1]}, "inputs is an array; an object is expected"),
        ({"output": 3}, "output is a number; a text is expected"),
        ({"outcome": "maybe"}, "outcome is {"),
        ({"outcome": {"is": "failed"}}, "outcome is {"),
        ({"latency_ms": -1}, "latency_ms is -1; it cannot be below 0"),
        ({"latency_ms": "12"}, "latency_ms is a text; a number is expected"),
        ({"usage": {"input_tokens": -1}}, "usage.input_tokens is -1"),
        ({"usage": {"input_tokens": 1.5}}, "usage.input_tokens is 1.5; it is a whole number"),
        ({"usage": {"input_tokens": 1e300}}, "usage.input_tokens is 1e+300"),
        ({"usage": {"cost_usd": -0.1}}, "usage.cost_usd is -0.1"),
        ({"usage": {"tokens": 1}}, 'usage has the unknown "tokens"'),
        ({"usage": 5}, "usage is a number; an object is expected"),
        ({**ASSIGNED, "probability": 1.5}, "probability is 1.5; it lies in [0, 1]"),
        ({**ASSIGNED, "arm": "control"}, 'arm is "control"; it is "baseline" or "candidate"'),
        ({**ASSIGNED, "stage": -1}, "stage is -1"),
        (
            {**ASSIGNED, "rollout": None},
            "rollout missing: rollout, stage, arm and probability belong together",
        ),
        ({"arm": "baseline"}, "rollout, stage, probability missing"),
        ({"scores": {}}, "scores is an object; an array is expected"),
        ({"scores": [1]}, "scores[0] is a number"),
        ({"scores": [{"value": 1}]}, "scores[0] names no metric"),
        ({"scores": [{"metric": "m", "value": 2}]}, "scores[0].value is 2; it lies in [0, 1]"),
        ({"scores": [{"metric": "m", "value": True}]}, "scores[0].value is true or false"),
        ({"scores": [{"metric": "m"}]}, "scores[0] needs one of value, unscored and errored, and has 0"),
        ({"scores": [{"metric": "m", "value": 1, "errored": "x"}]}, "and has 2"),
        ({"scores": [{"metric": "m", "value": 1, "sorce": "x"}]}, 'did you mean "source"?'),
        ({"ouput": "x"}, 'it has the unknown "ouput"; did you mean "output"?'),
        ({"zzz": "x"}, "belongs into attributes"),
    ],
)
def test_a_wrong_member_is_refused_by_its_name(one, changed, said):
    became = one({**BASE, **changed})
    if said is None:
        assert isinstance(became, Trace)
    else:
        assert isinstance(became, Rejected)
        assert said in became.reason
        assert str(became).startswith("line 1: ")


def test_the_base_of_that_table_is_right(one):
    assert isinstance(one(BASE), Trace)
    assert isinstance(one({**BASE, **ASSIGNED, "stage": 2**31 - 1}), Trace)


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1, 2}, b"x"])
def test_what_json_cannot_say_is_not_exported(value):
    trace = trace_of(id="t", app=APP, at=0.0, unit_id="u", outcome=Ok(), attributes={"x": value})
    with pytest.raises(InputError, match="trace 't' cannot be written as JSON"):
        to_json(trace)


def test_the_form_is_pinned():
    trace = trace_of(id="t", app=APP, at=1.5, unit_id="u", inputs={"q": "é"}, output="a", outcome=Ok())
    assert to_json(trace) == (
        '{"schema":"trace/1","id":"t","app":"shop-support/production","at":1.5,"unit":"u",'
        '"inputs":{"q":"é"},"output":"a","outcome":{"is":"ok"}}'
    )
    assert json.loads(to_json(trace))["schema"] == "trace/1"
