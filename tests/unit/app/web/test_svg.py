"""Plots: what they say in words, what they cut off, and where their marks lie."""

import re
from itertools import pairwise
from math import log
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.web import svg
from inchworm.app.web.svg import Band, apart, evidence_bar, rung, span_of, steps
from inchworm.app.web.svg_quality import quality, runs, scale
from inchworm.app.web.views.quality import ChangeBar, Observed, Quality, Stretch


def band(**changes):
    given_: dict[str, Any] = {
        "times": [100.0, 200.0, 300.0],
        "low": [-40.0, -10.0, -0.8],
        "high": [40.0, 12.0, 5.5],
        "margins": [(90.0, -8.1), (250.0, -5.1)],
        "effect": 2.6,
        "told": "",
        "stages": [(90.0, "5 %"), (250.0, "25 %")],
        "end": 310.0,
        "ends": "now",
        "estimate": "+2.6",
        "margin": "−5.1",
        "label": "answered: +2.6 points (−0.8 … +5.5), margin −5.1",
    }
    return Band(**(given_ | changes))


def read(markup):
    """The plot as XML: it must be well-formed."""
    return ET.fromstring(f"<div>{markup}</div>")  # noqa: S314  # our own


def texts(markup):
    return ["".join(one.itertext()) for one in read(markup).iter("text")]


def test_a_band_says_its_numbers_to_those_who_do_not_see_it():
    plot = read(svg.band(band())).find("svg")
    assert plot is not None
    assert plot.get("role") == "img"
    assert plot.get("aria-label") == "answered: +2.6 points (−0.8 … +5.5), margin −5.1"
    assert plot.get("viewBox") is None, "the text of the outer one must not be scaled"


def test_a_band_labels_its_series_its_margin_zero_its_stages_and_its_end():
    assert texts(svg.band(band())) == ["+2.6", "0", "margin −5.1", "5 %", "25 %, now"]
    assert texts(svg.band(band(stages=[(90.0, "5 %"), (150.0, "25 %")], ends="end")))[3:] == [
        "5 %",
        "25 %",
        "end",
    ]


@pytest.mark.parametrize(("told", "tone"), [("", None), ("c", "t-c"), ("h", "t-h")])
def test_a_band_is_grey_until_it_is_told_from_zero(told, tone):
    markup = svg.band(band(told=told))
    assert f'class="band {told}"' in markup
    assert (f'class="{tone}"' in markup) == (tone is not None)


def test_other_peoples_text_is_escaped_in_labels():
    markup = svg.band(band(label='<script>alert("x")</script>', estimate="<b>", stages=[(90.0, "<i>")]))
    assert "<script" not in markup
    assert "<b>" not in markup
    assert "<i>" not in markup


def test_the_wide_beginning_is_cut_off_and_what_is_asked_fits():
    low, high = span_of(band())
    assert -40 < low < -8.1
    assert 5.5 < high < 40


def test_the_margin_steps_where_a_stage_begins():
    assert steps([(90.0, -8.1), (250.0, -5.1)], (90.0, 310.0)) == [
        (90.0, -8.1),
        (250.0, -8.1),
        (250.0, -5.1),
        (310.0, -5.1),
    ]


def test_one_look_is_drawn_as_its_interval():
    one = band(times=[200.0], low=[-1.0], high=[3.0], margins=[(90.0, -5.0)], stages=[(90.0, "5 %")])
    lines = [line.get("class") for line in read(svg.band(one)).iter("line")]
    assert "iv " in lines


def test_a_spark_has_no_text():
    assert texts(svg.spark(band())) == []
    assert "aria-label" in svg.spark(band())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8).map(sorted))
def test_labels_stand_apart_and_stay_in_order_around_where_they_were(places):
    moved = apart(places, gap=11.5)
    assert len(moved) == len(places)
    for before, after in pairwise(moved):
        assert after - before >= 11.5 - 1e-9
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6), "the middle of all does not move"


def test_labels_that_have_room_do_not_move():
    assert apart([0.0, 20.0, 50.0], gap=11.5) == [0.0, 20.0, 50.0]


def bar_widths(markup):
    return [float(one) for one in re.findall(r'width="([\d.]+)%"', markup)]


