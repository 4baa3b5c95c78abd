"""Taking a bundle apart: order, validity of everything in between, dependencies, refusals."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.change import Change
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.layers import LAYERS, Layer
from inchworm.rollout.sequence import take_apart
from inchworm.rollout.validate import VALIDATORS, Known, longest_tokens, validate

APP = AppRef(app="shop", environment="production")
NOTHING = Known()
BASE: dict[str, dict[str, Any]] = {
    "infrastructure": {"timeout_s": 20},
    "model": {"name": "small"},
    "parameters": {"temperature": 0, "max_tokens": 64},
    "context": {"documents": 1, "window_tokens": 1_000},
    "prompt": {"system": "Be short.", "user": "{question} {documents}"},
    "tools": {},
}


def configuration(**layers: dict[str, Any]) -> Configuration:
    return Configuration.of({name: {**BASE[name], **layers.get(name, {})} for name in BASE})


def change(base: Configuration, candidate: Configuration) -> Change:
    return Change(app=APP, base=base, candidate=candidate, author="ana")


def test_three_layers_in_the_default_order() -> None:
    wanted = configuration(
        prompt={"system": "Be kind."}, parameters={"max_tokens": 32}, context={"documents": 3}
    )
    plan = take_apart(change(configuration(), wanted), NOTHING)
    assert [step.layer for step in plan.steps] == [Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT]
    assert {step.because for step in plan.steps} == {"default order"}
    assert plan.steps[0].base == configuration().id
    assert plan.steps[-1].candidate == wanted
    assert [item.path for item in plan.diffs] == [("max_tokens",), ("documents",), ("system",)]
    assert plan.notes[0] == "Validated: 2 of 2 intermediate configurations run."
    assert len(plan.notes) == 1 + len(VALIDATORS)


@given(st.sets(st.sampled_from(LAYERS), min_size=1))
def test_every_step_moves_one_layer_and_together_they_arrive(layers: set[Layer]) -> None:
    base = configuration()
    wanted = base
    for layer in layers:
        wanted = wanted.with_layer(layer, {**base.layer(layer), "seed": 1})
    plan = take_apart(change(base, wanted), NOTHING)
    before = base
    for number, step in enumerate(plan.steps, start=1):
        assert (step.number, step.base) == (number, before.id)
        assert before.moved(step.candidate) == (step.layer,)
        before = step.candidate
    assert before == wanted
    assert [step.layer for step in plan.steps] == [layer for layer in LAYERS if layer in layers]


def test_a_declared_dependency_changes_the_order() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"system": "Be kind."})
    plan = take_apart(change(configuration(), wanted), NOTHING, {Layer.PARAMETERS: (Layer.PROMPT,)})
    assert [(step.layer, step.because, step.after) for step in plan.steps] == [
        (Layer.PROMPT, "default order", ()),
        (Layer.PARAMETERS, "after: prompt", (Layer.PROMPT,)),
    ]


def test_a_dependency_on_a_layer_that_does_not_move_is_no_dependency() -> None:
    wanted = configuration(prompt={"system": "Be kind."})
    plan = take_apart(change(configuration(), wanted), NOTHING, {Layer.PROMPT: (Layer.CONTEXT,)})
    assert [(step.because, step.after) for step in plan.steps] == [("default order", ())]


def test_validity_forces_an_order_and_becomes_a_dependency() -> None:
    # the longer answers only fit the larger window, so the window must move first
    wanted = configuration(parameters={"max_tokens": 4_000}, context={"window_tokens": 8_000})
    plan = take_apart(change(configuration(), wanted), NOTHING)
    assert [step.layer for step in plan.steps] == [Layer.CONTEXT, Layer.PARAMETERS]
    assert plan.steps[1].after == (Layer.CONTEXT,)
    assert plan.steps[1].because == "cannot run without context"


def test_of_all_valid_orders_the_first_is_taken() -> None:
    wanted = configuration(
        parameters={"max_tokens": 4_000},
        context={"window_tokens": 8_000},
        prompt={"system": "x"},
        model={"name": "y"},
    )
    plan = take_apart(change(configuration(), wanted), NOTHING)
    order = tuple(step.layer for step in plan.steps)
    moved = change(configuration(), wanted).layers
    valid = [
        candidate
        for candidate in permutations(moved)
        if candidate.index(Layer.CONTEXT) < candidate.index(Layer.PARAMETERS)
    ]
    assert order == valid[0] == (Layer.MODEL, Layer.CONTEXT, Layer.PARAMETERS, Layer.PROMPT)


def test_nothing_to_plan() -> None:
    with pytest.raises(UsageError, match="nothing to plan"):
        take_apart(change(configuration(), configuration()), NOTHING)


def test_circles_are_refused() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"system": "x"})
    after = {Layer.PARAMETERS: (Layer.PROMPT,), Layer.PROMPT: (Layer.PARAMETERS,)}
    with pytest.raises(UsageError, match="goes in circles between parameters and prompt"):
        take_apart(change(configuration(), wanted), NOTHING, after)


def test_a_candidate_that_cannot_run_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot run: parameters.temperature lies in \[0, 2\], not 9"):
        take_apart(change(configuration(), configuration(parameters={"temperature": 9})), NOTHING)


def test_coupled_layers_are_said() -> None:
    # 900 tokens of answer fit neither the old window with the new prompt nor the new with the old
    base = configuration(context={"window_tokens": 100}, parameters={"max_tokens": 50})
    wanted = configuration(
        context={"window_tokens": 40}, parameters={"max_tokens": 10}, prompt={"system": "{question}"}
    )
    known = Known(
        inputs=frozenset({"question", "documents"}), longest=({"question": "q", "documents": ["d"]},)
    )
    plan = take_apart(change(base, wanted), known)
    assert [step.layer for step in plan.steps] == [Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT]
    stuck = configuration(context={"window_tokens": 40}, parameters={"max_tokens": 120})
    with pytest.raises(UsageError, match="cannot run"):
        take_apart(change(base, stuck), known)


def test_two_layers_that_only_move_together_are_said() -> None:
    base = configuration(tools={"schemas": [{"name": "old"}]}, parameters={"tool_choice": {"name": "old"}})
    wanted = configuration(tools={"schemas": [{"name": "new"}]}, parameters={"tool_choice": {"name": "new"}})
    with pytest.raises(UsageError, match="no order of parameters, tools keeps every intermediate"):
        take_apart(change(base, wanted), NOTHING)


def test_plans_are_identified_by_what_they_do() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"system": "x"})
    one = take_apart(change(configuration(), wanted), NOTHING)
    two = take_apart(change(configuration(), wanted), NOTHING)
    other = take_apart(change(configuration(), wanted), NOTHING, {Layer.PARAMETERS: (Layer.PROMPT,)})
    assert one.id == two.id != other.id
    assert one.id.startswith("plan-")


KNOWN = Known(
    inputs=frozenset({"question", "documents"}),
    longest=({"question": "q" * 400, "documents": ["d" * 400, "e"]},),
)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"prompt": {"user": "{name}"}}, 'prompt.user names "{name}", which the recorded inputs do not have'),
        ({"prompt": {"user": "{"}}, "prompt.user: the template has unbalanced braces"),
        (
            {"prompt": {"few_shot": [{"inputs": {"question": "q"}, "answer": "a"}]}},
            "few-shot example 1 has no documents",
        ),
        ({"context": {"window_tokens": 250}}, "the longest recorded input renders to about"),
        ({"context": {"window_tokens": 64}}, "max_tokens 64 leave no room"),
        ({"context": {"documents": 5}}, "at most 2 retrieved documents were recorded"),
        ({"parameters": {"top_p": 1.5}}, "parameters.top_p lies in [0, 1], not 1.5"),
        ({"tools": {"schemas": [{"description": "nameless"}]}}, "tool schema 1 has no name"),
        (
            {"parameters": {"tool_choice": {"function": {"name": "pay"}}}},
            'names "pay", and there is no such tool',
        ),
    ],
)
def test_what_validators_find(layers: dict[str, dict[str, Any]], message: str) -> None:
    problems = validate(configuration(**layers), KNOWN)
    assert [message in problem.message for problem in problems] == [True]


def test_a_prompt_needs_something_to_ask() -> None:
    bare = Configuration.of({**BASE, "prompt": {"system": "Be short."}})
    assert [problem.message for problem in validate(bare, KNOWN)] == [
        'prompt has no "user" template and the recorded inputs are no conversations'
    ]
    assert validate(bare, Known(inputs=frozenset({"messages"}))) == ()


def test_the_present_configuration_is_valid_and_its_size_is_known() -> None:
    assert validate(configuration(), KNOWN) == ()
    assert longest_tokens(configuration(), KNOWN) == 203
    assert longest_tokens(configuration(), NOTHING) is None
