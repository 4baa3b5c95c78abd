"""Taking a bundle apart: order, validity of everything in between, dependencies, refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.change import Change, Corner, CouplingKind
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import EvalSetId, short
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.verdict import Verdict
from inchworm.rollout.sequencing.legs import Measured
from inchworm.rollout.sequencing.orders import combinations, in_order
from inchworm.rollout.sequencing.sequence import left_undecided, take_apart
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


def test_a_step_is_not_said_to_need_what_only_an_earlier_step_needs() -> None:
    """The longer answers need the larger window; the prompt needs neither, whatever the answers would."""
    wanted = configuration(
        context={"window_tokens": 8_000}, parameters={"max_tokens": 4_000}, prompt={"system": "Be kind."}
    )
    plan = take_apart(change(configuration(), wanted), NOTHING, {Layer.PROMPT: (Layer.PARAMETERS,)})
    assert [(step.layer, step.because) for step in plan.steps] == [
        (Layer.CONTEXT, "default order"),
        (Layer.PARAMETERS, "cannot run without context"),
        (Layer.PROMPT, "after: parameters"),
    ]
    free = take_apart(change(configuration(), wanted), NOTHING)
    assert [(step.layer, step.after) for step in free.steps] == [
        (Layer.CONTEXT, ()),
        (Layer.PARAMETERS, (Layer.CONTEXT,)),
        (Layer.PROMPT, ()),
    ]
    assert free.steps[-1].because == "default order"


def test_a_step_needs_what_makes_it_run_also_where_that_is_needed_by_others() -> None:
    """Longer answers and a longer prompt both need the larger window, each for itself."""
    known = Known(inputs=frozenset({"question"}), longest=({"question": "x" * 3_600},))
    wanted = configuration(
        context={"window_tokens": 8_000}, parameters={"max_tokens": 4_000}, prompt={"system": "y" * 1_200}
    )
    base = configuration(prompt={"user": "{question}"})
    plan = take_apart(
        change(base, wanted.with_layer(Layer.PROMPT, {"system": "y" * 1_200, "user": "{question}"})), known
    )
    assert [(step.layer, step.after) for step in plan.steps] == [
        (Layer.CONTEXT, ()),
        (Layer.PARAMETERS, (Layer.CONTEXT,)),
        (Layer.PROMPT, (Layer.CONTEXT,)),
    ]


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


def coupled_by_validity() -> Change:
    """A tool that is renamed, together with the choice of it."""
    base = configuration(tools={"schemas": [{"name": "old"}]}, parameters={"tool_choice": {"name": "old"}})
    wanted = configuration(
        tools={"schemas": [{"name": "new"}]},
        parameters={"tool_choice": {"name": "new"}},
        context={"documents": 2},
    )
    return change(base, wanted)


def test_two_layers_that_only_move_together_do_so_and_the_rest_alone() -> None:
    plan = take_apart(coupled_by_validity(), NOTHING)
    assert [(step.layer, step.joint) for step in plan.steps] == [
        (Layer.PARAMETERS, (Layer.TOOLS,)),
        (Layer.CONTEXT, ()),
    ]
    (coupling,) = plan.couplings
    assert coupling.kind is CouplingKind.VALIDITY
    assert coupling.layers == (Layer.PARAMETERS, Layer.TOOLS)
    assert coupling.because.startswith("parameters and tools contradict each other: parameters.tool_choice")
    assert plan.joint == plan.steps[:1]
    assert plan.steps[0].because == "together with tools"


def test_joint_is_refused_where_nothing_couples() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"system": "x"})
    with pytest.raises(UsageError, match="nothing couples parameters and prompt"):
        take_apart(change(configuration(), wanted), NOTHING, joint=True)
    assert take_apart(coupled_by_validity(), NOTHING, joint=True).joint


def test_a_detected_need_orders_and_says_why() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, tools={"schemas": [{"name": "search"}]})
    needed = {Layer.PARAMETERS: {Layer.TOOLS: "the parameters want the tool search, which is new"}}
    plan = take_apart(change(configuration(), wanted), NOTHING, needed=needed)
    assert [(step.layer, step.because, step.after) for step in plan.steps] == [
        (Layer.TOOLS, "default order", ()),
        (Layer.PARAMETERS, "the parameters want the tool search, which is new", (Layer.TOOLS,)),
    ]


def test_layers_that_need_each_other_move_together() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"system": "x"}, context={"documents": 2})
    needed = {Layer.PARAMETERS: {Layer.PROMPT: "one reason"}, Layer.PROMPT: {Layer.PARAMETERS: "another"}}
    plan = take_apart(change(configuration(), wanted), NOTHING, needed=needed)
    assert [step.layers for step in plan.steps] == [(Layer.PARAMETERS, Layer.PROMPT), (Layer.CONTEXT,)]
    assert [(one.kind, one.because) for one in plan.couplings] == [(CouplingKind.NEED, "one reason; another")]


TWO = (Layer.PARAMETERS, Layer.PROMPT)
WANTED = configuration(parameters={"max_tokens": 32}, prompt={"system": "x"})


def measured(**verdicts: Verdict) -> Measured:
    """Verdicts of the combinations of :data:`WANTED`: parameters, prompt, both."""
    names = {"parameters": TWO[:1], "prompt": TWO[1:], "both": TWO}
    return Measured(
        corners=tuple(
            Corner(
                layers=names[name],
                configuration=configuration().with_layers_of(WANTED, names[name]).id,
                verdict=verdict,
                because=f"{name} {verdict.value}.",
            )
            for name, verdict in verdicts.items()
        ),
        eval_set=EvalSetId("main@1"),
    )


def planned(found: Measured, **how: Any) -> list[tuple[Layer, ...]]:
    plan = take_apart(change(configuration(), WANTED), NOTHING, measured=found, **how)
    return [step.layers for step in plan.steps]


def test_an_order_without_a_failing_intermediate_is_taken() -> None:
    found = measured(parameters=Verdict.FAIL, prompt=Verdict.PASS, both=Verdict.PASS)
    assert planned(found) == [(Layer.PROMPT,), (Layer.PARAMETERS,)]
    steps = take_apart(change(configuration(), WANTED), NOTHING, measured=found).steps
    assert steps[1].because == "fails without prompt"
    assert steps[1].after == (Layer.PROMPT,)


def test_an_order_that_passes_is_preferred_to_one_that_is_unsure() -> None:
    found = measured(parameters=Verdict.INCONCLUSIVE, prompt=Verdict.PASS, both=Verdict.PASS)
    assert planned(found) == [(Layer.PROMPT,), (Layer.PARAMETERS,)]


@pytest.mark.parametrize("unsure", [Verdict.INCONCLUSIVE, Verdict.NO_DATA, Verdict.ERRORED])
def test_what_is_not_known_has_not_failed(unsure: Verdict) -> None:
    found = measured(parameters=unsure, prompt=Verdict.FAIL, both=Verdict.PASS)
    assert planned(found) == [(Layer.PARAMETERS,), (Layer.PROMPT,)]


def test_where_every_order_fails_and_both_pass_they_move_together() -> None:
    found = measured(parameters=Verdict.FAIL, prompt=Verdict.FAIL, both=Verdict.PASS)
    plan = take_apart(change(configuration(), WANTED), NOTHING, measured=found)
    assert [step.layers for step in plan.steps] == [TWO]
    (coupling,) = plan.couplings
    assert coupling.kind is CouplingKind.QUALITY
    assert coupling.because == "parameters and prompt fail alone, and all of them together pass"
    assert plan.corners == found.corners
    assert plan.id != take_apart(change(configuration(), WANTED), NOTHING).id


@pytest.mark.parametrize("whole", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NO_DATA])
def test_a_candidate_that_does_not_pass_makes_no_joint_step(whole: Verdict) -> None:
    found = measured(parameters=Verdict.FAIL, prompt=Verdict.FAIL, both=whole)
    plan = take_apart(change(configuration(), WANTED), NOTHING, measured=found)
    assert [step.layers for step in plan.steps] == [(Layer.PARAMETERS,), (Layer.PROMPT,)]
    assert any("as a whole does not pass" in note for note in plan.notes)


def test_a_person_may_ask_for_a_joint_step_where_the_whole_is_inconclusive_and_not_where_it_fails() -> None:
    unsure = measured(parameters=Verdict.FAIL, prompt=Verdict.FAIL, both=Verdict.INCONCLUSIVE)
    assert planned(unsure, joint=True) == [TWO]
    failed = measured(parameters=Verdict.FAIL, prompt=Verdict.FAIL, both=Verdict.FAIL)
    with pytest.raises(UsageError, match="nothing couples"):
        planned(failed, joint=True)


def test_a_way_over_another_configuration_takes_both_parts_apart() -> None:
    via = configuration(prompt={"system": "a bridge"})
    plan = take_apart(change(configuration(), WANTED), NOTHING, via=via)
    assert [(step.layer, step.after) for step in plan.steps] == [
        (Layer.PROMPT, ()),
        (Layer.PARAMETERS, (Layer.PROMPT,)),
        (Layer.PROMPT, (Layer.PROMPT,)),
    ]
    assert plan.steps[0].candidate == via
    assert plan.steps[0].because == f"bridge to {short(via.id)}"
    assert plan.steps[-1].candidate == WANTED
    assert plan.via == via.id


def test_a_bridge_is_no_end_runs_and_does_not_fail() -> None:
    for end in (configuration(), WANTED):
        with pytest.raises(UsageError, match="it is an end of the way itself"):
            take_apart(change(configuration(), WANTED), NOTHING, via=end)
    with pytest.raises(UsageError, match="because it cannot run"):
        take_apart(change(configuration(), WANTED), NOTHING, via=configuration(parameters={"temperature": 9}))
    via = configuration(prompt={"system": "a bridge"})
    corner = Corner(layers=(), configuration=via.id, verdict=Verdict.FAIL, because="it fell.")
    found = Measured(corners=(corner,), eval_set=EvalSetId("main@1"))
    with pytest.raises(UsageError, match="because it fails itself: it fell"):
        take_apart(change(configuration(), WANTED), NOTHING, via=via, measured=found)


VERDICTS = st.sampled_from([Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, None])


@given(st.lists(VERDICTS, min_size=7, max_size=7))
def test_nothing_that_failed_is_stable_in_between_unless_nothing_helps(
    verdicts: list[Verdict | None],
) -> None:
    wanted = configuration(parameters={"max_tokens": 32}, context={"documents": 2}, prompt={"system": "x"})
    layers = configuration().moved(wanted)
    every = [one for one in combinations(layers) if one]
    ids = {moved: configuration().with_layers_of(wanted, moved).id for moved in every}
    found = Measured(
        corners=tuple(
            Corner(layers=in_order(moved), configuration=ids[moved], verdict=verdict, because="so.")
            for moved, verdict in zip(every, verdicts, strict=True)
        ),
        eval_set=EvalSetId("main@1"),
    )
    plan = take_apart(change(configuration(), wanted), NOTHING, measured=found)
    assert sorted(layer for step in plan.steps for layer in step.layers) == sorted(layers)
    assert plan.steps[-1].candidate == wanted
    failed = {ids[moved] for moved, verdict in zip(every, verdicts, strict=True) if verdict is Verdict.FAIL}
    if verdicts[-1] is Verdict.PASS:
        assert not failed & {step.candidate.id for step in plan.steps}
    else:
        assert not plan.joint
    assert bool(plan.joint) == bool(plan.couplings)


def test_every_step_says_what_was_looked_at() -> None:
    wanted = configuration(parameters={"max_tokens": 32}, prompt={"user": "{question} and {documents}"})
    known = Known(
        inputs=frozenset({"question", "documents"}),
        longest=({"question": "q" * 400, "documents": ["d" * 400, "e"]},),
    )
    plan = take_apart(change(configuration(), wanted), known)
    assert [one.configuration for one in plan.checks] == [step.candidate.id for step in plan.steps]
    assert plan.checks[0].facts == (
        "window 1,000: fits, longest case about 203 tokens and 32 of answer",
        "documents 1: up to 2 were recorded",
        "prompt uses {documents}, {question}: all recorded",
    )
    blind = take_apart(change(configuration(), wanted), NOTHING)
    assert blind.checks[0].facts[0] == "window 1,000: no recorded input to hold against it"


def test_what_cannot_be_decided_makes_another_plan() -> None:
    plan = take_apart(change(configuration(), WANTED), NOTHING)
    assert left_undecided(plan, []) is plan
    other = left_undecided(plan, ["Stage 1 would end undecided."])
    assert other.undecided == ("Stage 1 would end undecided.",)
    assert other.id != plan.id
    assert replace(other, id=plan.id, undecided=()) == plan


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
