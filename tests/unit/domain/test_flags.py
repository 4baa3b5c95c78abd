"""Flags as places in a configuration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.change import ABSENT
from inchworm.domain.configuration import Configuration
from inchworm.domain.flags import FlagKey, Reason, keys_of, read_key, reason_of, value_of, variant_of
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.trace import Arm, Assignment

CONFIGURATION = Configuration.of(
    {
        "infrastructure": {"timeout_s": 20, "retries": 0, "base_url": None},
        "model": {"name": "small"},
        "parameters": {"temperature": 0, "stop": ["a", {"b": 1}], "seed": 3},
        "prompt": {"system": "", "a.b": "hidden"},
    }
)
VALUES = {layer: CONFIGURATION.layer(layer) for layer in LAYERS}
APPS = ("shop", "shop/production", "shop.eu", "shop.eu/staging")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("shop", FlagKey(app="shop")),
        ("shop/production", FlagKey(app="shop/production")),
        ("shop.model", FlagKey(app="shop", layer=Layer.MODEL)),
        ("shop.eu.model.name", FlagKey(app="shop.eu", layer=Layer.MODEL, path=("name",))),
        ("shop/production.parameters.stop.1.b",
         FlagKey(app="shop/production", layer=Layer.PARAMETERS, path=("stop", "1", "b"))),
        ("shop.", None),
        ("shop.Model", None),
        ("shop.model.", None),
        ("shop.model..name", None),
        ("shopping", None),
        ("", None),
        ("shop/staging", None),
    ],
)  # fmt: skip
def test_a_key_names_a_place(key, expected):
    assert read_key(key, APPS) == expected
    if expected is not None:
        assert str(expected) == key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("shop.model.name", "small"),
        ("shop.prompt.system", ""),
        ("shop.parameters.stop.1.b", 1),
        ("shop.parameters.stop", ["a", {"b": 1}]),
        ("shop.parameters.seed", 3),
        ("shop.infrastructure.retries", 0),
        ("shop.tools", {}),
        ("shop.infrastructure.base_url", ABSENT),  # null is no value
        ("shop.parameters.stop.2", ABSENT),
        ("shop.parameters.stop.-1", ABSENT),
        ("shop.parameters.seed.deeper", ABSENT),
        ("shop.model.other", ABSENT),
    ],
)
def test_the_value_at_a_place(key, expected):
    place = read_key(key, APPS)
    assert place is not None
    assert value_of(place, VALUES) == expected


@pytest.mark.parametrize(
    ("key", "expected"), [("parameters.temperature", 0.0), ("infrastructure.timeout_s", 20.0)]
)
def test_a_number_that_may_have_a_fraction_is_one_even_if_it_has_none(key, expected):
    place = read_key(f"shop.{key}", APPS)
    assert place is not None
    value = value_of(place, VALUES)
    assert (value, type(value)) == (expected, float)


def test_all_keys_name_something_and_every_value_has_one():
    keys = keys_of("shop", VALUES)
    assert keys == sorted(set(keys))
    assert "shop.parameters.temperature" in keys
    assert "shop.prompt.a.b" not in keys
    places = [read_key(key, APPS) for key in keys]
    assert all(place is not None and value_of(place, VALUES) != ABSENT for place in places)


@given(st.text(max_size=40))
def test_any_text_is_a_key_or_none(text):
    place = read_key(text, APPS)
    assert place is None or str(place) == text


def test_variants_and_reasons():
    drawn = Assignment(rollout_id=RolloutId("r"), stage=0, arm=Arm.CANDIDATE, probability=0.5)
    assert (variant_of(drawn), variant_of(None)) == ("candidate", "stable")
    assert reason_of(exposing=True, assignment=drawn) is Reason.SPLIT
    assert reason_of(exposing=True, assignment=None) is Reason.DEFAULT
    assert reason_of(exposing=False, assignment=None) is Reason.STATIC
