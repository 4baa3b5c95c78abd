"""Configurations, diffs, rendering, verdicts and app references."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.change import ABSENT, diff
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import ConfigError, InputError, TemplateError
from inchworm.domain.ids import short
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rendering import fill, render, variables, visible
from inchworm.domain.verdict import Verdict, overall

layer_values = st.dictionaries(
    st.text(min_size=1, max_size=5), st.integers(0, 9) | st.text(max_size=3) | st.booleans(), max_size=3
)
configurations = st.builds(
    lambda values: Configuration.of(dict(zip(LAYERS, values, strict=True))), st.tuples(*[layer_values] * 6)
)


@given(configurations)
def test_content_round_trips_and_identifies(configuration: Configuration) -> None:
    again = Configuration.from_content(configuration.content())
    assert again == configuration
    assert again.id == configuration.id
    assert hash(again) == hash(configuration)


@given(configurations, configurations)
def test_moved_layers_are_exactly_those_that_differ(one: Configuration, two: Configuration) -> None:
    moved = one.moved(two)
    assert (moved == ()) == (one.id == two.id)
    assert one.with_layers_of(two, moved) == two
    stepwise = one
    for layer in moved:
        before = stepwise
        stepwise = stepwise.with_layer(layer, two.layer(layer))
        assert before.moved(stepwise) == (layer,)
    assert stepwise == two
    assert {item.layer for item in diff(one, two)} == set(moved)


@given(configurations, configurations)
def test_diff_is_antisymmetric(one: Configuration, two: Configuration) -> None:
    there = [(item.layer, item.path, item.old, item.new) for item in diff(one, two)]
    back = [(item.layer, item.path, item.new, item.old) for item in diff(two, one)]
    assert there == back


def test_diff_tells_true_from_one_and_absent_from_null() -> None:
    one = Configuration.of({Layer.PARAMETERS: {"a": True, "b": None, "c": {"d": [1]}}})
    two = Configuration.of({Layer.PARAMETERS: {"a": 1, "c": {"d": [1, 2]}}})
    assert [(item.path, item.old, item.new) for item in diff(one, two)] == [
        (("a",), True, 1),
        (("b",), None, ABSENT),
        (("c", "d"), [1], [1, 2]),
    ]
    assert repr(ABSENT) == "absent"
    assert ABSENT != 0


def test_a_configuration_has_six_layers_of_known_names() -> None:
    with pytest.raises(ValueError, match="6 layers"):
        Configuration(texts=("{}",))
    with pytest.raises(ValueError, match="flavour"):
        Configuration.of({"flavour": {}})
    with pytest.raises(ValueError, match="schema 2"):
        Configuration.from_content({"schema": 2, "layers": {}})


def test_app_references() -> None:
    assert AppRef.parse("shop") == AppRef(app="shop", environment="production")
    assert str(AppRef.parse("shop/staging")) == "shop/staging"
    for wrong in ("", "/x", "a/", "a/b/c"):
        with pytest.raises(InputError, match="names no app"):
            AppRef.parse(wrong)


def test_errors_say_the_place() -> None:
    assert str(ConfigError("bad key", file="inchworm.yaml", line=3)) == "inchworm.yaml:3: bad key"
    assert str(ConfigError("bad key", file="inchworm.yaml")) == "inchworm.yaml: bad key"
    assert ConfigError("bad key", hint="mend it").hint == "mend it"


def test_short_ids() -> None:
    assert short("c7f1aaaaaaaa9a") == "c7f1…9a"
    assert short("c7f1") == "c7f1"


def test_metric_margins_are_checked() -> None:
    def metric(margin: float, harm: float) -> Metric:
        return Metric(name="m", source={}, role=Role.GOAL, clock=Clock.FAST, margin=margin, harm_margin=harm)

    assert metric(0.03, 0.0).margin == 0.03
    for margin, harm in ((0.0, 0.0), (1.5, 0.0), (0.03, 0.04), (0.03, -0.01)):
        with pytest.raises(ValueError, match="margin of m"):
            metric(margin, harm)


def test_overall_verdict_is_the_worst_and_nothing_is_no_data() -> None:
    assert overall(()) is Verdict.NO_DATA
    assert overall((Verdict.PASS, Verdict.PASS)) is Verdict.PASS
    assert overall((Verdict.PASS, Verdict.INCONCLUSIVE)) is Verdict.INCONCLUSIVE
    assert overall((Verdict.NO_DATA, Verdict.INCONCLUSIVE)) is Verdict.NO_DATA
    assert overall((Verdict.PASS, Verdict.FAIL, Verdict.ERRORED)) is Verdict.FAIL


@given(st.dictionaries(st.sampled_from(["question", "documents", "name"]), st.text(), min_size=3))
def test_fill_puts_values_in_and_nothing_else(values: dict[str, str]) -> None:
    assert fill("{question}|{{x}}|{name}", values) == f"{values['question']}|{{x}}|{values['name']}"


def test_templates_are_checked() -> None:
    assert variables("{a} {{b}} {c}") == {"a", "c"}
    for wrong in ("{", "{a!r}", "{a:>3}", "{a.b}", "{0}", "{}"):
        with pytest.raises(TemplateError):
            fill(wrong, {"a": 1})
    with pytest.raises(TemplateError, match="it has: a"):
        fill("{b}", {"a": 1})


def _configuration(**prompt: Any) -> Configuration:
    return Configuration.of({"prompt": prompt, "context": {"documents": 2, "document_order": "best_last"}})


def test_few_shot_examples_go_through_the_user_template() -> None:
    configuration = _configuration(
        system="Be short.",
        user="{question} | {documents}",
        few_shot=[{"inputs": {"question": "q0", "documents": ["d0"]}, "answer": "a0"}],
    )
    request = render(configuration, {"question": "q", "documents": ["best", "good", "poor"]})
    assert [(message.role, message.content) for message in request.messages] == [
        ("system", "Be short."),
        ("user", "q0 | d0"),
        ("assistant", "a0"),
        ("user", "q | good best"),
    ]
    assert request.deadline_s is None


CONVERSATION = [
    {"role": "system", "content": "old"},
    {"role": "user", "content": "u1"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "u2"},
    {"role": "assistant", "content": "a2"},
    {"role": "user", "content": "u3"},
]


@pytest.mark.parametrize(("turns", "first"), [(0, "u3"), (1, "u2"), (2, "u1"), (9, "u1")])
def test_history_turns_count_what_came_before_the_question(turns: int, first: str) -> None:
    configuration = Configuration.of({"context": {"history_turns": turns}, "prompt": {"system": "new"}})
    request = render(configuration, {"messages": CONVERSATION})
    assert [message.content for message in request.messages][:2] == ["new", first]
    assert request.messages[-1].content == "u3"


def test_a_recorded_conversation_goes_through_when_there_is_no_prompt() -> None:
    request = render(Configuration.of({}), {"messages": CONVERSATION})
    assert [message.content for message in request.messages] == ["old", "u1", "a1", "u2", "a2", "u3"]
    with pytest.raises(TemplateError, match="nothing to ask"):
        render(Configuration.of({}), {"question": "q"})


def test_the_deadline_is_no_part_of_what_the_model_sees() -> None:
    fast = Configuration.of({"infrastructure": {"timeout_s": 1}, "prompt": {"user": "{q}"}})
    slow = Configuration.of({"infrastructure": {"timeout_s": 9}, "prompt": {"user": "{q}"}})
    assert render(fast, {"q": "x"}).digest() == render(slow, {"q": "x"}).digest()
    assert render(fast, {"q": "x"}).deadline_s == 1.0
    assert visible(fast, {"documents": "no list"}) == {"documents": "no list"}