def test_evidence_is_logarithmic_and_ends_within_the_bar():
    line = log(20)
    whole, at_one = bar_widths(evidence_bar(0.0, line, harmed=False))
    assert whole == 100
    _, at_line = bar_widths(evidence_bar(line, line, harmed=False))
    assert 0 < at_one < at_line < 100
    assert bar_widths(evidence_bar(900.0, line, harmed=False))[1] == 100
    assert bar_widths(evidence_bar(-900.0, line, harmed=False))[1] == 0
    assert f'x1="{at_line}%"' in evidence_bar(0.0, line, harmed=False), "the tick stands at the line"


def test_harm_has_its_own_colour():
    assert 'class="bar h"' in evidence_bar(5.0, 4.0, harmed=True)
    assert 'class="bar h"' not in evidence_bar(5.0, 4.0, harmed=False)


@pytest.mark.parametrize("place", ["done", "here", "stopped", "ended", "next"])
def test_only_the_present_rung_has_the_worm(place):
    assert ("--brand" in rung(place, last=False)) == (place == "here")
    assert ("--harm" in rung(place, last=False)) == (place == "stopped")
    assert "<line" not in rung(place, last=True)


# --- quality


def stretch(start, mean, *, low=None, high=None):
    return Stretch(
        at=start + 1_800.0,
        start=start,
        n=100,
        mean=mean,
        low=mean - 5 if low is None else low,
        high=min(mean + 4, 100.0) if high is None else high,
    )


def shown(**changes):
    given_: dict[str, Any] = {
        "metric": "answered",
        "width": "1 h",
        "width_s": 3_600.0,
        "since": 0.0,
        "until": 36_000.0,
        "bins": tuple(stretch(n * 3_600.0, 90.0 + n % 3) for n in range(10)),
        "layers": ("model", "prompt"),
        "bars": (
            ChangeBar(
                layer="prompt", rollout="r-1", start=3_600.0, end=9_000.0, kind="back", state="rolled back"
            ),
            ChangeBar(
                layer="model", rollout="r-2", start=20_000.0, end=36_000.0, kind="flight", state="exposing"
            ),
        ),
        "observed": (Observed(at=30_000.0, what="parameters changed."),),
        "n": 1_000,
        "summary": "answered: 90.0 % (85.0 … 94.0), n = 100 in the last bin",
    }
    return Quality(**(given_ | changes))


def labels(markup):
    return [one.get("aria-label") for one in read(markup).iter("svg") if one.get("role") == "img"]


def test_quality_and_changes_say_their_numbers():
    above, below = labels(quality(shown()))
    assert above == "answered: 90.0 % (85.0 … 94.0), n = 100 in the last bin. Bins of 1 h, 95 % band."
    assert below == "Changes by layer: r-1 prompt rolled back, r-2 model exposing; 1 change observed."


def test_what_was_rolled_back_is_marked_in_both_plots():
    above, below = str(quality(shown())).split("</svg><svg class=")
    assert above.count('class="stage"') == 2
    assert below.count('class="stage"') == 2


def test_the_narrow_twin_shows_the_newer_half():
    assert "r-1" in labels(quality(shown(), narrow=True))[1], "the words say everything all the same"
    assert 'class="bar h"' not in quality(shown(), narrow=True)
    assert 'class="bar h"' in quality(shown())


def test_no_line_crosses_a_time_in_which_nothing_was_measured():
    first, second = stretch(0.0, 90.0), stretch(3_600.0, 91.0)
    later = stretch(18_000.0, 92.0)
    assert runs([first, second, later], 3_600.0) == [[first, second], [later]]
    paths = quality(shown(bins=(first, second, later))).count('class="ln"')
    assert paths == 1, "one line of two bins; the lone one is a dot"


def test_a_bin_of_few_values_does_not_flatten_the_others():
    wide = stretch(0.0, 90.0, low=10.0, high=100.0)
    low, high, grid = scale([wide, *(stretch(n * 3_600.0, 90.0) for n in range(1, 9))])
    assert low >= 80
    assert high <= 100
    assert grid[0] == low
    assert 2 <= len(grid) <= 6


def test_without_a_value_only_the_changes_are_drawn():
    assert len(labels(quality(shown(bins=())))) == 1
