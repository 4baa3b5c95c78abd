"""What a configuration becomes in each protocol, and what it cannot."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.calls import trace_of
from inchworm.capture.fields import UnitFrom
from inchworm.capture.observed.fingerprint import parameters_of, tools_of
from inchworm.capture.records import Called
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.gateway.applying import Applied, apply
from inchworm.gateway.compiled import compiled
from inchworm.gateway.continuing import Continued
from inchworm.gateway.faults import TYPE, too_late, unusable
from inchworm.gateway.units import unit_of_request
from inchworm.gateway.wires import (
    ANTHROPIC_MESSAGES,
    OPENAI_CHAT,
    OPENAI_EMBEDDINGS,
    OPENAI_RESPONSES,
    WIRES,
    Speech,
    Wire,
    spoken,
    wire_at,
)

SCHEMA = {"type": "object", "properties": {"number": {"type": "integer"}}}
TOOL = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": SCHEMA}}
EXAMPLE = {"inputs": {"question": "Hi?"}, "answer": "Hello."}
FEW: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi?"},
    {"role": "assistant", "content": "Hello."},
]


def applied(wire: Wire, body: dict[str, Any], layers: Any, stable: Any = None, **options: Any) -> Applied:
    configuration = Configuration.of(layers)
    before = configuration if stable is None else Configuration.of(stable)
    return apply(body, compiled(configuration, before), wire=wire, **options)


def responses(given: Any = "Hello?", **more: Any) -> dict[str, Any]:
    return {"model": "theirs", "input": given, **more}


def messages(*said: Any, **more: Any) -> dict[str, Any]:
    given = [{"role": "user", "content": one} if isinstance(one, str) else one for one in said or ("Hello?",)]
    return {"model": "theirs", "max_tokens": 100, "messages": given, **more}


# --- what passes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "system",
        "instructions",
        "tools",
        "metadata",
        "text",
        "reasoning",
        "extra",
    ]
)


@given(st.sampled_from(list(WIRES.values())), st.dictionaries(MEMBERS, JSON, max_size=6))
def test_what_no_configuration_names_passes_as_it_came(wire: Wire, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    done = apply(body, compiled(Configuration.of({}), Configuration.of({})), wire=wire)
    assert body == before
    assert done.body == before
    assert not done.changed
    assert done.unapplied == ()


@given(
    st.sampled_from([OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES]),
    st.dictionaries(MEMBERS, JSON, max_size=6),
)
def test_a_whole_configuration_breaks_on_no_body_and_leaves_what_it_does_not_name(
    wire: Wire, body: dict[str, Any]
) -> None:
    before = copy.deepcopy(body)
    layers = {
        "model": {"name": "ours"},
        "parameters": {
            "temperature": 0,
            "response_format": {"type": "json_object"},
            "reasoning_effort": "low",
        },
        "prompt": {"system": "S", "few_shot": [EXAMPLE]},
        "context": {"history_turns": 1},
        "tools": {"schemas": [TOOL]},
    }
    done = applied(wire, body, layers)
    assert body == before
    json.dumps(done.body)
    for name in ("metadata", "extra"):
        assert done.body.get(name, "none") == before.get(name, "none")


def test_images_sound_and_what_nobody_knows_pass_untouched() -> None:
    layers = {"model": {"name": "ours"}, "prompt": {"system": "S"}}
    seen = [
        {"type": "input_image", "image_url": "data:x"},
        {"type": "input_audio", "input_audio": {"data": "AAA", "format": "wav"}},
        {"type": "input_text", "text": "What?"},
    ]
    sent = responses([{"role": "user", "content": seen}], future=[1, {"a": None}], instructions="T")
    assert applied(OPENAI_RESPONSES, sent, layers).body == {**sent, "model": "ours", "instructions": "S"}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAA"}}
    asked = messages(
        {
            "role": "user",
            "content": [image, {"type": "text", "text": "What?", "cache_control": {"type": "e"}}],
        },
        thinking={"type": "enabled", "budget_tokens": 5},
    )
    assert applied(ANTHROPIC_MESSAGES, asked, layers).body == {**asked, "model": "ours", "system": "S"}


# --- parameters and tools

PARAMETERS = {
    "temperature": 0.2,
    "max_tokens": 9,
    "reasoning_effort": "low",
    "stop": "END",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "a", "schema": SCHEMA, "strict": True},
    },
    "tool_choice": {"type": "function", "function": {"name": "find"}},
}


def test_parameters_of_a_response_stand_where_it_has_them() -> None:
    layers = {"parameters": PARAMETERS, "tools": {"schemas": [TOOL]}}
    done = applied(OPENAI_RESPONSES, responses(reasoning={"summary": "auto"}, max_output_tokens=5), layers)
    assert done.body == responses(
        temperature=0.2,
        max_output_tokens=9,
        reasoning={"summary": "auto", "effort": "low"},
        text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}},
        tools=[
            {
                "type": "function",
                "name": "find",
                "description": "Finds.",
                "parameters": SCHEMA,
                "strict": False,
            }
        ],
        tool_choice={"type": "function", "name": "find"},
    )
    assert done.unapplied == ("parameters",)  # there is no stop


def test_parameters_of_a_message_stand_where_it_has_them() -> None:
    layers = {"parameters": PARAMETERS | {"parallel_tool_calls": False}, "tools": {"schemas": [TOOL]}}
    done = applied(ANTHROPIC_MESSAGES, messages(), layers)
    assert done.body == messages(
        temperature=0.2,
        output_config={"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        stop_sequences=["END"],
        tools=[{"name": "find", "description": "Finds.", "input_schema": SCHEMA}],
        tool_choice={"type": "tool", "name": "find", "disable_parallel_tool_use": True},
    ) | {"max_tokens": 9}
    assert done.unapplied == ()


@pytest.mark.parametrize(
    ("wire", "body", "unsaid"),
    [
        (OPENAI_CHAT, {"model": "m", "messages": [{"role": "user", "content": "Hello?"}]}, set()),
        (OPENAI_RESPONSES, responses(), {"stop"}),
        (ANTHROPIC_MESSAGES, messages(), {"verbosity"}),
    ],
)
def test_what_is_applied_is_read_back_from_the_record_as_the_layer_says_it(
    wire: Wire, body: dict[str, Any], unsaid: set[str]
) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    more = {"verbosity": "low", "parallel_tool_calls": False, "response_format": schema, "stop": ["END"]}
    parameters: dict[str, Any] = PARAMETERS | more
    done = applied(wire, body, {"parameters": parameters, "tools": {"schemas": [TOOL]}})
    trace = trace_of(
        Called(
            id="t",
            app="shop/production",
            at=1.0,
            unit="u",
            unit_from="stated",
            dialect=wire.name,
            request=json.dumps(body).encode(),
            sent=json.dumps(done.body).encode(),
        )
    )
    assert parameters_of(trace) == {n: one for n, one in parameters.items() if n not in unsaid}
    (tool,) = tools_of(trace)[1]
    assert {name: one for name, one in tool["function"].items() if name != "strict"} == TOOL["function"]
    assert trace.inputs["messages"] == [{"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize(
    ("wire", "parameters"),
    [
        (OPENAI_RESPONSES, {"seed": 7}),
        (OPENAI_RESPONSES, {"stop": ["END"]}),
        (OPENAI_RESPONSES, {"tool_choice": "required"}),  # among no tools
        (ANTHROPIC_MESSAGES, {"seed": 7}),
        (ANTHROPIC_MESSAGES, {"n": 2}),
        (ANTHROPIC_MESSAGES, {"response_format": {"type": "json_object"}}),
        (ANTHROPIC_MESSAGES, {"response_format": {"type": "json_schema"}}),
        (ANTHROPIC_MESSAGES, {"reasoning_effort": "minimal"}),
        (ANTHROPIC_MESSAGES, {"parallel_tool_calls": False}),
        (ANTHROPIC_MESSAGES, {"tool_choice": "auto"}),
        (OPENAI_EMBEDDINGS, {"dimensions": 8, "seed": 7}),
    ],
)
def test_a_parameter_that_a_protocol_cannot_say_is_named(wire: Wire, parameters: dict[str, Any]) -> None:
    body = {"model": "app:shop"} if wire is OPENAI_EMBEDDINGS else responses()
    done = applied(wire, body, {"model": {"name": "ours"}, "parameters": parameters})
    assert done.unapplied == ("parameters",)
    assert not {*parameters} - {"dimensions"} & done.body.keys()


@pytest.mark.parametrize(
    ("ours", "choice"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "tool", "name": "find"}, {"type": "tool", "name": "find"}),
    ],
)
def test_a_choice_of_tools_is_said_in_anthropic_s_words(ours: Any, choice: Any) -> None:
    layers = {"parameters": {"tool_choice": ours}, "tools": {"schemas": [TOOL]}}
    done = applied(ANTHROPIC_MESSAGES, messages(), layers)
    assert done.body["tool_choice"] == choice
    assert done.unapplied == ()


def test_tools_that_have_a_protocol_s_own_form_stay_as_they_are() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    flat = {"type": "web_search"}
    for wire, tool in ((ANTHROPIC_MESSAGES, search), (OPENAI_RESPONSES, flat)):
        assert applied(wire, messages(), {"tools": {"schemas": [tool]}}).body["tools"] == [tool]


def test_what_stable_names_and_the_candidate_leaves_out_is_taken_out_where_it_stands() -> None:
    stable = {"parameters": PARAMETERS, "tools": {"schemas": [TOOL]}}
    sent = responses(max_output_tokens=5, reasoning={"effort": "high", "summary": "auto"}, top_p=0.5)
    sent |= {"text": {"format": {"type": "text"}}, "tools": [TOOL], "tool_choice": "auto"}
    assert applied(OPENAI_RESPONSES, sent, {}, stable).body == responses(
        reasoning={"summary": "auto"}, top_p=0.5
    )
    # A message without a limit is refused by the provider: the caller's stays.
    assert applied(ANTHROPIC_MESSAGES, messages(stop_sequences=["x"]), {}, stable).body == messages()


# --- prompts


def test_instructions_are_the_system_message_of_a_response() -> None:
    layers = {"prompt": {"system": "Be kind.", "few_shot": [EXAMPLE]}}
    with_item = responses([{"role": "developer", "content": "T"}, {"role": "user", "content": "Hello?"}])
    assert applied(OPENAI_RESPONSES, responses(), layers).body == responses(
        [*FEW, {"role": "user", "content": "Hello?"}], instructions="Be kind."
    )
    assert applied(OPENAI_RESPONSES, responses(instructions="T"), layers).body["instructions"] == "Be kind."
    assert applied(OPENAI_RESPONSES, with_item, layers).body == responses(
        [{"role": "developer", "content": "Be kind."}, *FEW, {"role": "user", "content": "Hello?"}]
    )


def test_a_text_that_is_asked_stays_a_text() -> None:
    done = applied(
        OPENAI_RESPONSES,
        responses("Hello?"),
        {"prompt": {"user": "Q: {question}"}},
        {"prompt": {"user": "{question}"}},
    )
    assert done.body["input"] == "Q: Hello?"
    assert done.inputs == {"question": "Hello?"}


def test_system_of_a_message_is_replaced_and_stays_cached() -> None:
    layers = {"prompt": {"system": "Be kind.", "few_shot": [EXAMPLE]}}
    assert applied(ANTHROPIC_MESSAGES, messages(system="T"), layers).body == messages(
        *FEW, "Hello?", system="Be kind."
    )
    mark = {"type": "ephemeral"}
    blocks = [{"type": "text", "text": "T"}, {"type": "text", "text": "U", "cache_control": mark}]
    assert applied(ANTHROPIC_MESSAGES, messages(system=blocks), layers).body["system"] == [
        {"type": "text", "text": "Be kind.", "cache_control": mark}
    ]


def test_the_prompt_that_stable_gave_is_read_back_in_each_protocol() -> None:
    stable = {"prompt": {"system": "Shop {shop}.", "user": "Q: {question}"}}
    ours = {"prompt": {"system": "You help {shop}.", "user": "{question} Answer!"}}
    asked = applied(ANTHROPIC_MESSAGES, messages("Q: Where?", system="Shop A."), ours, stable)
    assert asked.body == messages("Where? Answer!", system="You help A.")
    assert asked.inputs == {"shop": "A", "question": "Where?"}
    content = [{"type": "input_text", "text": "Q: Where?"}]
    sent = responses([{"role": "user", "content": content}], instructions="Shop A.")
    done = applied(OPENAI_RESPONSES, sent, ours, stable)
    assert done.body["instructions"] == "You help A."
    assert done.body["input"][0]["content"] == [{"type": "input_text", "text": "Where? Answer!"}]


def test_what_tools_found_is_no_question_and_is_never_parted_from_its_call() -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}]}
    found = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "7"}]}
    sent = messages("One?", {"role": "assistant", "content": "1"}, "Two?", use, found)
    done = applied(ANTHROPIC_MESSAGES, sent, {"context": {"history_turns": 0}})
    assert done.body["messages"] == messages("Two?", use, found)["messages"]
    rendered = applied(ANTHROPIC_MESSAGES, sent, {"prompt": {"user": "{q}!"}}, {"prompt": {"user": "{q}"}})
    assert rendered.body["messages"] == [*sent["messages"][:2], *messages("Two?!", use, found)["messages"]]


def test_inputs_that_a_caller_states_become_a_conversation_in_each_protocol() -> None:
    said = [{"role": "system", "content": "T"}, {"role": "user", "content": "Hello?"}]
    ours = {"inputs": {"messages": said}}
    body: dict[str, Any] = {"model": "m", "inchworm": ours}
    assert applied(ANTHROPIC_MESSAGES, body, {}).body == {"model": "m", "system": "T", "messages": said[1:]}
    assert applied(OPENAI_RESPONSES, body, {}).body == {"model": "m", "input": said}


# --- conversations that the provider holds


def test_examples_are_not_put_into_the_middle_of_a_conversation_that_the_provider_holds() -> None:
    layers = {"prompt": {"system": "S", "few_shot": [EXAMPLE]}, "context": {"history_turns": 2}}
    for held in ({"previous_response_id": "resp_1"}, {"conversation": {"id": "conv_1"}}):
        done = applied(OPENAI_RESPONSES, responses(**held), layers)
        assert done.body == responses(instructions="S", **held)
        assert done.unapplied == ("context",)
        assert applied(OPENAI_RESPONSES, responses(**held), layers, {}).unapplied == ("context", "prompt")


def test_what_tools_found_goes_on_under_the_prompt() -> None:
    found = [{"type": "function_call_output", "call_id": "c", "output": "7"}]
    body = responses(found, previous_response_id="resp_1")
    done = applied(OPENAI_RESPONSES, body, {"prompt": {"system": "S", "user": "Q: {question}"}})
    assert done.body == {**body, "instructions": "S"}
    assert done.unapplied == ()


# --- embeddings


def test_the_model_of_an_embedding_is_applied_where_it_is_meant() -> None:
    body = {"model": "theirs", "input": ["a"]}
    chats = {"model": {"name": "chat"}, "prompt": {"system": "S"}, "parameters": {"temperature": 0}}
    left = applied(OPENAI_EMBEDDINGS, body, chats)
    assert left.body == body
    assert left.unapplied == ("model", "parameters", "prompt")
    only = {"model": {"name": "vectors"}, "parameters": {"dimensions": 8}}
    assert applied(OPENAI_EMBEDDINGS, body, only).body == {
        "model": "vectors",
        "input": ["a"],
        "dimensions": 8,
    }
    keyed = Configuration.of(chats | {"model": {"name": "chat", "calls": {"embed": {"name": "vectors"}}}})
    done = apply(body, compiled(keyed, keyed).of("embed"), wire=OPENAI_EMBEDDINGS)
    assert done.body == {**body, "model": "vectors"}
    assert done.unapplied == ("parameters", "prompt")
    asked = applied(OPENAI_EMBEDDINGS, {**body, "model": "app:shop"}, chats)
    assert asked.body["model"] == "chat"


# --- whose it is


def unit(wire: Wire, body: dict[str, Any], **more: Any) -> tuple[UnitId, UnitFrom]:
    return unit_of_request(
        {}, body, kind=UnitKind.SESSION, trace_id=TraceId("t-1"), key=b"k" * 32, wire=wire, **more
    )


def test_each_protocol_says_in_its_own_way_whose_request_it_is() -> None:
    assert unit(ANTHROPIC_MESSAGES, messages(metadata={"user_id": "ana"})) == ("ana", UnitFrom.METADATA)
    for conversation in ("conv_1", {"id": "conv_1"}):
        said = responses(conversation=conversation, user="ana")
        assert unit(OPENAI_RESPONSES, said) == ("conv_1", UnitFrom.METADATA)
    assert unit(OPENAI_EMBEDDINGS, {"input": "a", "user": "ana"}) == ("ana", UnitFrom.METADATA)


def test_the_same_first_words_are_the_same_conversation_in_every_protocol() -> None:
    chat = unit(OPENAI_CHAT, {"messages": [{"role": "user", "content": "Hello?"}]})
    assert chat[1] is UnitFrom.FIRST_USER_MESSAGE
    assert unit(OPENAI_RESPONSES, responses("Hello?")) == chat
    assert unit(OPENAI_RESPONSES, responses([{"role": "user", "content": "Hello?"}])) == chat
    assert (
        unit(ANTHROPIC_MESSAGES, messages("Hello?", {"role": "assistant", "content": "Hi"}, "More?")) == chat
    )


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (OPENAI_RESPONSES, responses("And then?", previous_response_id="resp_1")),
        (OPENAI_RESPONSES, responses([], prompt_cache_key="everybody")),
        (OPENAI_EMBEDDINGS, {"input": "Hello?"}),
    ],
)
def test_what_tells_nobody_apart_is_no_unit(wire: Wire, body: dict[str, Any]) -> None:
    assert unit(wire, body) == ("t-1", UnitFrom.TRACE)


def test_an_answer_is_remembered_until_others_are_asked_for_more_lately() -> None:
    continued = Continued(limit=2)
    for name in ("a", "b"):
        continued.remember("shop", name, UnitId(f"u-{name}"), UnitFrom.STATED)
    assert continued.unit("shop", "a") == ("u-a", UnitFrom.STATED)
    continued.remember("shop", "c", UnitId("u-c"), UnitFrom.STATED)
    assert continued.unit("shop", "b") is None
    assert continued.unit("shop", "a") is not None
    assert continued.unit("other", "a") is None
    assert continued.unit("shop", None) is None


def test_a_response_names_itself_near_its_beginning() -> None:
    begun = b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_7","object"'
    assert OPENAI_RESPONSES.answer_id(begun) == "resp_7"
    assert OPENAI_RESPONSES.answer_id(b'{"id": "resp_8"}') == "resp_8"
    assert OPENAI_RESPONSES.answer_id(b'{"id": "chatcmpl-8"}') is None
    assert OPENAI_CHAT.answer_id(b'{"id": "resp_8"}') is None


# --- mirroring


def test_a_mirrored_request_leaves_nothing_behind() -> None:
    streamed = {"stream": True, "stream_options": {}, "store": True, "background": True}
    assert OPENAI_RESPONSES.mirrored(responses(**streamed)) == responses(store=False)
    assert OPENAI_RESPONSES.mirrored(responses(conversation="conv_1")) is None
    assert ANTHROPIC_MESSAGES.mirrored(messages(stream=True)) == messages()
    assert OPENAI_CHAT.mirrored({"model": "m", **streamed}) == {"model": "m", "background": True}


# --- whose protocol


@pytest.mark.parametrize(
    ("infrastructure", "speech"),
    [
        ({}, None),
        ({"upstream": "recorded"}, None),
        ({"upstream": "any", "base_url": "http://a/v1"}, None),
        ({"upstream": "openai"}, Speech.OPENAI),
        ({"upstream": "anthropic", "base_url": "http://a"}, Speech.ANTHROPIC),
        ({"base_url": "http://a/v1"}, Speech.OPENAI),
        ({"base_url": "https://api.anthropic.com/v1"}, None),
        ({"base_url": "http://[broken"}, Speech.OPENAI),
    ],
)
def test_whose_protocol_a_provider_speaks(infrastructure: dict[str, str], speech: Speech | None) -> None:
    assert spoken(infrastructure) is speech


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("/v1/chat/completions", OPENAI_CHAT),
        ("/openai/deployments/a%20b/chat/completions", OPENAI_CHAT),
        ("/openai/deployments/a/embeddings", OPENAI_EMBEDDINGS),
        ("/openai/v1/responses", OPENAI_RESPONSES),
        ("/openai/responses", OPENAI_RESPONSES),
        ("/v1/messages", ANTHROPIC_MESSAGES),
        ("/v1/messages/count_tokens", None),
        ("/openai/deployments/a/b/embeddings", None),
        ("/v1/models", None),
    ],
)
def test_each_path_has_its_protocol(path: str, wire: Wire | None) -> None:
    assert wire_at(path) is wire


def test_faults_are_said_in_the_protocol_s_shape() -> None:
    late = too_late("api", 2)
    body = json.loads(ANTHROPIC_MESSAGES.fault_body(late))
    assert body == {
        "type": "error",
        "error": {"type": "timeout_error", "message": late.message, "details": {"error_code": "deadline"}},
    }
    assert (
        json.loads(ANTHROPIC_MESSAGES.fault_body(unusable("no")))["error"]["type"] == "invalid_request_error"
    )
    assert ANTHROPIC_MESSAGES.fault_event(late).startswith(b"event: error\ndata: {")
    assert OPENAI_RESPONSES.fault_body(late) == late.body() == OPENAI_CHAT.fault_body(late)
    said = json.loads(OPENAI_RESPONSES.fault_event(late).partition(b"data: ")[2])
    assert (said["type"], said["code"], said["error"]["type"]) == ("error", "deadline", TYPE)
