"""What became of a metric, in words."""

from dataclasses import replace

import pytest
from tests.unit.rollout.world import draw, exposing

from inchworm.domain.rollout import UnitKind
from inchworm.rollout import wording
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import consume, empty


def effect(value):
    """A metric that moved by so much."""
    row = exposing()
    found = snapshot(row, consume(row, empty(row), draw(1, 100, rates={"answered": (0.9, 0.9)})))
    one = found.metric("answered")
    assert one.effect is not None
    return replace(one, effect=replace(one.effect, effect=value, low=-0.05, high=0.1))


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (wording.count(1, UnitKind.USER), "1 user"),
        (wording.count(12_345, UnitKind.SESSION), "12,345 sessions"),
        (wording.percent(0.05), "5 %"),
        (wording.moved(effect(-0.274)), "answered fell by 27.4 points (−5.0 … +10.0)"),
        (wording.moved(effect(0.01)), "answered rose by 1.0 points (−5.0 … +10.0)"),
        (wording.moved(effect(0.0)), "answered stayed where it was (−5.0 … +10.0)"),
        (wording.moved(replace(effect(0.0), effect=None)), "answered has no estimate yet"),
    ],
)
def test_metrics_and_units_read_well(shown, wanted):
    assert shown == wanted
