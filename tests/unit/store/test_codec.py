import math
import types
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.store.values import BASE, plan, rollout

from inchworm.domain.attribution import Attribution, Proposal
from inchworm.domain.benchmark import Benchmark, Trial
from inchworm.domain.change import ABSENT, Plan, ValueDiff
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import InputError, StoreError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Scored
from inchworm.domain.rollout import Decision, LedgerEntry, Lineage, Rollout
from inchworm.domain.serving import ServingTable
from inchworm.domain.trace import Exposure, Trace
from inchworm.domain.work import WorkItem
from inchworm.store import codec
from inchworm.store.control import ImportRecord

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SHORT = st.text(max_size=5)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | FLOATS | SHORT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SHORT, inner, max_size=2),
    max_leaves=3,
)
# Values of a configuration must have a canonical form, and floats like 1e16 have none.
PLAIN = st.dictionaries(SHORT, st.integers(-9, 9) | SHORT | st.floats(-1e3, 1e3), max_size=2)
CONFIGURATIONS = st.dictionaries(st.sampled_from(LAYERS), PLAIN).map(Configuration.of)
DIFFS = st.builds(
    ValueDiff,
    layer=st.sampled_from(LAYERS),
    path=st.lists(SHORT, max_size=2).map(tuple),
    old=JSON | st.just(ABSENT),
    new=JSON | st.just(ABSENT),
)
METRICS = st.builds(
    Metric,
    name=SHORT,
    source=st.dictionaries(SHORT, JSON, max_size=2),
    margin=st.floats(0.5, 1),
    harm_margin=st.floats(0, 0.5),
)
SPECIAL: dict[Any, st.SearchStrategy[Any]] = {
    Any: JSON,
    Configuration: CONFIGURATIONS,
    ValueDiff: DIFFS,
    Metric: METRICS,
    Scored: st.builds(Scored, value=st.floats(0, 1)),
    str: SHORT,
    int: st.integers(),
    float: FLOATS,
    bool: st.booleans(),
    type(None): st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a declared type, from the hints alone and not from the codec."""
    kind = kind.__supertype__ if isinstance(kind, NewType) else kind
    if kind in SPECIAL:
        return SPECIAL[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: values_of(hints[one.name]) for one in fields(kind) if one.init})
    arguments = get_args(kind)
    if get_origin(kind) is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=2)
    if get_origin(kind) in {Union, types.UnionType}:
        return st.one_of(*[values_of(one) for one in arguments])
    msg = f"no strategy for {kind}"
    raise TypeError(msg)


KINDS = [
    Attribution,
    Benchmark,
    Case,
    Configuration,
    Decision,
    EvalSet,
    Exposure,
    ImportRecord,
    LedgerEntry,
    Lineage,
    Plan,
    Proposal,
    Rollout,
    ServingTable,
    Trace,
    Trial,
    WorkItem,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_what_is_written_is_read_back_equal(kind, data):
    value = data.draw(values_of(kind))
    assert codec.decode(kind, codec.encode(value)) == value
    assert codec.decode_many(kind, codec.encode_many([value, value])) == [value, value]


def test_types_come_back_not_only_equal_values():
    read = codec.decode(Rollout, codec.encode(rollout(1)))
    assert type(read.layer) is Layer
    assert type(read.metrics) is tuple
    assert type(read.policy.stages[0].weight) is float
    assert codec.decode(Plan, codec.encode(plan())).change.base.id == BASE.id


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"x": math.nan}, "JSON"),
        ({"x": math.inf}, "JSON"),
        ({"x": object()}, "JSON"),
        ({"x": "\ud800"}, "surrogate"),
        ({"\udfff": 1}, "surrogate"),
    ],
)
def test_what_json_does_not_know_is_refused(value, word):
    with pytest.raises(InputError, match=word):
        codec.to_text(value)


def test_a_cycle_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InputError, match="JSON"):
        codec.to_text(value)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"app":1}', codec.encode(plan()).replace('"notes"', '"later"')],
    ids=["cut", "array", "empty", "wrong", "unknown member"],
)
def test_a_damaged_or_foreign_record_is_no_value(text):
    with pytest.raises(StoreError):
        codec.decode(Plan, text)
