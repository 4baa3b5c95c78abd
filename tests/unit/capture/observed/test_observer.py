"""From f-string prompts to configurations and announcements: no false alarms, and every edit within 20."""

import json
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.capture.observed.traffic import (
    START,
    SYSTEM,
    edited,
    happened,
    lifted,
    same,
    support,
    system,
    trace,
    traces,
    user,
    watch,
    words,
)

from inchworm.capture.observed import FORMAT, Observer
from inchworm.domain.change import diff
from inchworm.domain.ids import TraceId
from inchworm.domain.layers import Layer

PLAN = "You plan the next step of the work. List the steps that remain, one a line."
WRITE = "You write the final answer for the customer from the notes below. Be polite."


def prompt(observer, call=""):
    return lifted(observer, call).configuration.layer(Layer.PROMPT)


@pytest.mark.parametrize("seed", range(2))
def test_5000_renderings_of_one_prompt_are_one_configuration(seed):
    observer, announced = watch(support, 5_000, seed=seed)
    assert happened(announced) == []
    assert prompt(observer) == {
        "system": SYSTEM.replace("{name}", "{v1}").replace("{language}", "{v2}"),
        "user": "Question: {question}\nInformation:\n{information}\nAnswer in one sentence.",
    }


@pytest.mark.parametrize(("least", "most"), [(0, 5), (1_500, 2_000)])
def test_documents_may_be_short_or_long(least, most):
    def make(dice, number):
        return trace(number, system(dice, number), user(dice, least=least, most=most))

    _, announced = watch(make, 400)
    assert happened(announced) == []


@pytest.mark.parametrize("english", [0.5, 0.9, 0.99, 1.0])
def test_a_variable_with_two_values_makes_no_alarm(english):
    def make(dice, number):
        return trace(number, system(dice, number, english=english), words(dice, 8))

    observer, announced = watch(make, 3_000)
    assert len(happened(announced)) <= 1
    assert len(json.loads(observer.state())["calls"][0][1]["system"]["known"]) <= 3


def test_optional_sentences_and_values_of_few_kinds_make_no_endless_skeletons():
    def make(dice, number):
        text = "You are a helpful assistant of a shop.\n"
        text += "The customer is important. Treat them well.\n" * (dice.random() < 0.2)
        text += "The customer wrote in German.\n" * (dice.random() < 0.5)
        text += "The customer complained before.\n" * (dice.random() < 0.03)
        tier = dice.choices(["free", "pro", "enterprise"], [90, 8, 2])[0]
        return trace(number, f"{text}Tier: {tier}. Region: {dice.choice('ABC')}.\nBe brief.", words(dice, 9))

    observer, announced = watch(make, 3_000)
    assert len(happened(announced)) <= 1
    assert len(json.loads(observer.state())["calls"][0][1]["system"]["known"]) <= 4


def test_words_of_the_user_alone_are_one_variable():
    observer, announced = watch(lambda dice, n: trace(n, "Be kind.", words(dice, dice.randint(1, 40))), 2_000)
    assert happened(announced) == []
    assert prompt(observer) == {"system": "Be kind.", "user": "{question}"}


def test_system_prompts_that_users_write_are_one_variable():
    def make(dice, number):
        return trace(number, words(dice, dice.randint(5, 30)), words(dice, 8))

    observer, announced = watch(make, 2_000)
    assert len(happened(announced)) <= 1
    assert len(json.loads(observer.state())["calls"][0][1]["system"]["known"]) <= 8


