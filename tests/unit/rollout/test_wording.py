"""Numbers in sentences."""

import math
from dataclasses import replace

import pytest
from tests.unit.rollout.world import draw, exposing

from inchworm.domain.rollout import UnitKind
from inchworm.rollout import wording
from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.snapshot import snapshot


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
        (wording.points(-0.274), "−27.4"),
        (wording.points(0.001), "+0.1"),
        (wording.points(-0.0001), "0.0"),
        (wording.points(0.1, signed=False), "10.0"),
        (wording.count(1, UnitKind.USER), "1 user"),
        (wording.count(12_345, UnitKind.SESSION), "12,345 sessions"),
        (wording.ordinal(1), "1st"),
        (wording.ordinal(12), "12th"),
        (wording.ordinal(388), "388th"),
        (wording.ordinal(1_003), "1,003rd"),
        (wording.percent(0.05), "5 %"),
        (wording.percent(1 - 0.05), "95 %"),
        (wording.percent(0.005), "0.5 %"),
        (wording.line(0.01), "100"),
        (wording.line(0.05 / 3), "60"),
        (wording.evidence(math.log(1_914)), "1,914"),
        (wording.evidence(math.log(8.7)), "8.7"),
        (wording.evidence(math.log(0.07)), "0.07"),
        (wording.evidence(700.0), "over 1,000,000"),
        (wording.evidence(-900.0), "under 0.001"),
        (wording.duration(45), "45 s"),
        (wording.duration(1_800), "30 min"),
        (wording.duration(86_400), "24 h"),
        (wording.duration(7 * 86_400), "7 days"),
        (wording.moved(effect(-0.274)), "answered fell by 27.4 points (−5.0 … +10.0)"),
        (wording.moved(effect(0.01)), "answered rose by 1.0 points (−5.0 … +10.0)"),
        (wording.moved(effect(0.0)), "answered stayed where it was (−5.0 … +10.0)"),
        (wording.moved(replace(effect(0.0), effect=None)), "answered has no estimate yet"),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_read_well(shown, wanted):
    assert shown == wanted
