"""Layers that contradict each other are said with their values, and what may run is not refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import render
from inchworm.providers.catalogue import Catalogue, ModelFacts
from inchworm.rollout.validate import VALIDATORS, Known, Problem, Recorded, checks, doubts, validate

FACTS = (
    ModelFacts(
        name="small-1",
        provider="openai",
        context_tokens=1_000,
        output_tokens=200,
        retires_on=date(2027, 1, 1),
    ),
    ModelFacts(
        name="thinker",
        provider="openai",
        refuses=frozenset({"max_tokens"}),
        instead={"max_tokens": "max_completion_tokens"},
        only={"temperature": 1, "presence_penalty": 0},
    ),
    ModelFacts(
        name="poet",
        provider="anthropic",
        at_most={"temperature": 1},
        one_of=(frozenset({"temperature", "top_p"}),),
    ),
)
KNOWN = Known(catalogue=Catalogue(models=FACTS))
BASE: dict[str, dict[str, Any]] = {
    "infrastructure": {},
    "model": {"name": "small-1"},
    "parameters": {},
    "context": {},
    "prompt": {"system": "Be short.", "user": "{question}"},
    "tools": {},
}


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {"type": "object"}}}


def of(**layers: dict[str, Any]) -> Configuration:
    return Configuration.of({name: {**BASE[name], **layers.get(name, {})} for name in BASE})


def said(found: Sequence[Problem]) -> list[str]:
    return [problem.message for problem in found]


def test_a_plain_configuration_has_no_problem() -> None:
    assert validate(of(), KNOWN) == doubts(of(), KNOWN) == ()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            {"context": {"window_tokens": 2_000}},
            "context.window_tokens is 2,000, and small-1 takes 1,000 at most",
        ),
        ({"parameters": {"max_tokens": 201}}, "parameters.max_tokens is 201, and small-1 writes 200 at most"),
        (
            {"parameters": {"max_completion_tokens": 201}},
            "parameters.max_completion_tokens is 201, and small-1 writes 200 at most",
        ),
        (
            {"parameters": {"max_tokens": 5, "max_completion_tokens": 5}},
            "parameters name both max_tokens and max_completion_tokens: providers take one",
        ),
        (
            {"model": {"name": "thinker"}, "parameters": {"max_tokens": 9}},
            "thinker refuses max_tokens: name max_completion_tokens instead",
        ),
        (
            {"model": {"name": "thinker"}, "parameters": {"temperature": 0.2}},
            "thinker takes temperature 1 alone, not 0.2: leave it out",
        ),
        (
            {
                "model": {"name": "poet"},
                "infrastructure": {"base_url": "https://api.anthropic.com/v1"},
                "parameters": {"temperature": 1.5},
            },
            "poet takes temperature up to 1, not 1.5",
        ),
        (
            {
                "model": {"name": "poet"},
                "infrastructure": {"base_url": "https://router.example/v1"},
                "parameters": {"temperature": 1, "top_p": 0.5},
            },
            "poet takes one of temperature and top_p, not both",
        ),
        (
            {"model": {"name": "poet"}},
            "calls go to api.openai.com, which serves models of openai, and poet is one of anthropic",
        ),
        (
            {
                "context": {"window_tokens": 900, "documents": 3, "chunk_tokens": 300},
                "parameters": {"max_tokens": 1},
            },
            "3 documents of 300 tokens and an answer of 1 are more than the window of 900 tokens",
        ),
        ({"tools": {"schemas": [tool("a"), tool("a")]}}, 'two tools are named "a"'),
        ({"tools": {"schemas": [{"type": "function"}]}}, "tool schema 1 has no name"),
        (
            {"tools": {"schemas": [tool("a", type="objekt")]}},
            (
                "the tool \"a\" is no JSON Schema: its parameters: there is no type 'objekt' "
                "(there are: array, boolean, integer, null, number, object, string)"
            ),
        ),
        (
            {
                "tools": {
                    "schemas": [
                        tool(
                            "a",
                            type="object",
                            properties={"x": {"anyOf": [{"type": "string"}, {"enum": []}]}},
                        )
                    ]
                }
            },
            'the tool "a" is no JSON Schema: its parameters, x, anyOf 2: enum is a list of values, not []',
        ),
        (
            {
                "tools": {
                    "schemas": [
                        tool("a", type="object", properties={}, required=["x"], additionalProperties=False)
                    ]
                }
            },
            'the tool "a" is no JSON Schema: its parameters: "x" is required, and none of the properties',
        ),
        (
            {
                "tools": {"schemas": [tool("a")]},
                "parameters": {"tool_choice": {"type": "function", "function": {"name": "b"}}},
            },
            'parameters.tool_choice names "b", and there is no such tool (there is: a)',
        ),
        (
            {"parameters": {"response_format": {"type": "json_object"}}},
            (
                'parameters.response_format is json_object, and the prompt never says "JSON": '
                "api.openai.com refuses requests without the word"
            ),
        ),
    ],
)
def test_what_cannot_run_is_said_with_its_values(layers: dict[str, Any], message: str) -> None:
    assert said(validate(of(**layers), KNOWN)) == [message]


@pytest.mark.parametrize(
    "layers",
    [
        {"context": {"window_tokens": 1_000}, "parameters": {"max_tokens": 200}},
        {"model": {"name": "thinker"}, "parameters": {"temperature": 1, "max_completion_tokens": 10**6}},
        {"model": {"name": "poet"}, "infrastructure": {"base_url": "https://router.example/v1"}},
        {"model": {"name": "poet"}, "infrastructure": {"upstream": "recorded"}},
        {"model": {"name": "nobody-knows-it"}, "parameters": {"max_tokens": 10**6, "temperature": 2}},
        {
            "parameters": {"response_format": {"type": "json_object"}},
            "prompt": {"system": "Answer in json.", "user": "{question}"},
        },
        {
            "parameters": {"response_format": {"type": "json_object"}},
            "infrastructure": {"base_url": "http://127.0.0.1:9/v1"},
        },
        {
            "tools": {
                "schemas": [
                    tool("a", type="object", properties={"x": True, "y": {"type": ["string", "null"]}})
                ]
            }
        },
    ],
)
def test_what_may_run_is_not_refused(layers: dict[str, Any]) -> None:
    assert validate(of(**layers), KNOWN) == ()


def test_the_longest_recorded_input_must_fit_the_model_too() -> None:
    known = replace(KNOWN, inputs=frozenset({"question"}), longest=({"question": "w" * 4 * 1_200},))
    (message,) = said(validate(of(), known))
    assert message == (
        "the longest recorded input renders to about 1,203 tokens; with an answer of 0 that is more than the "
        "1,000 that small-1 takes"
    )


def test_history_that_does_not_fit_the_window_is_named() -> None:
    turns = [{"role": role, "content": "w" * 400} for _ in range(5) for role in ("user", "assistant")]
    talk = {"messages": [*turns, {"role": "user", "content": "And?"}]}
    known = Known(inputs=frozenset({"messages"}), longest=(talk,))
    long = Configuration.of(
        {"context": {"window_tokens": 500, "history_turns": 4}, "parameters": {"max_tokens": 50}}
    )
    assert "with history_turns 4" in validate(long, known)[0].message
    short = long.with_layer(Layer.CONTEXT, {"window_tokens": 500, "history_turns": 1})
    assert validate(short, known) == ()


# --- tools in prompts


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("search_orders", "Call search_orders first.", True),
        ("search_orders", "Call research_orders first.", False),
        ("search_orders", "Call search_orders_v2 first.", False),
        ("searchOrders", "searchOrders finds them", True),
        ("search", "Please search for it.", False),
        ("search", "Use `search` for it.", True),
        ("search", "Use search(query) for it.", True),
        ("get-order", "Use get-order now", True),
        ("get-order", "to get-orders", False),
    ],
)
def test_a_tool_counts_as_named_only_where_it_stands_as_code(name: str, text: str, named: bool) -> None:
    known = replace(KNOWN, tools=frozenset({name}))
    without = of(prompt={"system": text})
    has_it = of(prompt={"system": text}, tools={"schemas": [tool(name)]})
    expected = [f'the prompt names the tool "{name}", and there is no such tool (there is: none)'] * named
    assert said(validate(without, known)) == expected
    assert validate(has_it, known) == ()


def test_an_example_that_calls_a_tool_names_it() -> None:
    shown = {"inputs": {"question": "Q"}, "answer": '{"name": "search", "arguments": {}}'}
    known = replace(KNOWN, tools=frozenset({"search"}))
    assert len(validate(of(prompt={"few_shot": [shown]}), known)) == 1


def test_a_tool_of_neither_side_is_just_a_word() -> None:
    assert validate(of(prompt={"system": "Call search_orders."}), KNOWN) == ()


# --- what runs and may not do what is wanted


def test_an_answer_that_cannot_come_in_time_is_a_doubt() -> None:
    known = replace(KNOWN, seconds_per_token={"small-1": 0.1})
    slow = of(infrastructure={"timeout_s": 10}, parameters={"max_tokens": 150})
    assert validate(slow, known) == ()
    assert said(doubts(slow, known)) == [
        (
            "an answer of max_tokens 150 takes 15 s even at the fastest that was recorded "
            "(10 tokens a second), and timeout_s is 10: long answers come too late"
        )
    ]
    assert doubts(of(infrastructure={"timeout_s": 15}, parameters={"max_tokens": 150}), known) == ()


def test_documents_that_nobody_retrieves_or_sees_are_a_doubt() -> None:
    none = of(context={"documents": 0}, prompt={"user": "{question} {documents}"})
    assert "it is shown none" in said(doubts(none, KNOWN))[0]
    known = replace(KNOWN, inputs=frozenset({"question", "documents"}))
    unseen = of(context={"documents": 2})
    assert "nobody sees them" in said(doubts(unseen, known))[0]
    assert validate(unseen, known) == ()


def test_a_recording_without_answers_is_a_doubt() -> None:
    inputs = {"question": "Q"}
    replayed = of(infrastructure={"upstream": "recorded"})
    known = replace(KNOWN, inputs=frozenset(inputs), longest=(inputs,), recorded=set())
    assert "the recording has no answer of" in said(doubts(replayed, known))[0]
    answered = replace(known, recorded={render(replayed, inputs).digest()})
    assert doubts(replayed, answered) == ()


# --- calls


def test_each_call_is_validated_with_its_own_values_and_named() -> None:
    keyed = of(
        model={"name": "small-1", "calls": {"think": {"name": "thinker"}}}, parameters={"max_tokens": 100}
    )
    assert said(validate(keyed, KNOWN)) == [
        "call think: thinker refuses max_tokens: name max_completion_tokens instead"
    ]


def test_what_is_wrong_for_all_calls_is_said_once() -> None:
    keyed = of(parameters={"temperature": 3, "calls": {"a": {"top_p": 0.5}, "b": {"top_p": 0.6}}})
    assert said(validate(keyed, KNOWN)) == ["parameters.temperature lies in [0, 2], not 3"]


def test_a_call_is_held_against_its_own_recorded_inputs() -> None:
    keyed = of(prompt={"user": "{question}", "calls": {"rerank": {"user": "{passages}"}}})
    known = replace(
        KNOWN,
        inputs=frozenset({"question"}),
        calls={"rerank": Recorded(inputs=frozenset({"query"}))},
    )
    assert said(validate(keyed, known)) == [
        (
            'call rerank: prompt.user names "{passages}", '
            "which the recorded inputs do not have (they have: query)"
        )
    ]
    fits = replace(known, calls={"rerank": Recorded(inputs=frozenset({"passages"}))})
    assert validate(keyed, fits) == ()


# --- what else


def test_what_stable_runs_with_already_refuses_nothing() -> None:
    broken = of(parameters={"max_tokens": 201})
    (message,) = said(validate(broken, KNOWN))
    assert validate(broken, replace(KNOWN, accepted=frozenset({message}))) == ()
    worse = of(parameters={"max_tokens": 202})
    assert len(validate(worse, replace(KNOWN, accepted=frozenset({message})))) == 1


def test_installed_validators_are_asked_after_ours_and_listed() -> None:
    def no_shouting(configuration: Configuration, known: Known) -> Sequence[Problem]:
        del known
        text = configuration.layer(Layer.PROMPT).get("system", "")
        return [Problem(layers=(Layer.PROMPT,), message="it shouts")] if text.isupper() else []

    known = replace(KNOWN, also=(("no-shouting (acme 1.0)", no_shouting),))
    assert said(validate(of(prompt={"system": "BE SHORT."}), known)) == ["it shouts"]
    assert validate(of(), known) == ()
    assert checks(known) == (*(what for what, _ in VALIDATORS), "no-shouting (acme 1.0)")