EDITS = {
    "a word": (lambda text: text.replace("concise", "brief"), '+1 −1 sentences ("concise" → "brief")'),
    "a sentence at the end": (lambda text: text + " Cite the source.", "+1 sentence"),
    "a sentence within": (lambda text: text.replace("ly.", "ly. Use points."), "+1 sentence"),
    "a sentence less": (lambda text: text.replace(" Never promise a refund.", ""), "−1 sentence"),
    "a number": (lambda text: text.replace("Be concise", "Be 2 times as concise"), "+1 −1 sentences"),
    "beside a variable": (lambda text: text.replace("{name}.", "{name}. Greet them by name."), "+1 sentence"),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_system_prompt_is_announced_within_20_requests(name, seed):
    edit, said = EDITS[name]
    _, announced = watch(edited(300, in_system=edit), 320, seed=seed, batch=1)
    (one,) = announced[1:]
    assert one.happened.value == "changed"
    assert one.what == f"prompt changed: system prompt {said}."
    assert START + 300 * 60 <= one.at < START + 320 * 60
    assert one.data["layers"] == ["prompt"]
    assert one.data["values"][0]["path"] == ["system"]


USER_EDITS = {
    "a label": lambda text: text.replace("Question", "Query"),
    "a sentence at the end": lambda text: text + " Cite the source.",
    "a line in front": lambda text: "Please help.\n" + text,
    "beside a variable": lambda text: text.replace("{documents}", "{documents}\nUse only what stands above."),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", USER_EDITS)
def test_an_edit_of_the_users_wrapper_is_announced_within_20_requests(name, seed):
    _, announced = watch(edited(300, in_user=USER_EDITS[name]), 320, seed=seed, batch=1)
    (one,) = announced[1:]
    assert one.what.startswith("prompt changed: user prompt +1")


def test_parameters_model_and_tools_are_said_with_their_values():
    tool = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}
    said = {
        "gen_ai.request.temperature": 0.4,
        "gen_ai.tool.definitions": [tool],
        "gen_ai.request.max_tokens": 9,
    }
    _, announced = watch(edited(300, said=said), 320)
    (one,) = announced[1:]
    assert one.what == (
        "parameters and tools changed: max_tokens not said → 9; temperature 0 → 0.4; tools +find_order."
    )
    assert one.data["values"][1] == {"layer": "parameters", "path": ["temperature"], "old": 0, "new": 0.4}
    other = replace_tool(tool, {"type": "string"})
    _, announced = watch(
        edited(300, said={"gen_ai.tool.definitions": [other], "gen_ai.request.model": "large"}), 320
    )
    assert announced[-1].what == "model and tools changed: model small → large; tools +find_order."


def tools(*schemas) -> dict[str, Any]:
    return {"gen_ai.tool.definitions": list(schemas)}


def replace_tool(tool, parameters):
    return {**tool, "function": {**tool["function"], "parameters": parameters}}


def test_a_schema_that_differs_is_said_without_repeating_it():
    tool = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}

    def make(dice, number):
        used = tool if number < 100 else replace_tool(tool, {"type": "string"})
        return trace(number, "Be kind.", words(dice, 5), **tools(used))

    _, announced = watch(make, 200)
    assert announced[-1].what == "tools changed: 1 tool, a schema differs."


def test_stand_ins_in_tool_schemas_are_numbered_anew_in_each_unit_and_tell_nothing():
    def make(dice, number):
        tool = {"name": "mail", "description": f"write to EMAIL_{1 + number % 3}"}
        return trace(number, "Be kind.", words(dice, 5), **tools(tool))

    _, announced = watch(make, 300)
    assert happened(announced) == []


def test_a_random_seed_is_left_out_and_told():
    def make(dice, number):
        return trace(number, "Be kind.", words(dice, 5), **{"gen_ai.request.seed": dice.randrange(10**9)})

    observer, announced = watch(make, 500)
    assert happened(announced) == []
    found = lifted(observer)
    assert found.varying == ("seed",)
    assert found.configuration.layer(Layer.PARAMETERS) == {"temperature": 0}


def test_tools_and_models_that_differ_from_request_to_request_are_left_out():
    def make(dice, number):
        said: dict[str, Any] = {
            "gen_ai.request.model": f"m-{dice.randrange(40)}",
            "gen_ai.tool.definitions": [{"name": f"tool-{dice.randrange(40)}"}],
        }
        return trace(number, "Be kind.", words(dice, 5), **said)

    observer, announced = watch(make, 500)
    assert happened(announced) == []
    found = lifted(observer)
    assert found.varying == ("model", "tools")
    assert found.configuration.layer(Layer.MODEL) == found.configuration.layer(Layer.TOOLS) == {}


def test_a_value_that_turns_out_to_be_variable_late_is_put_together_unsaid():
    def make(dice, number):
        plan = "free" if number < 200 else dice.choices(["free", "paid", "gold", "silver"], [88, 4, 4, 4])[0]
        return trace(
            number, f"You are the assistant of a shop. The plan is {plan}. Be brief.", words(dice, 9)
        )

    observer, announced = watch(make, 1_500)
    assert happened(announced) == []
    found = prompt(observer)["system"]
    assert found == "You are the assistant of a shop. The plan is {plan}. Be brief."


def test_two_code_paths_are_two_configurations_said_once():
    _, announced = watch(lambda dice, n: trace(n, dice.choice([PLAN, WRITE]), words(dice, 9)), 2_000)
    assert happened(announced) == ["appeared"]
    assert announced[1].what.startswith("a second configuration appeared beside the first, prompt differs: ")


def test_named_calls_are_watched_each_for_itself():
    def make(dice, number):
        call = dice.choice(["plan", "write"])
        edit = PLAN.replace("List", "Name") if number >= 600 else PLAN
        return trace(number, edit if call == "plan" else WRITE, words(dice, 9), **{"inchworm.call": call})

    observer, announced = watch(make, 900)
    assert [one.happened.value for one in announced] == ["first", "first", "changed"]
    assert announced[-1].what == 'plan: prompt changed: system prompt +1 −1 sentences ("List" → "Name").'
    assert announced[-1].call == "plan"
    assert prompt(observer, "write")["system"] == WRITE


