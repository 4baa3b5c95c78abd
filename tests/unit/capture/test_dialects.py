import pytest

from inchworm.capture import DERIVED, Rejected
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.trace import Usage

SYSTEM = {"role": "system", "content": "Be kind."}
ASKED = {"role": "user", "content": "Where is it?"}
SAID = {"role": "assistant", "content": "There."}
CHOICE = {"index": 0, "message": SAID, "finish_reason": "stop"}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "small-2026",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}
REQUEST = {"model": "small", "messages": [SYSTEM, ASKED]}


def test_of_a_fine_tuning_row_the_last_answer_is_the_output(one):
    earlier = [SYSTEM, ASKED, SAID, {"role": "user", "content": "Sure?"}]
    trace = one({"messages": [*earlier, {"role": "assistant", "content": "Yes."}]})
    assert trace.inputs == {"messages": earlier}
    assert trace.output == "Yes."
    assert trace.outcome == Ok()


def test_what_follows_the_last_answer_is_kept(one):
    thanks = {"role": "user", "content": "Thanks"}
    trace = one({"messages": [ASKED, SAID, thanks]})
    assert (trace.inputs, trace.output) == ({"messages": [ASKED]}, "There.")
    assert trace.attributes["openai.messages_after_answer"] == [thanks]


def test_a_conversation_without_answer_has_no_output(one):
    trace = one({"messages": [SYSTEM, ASKED]})
    assert (trace.inputs, trace.output) == ({"messages": [SYSTEM, ASKED]}, None)


def test_an_answer_beside_the_messages_is_the_output(one):
    trace = one({"messages": [ASKED, SAID, ASKED], "completion": "Still there.", "finish_reason": "stop"})
    assert (trace.inputs, trace.output) == ({"messages": [ASKED, SAID, ASKED]}, "Still there.")
    assert trace.finish_reason == "stop"


def test_a_pair_of_request_and_response(one):
    request = REQUEST | {
        "temperature": 0.2,
        "max_completion_tokens": 50,
        "stop": "END",
        "tools": [{"type": "function"}],
        "logit_bias": {"1": 2},
    }
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    response = COMPLETION | {"usage": usage, "system_fingerprint": "fp"}
    trace = one(
        {"request": request, "response": response, "latency_ms": 120, "cost_usd": 0.5, "team": "blue"}
    )
    assert trace.at == 1_700_000_000.0
    assert trace.inputs == {"messages": [SYSTEM, ASKED]}
    assert trace.output == "There."
    assert trace.finish_reason == "stop"
    assert trace.latency_ms == 120.0
    assert trace.usage == Usage(input_tokens=7, output_tokens=2)
    assert trace.attributes == {
        "gen_ai.request.model": "small",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.tool.definitions": [{"type": "function"}],
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "small-2026",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "openai.usage.prompt_tokens_details.audio_tokens": 0,
        "openai.request.logit_bias": {"1": 2},
        "openai.response.system_fingerprint": "fp",
        "cost_usd": 0.5,
        "team": "blue",
        DERIVED: {"id": "content", "unit": "first_user_message"},
    }


def test_the_cost_of_a_row_is_dollars(one):
    assert one({"messages": [ASKED], "cost_usd": 0.25, "usage": {"input_tokens": 3}}).usage == Usage(
        input_tokens=3, cost_usd=0.25
    )


def test_a_completion_with_its_request(one):
    trace = one(COMPLETION | {"request": REQUEST})
    assert trace.inputs == {"messages": [SYSTEM, ASKED]}
    assert (trace.output, trace.at, trace.usage.output_tokens) == ("There.", 1_700_000_000.0, 2)
    assert trace.attributes["gen_ai.response.model"] == "small-2026"
    assert trace.attributes["gen_ai.request.model"] == "small"


def test_an_id_that_the_provider_gave_is_no_trace_id(one):
    assert one(COMPLETION | {"request": REQUEST}).id.startswith("line-")
    assert one({"id": "mine", "request": REQUEST, "response": COMPLETION}).id == "mine"


def test_a_completion_without_its_request_has_no_content(imported):
    (trace,), tally = imported(COMPLETION)
    assert not trace.has_content
    assert (trace.output, tally.accepted, tally.without_content) == ("There.", 1, 1)


def test_a_batch_has_its_body_one_level_deeper(one):
    trace = one(
        {
            "custom_id": "b-1",
            "request": {"body": REQUEST},
            "response": {"status_code": 200, "request_id": "q", "body": COMPLETION},
            "error": None,
        }
    )
    assert (trace.id, trace.output, trace.outcome) == ("b-1", "There.", Ok())
    assert trace.attributes["openai.response.request_id"] == "q"


