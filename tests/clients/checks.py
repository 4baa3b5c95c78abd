"""What several clients' tests hold."""

from typing import Any

import pytest
from tests.clients.answers import TOKENS_IN, TOKENS_OUT
from tests.clients.running import PRICE, World


def assert_assigned(world: World, trace: dict[str, Any], *, configuration: str, unit: str) -> str:
    """It is the unit's, and says which arm answered; that arm."""
    arm = world.arm(configuration)
    assert trace["configuration"] == configuration
    assert trace["unit"] == unit
    assert trace["arm"] == arm
    assert trace["rollout"] == "r-1"
    assert trace["stage"] == 0
    assert trace["probability"] == 0.5
    return arm


def assert_usage(trace: dict[str, Any]) -> None:
    """Tokens as the provider counted them, and what they cost by the declared price."""
    usage = trace["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (TOKENS_IN, TOKENS_OUT)
    cost = TOKENS_IN * PRICE["input"] + TOKENS_OUT * PRICE["output"]
    assert usage["cost_usd"] == pytest.approx(cost)
