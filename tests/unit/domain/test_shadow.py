"""What mirrored calls may cost."""

from dataclasses import replace

import pytest

from inchworm.domain.rollout import Stage, StageKind
from inchworm.domain.shadow import ShadowSpent, shadow_budget_used

STAGE = Stage(
    weight=1.0,
    min_units=200,
    min_bake_s=0.0,
    max_bake_s=86_400.0,
    margin_factor=2.7,
    kind=StageKind.SHADOW,
    max_calls=1_000,
    budget_usd=5.0,
)


@pytest.mark.parametrize(
    ("spent", "said"),
    [
        (ShadowSpent(), None),
        (ShadowSpent(calls=999, priced=999, usd=4.99), None),
        (ShadowSpent(calls=1_000), "the shadow budget of 1,000 calls is used up"),
        (
            ShadowSpent(calls=700, priced=690, usd=5.02),
            "the shadow budget of 5.00 USD is used up: 700 calls cost 5.02 USD",
        ),
        # Answers without a price are taken to cost what the others do.
        (ShadowSpent(calls=300, priced=100, unpriced=150, usd=1.9), None),
        (
            ShadowSpent(calls=300, priced=100, unpriced=150, usd=2.0),
            "the shadow budget of 5.00 USD is used up: 300 calls cost about 5.00 USD",
        ),
        (ShadowSpent(calls=19, unpriced=19), None),
        (
            ShadowSpent(calls=20, unpriced=20),
            (
                "the shadow budget of 5.00 USD cannot be kept: nobody knows what its 20 answers cost "
                "(infrastructure.price would tell)"
            ),
        ),
        (ShadowSpent(calls=50), None),  # none was answered: nothing was paid
    ],
)
def test_a_budget_ends_where_it_says(spent, said):
    assert shadow_budget_used(STAGE, spent) == said


def test_without_a_budget_nothing_ends_it_and_other_stages_have_none():
    much = ShadowSpent(calls=10**6, priced=10**6, usd=1e6)
    assert shadow_budget_used(replace(STAGE, max_calls=None, budget_usd=None), much) is None
    assert shadow_budget_used(replace(STAGE, kind=StageKind.SPLIT), much) is None
