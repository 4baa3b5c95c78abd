"""Values become plain JSON and come back as they were; everything else is refused."""

import json
from dataclasses import dataclass

import pytest

from inchworm.domain.benchmark import Interval, Trial
from inchworm.domain.change import ABSENT, ValueDiff
from inchworm.domain.codec import plain, typed
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import CaseId, ConfigurationId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Errored, Ok, Scored
from inchworm.domain.trace import Usage

TRIAL = Trial(
    case_id=CaseId("c"),
    configuration_id=ConfigurationId("d"),
    repetition=0,
    outcome=Ok(),
    results={"answered": Scored(value=0.1 + 0.2), "grounded": Errored(reason="no judge")},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tangled:
    """A field for which no JSON form is agreed."""

    value: int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """A tuple of a fixed length."""

    value: tuple[int, int]


def test_the_members_are_the_fields_in_their_order():
    assert json.dumps(plain(Interval(estimate=-0.5, low=-1, high=0.25))) == (
        '{"estimate": -0.5, "low": -1, "high": 0.25}'
    )
    assert plain(TRIAL)["results"]["answered"] == {"is": "scored", "value": 0.1 + 0.2}


def test_a_value_survives_json_text():
    assert typed(Trial, json.loads(json.dumps(plain(TRIAL)))) == TRIAL
    assert typed(tuple[Trial, ...], [plain(TRIAL)] * 2) == (TRIAL, TRIAL)


def test_a_configuration_is_its_content_and_gets_its_id_again():
    configuration = Configuration.of({Layer.MODEL: {"name": "m"}})
    read = typed(Configuration, plain(configuration))
    assert read == configuration
    assert read.id == configuration.id


def test_absent_and_null_stay_apart():
    absent = ValueDiff(layer=Layer.MODEL, path=("x",), old=ABSENT, new=None)
    read = typed(ValueDiff, plain(absent))
    assert read.old is ABSENT
    assert read.new is None


def test_a_member_with_a_default_may_be_missing():
    data = {"case_id": "c", "configuration_id": "d", "repetition": 0, "outcome": {"is": "ok"}}
    read = typed(Trial, data)
    assert read.usage == Usage()
    assert read.results == {}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"estimate": 0.0, "low": 0.0}, "Interval lacks high"),
        ({"estimate": 0.0, "low": 0.0, "high": 0.0, "level": 0.9}, "Interval has the unknown level"),
        ([], "keys"),
        (None, "keys"),
    ],
)
def test_another_shape_is_no_value(data, why):
    with pytest.raises(ValueError, match=why):
        typed(Interval, data)


def test_a_word_that_no_enumeration_has_is_no_value():
    with pytest.raises(ValueError, match="colour"):
        typed(Layer, "colour")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"bytes", "teach it"),
        (Tangled(value=1), "not a union"),
        (Pairs(value=(1, 2)), "only tuples of one type"),
    ],
)
def test_an_unknown_type_is_a_fault_of_ours(value, why):
    with pytest.raises(TypeError, match=why):
        plain(value)
    with pytest.raises(TypeError, match=why):
        typed(type(value), {})
