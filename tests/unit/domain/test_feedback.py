"""What people say of an answer, on the scale that the app declares."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import InputError
from inchworm.domain.feedback import is_given, read_feedback, scale_trouble
from inchworm.domain.metric import Clock, Metric, Role


def metric(**source: object) -> Metric:
    return Metric(
        name="m",
        source={"feedback": True, **source},
        role=Role.SIGNAL,
        clock=Clock.JUDGED,
        margin=0.1,
        harm_margin=0.05,
    )


STARS, LOWER, WORDS = (
    metric(range=[1, 5]),
    metric(range=[10, 0]),
    metric(values={"good": 1, "2": 0.5, "true": 0}),
)


@pytest.mark.parametrize(
    ("of", "given_", "score"),
    [
        (metric(), True, 1.0),
        (metric(), False, 0.0),
        (metric(), 0.25, 0.25),
        (STARS, 1, 0.0),
        (STARS, 4, 0.75),
        (STARS, 5.0, 1.0),
        (LOWER, 10, 0.0),
        (LOWER, 2.5, 0.75),
        (WORDS, "good", 1.0),
        (WORDS, 2.0, 0.5),
        (WORDS, True, 0.0),
    ],
)
def test_feedback_is_read_on_its_metric_s_scale(of: Metric, given_: float | str, score: float) -> None:
    assert read_feedback([of], "m", given_) == score


@pytest.mark.parametrize(
    ("of", "given_", "why"),
    [
        ([], 4, "range: \\[1, 5\\]"),
        ([], "good", "values: {good: 1, bad: 0}"),
        ([], math.nan, "no finite number"),
        ([], math.inf, "no finite number"),
        ([STARS], 0, "goes from 1 to 5"),
        ([STARS], "five", "is the text"),
        ([WORDS], "better", "it takes good, 2, true"),
        ([WORDS], False, 'is "false"'),
    ],
)
def test_what_cannot_be_read_says_what_to_declare(of: list[Metric], given_: float | str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        read_feedback(of, "m", given_)
    said = f"{caught.value.message} {caught.value.hint}"
    assert re.search(why, said), said


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(0, 1))
def test_every_value_between_worst_and_best_is_a_score(worst: float, best: float, share: float) -> None:
    source = {"feedback": True, "range": [worst, best]}
    if scale_trouble(source) is None:
        number = min(max(worst + share * (best - worst), min(worst, best)), max(worst, best))
        assert 0.0 <= read_feedback([metric(range=[worst, best])], "m", number) <= 1.0


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ({"range": [1, 5], "values": {"a": 1}}, "values"),
        ({"range": [5, 5]}, "range"),
        ({"range": [1, math.inf]}, "range"),
        ({"range": [-1.7e308, 1.7e308]}, "range"),
        ({"values": {}}, "values"),
        ({"values": {"a": 2}}, "values"),
        ({"values": {"a": math.nan}}, "values"),
    ],
)
def test_a_scale_that_says_nothing_is_refused(source: dict[str, object], key: str) -> None:
    trouble = scale_trouble({"feedback": True, **source})
    assert trouble is not None
    assert trouble[0] == key


def test_a_metric_that_is_computed_waits_for_nobody() -> None:
    assert is_given(STARS)
    assert not is_given(
        Metric(
            name="c",
            source={"builtin": "cost"},
            role=Role.SIGNAL,
            clock=Clock.FAST,
            margin=0.1,
            harm_margin=0,
        )
    )
