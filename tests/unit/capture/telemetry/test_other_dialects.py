"""OpenInference, Langfuse, Traceloop, Vercel, pydantic-ai, our own; and several at once."""

import json

import pytest

from inchworm.capture.telemetry import Refused
from inchworm.domain.configuration import AppRef
from inchworm.domain.outcome import Failed
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Arm, Usage

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"order":"7"}'}}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
ASSIGNED = {
    "inchworm.rollout.id": "r-7",
    "inchworm.stage": 1,
    "inchworm.arm": "candidate",
    "inchworm.probability": 0.25,
}


def openinference(first=0):
    asked, answers = "llm.input_messages", "llm.output_messages"
    return {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.model_name": "m-2026",
        "llm.invocation_parameters": '{"model": "m", "temperature": 0.2, "max_tokens": 50, "user": "ana"}',
        "input.value": json.dumps(
            {"model": "m", "messages": ASKED, "response_format": {"type": "json_object"}}
        ),
        "input.mime_type": "application/json",
        "output.value": '{"id": "c1", "choices": [{"message": {"content": "Soon.", "role": "assistant"}}]}',
        "output.mime_type": "application/json",
        f"{asked}.{first}.message.role": "system",
        f"{asked}.{first}.message.content": "Be brief.",
        f"{asked}.{first + 1}.message.role": "user",
        f"{asked}.{first + 1}.message.contents.0.message_content.type": "text",
        f"{asked}.{first + 1}.message.contents.0.message_content.text": "Where is it?",
        f"{asked}.{first + 1}.message.contents.1.message_content.type": "image",
        f"{answers}.{first}.message.role": "assistant",
        f"{answers}.{first}.message.content": "Soon.",
        f"{answers}.{first}.message.tool_calls.0.tool_call.id": "call_1",
        f"{answers}.{first}.message.tool_calls.0.tool_call.function.name": "find",
        f"{answers}.{first}.message.tool_calls.0.tool_call.function.arguments": '{"order":"7"}',
        "llm.tools.0.tool.json_schema": json.dumps(TOOL),
        "llm.token_count.prompt": 11,
        "llm.token_count.completion": 4,
        "llm.token_count.total": 15,
        "llm.token_count.prompt_details.cache_read": 3,
        "llm.finish_reason": "stop",
        "llm.cost.total": 0.002,
        "llm.prompt_template.version": "v3",
        "session.id": "s1",
        "metadata": '{"user_id": "ben"}',
        "tag.tags": ["a", "b"],
    }


@pytest.mark.parametrize("first", [0, 1])
def test_openinference_wherever_its_numbers_start(told, first):
    found = told(openinference(first))
    assert found.kind is SpanKind.LLM
    assert found.model == "m-2026"
    assert found.inputs == {"messages": ASKED}
    assert found.output == "Soon."
    assert found.finish_reason == "stop"
    assert found.usage == Usage(input_tokens=11, output_tokens=4, cost_usd=0.002)
    assert found.people == {"session": "s1", "user": "ana"}
    given = found.attributes
    assert given["gen_ai.request.model"] == "m"
    assert given["gen_ai.request.temperature"] == 0.2
    assert given["gen_ai.request.max_tokens"] == 50
    assert given["gen_ai.usage.cache_read.input_tokens"] == 3
    assert given["openai.request.response_format"] == {"type": "json_object"}
    assert given["openai.request.parts"] == [{"message": 1, "type": "image"}]
    assert given["openai.response.tool_calls"] == [CALL]
    assert given["gen_ai.tool.definitions"] == [TOOL]
    assert given["gen_ai.prompt.version"] == "v3"
    assert given["tag.tags"] == ["a", "b"]
    assert given["llm.token_count.total"] == 15
    assert given["inchworm.read"] == [
        "input.value",
        "llm.input_messages.",
        "llm.invocation_parameters",
        "llm.output_messages.",
        "llm.tools.",
        "output.value",
    ]
    assert not [name for name in given if name.startswith("llm.input_messages.")]


def test_first_token_of_a_stream(told):
    """The event is a microsecond after the start."""
    for name, given in (
        ("First Token Stream Event", {"openinference.span.kind": "LLM"}),
        ("gen_ai.content.completion.chunk", {"gen_ai.operation.name": "chat"}),
    ):
        assert told(given, events=[(name, {})]).attributes["gen_ai.response.time_to_first_chunk"] == 1e-6
    moment = {"langfuse.observation.completion_start_time": '"2026-11-22T10:00:00.250000Z"'}
    assert told(langfuse(**moment)).attributes["gen_ai.response.time_to_first_chunk"] == 0.25


