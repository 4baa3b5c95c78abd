"""Dependencies between layers that nobody had to declare."""

from __future__ import annotations

from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.rollout.sequencing.needs import needs


def tools(*names: str) -> dict[str, Any]:
    return {"schemas": [{"type": "function", "function": {"name": name}} for name in names]}


def of(**layers: dict[str, Any]) -> Configuration:
    return Configuration.of({"prompt": {"user": "{question}"}, **layers})


def test_a_prompt_that_names_documents_needs_them_retrieved_first() -> None:
    base = of(context={"documents": 0})
    candidate = of(context={"documents": 3}, prompt={"user": "{question} {documents}"})
    assert needs(base, candidate) == {
        Layer.PROMPT: {Layer.CONTEXT: "the prompt names {documents}, and context.documents is 0 before"}
    }


def test_documents_are_taken_away_after_the_prompt_that_names_them() -> None:
    base = of(context={"documents": 3}, prompt={"user": "{question} {documents}"})
    assert needs(base, of(context={"documents": 0})) == {
        Layer.CONTEXT: {Layer.PROMPT: "the prompt names {documents} before, and context.documents becomes 0"}
    }


def test_more_documents_than_before_are_no_need() -> None:
    prompt = {"user": "{question} {documents}"}
    assert (
        needs(of(context={"documents": 1}, prompt=prompt), of(context={"documents": 3}, prompt=prompt)) == {}
    )


def test_a_prompt_that_names_a_new_tool_needs_the_tool_first() -> None:
    candidate = of(
        tools=tools("search_orders"), prompt={"user": "{question}", "system": "Call search_orders."}
    )
    assert needs(of(), candidate) == {
        Layer.PROMPT: {Layer.TOOLS: "the prompt names the tool search_orders, which is new"}
    }


def test_a_tool_is_taken_away_after_the_prompt_that_names_it() -> None:
    base = of(tools=tools("search_orders"), prompt={"user": "{question}", "system": "Call search_orders."})
    assert needs(base, of()) == {
        Layer.TOOLS: {Layer.PROMPT: "the prompt names the tool search_orders, which is taken away"}
    }


def test_a_chosen_tool_that_is_new_comes_first() -> None:
    chosen = {"tool_choice": {"type": "function", "function": {"name": "lookup"}}}
    assert needs(of(), of(tools=tools("lookup"), parameters=chosen)) == {
        Layer.PARAMETERS: {Layer.TOOLS: "tool_choice names lookup, which is new"}
    }
    assert needs(of(tools=tools("lookup"), parameters=chosen), of()) == {
        Layer.TOOLS: {Layer.PARAMETERS: "tool_choice names lookup, which is taken away"}
    }


def test_a_tool_that_is_replaced_with_its_prompt_goes_in_a_circle() -> None:
    base = of(tools=tools("find_a"), prompt={"user": "{question}", "system": "Call find_a."})
    candidate = of(tools=tools("find_b"), prompt={"user": "{question}", "system": "Call find_b."})
    found = needs(base, candidate)
    assert {layer: set(after) for layer, after in found.items()} == {
        Layer.PROMPT: {Layer.TOOLS},
        Layer.TOOLS: {Layer.PROMPT},
    }


def test_a_layer_that_does_not_move_is_no_need() -> None:
    base = of(tools=tools("search_orders"))
    assert needs(base, base.with_layer(Layer.PROMPT, {"system": "Call search_orders."})) == {}


def test_needs_of_one_call_name_it() -> None:
    base = of()
    candidate = of(
        tools={"calls": {"find": tools("search_orders")}},
        prompt={"user": "{question}", "calls": {"find": {"system": "Call search_orders."}}},
    )
    assert needs(base, candidate) == {
        Layer.PROMPT: {Layer.TOOLS: "the prompt names the tool search_orders, which is new (call find)"}
    }
