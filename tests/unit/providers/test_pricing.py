"""Prices: what is not known costs None, never 0."""

from __future__ import annotations

from typing import Any

import pytest

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.trace import Usage
from inchworm.providers.pricing import Price, cost, price_of, priced

PRICE = Price(input=2.5, output=10)


def test_cost_is_linear_in_tokens():
    assert cost(Usage(input_tokens=1_000_000, output_tokens=100_000), PRICE) == 3.5
    assert cost(Usage(input_tokens=0, output_tokens=0), PRICE) == 0


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=1), Usage(output_tokens=1)])
def test_without_tokens_or_price_there_is_no_cost(usage):
    assert cost(usage, PRICE) is None
    assert cost(Usage(input_tokens=1, output_tokens=1), None) is None


def test_a_cost_that_the_source_said_stays_without_a_price():
    said = Usage(input_tokens=1, output_tokens=1, cost_usd=0.5)
    assert priced(said, None) == said
    assert priced(said, PRICE).cost_usd == pytest.approx(12.5e-6)


def test_layers_come_before_the_table():
    table = {"m": Price(input=1, output=1)}
    mine: dict[str, Any] = {"price": {"input": 2.5, "output": 10}}
    assert price_of(Configuration.of({"model": {"name": "m"}}), table) == table["m"]
    assert price_of(Configuration.of({"model": {"name": "m", **mine}}), table) == PRICE
    assert price_of(Configuration.of({"model": {"name": "m"}, "infrastructure": mine}), table) == PRICE
    assert price_of(Configuration.of({"model": {"name": "n"}}), table) is None
    assert price_of(Configuration.of({})) is None


@pytest.mark.parametrize(
    "value",
    [
        3,
        {"input": 1},
        {"input": 1, "output": 2, "cached": 3},
        {"input": "1", "output": 2},
        {"input": True, "output": 2},
        {"input": 1, "output": -2},
    ],
)
def test_a_malformed_price_is_a_usage_error(value: Any):
    with pytest.raises(UsageError):
        Price.parse(value)
