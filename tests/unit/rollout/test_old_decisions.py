"""Decisions of versions before freezes, approvals and loss budgets: their evidence says less, and replays."""

import json
from pathlib import Path

import pytest

from inchworm.domain.codec import typed
from inchworm.domain.rollout import Decision, DecisionKind
from inchworm.rollout.decide import replay

STORED = json.loads((Path(__file__).parent / "golden_decisions_1.json").read_text("utf-8"))


@pytest.mark.parametrize("stored", STORED, ids=[f"{one['kind']}-{one['state']}" for one in STORED])
def test_a_decision_of_an_older_version_replays_to_the_bit(stored):
    assert stored["evidence"]["format"] == "evidence/1"
    assert "permits" not in stored["evidence"]["observed"]
    assert "author" not in stored["evidence"]["rollout"]
    decision = typed(Decision, stored)
    assert replay(decision) == decision


def test_every_kind_of_decision_that_there_was_is_among_them():
    kinds = {one["kind"] for one in STORED}
    assert kinds == {kind.value for kind in DecisionKind} - {"queue", "emergency"}