def test_text_parts_are_joined_and_others_noted(one):
    question = [
        {"type": "text", "text": "What"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": "is this?"},
    ]
    answer = [{"type": "text", "text": "A"}, {"type": "audio", "data": "x"}]
    trace = one(
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    )
    assert trace.inputs == {"messages": [{"role": "user", "content": "What\nis this?"}]}
    assert trace.output == "A"
    assert trace.attributes["openai.request.parts"] == [{"message": 0, "type": "image_url"}]
    assert trace.attributes["openai.response.parts"] == [{"type": "audio"}]
    assert "AAAA" not in repr(trace)


def test_tool_calls_are_attributes_and_no_output(one):
    calls = [{"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    said = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"message": said, "finish_reason": "tool_calls"}
    trace = one({"request": REQUEST, "response": {"choices": [choice]}})
    assert (trace.output, trace.finish_reason) == (None, "tool_calls")
    assert trace.attributes["openai.response.tool_calls"] == calls
    trace = one({"messages": [ASKED, said, {"role": "tool", "content": "x"}, SAID]})
    assert trace.inputs["messages"][1] == {**said, "content": ""}
    assert trace.output == "There."


def test_of_many_choices_the_first_is_the_output(one):
    second = {"index": 1, "message": {"role": "assistant", "content": "Here."}}
    trace = one({"request": REQUEST, "response": {"choices": [CHOICE, second]}})
    assert trace.output == "There."
    assert trace.attributes["openai.response.other_choices"] == [second]


@pytest.mark.parametrize(
    ("logged", "outcome"),
    [
        ({"error": {"status": 400, "message": "too long"}}, Failed(reason="status 400: too long")),
        (
            {"response": {"error": {"code": 422, "type": "bad", "message": "no"}}},
            Failed(reason="status 422: bad: no"),
        ),
        (
            {"error": {"type": "invalid_request_error", "message": "no"}},
            Failed(reason="invalid_request_error: no"),
        ),
        ({"error": {"status": 429, "message": "slow down"}}, Errored(reason="status 429: slow down")),
        ({"error": {"code": 401, "message": "no key"}}, Errored(reason="status 401: no key")),
        ({"error": {"status": 503, "message": "down"}}, Errored(reason="status 503: down")),
        ({"error": {"code": "rate_limit", "message": "x"}}, Errored(reason="x")),
        ({"error": "timeout"}, Errored(reason="timeout")),
        ({"error": True}, Errored(reason="no reason given")),
        (
            {"response": {"status_code": 400, "body": {"error": {"message": "no"}}}},
            Failed(reason="status 400: no"),
        ),
        ({"status_code": 404, "response": "x"}, Failed(reason="status 404: no reason given")),
        ({"status": "done", "response": "x"}, Ok()),
        ({"error": {}, "response": "x"}, Ok()),
        ({"error": {"message": "x" * 999}}, Errored(reason="x" * 500)),
    ],
)
def test_an_error_is_the_configurations_or_the_surroundings(one, logged, outcome):
    assert one({"request": REQUEST, **logged}).outcome == outcome


@pytest.mark.parametrize(
    ("row", "unit", "origin"),
    [
        ({"unit": "a", "session_id": "b"}, "a", None),
        ({"session_id": "b", "user": "c"}, "b", None),
        ({"user": "c", "metadata": {"session_id": 7}}, "7", None),
        ({"metadata": {"user_id": "d"}, "safety_identifier": "e"}, "d", None),
        ({"safety_identifier": "e"}, "e", None),
        ({"user": {"name": "x"}}, "conversation-07a6a9b3a1f8a3d2", "first_user_message"),
        ({}, "conversation-07a6a9b3a1f8a3d2", "first_user_message"),
    ],
)
def test_the_unit_is_found_by_a_stated_chain(imported, row, unit, origin):
    for record in (
        {"messages": [SYSTEM, ASKED, SAID], **row},
        {"request": REQUEST, "response": COMPLETION, **row},
        {"request": {**REQUEST, **{k: v for k, v in row.items() if k != "unit"}}, "unit": row.get("unit")},
    ):
        (trace,), tally = imported(record)
        if origin is None:
            assert trace.unit_id == unit
        else:
            assert trace.unit_id.startswith("conversation-")
        assert trace.attributes.get(DERIVED, {}).get("unit") == origin
        assert tally.derived_units == (origin is not None)


def test_turns_of_one_conversation_are_one_unit_and_without_user_each_is_its_own(imported):
    (first, second, other, alone), tally = imported(
        {"messages": [SYSTEM, ASKED, SAID]},
        {"messages": [SYSTEM, ASKED, SAID, {"role": "user", "content": "Sure?"}, SAID]},
        {"messages": [{"role": "user", "content": "Hello"}, SAID]},
        {"messages": [SYSTEM, SAID]},
    )
    assert first.unit_id == second.unit_id != other.unit_id
    assert alone.unit_id == alone.id
    assert tally.unit_from == {"first_user_message": 3, "trace": 1}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": "hi"}, "messages is a text; an array is expected"),
        ({"messages": ["hi"]}, "messages[0] is a text; a message is an object"),
        ({"messages": [{"content": "x"}]}, "messages[0] has no role"),
        ({"messages": [{"role": 1}]}, "messages[0] has a number for a role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content is a number"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0] is no part"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, 'the type "text" and no text'),
        ({"messages": None}, "neither messages nor request nor choices"),
        ({"request": "x", "response": COMPLETION}, "request is a text; an object is expected"),
        ({"request": {"model": "m"}, "response": COMPLETION}, "request has no messages"),
        ({"request": {**REQUEST, "model": 3}}, "request.model is a number"),
        ({"request": REQUEST, "response": 3}, "response is a number"),
        ({"request": REQUEST, "response": {"id": "x"}}, "response has neither choices nor an error"),
        ({"request": REQUEST, "response": {"choices": [3]}}, "response.choices[0] is a number"),
        (
            {"request": REQUEST, "response": {"choices": [{"message": {"content": 3}}]}},
            "response.choices[0].message.content is a number",
        ),
        ({"request": REQUEST, "response": {**COMPLETION, "created": "now"}}, 'response.created is "now"'),
        (
            {"request": REQUEST, "response": {**COMPLETION, "usage": {"prompt_tokens": -1}}},
            "response.usage.prompt_tokens is -1",
        ),
        ({"messages": [ASKED], "timestamp": "2026-01-01"}, "has no zone"),
        ({"messages": [ASKED], "latency_ms": -5}, "latency_ms is -5"),
        ({"messages": [ASKED], "id": {}}, "id is an object"),
    ],
)
def test_a_wrong_chat_log_is_refused_by_its_place(one, row, said):
    became = one(row)
    assert isinstance(became, Rejected)
    assert said in became.reason


@pytest.mark.parametrize("question", ["question", "input", "prompt"])
@pytest.mark.parametrize("answer", ["answer", "output", "completion"])
@pytest.mark.parametrize("reference", ["reference", "expected", "target"])
def test_a_plain_row(one, question, answer, reference):
    trace = one({question: "Where?", answer: "There.", reference: ["there"], "context": ["d1"], "team": "x"})
    assert trace.inputs == {"question": "Where?", "documents": ["d1"]}
    assert (trace.output, trace.reference) == ("There.", ["there"])
    assert trace.unit_id == trace.id
    assert trace.attributes == {
        "team": "x",
        DERIVED: {"id": "content", "at": "default", "unit": "trace"},
    }


def test_a_plain_row_may_say_more(one):
    trace = one(
        {
            "id": 7,
            "question": "Where?",
            "documents": "one text",
            "timestamp": 5,
            "metadata": {"user_id": "ana"},
            "latency_ms": 3,
            "error": "timeout",
        }
    )
    assert (trace.id, trace.at, trace.unit_id, trace.latency_ms) == ("7", 5.0, "ana", 3.0)
    assert trace.inputs["documents"] == ["one text"]
    assert (trace.output, trace.outcome) == (None, Errored(reason="timeout"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "x", "input": "y"}, "it has question and input, which mean the same here"),
        ({"question": "x", "answer": "y", "output": "z"}, "it has answer and output"),
        ({"question": None}, "it has no question"),
        ({"question": ["x"]}, "question is an array; a text is expected"),
        ({"question": "x", "answer": 5}, "answer is a number; a text is expected"),
        ({"question": "x", "documents": {}}, "documents is an object; an array is expected"),
    ],
)
def test_a_wrong_plain_row_is_refused(one, row, said):
    became = one(row)
    assert isinstance(became, Rejected)
    assert said in became.reason


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"mesages": [], "id": 1}, 'it has "mesages", "id"; did you mean "messages"?'),
        ({"Question": "x"}, 'it has "Question"; did you mean "question"?'),
        ({"foo": 1}, 'it has "foo"; a line has "messages" (OpenAI chat)'),
        ({f"k{n}": n for n in range(20)}, '"k7", …; a line has'),
        ({"\x1b[2J" + "x" * 99: 1}, 'it has "\ufffd[2J' + "x" * 36 + '…";'),
        ({}, "it is an empty object"),
    ],
)
def test_an_unknown_shape_says_what_was_found(one, row, said):
    became = one(row)
    assert isinstance(became, Rejected)
    assert said in became.reason


@pytest.mark.parametrize("dialect", ["trace/1", "openai-chat", "question-answer"])
@pytest.mark.parametrize("record", [{}, {"foo": 1}])
def test_a_named_dialect_takes_nothing_else(one, dialect, record):
    assert isinstance(one(record, dialect=dialect), Rejected)


def test_a_named_dialect_is_not_guessed(one):
    row = {"messages": [ASKED], "question": "x"}
    assert one(row).inputs == {"messages": [ASKED]}
    assert one(row, dialect="question-answer").inputs == {"question": "x"}