def test_a_deploy_that_rolls_is_said_when_it_begins_and_when_it_is_through():
    def make(dice, number):
        share = min(max((number - 500) / 500, 0), 1)
        edit = (lambda text: text.replace("concise", "brief")) if dice.random() < share else same
        return trace(number, system(dice, number, edit, english=1), words(dice, 9))

    _, announced = watch(make, 1_500)
    assert happened(announced) == ["appeared", "alone"]
    assert "changed for good" in announced[-1].what


def test_one_edit_after_the_other_in_one_place_is_announced_each_time():
    def make(dice, number):
        word = ["concise", "brief", "terse", "crisp"][min(number // 200, 3)]
        return trace(number, system(dice, number, lambda text: text.replace("concise", word)), words(dice, 9))

    _, announced = watch(make, 800)
    assert happened(announced) == ["changed"] * 3


def test_going_back_is_a_return_to_the_same_configuration():
    def make(dice, number):
        edit = (lambda text: text.replace("concise", "brief")) if 300 <= number < 400 else same
        return trace(number, system(dice, number, edit), words(dice, 9))

    _, announced = watch(make, 500)
    first, changed, returned = announced
    assert returned.happened.value == "returned"
    assert "returned to what answered before" in returned.what
    assert (returned.to, returned.before) == (first.to, changed.to)


def test_turns_of_one_conversation_are_no_evidence_that_its_words_are_fixed():
    def make(_dice, number):
        turn = number % 10
        said = words(random.Random(f"unit {number // 10}"), 9)
        return trace(
            number, "Be kind to whoever asks you.", f"Question: {said}", unit=f"s-{number // 10}-{turn * 0}"
        )

    observer, announced = watch(make, 2_000)
    assert happened(announced) == []
    assert prompt(observer)["user"] == "Question: {question}"


def test_a_popular_document_is_no_edit():
    pages = [f"Page {n}. {words(random.Random(n), 60)}" for n in range(30)]

    def make(dice, number):
        page = pages[0] if 600 <= number < 660 else dice.choice(pages[1:])
        return trace(number, None, f"Question: {words(dice, 9)}\nInformation: {page}\n")

    _, announced = watch(make, 900)
    assert happened(announced) == []


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_the_size_of_the_batches_changes_no_announcement(batch):
    make = edited(150, in_system=lambda text: text.replace("concise", "brief"))
    _, one = watch(make, 300, batch=batch)
    _, other = watch(make, 300, batch=20)
    assert [(said.happened, said.at) for said in one] == [(said.happened, said.at) for said in other]


def test_going_on_from_the_kept_state_is_going_on():
    make = edited(150, in_system=lambda text: text.replace("concise", "brief"), in_user=USER_EDITS["a label"])
    whole, kept = Observer(), Observer()
    for start in range(0, 300, 25):
        batch = list(traces(make, 25, first=start))
        assert kept.take(batch) == whole.take(batch)
        kept = Observer.of(kept.state(), infrastructure={})
        assert kept.state() == whole.state()


def test_a_state_of_another_format_is_not_guessed_at():
    again = Observer.of(json.dumps({"format": "observed/0"}).encode(), infrastructure={"upstream": "openai"})
    assert again.calls == {}
    assert again.infrastructure == {"upstream": "openai"}
    assert json.loads(again.state())["format"] == FORMAT == "observed/1"


def test_a_batch_that_comes_again_counts_once_and_gets_the_same_configurations():
    make = edited(60, in_system=lambda text: text.replace("concise", "brief"))
    batch = list(traces(make, 120))
    observer = Observer()
    first = observer.take(batch)
    again = observer.take(batch)
    assert [one.happened.value for one in first.announcements] == ["first", "changed"]
    assert again.announcements == ()
    assert again.configurations == first.configurations
    assert None not in first.configurations


def test_what_is_an_hour_older_than_the_newest_announces_nothing():
    observer, _ = watch(edited(100, in_system=lambda text: text.replace("concise", "brief")), 300)
    old = [
        replace(one, id=TraceId(f"old-{n}"), at=START) for n, one in enumerate(traces(support, 50, seed=9))
    ]
    seen = observer.take(old)
    assert seen.announcements == ()
    assert len(set(seen.configurations)) == 1


def test_configurations_are_told_with_the_layer_that_traffic_does_not_show():
    observer = Observer(infrastructure={"upstream": "openai"})
    seen = observer.take(list(traces(support, 200)))
    (configuration,) = seen.new
    assert configuration.layer(Layer.INFRASTRUCTURE) == {"upstream": "openai"}
    assert configuration.layer(Layer.MODEL) == {"name": "small"}
    assert configuration.layer(Layer.CONTEXT) == {}
    assert set(seen.configurations) == {configuration.id}
    assert seen.announcements[0].data["to"] == configuration.id
    assert diff(configuration, lifted(observer).configuration) == ()


def test_few_requests_tell_no_configuration_yet():
    observer = Observer()
    seen = observer.take(list(traces(support, 4)))
    assert seen.configurations == (None,) * 4
    assert observer.lift("") is None
    assert observer.lift("other") is None


def test_telemetry_without_content_tells_model_and_parameters():
    def make(dice, number):
        bare = replace(support(dice, number), inputs={})
        return (
            replace(bare, attributes={**bare.attributes, "gen_ai.request.model": "large"})
            if number > 99
            else bare
        )

    _, announced = watch(make, 200)
    assert [one.what for one in announced] == [
        "first seen: small, temperature 0.",
        "model changed: model small → large.",
    ]


def test_what_says_neither_model_nor_messages_is_passed_over():
    bare = replace(support(random.Random(1), 1), inputs={"question": "Where?"}, attributes={})
    seen = Observer().take([bare, replace(bare, inputs={"messages": ["no message"]})])
    assert seen.configurations == (None, None)


def test_the_model_that_answered_stands_in_for_one_that_was_not_named():
    def make(dice, number):
        return trace(
            number, "Be kind.", words(dice, 5), **{"gen_ai.request.model": None, "gen_ai.response.model": "b"}
        )

    observer, _ = watch(make, 50)
    assert lifted(observer).configuration.layer(Layer.MODEL) == {"name": "b"}


def test_only_leading_system_messages_and_the_first_of_the_user_count():
    def make(dice, number):
        one = trace(number, "Be kind to all of them.", f"Question: {words(dice, 5)}")
        history = [
            {"role": "assistant", "content": words(dice, 9)},
            {"role": "user", "content": words(dice, 9)},
        ]
        late = [{"role": "system", "content": words(dice, 4)}]
        second = [
            {"role": "developer", "content": "Be brief as well."},
            {"role": "assistant", "content": None},
        ]
        first, asked = one.inputs["messages"]
        return replace(one, inputs={"messages": [first, *second, asked, *history[: 2 * (number % 2)], *late]})

    observer, announced = watch(make, 200)
    assert happened(announced) == []
    found = lifted(observer)
    assert prompt(observer) == {
        "system": "Be kind to all of them.\n\nBe brief as well.",
        "user": "Question: {question}",
    }
    assert found.systems == 2


def test_messages_without_a_users_have_a_system_prompt_alone():
    def make(_dice, number):
        one = trace(number, "Be kind to all of them.", "")
        return replace(one, inputs={"messages": one.inputs["messages"][:1]})

    observer, _ = watch(make, 50)
    assert prompt(observer) == {"system": "Be kind to all of them."}


def test_numbers_that_no_double_equals_are_kept_as_texts():
    said: dict[str, Any] = {
        "gen_ai.request.seed": 2**60 + 1,
        "gen_ai.tool.definitions": [{"name": "a", "max": [2**60 + 1]}],
    }
    observer, _ = watch(lambda dice, n: trace(n, "Be kind.", words(dice, 5), **said), 50)
    layers = lifted(observer).configuration
    assert layers.layer(Layer.PARAMETERS)["seed"] == str(2**60 + 1)
    assert layers.layer(Layer.TOOLS)["schemas"][0]["max"] == [str(2**60 + 1)]


def test_calls_beyond_all_bounds_are_passed_over():
    def make(dice, number):
        return trace(number, "Be kind.", words(dice, 5), **{"inchworm.call": f"call-{number}"})

    observer, announced = watch(make, 100)
    assert announced == []
    assert len(observer.calls) == 32


def test_what_is_kept_is_bounded():
    def make(dice, number):
        return trace(number, f"Form {number}: {words(dice, 60)}", words(dice, 60), temperature=number)

    observer, _ = watch(make, 3_000)
    assert len(observer.state()) < 400_000


def test_values_in_sentences_are_short():
    long = {"gen_ai.request.stop_sequences": ["x" * 100]}
    _, announced = watch(edited(100, said=long), 150)
    assert re.fullmatch(r"parameters changed: stop not said → \[\"x{37}…\.", announced[-1].what)


def test_of_many_values_the_first_few_are_told():
    many = {
        f"gen_ai.request.{name}": 1 for name in ("top_p", "top_k", "max_tokens", "seed", "presence_penalty")
    }
    _, announced = watch(edited(100, said=many), 150)
    assert announced[-1].what.endswith(" and 1 more.")