def test_openinference_chain_with_values(told):
    found = told(
        {"openinference.span.kind": "CHAIN", "input.value": '{"question": "Where?"}', "output.value": "Soon."}
    )
    assert (found.kind, found.inputs, found.output) == (SpanKind.CHAIN, {"question": "Where?"}, "Soon.")
    assert told({"openinference.span.kind": "AGENT", "input.value": "Where?"}).inputs == {"input": "Where?"}


def test_openinference_documents(told):
    found = told(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "where",
            "retrieval.documents.0.document.id": "d1",
            "retrieval.documents.0.document.content": "sent",
            "retrieval.documents.0.document.score": 0.5,
            "retrieval.documents.0.document.metadata": '{"page": 1}',
        }
    )
    document = {"id": "d1", "content": "sent", "score": 0.5, "metadata": {"page": 1}}
    assert found.attributes["gen_ai.retrieval.documents"] == [document]
    assert json.loads(found.output) == [document]


def test_openinference_vectors_are_cut_and_it_says_so(told):
    found = told(
        {
            "openinference.span.kind": "EMBEDDING",
            "embedding.model_name": "e",
            "embedding.embeddings.0.embedding.text": "hello",
            "embedding.embeddings.0.embedding.vector": [0.1, 0.2],
            "llm.token_count.prompt": 5,
        }
    )
    assert found.kind is SpanKind.EMBEDDING
    assert found.usage.input_tokens == 5
    assert found.attributes["inchworm.cut"] == {"embedding.embeddings.0.embedding.vector": 2}
    assert found.attributes["embedding.embeddings.0.embedding.text"] == "hello"


def langfuse(**more):
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "m",
        "langfuse.observation.model.parameters": '{"temperature": 0.2, "max_tokens": "Infinity"}',
        "langfuse.observation.input": json.dumps(ASKED),
        "langfuse.observation.output": '{"role": "assistant", "content": "Soon."}',
        "langfuse.observation.usage_details": '{"input": 11, "output": 4, "total": 15}',
        "langfuse.observation.cost_details": '{"input": 0.001, "output": 0.002, "total": 0.003}',
        "langfuse.observation.prompt.name": "support",
        "langfuse.observation.metadata.k": '"v"',
        "langfuse.trace.tags": ["a"],
        "langfuse.environment": "staging",
        "langfuse.release": "r1",
        "session.id": "s1",
        "user.id": "ana",
        **more,
    }


def test_langfuse_generation(told):
    found = told(langfuse())
    assert found.kind is SpanKind.LLM
    assert found.model == "m"
    assert found.inputs == {"messages": ASKED}
    assert found.output == "Soon."
    assert found.usage == Usage(input_tokens=11, output_tokens=4, cost_usd=0.003)
    assert found.people == {"session": "s1", "user": "ana"}
    given = found.attributes
    assert given["gen_ai.request.temperature"] == 0.2
    assert "gen_ai.request.max_tokens" not in given
    assert given["gen_ai.prompt.name"] == "support"
    assert given["langfuse.release"] == "r1"
    assert given["langfuse.observation.metadata.k"] == '"v"'
    assert given["langfuse.trace.tags"] == ["a"]


def test_langfuse_release_and_environment_of_the_resource(told):
    found = told({"langfuse.observation.type": "span"}, resource={"langfuse.release": "r2"})
    assert found.attributes["langfuse.release"] == "r2"
    assert found.kind is SpanKind.CHAIN


def test_langfuse_wrapper_of_openai_with_tools(told):
    body = {"tools": [TOOL], "messages": ASKED}
    usage = {"prompt_tokens": 11, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    found = told(
        langfuse(
            **{
                "langfuse.observation.input": json.dumps(body),
                "langfuse.observation.output": json.dumps(
                    {"role": "assistant", "content": None, "tool_calls": [CALL]}
                ),
                "langfuse.observation.usage_details": json.dumps(usage),
            }
        )
    )
    assert found.inputs == {"messages": ASKED}
    assert found.output is None
    assert found.attributes["gen_ai.tool.definitions"] == [TOOL]
    assert found.attributes["openai.response.tool_calls"] == [CALL]
    assert found.usage.input_tokens == 11
    assert found.attributes["gen_ai.usage.cache_read.input_tokens"] == 3


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 11, "output": 4, "total": 15, "cache_read_input_tokens": 3}, 11),
        ({"input": 8, "output": 4, "total": 15, "cache_read_input_tokens": 3}, 11),
        ({"input": 8, "output": 4, "cache_read_input_tokens": 3}, 11),
    ],
)
def test_langfuse_buckets_add_up_to_the_total(told, usage, tokens):
    found = told(langfuse(**{"langfuse.observation.usage_details": json.dumps(usage)}))
    assert found.usage.input_tokens == tokens


def test_langfuse_costs_of_zero_are_not_known(told):
    found = told(langfuse(**{"langfuse.observation.cost_details": '{"input": 0, "output": 0, "total": 0}'}))
    assert found.usage.cost_usd is None


