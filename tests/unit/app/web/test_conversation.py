"""Conversations as the pages show them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.web.views.conversation import ToolCall, laid_out, turns

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"id": 3}'}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def said(*messages, output=None, **attributes):
    return list(turns({"messages": list(messages)}, output, attributes))


def test_a_tools_result_says_of_which_tool_it_is():
    asked, result, other, named = said(
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "tool", "tool_call_id": "c9", "content": "found"},
        {"role": "tool", "tool_call_id": "c1", "name": "other", "content": "found"},
    )
    assert asked.calls == (ToolCall(name="find", arguments='{"id": 3}'),)
    assert [one.of for one in (asked, result, other, named)] == [None, "find", "c9", "other"]


def test_parts_that_are_no_text_are_counted():
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url"},
        {"type": "input_image"},
        {"type": "input_audio"},
        {"type": "hologram"},
    ]
    (one,) = said({"role": "user", "content": parts})
    assert one.text == "Look:"
    assert one.parts == "2 images, 1 recording and 1 part of type hologram"


def test_parts_that_were_noted_stand_with_their_message():
    noted = [{"message": 1, "type": "image_url"}, {"message": "x"}, 3]
    first, second = said(
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        **{"openai.request.parts": noted},
    )
    assert (first.parts, second.parts) == ("", "1 image")


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_and_refusals_are_told_from_the_answer(name):
    asked, answer = said(
        {"role": "assistant", "content": "", name: "hm", "refusal": "I will not."},
        output="No.",
        **{f"openai.response.{name}": "harmful", "openai.response.refusal": "I must not."},
    )
    assert (asked.thought, asked.refused, asked.text) == ("hm", "I will not.", "")
    assert (answer.thought, answer.refused, answer.text) == ("harmful", "I must not.", "No.")
    assert answer.answers


def test_a_refusal_that_is_all_of_the_answer_is_said_once():
    (answer,) = said(output="I must not.", **{"openai.response.refusal": "I must not."})
    assert (answer.text, answer.refused) == ("", "I must not.")


def test_an_answer_of_tool_calls_alone_is_one():
    (answer,) = said(**{"openai.response.tool_calls": [CALL]})
    assert answer.answers
    assert answer.text == ""
    assert said() == []


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON))
def test_json_is_laid_out_and_stays_what_it_is(value):
    text, structured = laid_out(f" {json.dumps(value)}\n")
    assert structured
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["", "plain", "[1, 2", '{"a": }', "3", '"x"', "[" * 100_000])
def test_what_is_no_json_is_left_as_it_is(text):
    assert laid_out(text) == (text, False)


@given(JSON, JSON, JSON)
def test_whatever_a_source_sends_can_be_shown(messages, calls, parts):
    found = turns({"messages": [messages, {"role": calls, "content": parts, "tool_calls": calls}]}, None, {
        "openai.response.tool_calls": calls,
        "openai.request.parts": parts,
        "openai.response.parts": messages,
        "openai.response.refusal": parts,
    })  # fmt: skip
    for one in found:
        assert all(isinstance(word, str) for word in one.words)
