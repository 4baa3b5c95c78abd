"""Layers keyed by call: whose values a call gets, and how a change of them is shown."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.calls import call_names, for_call, merged
from inchworm.domain.change import diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.evalset import Case
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.rendering import render

PLAIN: dict[str, Any] = {
    "model": {"name": "large"},
    "parameters": {"temperature": 0, "max_tokens": 400},
    "prompt": {"system": "Help.", "user": "{question}"},
}
KEYED = Configuration.of(
    {
        **PLAIN,
        "model": {"name": "large", "calls": {"rerank": {"name": "small"}}},
        "prompt": {
            **PLAIN["prompt"],
            "calls": {"rerank": {"system": "Sort."}, "plan": {"user": "Plan {question}"}},
        },
    }
)


def test_a_call_gets_its_own_values_over_the_common_ones_key_by_key() -> None:
    found = for_call(KEYED, "rerank")
    assert found.layer(Layer.MODEL) == {"name": "small"}
    assert found.layer(Layer.PARAMETERS) == PLAIN["parameters"]
    assert found.layer(Layer.PROMPT) == {"system": "Sort.", "user": "{question}"}


def test_a_name_that_nobody_knows_gets_the_common_values() -> None:
    assert for_call(KEYED, "other") == for_call(KEYED, None) == Configuration.of(PLAIN)


def test_a_configuration_without_calls_is_given_back_as_it_is() -> None:
    plain = Configuration.of(PLAIN)
    assert for_call(plain, "rerank") is plain
    assert call_names(plain) == ()


def test_a_prompt_that_speaks_of_calls_has_none() -> None:
    plain = Configuration.of({**PLAIN, "prompt": {"system": 'Say "calls" twice.', "user": "calls"}})
    assert for_call(plain, "rerank") is plain


def test_all_calls_of_all_layers_are_known_by_name() -> None:
    assert call_names(KEYED) == ("plan", "rerank")


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.dictionaries(NAMES, st.integers(0, 9))


@given(VALUES, st.dictionaries(st.sampled_from(["x", "y"]), VALUES), st.sampled_from(["x", "y", "z", None]))
def test_what_is_merged_is_plain_and_merging_again_changes_nothing(
    common: dict[str, int], calls: dict[str, dict[str, int]], call: str | None
) -> None:
    found = merged({**common, "calls": calls}, call)
    assert found == {**common, **calls.get(call or "", {})}
    assert merged(found, call) == found


def test_a_difference_in_one_call_is_shown_with_its_whole_path() -> None:
    other = KEYED.with_layer(
        Layer.PROMPT,
        {
            **PLAIN["prompt"],
            "calls": {"rerank": {"system": "Sort well."}, "plan": {"user": "Plan {question}"}},
        },
    )
    (one,) = diff(KEYED, other)
    assert (one.layer, one.path) == (Layer.PROMPT, ("calls", "rerank", "system"))
    assert (one.old, one.new) == ("Sort.", "Sort well.")
    assert KEYED.moved(other) == (Layer.PROMPT,)


def test_a_request_is_rendered_for_its_call_and_never_holds_the_others() -> None:
    asked = render(KEYED, {"question": "Q"}, call="rerank")
    assert (asked.target, [one.content for one in asked.messages]) == ({"name": "small"}, ["Sort.", "Q"])
    common = render(KEYED, {"question": "Q"})
    assert all("calls" not in layer for layer in (common.target, common.parameters))
    assert common.digest() == render(Configuration.of(PLAIN), {"question": "Q"}).digest()


def test_a_case_of_a_call_is_another_case_and_one_without_keeps_its_id() -> None:
    inputs = {"question": "Q"}
    plain, keyed = Case.identify(inputs, "R"), Case.identify(inputs, "R", "rerank")
    assert plain == Case.identify(inputs, "R", None) != keyed


def test_every_layer_may_be_keyed() -> None:
    layers = {str(layer): {"k": 1, "calls": {"c": {"k": 2}}} for layer in LAYERS}
    found = for_call(Configuration.of(layers), "c")
    assert all(found.layer(layer) == {"k": 2} for layer in LAYERS)