def test_langfuse_level_of_error(told):
    found = told(
        langfuse(
            **{
                "langfuse.observation.level": "ERROR",
                "langfuse.observation.status_message": "Error code: 400 - no such model",
            }
        )
    )
    assert found.outcome == Failed(reason="status 400: Error code: 400 - no such model")


def test_langfuse_experiment_brings_a_reference(told):
    found = told(langfuse(**{"langfuse.experiment.item.expected_output": '"Soon."'}))
    assert found.reference == "Soon."


def test_traceloop_before_it_spoke_genai(told):
    found = told(
        {
            "gen_ai.system": "OpenAI",
            "llm.request.type": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.response.model": "m-2026",
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Where is it?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Soon.",
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.completion.0.tool_calls.0.id": "call_1",
            "gen_ai.completion.0.tool_calls.0.name": "find",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"order":"7"}',
            "llm.request.functions.0.name": "find",
            "llm.request.functions.0.parameters": '{"type": "object"}',
            "gen_ai.usage.prompt_tokens": 11,
            "gen_ai.usage.completion_tokens": 4,
            "llm.usage.total_tokens": 15,
            "traceloop.association.properties.session_id": "s1",
            "traceloop.association.properties.user_id": "ana",
        }
    )
    assert found.kind is SpanKind.LLM
    assert found.inputs == {"messages": ASKED}
    assert found.output == "Soon."
    assert found.finish_reason == "stop"
    assert found.usage == Usage(input_tokens=11, output_tokens=4)
    assert found.people == {"session": "s1", "user": "ana"}
    assert found.attributes["openai.response.tool_calls"] == [CALL]
    assert found.attributes["gen_ai.tool.definitions"] == [TOOL]
    assert found.attributes["inchworm.read"] == [
        "gen_ai.completion.",
        "gen_ai.prompt.",
        "llm.request.functions.",
    ]


@pytest.mark.parametrize(
    ("said", "inputs"),
    [
        ({"inputs": {"question": "Where?"}}, {"question": "Where?"}),
        ({"args": [], "kwargs": {"question": "Where?"}}, {"question": "Where?"}),
        ({"args": ["Where?"], "kwargs": {}}, {"input": "Where?"}),
    ],
)
def test_traceloop_workflow(told, said, inputs):
    found = told(
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.name": "ask",
            "traceloop.entity.input": json.dumps(said),
            "traceloop.entity.output": '"Soon."',
        }
    )
    assert (found.kind, found.inputs) == (SpanKind.CHAIN, inputs)
    assert found.output == '"Soon."'
    assert found.attributes["traceloop.entity.name"] == "ask"


def test_vercel_model_call(told):
    asked = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool-call", "toolCallId": "call_1", "toolName": "find", "input": {}}],
        },
        {
            "role": "tool",
            "content": [
                {
                    "type": "tool-result",
                    "toolCallId": "call_1",
                    "toolName": "find",
                    "output": {"type": "text", "value": "sent"},
                }
            ],
        },
    ]
    found = told(
        {
            "operation.name": "ai.generateText.doGenerate fn",
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "m",
            "ai.model.provider": "openai.chat",
            "ai.prompt.messages": json.dumps(asked),
            "ai.prompt.tools": [
                json.dumps({"type": "function", "name": "find", "inputSchema": {"type": "object"}})
            ],
            "ai.response.text": "Soon.",
            "ai.response.model": "m-2026",
            "ai.response.finishReason": "stop",
            "ai.response.msToFirstChunk": 250.0,
            "ai.settings.temperature": 0.2,
            "ai.settings.maxOutputTokens": 50,
            "ai.usage.inputTokens": 11,
            "ai.usage.completionTokens": 4,
            "ai.telemetry.metadata.sessionId": "s1",
            "ai.telemetry.metadata.userId": "ana",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 12,
        }
    )
    assert found.kind is SpanKind.LLM
    assert found.inputs["messages"] == [
        *ASKED,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "sent", "tool_call_id": "call_1", "name": "find"},
    ]
    assert found.output == "Soon."
    assert found.model == "m-2026"
    assert found.finish_reason == "stop"
    assert found.usage == Usage(input_tokens=11, output_tokens=4)  # its own word goes before the other
    assert found.people == {"session": "s1", "user": "ana"}
    assert found.attributes["gen_ai.request.temperature"] == 0.2
    assert found.attributes["gen_ai.request.max_tokens"] == 50
    assert found.attributes["gen_ai.response.time_to_first_chunk"] == 0.25
    assert found.attributes["gen_ai.tool.definitions"] == [TOOL]


