"""What is observed beside configurations: news once, and no flip of two that run side by side."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.observed import Noticed, Noticer
from inchworm.capture.observed.noticing import GONE
from inchworm.capture.stated import APPLICATION_SAID, OBSERVED_SAID
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import CALL, Trace

APP = AppRef(app="shop", environment="production")


def trace(number: int, attributes: dict[str, Any], *, at: float | None = None) -> Trace:
    return Trace(
        id=TraceId(f"t-{number:06}"),
        app=APP,
        at=float(number) if at is None else at,
        unit_id=UnitId("u"),
        outcome=Ok(),
        attributes=attributes,
    )


def versions(values: Iterable[str], *, key: str = APPLICATION_SAID) -> list[Trace]:
    return [trace(number, {key: value}) for number, value in enumerate(values)]


def news(traces: list[Trace], noticer: Noticer | None = None) -> list[Noticed]:
    return (noticer or Noticer()).take(traces, lambda _: {})


def test_the_first_version_is_no_change_and_another_one_is_at_once() -> None:
    (one,) = news(versions("aab"))
    assert (one.before, one.to, one.at) == ("a", "b", 2.0)
    assert one.sentence == "The application is b now (a before)."
    assert one.data == {"what": "application", "from": "a", "to": "b", "call": None, "of": None}


def test_two_versions_side_by_side_are_said_once() -> None:
    assert [one.to for one in news(versions("a" * 20 + "ab" * 200 + "b" * 200))] == ["b"]


def test_a_version_that_is_rolled_back_is_said_with_the_time_it_came_back() -> None:
    found = news(versions("a" * 10 + "b" * 30 + "a" * (GONE + 5)))
    assert [(one.before, one.to, one.at) for one in found] == [("a", "b", 10.0), ("b", "a", 40.0)]


def test_a_short_silence_is_no_return() -> None:
    assert len(news(versions("a" * 10 + ("b" + "a" * (GONE - 1)) * 5))) == 1


@given(st.lists(st.sampled_from("abc"), max_size=300))
def test_changes_are_a_chain_and_never_more_than_the_values_and_the_silences(values: list[str]) -> None:
    found = news(versions(values))
    for before, after in pairwise(found):
        assert before.to == after.before
    assert all(one.before != one.to for one in found)
    assert len(found) <= len(set(values)) + len(values) // GONE


@given(st.lists(st.sampled_from("abc"), max_size=200), st.integers(1, 50))
def test_batches_and_restarts_change_nothing(values: list[str], size: int) -> None:
    traces = versions(values)
    noticer, found = Noticer(), []
    for start in range(0, len(traces), size):
        found += news(traces[start : start + size], noticer)
        noticer = Noticer.of(noticer.state())
    assert found == news(traces)


def test_a_state_of_another_format_is_forgotten() -> None:
    assert news(versions("b"), Noticer.of(b'{"format": "noticed/9"}')) == []


def test_what_is_over_an_hour_late_says_nothing_of_the_present() -> None:
    noticer = Noticer()
    news([trace(0, {APPLICATION_SAID: "b"}, at=10_000.0)], noticer)
    assert news([trace(1, {APPLICATION_SAID: "a"}, at=6_000.0)], noticer) == []
    assert len(news([trace(2, {APPLICATION_SAID: "c"}, at=6_500.0)], noticer)) == 1


def answered(number: int, asked: str, by: str, fingerprint: str | None = None) -> Trace:
    said = {"gen_ai.request.model": asked, "gen_ai.response.model": by}
    return trace(
        number, said | ({} if fingerprint is None else {"openai.response.system_fingerprint": fingerprint})
    )


def test_an_alias_that_another_model_answers_is_said() -> None:
    found = news([answered(0, "m", "m-1"), answered(1, "other", "x"), answered(2, "m", "m-2")])
    assert [one.sentence for one in found] == ["m is answered by m-2 now (m-1 before)."]
    assert found[0].data["what"] == "model_alias"
    assert found[0].data["of"] == "m"


def test_a_model_that_is_asked_for_by_each_arm_is_no_change_of_an_alias() -> None:
    arms = [answered(n, name, f"{name}-1") for n, name in enumerate(["a", "b"] * 50)]
    assert news(arms) == []


def test_a_fingerprint_is_said_only_when_the_former_is_gone() -> None:
    flips = [answered(n, "m", "m-1", f"fp_{n % 3}") for n in range(300)]
    assert news(flips) == []
    moved = [answered(n, "m", "m-1", "fp_a" if n < 10 else "fp_b") for n in range(10 + GONE)]
    (one,) = news(moved)
    assert (one.before, one.to, one.at) == ("fp_a", "fp_b", 10.0)
    assert one.sentence == "m-1 answers with the system fingerprint fp_b now (fp_a before)."


def test_references_are_watched_by_name_call_and_what_they_refer_to() -> None:
    def said(number: int, value: str, call: str | None, live: str) -> Trace:
        attributes: dict[str, Any] = {OBSERVED_SAID: {"index": value}, "live": live}
        return trace(number, attributes | ({} if call is None else {CALL: call}))

    traces = [
        said(0, "faq-1", None, "faq-live"),
        said(1, "help-1", "rerank", "faq-live"),
        said(2, "next-1", None, "faq-next"),
        said(3, "faq-2", None, "faq-live"),
    ]
    (one,) = Noticer().take(traces, lambda trace: {"index": trace.attributes["live"]})
    assert one.sentence == "index faq-live stands for faq-2 now (faq-1 before)."
    assert one.data == {"what": "index", "from": "faq-1", "to": "faq-2", "call": None, "of": "faq-live"}


@pytest.mark.parametrize(
    "attributes",
    [
        {APPLICATION_SAID: 7},
        {OBSERVED_SAID: "index"},
        {OBSERVED_SAID: {"index": 7}},
        {"gen_ai.response.model": "m"},
        {},
    ],
)
def test_what_has_another_shape_says_nothing(attributes: dict[str, Any]) -> None:
    assert news([trace(0, attributes), trace(1, attributes)]) == []


def test_it_forgets_what_it_saw_longest_ago_rather_than_grow() -> None:
    noticer = Noticer()
    news([answered(n, f"m-{n}", "x") for n in range(1_000)], noticer)
    assert len(noticer.state()) < 50_000
