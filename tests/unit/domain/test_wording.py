"""Numbers in sentences."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain import wording
from inchworm.domain.benchmark import Interval


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (wording.points(-0.274), "−27.4"),
        (wording.points(0.001), "+0.1"),
        (wording.points(-0.0001), "0.0"),
        (wording.points(0.0), "0.0"),
        (wording.points(0.1, signed=False), "10.0"),
        (wording.points(-0.1, signed=False), "10.0"),
        (wording.bounds(-0.341, -0.209), "(−34.1 … −20.9)"),
        (wording.bounds(-0.0001, 0.05), "(0.0 … +5.0)"),
        (wording.interval(Interval(estimate=-0.011, low=-0.034, high=0.012)), "−1.1 points (−3.4 … +1.2)"),
        (wording.margin(0.03), "−3"),
        (wording.margin(0.081), "−8.1"),
        (wording.margin(0.0125), "−1.25"),
        (wording.percent(0.93), "93.0 %"),
        (wording.percent(0.0), "0.0 %"),
        (wording.share(0.05), "5 %"),
        (wording.share(1 - 0.05), "95 %"),
        (wording.share(0.005), "0.5 %"),
        (wording.usd(0), "0.00 USD"),
        (wording.usd(0.0034), "0.0034 USD"),
        (wording.usd(1.2), "1.20 USD"),
        (wording.usd(1234.5), "1,234.50 USD"),
        (wording.counted(0, "case"), "0 cases"),
        (wording.counted(1, "case"), "1 case"),
        (wording.counted(12_345, "case"), "12,345 cases"),
        (wording.ordinal(1), "1st"),
        (wording.ordinal(2), "2nd"),
        (wording.ordinal(11), "11th"),
        (wording.ordinal(388), "388th"),
        (wording.ordinal(1_003), "1,003rd"),
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
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b"]), "a and b"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_read_well(shown, wanted):
    assert shown == wanted


@given(st.floats(-1, 1))
def test_points_carry_a_sign_exactly_when_something_moved(value):
    text = wording.points(value)
    assert float(text.replace("−", "-")) == round(float(text.replace("−", "-")), 1)
    assert abs(float(text.replace("−", "-")) - 100 * value) <= 0.05 + 1e-9
    assert (text[0] in "−+") == (text != "0.0")
