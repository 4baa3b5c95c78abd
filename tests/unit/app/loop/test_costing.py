"""Costs that arms are compared by: at full price, whatever was cached and billed."""

from dataclasses import replace

import pytest

from inchworm.app.loop.costing import BILLED, Costs
from inchworm.domain.layers import Layer
from inchworm.domain.trace import Usage

TOKENS = Usage(input_tokens=1_000_000, output_tokens=100_000)


@pytest.fixture
def priced(world):
    """The stable configuration with a price, and an interaction that it answered."""
    house = world.house
    stable = house.control.configuration(house.lineage().stable)
    dear = stable.with_layer(
        Layer.INFRASTRUCTURE, {**stable.layer(Layer.INFRASTRUCTURE), "price": {"input": 2.0, "output": 10.0}}
    )
    house.control.put_configuration(house.app, dear, note="dear", at=house.now())
    trace = world.trace(1, "one", configuration_id=dear.id, usage=TOKENS)
    return Costs(house), trace, stable.id


def test_a_call_costs_what_its_tokens_cost(priced):
    costs, trace, _ = priced
    found = costs(trace)
    assert found.usage.cost_usd == pytest.approx(3.0)
    assert BILLED not in found.attributes


def test_what_was_billed_for_cached_input_moves_no_arm(priced):
    costs, trace, _ = priced
    discounted = replace(trace, usage=replace(TOKENS, cost_usd=1.2))
    found = costs(discounted)
    assert found.usage.cost_usd == pytest.approx(3.0)
    assert found.attributes[BILLED] == 1.2
    assert BILLED not in costs(replace(trace, usage=replace(TOKENS, cost_usd=3.0))).attributes


def test_without_a_price_or_tokens_what_was_said_stays(priced):
    costs, trace, unpriced = priced
    said = Usage(cost_usd=1.2)
    assert costs(replace(trace, usage=said)).usage == said
    other = replace(trace, configuration_id=unpriced, usage=replace(TOKENS, cost_usd=1.2))
    assert costs(other) == other
    assert costs(replace(other, configuration_id=None)).usage.cost_usd == 1.2
