"""OpenTelemetry's conventions: names of today, of before, and of events."""

import json

import pytest

from inchworm.domain.outcome import Ok
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Usage

ASKED = [
    {"role": "system", "parts": [{"content": "Be brief.", "type": "text"}], "name": None},
    {"role": "user", "parts": [{"content": "Where is it?", "type": "text"}], "name": None},
]
PLAIN = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"order":"7"}'}}


def test_chat_of_the_genai_instrumentation(told):
    found = told(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.stop_sequences": ["X"],
            "gen_ai.request.seed": 7,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.model": "m-2026",
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 4,
            "gen_ai.input.messages": json.dumps(ASKED),
            "gen_ai.output.messages": json.dumps(
                [
                    {
                        "role": "assistant",
                        "parts": [{"content": "Soon.", "type": "text"}],
                        "finish_reason": "stop",
                    }
                ]
            ),
            "server.port": 443,
        }
    )
    assert found.kind is SpanKind.LLM
    assert found.model == "m-2026"
    assert found.inputs == {"messages": PLAIN}
    assert found.output == "Soon."
    assert found.finish_reason == "stop"
    assert found.usage == Usage(input_tokens=11, output_tokens=4)
    assert found.outcome == Ok()
    assert found.started_at == 1_795_341_600.0
    assert found.ended_at == pytest.approx(1_795_341_600.42)
    assert found.revision == found.ended_at
    assert found.attributes["gen_ai.request.temperature"] == 0.2
    assert found.attributes["gen_ai.request.model"] == "m"
    assert found.attributes["server.port"] == 443
    assert found.attributes["inchworm.read"] == ["gen_ai.input.messages", "gen_ai.output.messages"]


def test_tools_asked_called_and_answered(told):
    asked = [
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Where?"}, {"type": "blob", "modality": "image"}],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "find", "id": "call_1", "arguments": {"order": "7"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "sent"}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "call_2", "result": {"at": 1}}]},
    ]
    found = told(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": json.dumps(asked),
            "gen_ai.output.messages": json.dumps([asked[1]]),
            "gen_ai.tool.definitions": json.dumps(
                [{"type": "function", "name": "find", "description": "d", "parameters": {"type": "object"}}]
            ),
        }
    )
    assert found.inputs["messages"] == [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sent", "tool_call_id": "call_1"},
        {"role": "tool", "content": '{"at":1}', "tool_call_id": "call_2"},
    ]
    assert found.attributes["openai.request.parts"] == [{"message": 0, "type": "image"}]
    assert found.output is None
    assert found.attributes["openai.response.tool_calls"] == [CALL]
    function = {"name": "find", "description": "d", "parameters": {"type": "object"}}
    assert found.attributes["gen_ai.tool.definitions"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize(
    ("name", "kept", "value"),
    [
        ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens", 11),
        ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens", 4),
        ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens", 3),
        ("gen_ai.usage.reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", 2),
        ("gen_ai.system", "gen_ai.provider.name", "openai"),
        ("gen_ai.openai.request.seed", "gen_ai.request.seed", 7),
        ("gen_ai.request.max_completion_tokens", "gen_ai.request.max_tokens", 50),
        ("gen_ai.request.reasoning_effort", "openai.request.reasoning_effort", "low"),
    ],
)
def test_an_old_name_stands_under_the_new_one_too(told, name, kept, value):
    found = told({"gen_ai.request.model": "m", name: value})
    assert found.attributes[kept] == value
    assert found.attributes[name] == value
    assert found.kind is SpanKind.LLM


def test_the_new_name_goes_before_the_old_one(told):
    found = told({"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.input_tokens": 6})
    assert found.usage.input_tokens == 6


def test_system_instructions_come_first(told):
    found = told(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": json.dumps(ASKED[1:]),
            "gen_ai.system_instructions": json.dumps([{"content": "Be brief.", "type": "text"}]),
        }
    )
    assert found.inputs == {"messages": PLAIN}


