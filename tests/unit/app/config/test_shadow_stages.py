"""Stages at which the candidate answers for nobody, as inchworm.yaml says them."""

from pathlib import Path

import pytest

from inchworm.app.config.load import load
from inchworm.app.config.schema import keys_at
from inchworm.domain.errors import ConfigError
from inchworm.domain.rollout import Policy, Stage, StageKind
from inchworm.domain.targeting import Condition

TEXT = """\
app: shop/production
layers: {model: {name: m}}
metrics: {answered: {builtin: success, goal: true}}
rollout: {stages: STAGES}
"""
PLAIN = Stage(
    weight=1.0,
    min_units=200,
    min_bake_s=7_200,
    max_bake_s=604_800,
    margin_factor=2.7,
    kind=StageKind.SHADOW,
    max_calls=5_000,
)


def stages(folder: Path, written: str) -> tuple[Stage, ...]:
    path = folder / "inchworm.yaml"
    path.write_text(TEXT.replace("STAGES", written), "utf-8")
    return load(path).policy.stages


def test_a_word_is_a_stage_that_mirrors_everything(tmp_path):
    first, *rest = stages(tmp_path, "[shadow, 5%, 25%, 50%]")
    assert first == PLAIN
    # The others stand as they would without it, margins and all.
    assert tuple(rest) == Policy().stages
    assert stages(tmp_path, "[{shadow: 100%}, 50%]")[0] == PLAIN


def test_a_shadow_stage_says_how_much_and_for_how_much(tmp_path):
    first, second, third = stages(
        tmp_path,
        "[{shadow: 1%, audience: {plan: internal}}, {shadow: 20%, max_calls: 900, budget: 0.50 USD, "
        "min_pairs: 300, min_bake: 1h, max_bake: 3d, margin_factor: 4}, 50%]",
    )
    assert (first.weight, first.audience) == (0.01, (Condition(attribute="plan", values=("internal",)),))
    assert second == Stage(
        weight=0.2,
        min_units=300,
        min_bake_s=3_600,
        max_bake_s=259_200,
        margin_factor=4,
        kind=StageKind.SHADOW,
        max_calls=900,
        budget_usd=0.5,
    )
    assert (third.kind, third.margin_factor) == (StageKind.SPLIT, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[shadow]", "rollout.stages needs a stage after shadow at which the candidate answers, as in 50%"),
        (
            "[5%, shadow, 50%]",
            ("rollout.stages[1] is a shadow stage, and these come first, before anybody gets the candidate"),
        ),
        ("[shadow, shadow, 50%]", "rollout.stages[1] mirrors 100%, not more than the stage before it"),
        ("[{shadow: 0%}, 50%]", "rollout.stages[0] must mirror at least 0.01%, not 0%"),
        (
            "[{shadow: 10%, max_calls: 150}, 50%]",
            "rollout.stages[0] mirrors 150 calls at most, fewer than the 200 pairs it needs",
        ),
        (
            "[{shadow: 10%, budget: 5}, 50%]",
            (
                "rollout.stages[0].budget must be an amount such as 5 USD or 0.50 USD, more than nothing, "
                "not the number 5"
            ),
        ),
        (
            "[{shadow: 10%, weight: 5%}, 50%]",
            (
                "rollout.stages[0] has either shadow or weight: nobody gets the candidate's answer at a "
                "shadow stage"
            ),
        ),
        (
            "[{shadow: 10%, max_call: 5}, 50%]",
            'unknown key "max_call" in rollout.stages[0]. Did you mean "max_calls"?',
        ),
        ("[{shadow: 10%, max_bake: 1h}, 50%]", "rollout.stages[0].min_bake is longer than max_bake, 1h"),
        ("[shado, 50%]", 'rollout.stages[0] must be a share such as 5% or 0.05, not the text "shado"'),
        ("[{shadow: 5%}, 5%, 3%]", "rollout.stages[2] is 3%, not more than the stage before it"),
    ],
)
def test_what_is_no_such_stage_is_said(tmp_path, written, said):
    with pytest.raises(ConfigError) as caught:
        stages(tmp_path, written)
    assert caught.value.message.endswith(f"inchworm.yaml:4: {said}")


def test_editors_know_the_keys_of_both_kinds():
    keys = keys_at(("rollout", "stages", 0))
    assert {"weight", "min_units", "shadow", "max_calls", "budget", "min_pairs"} <= set(keys)