def test_vercel_whole_call_and_tool(told):
    outer = told(
        {
            "ai.operationId": "ai.generateText",
            "ai.prompt": '{"prompt": "Where?"}',
            "ai.response.text": "Soon.",
        }
    )
    assert (outer.kind, outer.output) == (SpanKind.CHAIN, "Soon.")
    assert outer.inputs == {"messages": [{"role": "user", "content": "Where?"}]}
    tool = told(
        {"ai.operationId": "ai.toolCall", "ai.toolCall.args": '{"order": 7}', "ai.toolCall.result": '"sent"'}
    )
    assert (tool.kind, tool.inputs, tool.output) == (SpanKind.TOOL, {"order": 7}, "sent")


def test_pydantic_ai_run(told):
    whole = [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "Soon."}], "finish_reason": "stop"},
    ]
    given = {
        "gen_ai.operation.name": "invoke_agent",
        "agent_name": "helper",
        "model_name": "m",
        "gen_ai.conversation.id": "c1",
        "gen_ai.aggregated_usage.input_tokens": 22,
        "pydantic_ai.all_messages": json.dumps(whole),
        "logfire.msg": "helper run",
    }
    for more in ({"final_result": "Soon."}, {}):
        found = told({**given, **more})
        assert found.kind is SpanKind.AGENT
        assert found.inputs == {"messages": ASKED}
        assert found.output == "Soon."
        assert found.usage.input_tokens == 22
        assert found.attributes["logfire.msg"] == "helper run"


def test_a_structured_result_stays_json(told):
    result = '{"answer": "Soon."}'
    assert told({"agent_name": "helper", "final_result": result}).output == result
    assert (
        told({"langfuse.observation.type": "chain", "langfuse.observation.output": result}).output == result
    )


def test_of_a_state_with_messages_the_last_answer_is_the_output(told):
    state = {"messages": [*ASKED, {"type": "ai", "content": "Soon."}], "steps": 3}
    found = told({"openinference.span.kind": "CHAIN", "output.value": json.dumps(state)})
    assert found.output == "Soon."


def test_pydantic_ai_events_as_one_attribute(told):
    events = [
        {
            "event.name": "gen_ai.system.message",
            "content": "Be brief.",
            "gen_ai.message.index": 0,
            "role": "system",
        },
        {
            "event.name": "gen_ai.user.message",
            "content": "Where is it?",
            "gen_ai.message.index": 1,
            "role": "user",
        },
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "Soon."}},
    ]
    found = told({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "events": json.dumps(events)})
    assert (found.inputs, found.output) == ({"messages": ASKED}, "Soon.")


def test_our_own_attributes(told):
    found = told(
        {
            **ASSIGNED,
            "inchworm.app": "other/staging",
            "inchworm.configuration.id": "c7f1",
            "inchworm.unit.id": "session-17",
            "inchworm.reference": "Soon.",
            "inchworm.call": "rerank",
        }
    )
    assert found.app == AppRef(app="other", environment="staging")
    assert found.configuration_id == "c7f1"
    assert found.people == {"unit": "session-17"}
    assert found.reference == "Soon."
    assert found.attributes["inchworm.call"] == "rerank"
    assert found.assignment is not None
    assert (found.assignment.rollout_id, found.assignment.stage) == ("r-7", 1)
    assert (found.assignment.arm, found.assignment.probability) == (Arm.CANDIDATE, 0.25)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"inchworm.stage": None}, "inchworm.stage"),
        ({"inchworm.stage": -1}, "stages count from 0"),
        ({"inchworm.probability": 1.5}, "in [0, 1]"),
        ({"inchworm.arm": "both"}, "baseline or candidate"),
        ({"inchworm.app": "a/b/c"}, "names no app"),
    ],
)
def test_an_impossible_assignment_is_refused_alone(make, spans_of, change, word):
    wrong = {name: value for name, value in {**ASSIGNED, **change}.items() if value is not None}
    good, bad = make.span(ASSIGNED), make.span(wrong, span_id=make.child)
    read, refused = spans_of([good, bad])
    assert read.id == make.root
    assert isinstance(refused, Refused)
    assert word in refused.reason
    (again,) = spans_of([bad])
    assert refused.body == make.protobuf([bad])
    assert again == refused


def test_several_dialects_at_once_tell_together(told):
    found = told(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "langfuse-said",
            "openinference.span.kind": "CHAIN",
            "llm.model_name": "openinference-said",
            "llm.token_count.prompt": 11,
            "gen_ai.operation.name": "chat",
            "gen_ai.response.model": "genai-said",
            "gen_ai.usage.output_tokens": 4,
            "gen_ai.input.messages": json.dumps(ASKED),
            "inchworm.unit.id": "u1",
            "session.id": "s1",
        }
    )
    assert found.kind is SpanKind.LLM
    assert found.model == "langfuse-said"
    assert found.usage == Usage(input_tokens=11, output_tokens=4)
    assert found.inputs == {"messages": ASKED}
    assert found.people == {"unit": "u1", "session": "s1"}