def test_messages_of_the_details_event(told):
    held = {
        "gen_ai.input.messages": json.dumps(ASKED),
        "gen_ai.output.messages": '[{"role":"a","parts":["Soon."]}]',
    }
    found = told(
        {"gen_ai.operation.name": "chat"}, events=[("gen_ai.client.inference.operation.details", held)]
    )
    assert found.inputs == {"messages": PLAIN}
    assert found.output == "Soon."


def test_messages_as_structures_not_as_text(told):
    found = told(
        {"gen_ai.operation.name": "chat", "gen_ai.input.messages": [{"role": "user", "content": "Hi"}]}
    )
    assert found.inputs == {"messages": [{"role": "user", "content": "Hi"}]}


def test_one_event_per_message(told):
    found = told(
        {"gen_ai.operation.name": "chat"},
        events=[
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": "Where is it?"}),
            ("gen_ai.assistant.message", {"tool_calls": json.dumps([CALL])}),
            ("gen_ai.tool.message", {"content": "sent", "id": "call_1"}),
            ("gen_ai.choice", {"finish_reason": "stop", "index": 0, "message": '{"content": "Soon."}'}),
        ],
    )
    assert found.inputs["messages"] == [
        *PLAIN,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sent", "tool_call_id": "call_1"},
    ]
    assert found.output == "Soon."
    assert found.finish_reason == "stop"


def test_content_events_of_the_first_releases(told):
    found = told(
        {"gen_ai.system": "openai", "gen_ai.request.model": "m"},
        events=[
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(PLAIN)}),
            (
                "gen_ai.content.completion",
                {"gen_ai.completion": '[{"role": "assistant", "content": "Soon."}]'},
            ),
        ],
    )
    assert (found.inputs, found.output) == ({"messages": PLAIN}, "Soon.")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("embeddings", SpanKind.EMBEDDING),
        ("execute_tool", SpanKind.TOOL),
        ("invoke_agent", SpanKind.AGENT),
        ("retrieval", SpanKind.RETRIEVER),
        ("generate_content", SpanKind.LLM),
        ("something_new", SpanKind.OTHER),
    ],
)
def test_operations_are_kinds(told, operation, kind):
    assert told({"gen_ai.operation.name": operation}).kind is kind


def test_a_tool_with_arguments_and_result(told):
    found = told(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "find",
            "gen_ai.tool.call.arguments": '{"order": "7"}',
            "gen_ai.tool.call.result": "sent",
        }
    )
    assert (found.inputs, found.output) == ({"order": "7"}, "sent")


def test_documents_of_a_retrieval(told):
    documents = [{"id": "d1", "score": 0.5}]
    found = told(
        {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.retrieval.query.text": "where",
            "gen_ai.retrieval.documents": json.dumps(documents),
        }
    )
    assert found.inputs == {"query": "where"}
    assert found.attributes["gen_ai.retrieval.documents"] == documents
    assert found.output == '[{"id":"d1","score":0.5}]'


def test_people_of_a_conversation(told):
    assert told({"gen_ai.conversation.id": "c1"}).people == {"session": "c1"}
    found = told({"gen_ai.conversation.id": "c1", "session.id": "s1", "enduser.id": "ana"})
    assert found.people == {"session": "s1", "user": "ana"}


def test_a_plain_span_keeps_its_attributes(told):
    found = told({"http.route": "/ask"}, resource={"service.name": "shop", "service.version": "2.1"})
    assert found.kind is SpanKind.OTHER
    assert found.attributes["http.route"] == "/ask"
    assert found.attributes["otel.resource"] == {"service.name": "shop", "service.version": "2.1"}
    assert found.attributes["otel.span_kind"] == "client"
    assert found.attributes["inchworm.application"] == "2.1"
    assert (found.attributes["otel.scope.name"], found.attributes["otel.scope.version"]) == ("test", "1.0")
