"""Streams put together again; the official client's own assembly is the oracle for well-formed ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from inchworm.capture.streams import Assembled, assemble, events

TOP = {"id": "c-1", "object": "chat.completion.chunk", "created": 5, "model": "m"}


def chunk(*choices, **members):
    return {**TOP, "choices": list(choices), **members}


def delta(index=0, finish_reason=None, **said):
    return {"index": index, "delta": said, "finish_reason": finish_reason}


def sse(*chunks, end="\n", done=True):
    lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}{end}{end}" for one in chunks]
    return "".join([*lines, *([f"data: [DONE]{end}{end}"] if done else [])]).encode()


def message(stream: Assembled, place: int = 0):
    assert stream.completion is not None
    return stream.completion["choices"][place]["message"]


def test_a_plain_answer():
    read = assemble(
        sse(
            chunk(delta(role="assistant", content="")),
            chunk(delta(content="Good ")),
            chunk(delta(content="day.")),
            chunk(delta(finish_reason="stop")),
            chunk(usage={"prompt_tokens": 3, "completion_tokens": 2}),
        )
    )
    assert (read.whole, read.malformed) == (True, 0)
    assert read.completion == {
        "id": "c-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Good day."},
            }
        ],
    }


def test_tool_calls_come_together_by_their_index():
    read = assemble(
        sse(
            chunk(
                delta(
                    role="assistant",
                    content=None,
                    tool_calls=[
                        {
                            "index": 0,
                            "id": "a",
                            "type": "function",
                            "function": {"name": "f", "arguments": ""},
                        }
                    ],
                )
            ),
            chunk(delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}])),
            chunk(
                delta(
                    tool_calls=[
                        {
                            "index": 1,
                            "id": "b",
                            "type": "function",
                            "function": {"name": "g", "arguments": "{}"},
                        },
                        {"index": 0, "function": {"arguments": ":1}"}},
                    ]
                )
            ),
            chunk(delta(finish_reason="tool_calls")),
        )
    )
    assert message(read) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_tool_calls_without_an_index_come_together_by_their_id_or_follow_the_last():
    read = assemble(
        sse(
            chunk(delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": "{"}}])),
            chunk(delta(tool_calls=[{"function": {"arguments": "}"}}])),
            chunk(
                delta(tool_calls=[{"id": "b", "index": "odd", "function": {"name": "g", "arguments": "1"}}])
            ),
            chunk(delta(tool_calls=[{"id": "a", "function": {"arguments": " "}}])),
            chunk(delta(tool_calls=["odd"])),
        )
    )
    calls = message(read)["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "{} "), ("b", "1")]


def test_several_choices_keep_apart():
    read = assemble(
        sse(
            chunk(delta(1, content="b"), delta(0, content="a")),
            chunk(delta(0, content="A", finish_reason="stop")),
            chunk(delta(1, content="B")),
            done=False,
        )
    )
    assert [message(read, n)["content"] for n in (0, 1)] == ["aA", "bB"]
    assert not read.whole, "the second choice did not finish"


@pytest.mark.parametrize(("ends", "done", "whole"), [(True, False, True), (False, True, True), (False,) * 3])
def test_whole_is_what_says_done_or_why_it_finished(ends, done, whole):
    last = delta(content="x", finish_reason="stop" if ends else None)
    assert assemble(sse(chunk(last), done=done)).whole is whole


def test_refusals_reasoning_and_other_texts_grow_and_other_members_are_kept():
    read = assemble(
        sse(
            chunk(delta(refusal="I can", reasoning_content="Hm"), system_fingerprint="fp", x={"y": 1}),
            chunk(delta(refusal="not.", reasoning_content="m."), obfuscation="abcdef"),
            chunk({**delta(), "logprobs": {"content": [{"token": "a"}], "refusal": None}}),
            chunk({**delta(), "logprobs": {"content": [{"token": "b"}]}, "content_filter_results": {"x": 1}}),
        )
    )
    assert message(read) == {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot.",
        "reasoning_content": "Hmm.",
    }
    assert read.completion is not None
    assert (read.completion["system_fingerprint"], read.completion["x"]) == ("fp", {"y": 1})
    assert "obfuscation" not in read.completion
    choice = read.completion["choices"][0]
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}
    assert choice["content_filter_results"] == {"x": 1}


def test_parts_are_kept_apart_from_the_text_that_grows():
    read = assemble(
        sse(
            chunk(delta(content=[{"type": "thinking", "thinking": []}])),
            chunk(delta(content=[{"type": "text", "text": "a"}])),
            chunk(delta(content="b")),
        )
    )
    assert message(read)["content"] == [{"type": "thinking", "thinking": []}, {"type": "text", "text": "ab"}]


def test_a_whole_message_at_the_end_and_old_completions_are_read():
    whole = {"index": 0, "message": {"role": "assistant", "content": "all of it"}, "finish_reason": "stop"}
    assert message(assemble(sse(chunk(delta(content="all"), whole))))["content"] == "all of it"
    old = assemble(sse(chunk({"index": 0, "text": "a"}), chunk({"index": 0, "text": "b"})))
    assert old.completion is not None
    assert old.completion["choices"] == [{"index": 0, "text": "ab"}]


def test_an_error_in_the_stream_is_kept():
    read = assemble(sse(chunk(delta(content="a")), {"error": {"message": "overloaded"}}, done=False))
    assert read.completion is not None
    assert read.completion["error"] == {"message": "overloaded"}
    assert message(read)["content"] == "a"


@pytest.mark.parametrize(
    "odd",
    [
        "{broken",
        "[1]",
        '{"choices": 5}',
        '{"choices": [5]}',
        '{"choices": [{"index": "a"}]}',
        '{"choices": [{"index": true}]}',
        '{"choices": [{"delta": {"content": "\\u0000"}}]}',
    ],
)
def test_events_that_cannot_be_read_are_counted_and_passed_over(odd):
    read = assemble(sse(chunk(delta(content="a")), odd, chunk(delta(content="b"))))
    assert (read.malformed, message(read)["content"]) == (1, "ab")


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"<html>no</html>", b": ping\n\n", b"data:\n\n", b"data: \xff\n\n"]
)
def test_what_holds_no_chunk_is_none(body):
    read = assemble(body)
    assert (read.completion, read.whole) == (None, False)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_read_as_the_standard_says(end):
    body = end.join(
        [
            ": ping",
            "",
            "event: x",
            "id: 1",
            "data: a",
            "data:b",
            "data:  c",
            "retry: 5",
            "",
            "",
            "data",
            "",
            "data: z",
        ]
    )
    assert list(events(b"\xef\xbb\xbf" + body.encode())) == [b"a\nb\n c", b"z"]


TEXTS = st.lists(st.text(max_size=8), max_size=6)


@given(TEXTS, st.lists(TEXTS, max_size=2), st.sampled_from(["\n", "\r\n"]))
def test_it_agrees_with_the_official_client(said, calls, end):
    chunks = [chunk(delta(role="assistant", content=""))] if said else [chunk(delta(role="assistant"))]
    chunks += [chunk(delta(content=text)) for text in said]
    for index, arguments in enumerate(calls):
        head = {"index": index, "id": f"t-{index}", "type": "function"}
        chunks.append(chunk(delta(tool_calls=[{**head, "function": {"name": "f", "arguments": ""}}])))
        chunks += [
            chunk(delta(tool_calls=[{"index": index, "function": {"arguments": text}}])) for text in arguments
        ]
    chunks.append(chunk(delta(finish_reason="stop")))
    state = ChatCompletionStreamState()
    for one in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(one))
    theirs = state.current_completion_snapshot.choices[0].message
    read = assemble(sse(*chunks, end=end))
    if any("\0" in text for text in [*said, *(text for one in calls for text in one)]):
        assert read.malformed > 0
        return
    ours = message(read)
    assert ours["content"] == theirs.content
    assert [call["function"]["arguments"] for call in ours.get("tool_calls", [])] == [
        call.function.arguments for call in theirs.tool_calls or []
    ]


@given(st.data())
def test_a_stream_that_is_cut_anywhere_gives_what_came(data):
    texts = ["Grüße", " an", " alle"]
    whole = sse(*(chunk(delta(content=text)) for text in texts), chunk(delta(finish_reason="stop")))
    cut = data.draw(st.integers(0, len(whole)))
    read = assemble(whole[:cut])
    said = "" if read.completion is None else message(read)["content"] or ""
    assert "".join(texts).startswith(said)
    if read.whole:
        assert said == "".join(texts)
