"""Freezes, approvals and the loss budget as ``inchworm.yaml`` writes them."""

import pytest

from inchworm.app.config.load import load
from inchworm.domain.errors import ConfigError
from inchworm.domain.rollout import Approvals, LossBudget

TEXT = """\
app: shop/production
layers:
  infrastructure: {{upstream: openai, base_url: https://api.openai.com/v1}}
  model: {{name: x}}
metrics:
  answered: {{check: complete, goal: true}}
rollout:
{rollout}"""


def written(folder, *lines):
    path = folder / "inchworm.yaml"
    path.write_text(TEXT.format(rollout="".join(f"  {line}\n" for line in lines)), "utf-8")
    return path


def test_all_of_it_is_read(tmp_path):
    spec = load(
        written(
            tmp_path,
            "freeze:",
            "- Fri 16:00 – Mon 08:00 Europe/Berlin",
            "- {from: 2026-11-27T16:00, for: 2d, rule: FREQ=MONTHLY;BYDAY=-1FR, reason: payday}",
            "- {from: 2026-11-27, for: 12h}",
            "approvals: {count: 2, by: [ana, ben], before: [start, 50 %, soak, start]}",
            "loss_budget: {margin: 3%, per: 90d}",
        )
    )
    assert [(one.text, one.zone, one.reason) for one in spec.freeze] == [
        ("Fri 16:00 – Mon 08:00 Europe/Berlin", "Europe/Berlin", ""),
        ("2d from 2026-11-27T16:00 FREQ=MONTHLY;BYDAY=-1FR UTC", "UTC", "payday"),
        ("12h from 2026-11-27 UTC", "UTC", ""),
    ]
    assert spec.policy.approvals == Approvals(count=2, by=("ana", "ben"), before=(0, 2, 3))
    assert spec.policy.loss_budget == LossBudget(margin=0.03, per_s=90 * 86_400.0)


def test_left_out_nobody_is_asked_and_nothing_is_frozen(tmp_path):
    spec = load(written(tmp_path, "soak: 1h"))
    assert (spec.freeze, spec.policy.approvals, spec.policy.loss_budget) == ((), None, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("freeze: [weekends]", 'rollout.freeze[0] is wrong: "weekends" is no freeze: write Fri 16:00'),
        ("freeze: [{from: 2026-11-27}]", 'the key "for" is missing in rollout.freeze[0]'),
        ("freeze: [{from: soon, for: 2d}]", 'rollout.freeze[0] is wrong: "soon" is no beginning'),
        ("freeze: [7]", "rollout.freeze[0] must be a time such as Fri 16:00"),
        (
            "approvals: {before: [60%]}",
            'rollout.approvals.before[0] is "60%", none of start, soak, 5%, 25%, 50%',
        ),
        (
            "approvals: {count: 2, by: [ana, ana]}",
            "rollout.approvals.count is 2, and only 1 may agree",
        ),
        ("approvals: {cuont: 2}", 'unknown key "cuont" in rollout.approvals. Did you mean "count"?'),
        ("loss_budget: {margin: 0%, per: 90d}", "rollout.loss_budget.margin must be more than nothing"),
        ("loss_budget: {margin: 1%}", 'the key "per" is missing in rollout.loss_budget'),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, line, message):
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, line))
    assert message in caught.value.message
    assert f"{tmp_path / 'inchworm.yaml'}:8" in caught.value.message
