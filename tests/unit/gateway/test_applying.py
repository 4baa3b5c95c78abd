"""What is forwarded: who wins, what passes, and what is said to be missing."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import InputError
from inchworm.domain.rendering import render
from inchworm.gateway.applying import apply
from inchworm.gateway.compiled import compiled

ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]


def applied(body, layers, stable=None, **options):
    configuration = Configuration.of(layers)
    before = configuration if stable is None else Configuration.of(stable)
    return apply(body, compiled(configuration, before), **options)


def body(messages=ASK, **more):
    return {"model": "theirs", "messages": messages, **more}


def chat(*texts, system="Be brief."):
    roles = ("user", "assistant")
    return [
        *([] if system is None else [{"role": "system", "content": system}]),
        *({"role": roles[place % 2], "content": text} for place, text in enumerate(texts)),
    ]


# --- model and parameters


def test_what_the_configuration_names_wins_and_the_rest_passes():
    sent = body(temperature=1, logit_bias={"5": 1}, stream=True, stream_options={"include_usage": True})
    done = applied(sent, {"model": {"name": "ours"}, "parameters": {"temperature": 0.2, "seed": 7}})
    assert done.body == {**sent, "model": "ours", "temperature": 0.2, "seed": 7}
    assert done.changed
    assert done.unapplied == ()
    assert done.inputs is None


def test_an_app_that_is_only_observed_passes_as_it_came():
    sent = body(temperature=1)
    done = apply(sent, None, path="/v1/chat/completions")
    assert done.body == sent
    assert not done.changed
    assert (done.path, done.unapplied) == ("/v1/chat/completions", ())


def test_our_own_member_is_never_forwarded():
    sent = body(inchworm={"inputs": {"question": "Hello?"}, "unit": "ana"})
    for done in (apply(sent, None), applied(sent, {"model": {"name": "ours"}})):
        assert "inchworm" not in done.body
        assert done.changed
        assert done.inputs == {"question": "Hello?"}


def test_what_stable_names_and_the_candidate_leaves_out_is_taken_out():
    stable = {"parameters": {"temperature": 0.2, "max_tokens": 50}}
    sent = body(temperature=0.2, max_completion_tokens=50, top_p=0.9)
    assert applied(sent, {}, stable).body == body(top_p=0.9)
    assert applied(sent, stable).body == sent


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, {"max_tokens": 9}),
        ({"max_tokens": 5}, {"max_tokens": 9}),
        ({"max_completion_tokens": 5}, {"max_completion_tokens": 9}),
    ],
)
def test_the_limit_of_tokens_is_written_as_the_caller_writes_it(theirs, ours):
    assert applied(body(**theirs), {"parameters": {"max_tokens": 9}}).body == body(**ours)


def test_a_choice_of_tools_needs_tools_in_the_request():
    layers = {"parameters": {"tool_choice": "required"}}
    without = applied(body(), layers)
    assert "tool_choice" not in without.body
    assert without.unapplied == ("parameters",)
    tools = [{"type": "function", "function": {"name": "find"}}]
    assert applied(body(tools=tools), layers).body["tool_choice"] == "required"
    assert applied(body(), {**layers, "tools": {"schemas": tools}}).unapplied == ()


def test_tools_are_replaced_and_taken_out_as_a_whole():
    ours, theirs = [{"type": "function", "function": {"name": name}} for name in ("ours", "theirs")]
    stable = {"tools": {"schemas": [ours]}}
    assert applied(body(tools=[theirs]), stable).body["tools"] == [ours]
    released = applied(body(tools=[theirs], tool_choice="auto"), {}, stable)
    assert released.body == body()
    assert applied(body(tools=[theirs]), {}).body["tools"] == [theirs]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        (
            "/openai/deployments/theirs/chat/completions?api-version=2024-10-21",
            "/openai/deployments/ours%2Fv2/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_on_azure_the_deployment_is_the_model(path, expected):
    done = applied(body(), {"model": {"name": "ours/v2"}}, path=path)
    assert done.path == expected
    assert done.body["model"] == "ours/v2"


def test_on_azure_no_model_is_added_to_a_body_that_has_none():
    done = applied(
        {"messages": ASK}, {"model": {"name": "ours"}}, path="/openai/deployments/x/chat/completions"
    )
    assert done.body == {"messages": ASK}
    assert not done.changed


@pytest.mark.parametrize("chosen", [None, {}])
def test_an_app_for_a_model_needs_a_configuration_that_names_one(chosen):
    sent = body() | {"model": "app:shop/answer"}
    with pytest.raises(InputError, match="no configuration says which model") as refused:
        apply(sent, None) if chosen is None else applied(sent, chosen)
    assert "layers.model.name" in str(refused.value.hint)
    assert applied(sent, {"model": {"name": "ours"}}).body["model"] == "ours"


def test_the_deadline_is_the_configurations():
    assert applied(body(), {"infrastructure": {"timeout_s": 2}}).deadline_s == 2.0
    assert applied(body(), {}).deadline_s is None


# --- prompts


def test_a_system_message_without_variables_takes_the_place_of_the_callers():
    layers = {"prompt": {"system": "Be kind."}}
    assert applied(body(), layers).body["messages"] == chat("Hello?", system="Be kind.")
    assert applied(body(chat("Hello?", system=None)), layers).body["messages"][0] == {
        "role": "system",
        "content": "Be kind.",
    }


def test_a_developer_message_stays_one():
    messages = [{"role": "developer", "content": "x", "name": "n"}, *chat("Hello?", system=None)]
    done = applied(body(messages), {"prompt": {"system": "Be kind."}})
    assert done.body["messages"][0] == {"role": "developer", "content": "Be kind.", "name": "n"}


STABLE = {"prompt": {"system": "You sell {product}.", "user": "Q: {question}"}}
CANDIDATE = {"prompt": {"system": "You sell {product}. Be kind.", "user": "{question}\nAnswer in one word."}}


def test_a_canary_of_the_prompt_needs_no_change_in_the_calling_program():
    sent = body(chat("Q: How much?", system="You sell shoes."))
    done = applied(sent, CANDIDATE, STABLE)
    assert done.body["messages"] == chat("How much?\nAnswer in one word.", system="You sell shoes. Be kind.")
    assert done.inputs == {"product": "shoes", "question": "How much?"}
    assert done.unapplied == ()


def test_stable_itself_leaves_the_callers_words_and_says_what_they_were_made_of():
    sent = body(chat("Q: How much?", system="You sell shoes."))
    done = applied(sent, STABLE)
    assert done.body == sent
    assert not done.changed
    assert done.inputs == {"product": "shoes", "question": "How much?"}


@pytest.mark.parametrize(
    "messages",
    [
        chat("How much?", system="You sell shoes."),
        chat("Q: How much?", system="Something else."),
        chat("Q: How much?", system=None),
        chat(system="You sell shoes."),
        [],
    ],
)
def test_a_prompt_is_applied_whole_or_not_at_all_and_that_is_said(messages):
    done = applied(body(messages), CANDIDATE, STABLE)
    assert done.unapplied == ("prompt",)
    assert done.body == body(messages)


def test_inputs_that_are_stated_need_no_messages_to_be_read_from():
    stated = {"product": "shoes", "question": "How much?"}
    given_messages: tuple[Any, ...] = (chat("anything"), None, [])
    for messages in given_messages:
        sent = {"model": "theirs", "inchworm": {"inputs": stated}}
        if messages is not None:
            sent["messages"] = messages
        done = applied(sent, CANDIDATE, STABLE)
        expected = render(Configuration.of(CANDIDATE), stated).messages
        assert [(m["role"], m["content"]) for m in done.body["messages"]] == [
            (m.role, m.content) for m in expected
        ]
        assert done.unapplied == ()
        assert done.inputs == stated


def test_stated_inputs_that_lack_a_variable_leave_the_prompt_as_it_came():
    sent = body(chat("anything"), inchworm={"inputs": {"question": "How much?"}})
    done = applied(sent, CANDIDATE, STABLE)
    assert done.unapplied == ("prompt",)
    assert done.body["messages"] == sent["messages"]


def test_messages_that_contradict_each_other_are_not_guessed_at():
    stable = {"prompt": {"system": "About {question}", "user": "Q: {question}"}}
    candidate = {"prompt": {"system": "About {question}!", "user": "Q: {question}"}}
    done = applied(body(chat("Q: shoes", system="About hats")), candidate, stable)
    assert done.unapplied == ("prompt",)


def test_earlier_turns_tool_messages_and_images_stay_where_they_are():
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    messages = [
        *chat("Q: Before?", "Yes.", system="You sell shoes."),
        {"role": "user", "content": [image, {"type": "text", "text": "Q: How much?"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "tool_call_id": "1", "content": "{}"},
    ]
    done = applied(body(messages), CANDIDATE, STABLE)
    assert done.body["messages"] == [
        {"role": "system", "content": "You sell shoes. Be kind."},
        *messages[1:3],
        {"role": "user", "content": [image, {"type": "text", "text": "How much?\nAnswer in one word."}]},
        *messages[4:],
    ]


SHOTS = [{"inputs": {"question": "Why?"}, "answer": "Because."}]
OTHER_SHOTS = [{"inputs": {"question": "When?"}, "answer": "Now."}]


def test_examples_take_the_place_of_stables_own():
    stable = {"prompt": {"user": "Q: {question}", "few_shot": SHOTS}}
    sent = body(chat("Q: Why?", "Because.", "Q: How much?"))
    for few_shot, shown in ((OTHER_SHOTS, ["Q: When?", "Now."]), ([], [])):
        candidate = {"prompt": {"user": "Q: {question}", **({"few_shot": few_shot} if few_shot else {})}}
        done = applied(sent, candidate, stable)
        assert done.body["messages"] == chat(*shown, "Q: How much?")
    assert applied(sent, stable).body == sent


def test_examples_are_added_where_the_caller_has_none():
    layers = {"prompt": {"few_shot": SHOTS}}
    assert applied(body(), layers).body["messages"] == chat("Why?", "Because.", "Hello?")


def test_a_system_message_that_the_candidate_drops_goes_if_it_is_stables():
    stable = {"prompt": {"system": "Be brief."}}
    assert applied(body(), {}, stable).body["messages"] == chat("Hello?", system=None)
    other = applied(body(chat("Hello?", system="Mine.")), {}, stable)
    assert other.body["messages"] == chat("Hello?", system="Mine.")
    assert other.unapplied == ("prompt",)


def test_a_user_template_that_the_candidate_drops_cannot_be_undone_and_that_is_said():
    done = applied(body(chat("Q: How much?")), {}, {"prompt": {"user": "Q: {question}"}})
    assert done.unapplied == ("prompt",)


def test_a_caller_that_followed_the_configuration_is_not_rendered_twice():
    stable, candidate = {"prompt": {"user": "{question}"}}, {"prompt": {"user": "Briefly: {question}"}}
    sent = body(chat("Briefly: How much?"))
    done = applied(sent, candidate, stable, followed=True)
    assert done.body["messages"] == sent["messages"]
    assert done.inputs == {"question": "How much?"}
    own = applied(body(chat("My own words")), {**candidate, "tools": {"index": "v2"}}, stable, followed=True)
    assert own.unapplied == ()


@pytest.mark.parametrize("messages", ["text", [1], [{"role": "user"}, None], {"role": "user"}, None])
def test_messages_that_are_none_are_the_providers_to_refuse(messages):
    done = applied(body(messages), CANDIDATE, STABLE)
    assert done.body["messages"] == messages
    assert done.unapplied == ("prompt",)


def test_a_template_that_cannot_be_used_is_said_and_harms_nobody():
    done = applied(body(), {"prompt": {"system": "Be {brief"}})
    assert done.body == body()
    assert done.unapplied == ("prompt",)


# --- context


def test_history_is_cut_on_the_callers_own_messages():
    messages = chat("one", "1", "two", "2", "three")
    cut = {turns: applied(body(messages), {"context": {"history_turns": turns}}) for turns in (0, 1, 2, 9)}
    assert cut[0].body["messages"] == chat("three")
    assert cut[1].body["messages"] == chat("two", "2", "three")
    assert cut[2].body["messages"] == cut[9].body["messages"] == messages
    assert {done.unapplied for done in cut.values()} == {()}


def test_examples_are_no_turns_of_the_conversation():
    stable = {"prompt": {"few_shot": SHOTS}, "context": {"history_turns": 0}}
    done = applied(body(chat("Why?", "Because.", "one", "1", "two")), stable)
    assert done.body["messages"] == chat("Why?", "Because.", "two")


def test_documents_are_cut_and_ordered_where_they_are_a_list():
    prompt = {"prompt": {"user": "{documents} | {question}"}}
    candidate = {**prompt, "context": {"documents": 2, "document_order": "best_last"}}
    stated = {"documents": ["a", "b", "c"], "question": "q"}
    done = applied(body([], inchworm={"inputs": stated}), candidate, prompt)
    assert done.body["messages"] == chat("b a | q", system=None)
    assert done.unapplied == ()
    assert done.inputs == stated
    lifted = applied(body(chat("a b c | q")), candidate, prompt)
    assert lifted.unapplied == ("context",)


@pytest.mark.parametrize(
    ("stable", "candidate", "left"),
    [
        ({"context": {"chunk_tokens": 100}}, {"context": {"chunk_tokens": 200}}, ("context",)),
        ({"tools": {"index": "v1"}}, {"tools": {"index": "v2"}}, ("tools",)),
        ({"model": {"name": "m"}}, {"model": {"name": "m", "quantization": "q4"}}, ("model",)),
        ({"model": {"name": "m"}}, {"model": {"name": "n", "quantization": "q4"}}, ()),
        ({"infrastructure": {"hardware": "a"}}, {"infrastructure": {"hardware": "b"}}, ("infrastructure",)),
        (
            {"infrastructure": {"hardware": "a", "base_url": "http://a/v1"}},
            {"infrastructure": {"hardware": "b", "base_url": "http://b/v1"}},
            (),
        ),
        ({}, {"infrastructure": {"retries": 2, "max_concurrency": 4, "timeout_s": 1}}, ()),
        ({}, {"infrastructure": {"price": {"input": 1, "output": 1}}}, ()),
    ],
)
def test_what_only_the_calling_program_can_do_is_said(stable, candidate, left):
    assert applied(body(), candidate, stable).unapplied == left
    assert applied(body(), stable).unapplied == ()


# --- properties

WORDS = st.text(alphabet="abc ?", min_size=1, max_size=8)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.none() | WORDS}
    ),
    max_size=6,
)
PROMPTS = st.fixed_dictionaries(
    {},
    optional={
        "system": st.sampled_from(["Be kind.", "Sell {product}."]),
        "user": st.sampled_from(["{question}", "Q: {question}", "{documents} - {question}"]),
        "few_shot": st.just(SHOTS),
    },
)
LAYERS = st.fixed_dictionaries(
    {
        "model": st.just({"name": "ours"}),
        "parameters": st.fixed_dictionaries(
            {}, optional={"temperature": st.just(0.5), "seed": st.integers(0, 9)}
        ),
        "prompt": PROMPTS,
        "context": st.fixed_dictionaries({}, optional={"history_turns": st.integers(0, 3)}),
    }
)
INPUTS = st.none() | st.fixed_dictionaries(
    {}, optional={"question": WORDS, "product": WORDS, "documents": st.lists(WORDS, max_size=2)}
)


@given(MESSAGES, LAYERS, LAYERS, INPUTS, st.booleans())
def test_whatever_comes_the_callers_body_stays_as_it_was_and_the_model_is_ours(
    messages, layers, stable, inputs, followed
):
    sent = body(messages, extra=1, **({} if inputs is None else {"inchworm": {"inputs": inputs}}))
    before = copy.deepcopy(sent)
    done = applied(sent, layers, stable, followed=followed)
    assert sent == before
    assert json.dumps(done.body)
    assert (done.body["model"], done.body["extra"]) == ("ours", 1)
    assert done.changed == (done.body != sent)
    assert "inchworm" not in done.body


@given(MESSAGES, LAYERS)
def test_under_stable_nothing_but_its_own_words_is_said(messages, layers):
    # Applied twice is applied once: what stable made of a request, it leaves as it is.
    once = applied(body(messages), layers)
    if not once.unapplied:
        again = applied(once.body, layers)
        assert again.body["messages"] == once.body["messages"]


@given(WORDS, WORDS, PROMPTS, PROMPTS)
def test_a_program_that_speaks_as_stable_gets_what_the_candidate_would_have_rendered(
    product, question, stable_prompt, candidate_prompt
):
    stable, candidate = {"prompt": {**STABLE["prompt"], **stable_prompt}}, {"prompt": candidate_prompt}
    stable["prompt"]["user"] = "Q: {question}"
    candidate["prompt"].setdefault("user", "{question}!")
    inputs = {"product": product, "question": question}
    sent = body(
        [{"role": m.role, "content": m.content} for m in render(Configuration.of(stable), inputs).messages]
    )
    done = applied(sent, candidate, stable)
    if done.unapplied:
        assert done.body["messages"] == sent["messages"]
        return
    expected = render(Configuration.of(candidate), done.inputs or {}).messages
    assert [(m["role"], m["content"]) for m in done.body["messages"]] == [
        (m.role, m.content) for m in expected
    ]
