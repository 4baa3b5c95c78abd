"""LangSmith's runs and Langfuse's events."""

import itertools
import json

import pytest

from inchworm.capture.telemetry import Refused, check, fold, read
from inchworm.domain.errors import InputError
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.rollout import UnitKind
from inchworm.domain.span import SpanKind, merged
from inchworm.domain.trace import Usage

RUN, ABOVE = "01a202ce-3652-7f02-a128-ad7d30d18c1c", "01a202ce-35f6-75c1-94b1-1fb82da980d7"
ORDER = f"20261122T102958390741Z{ABOVE}.20261122T102958482006Z{RUN}"
BEGUN, DONE = "2026-11-22T10:29:58.482006+00:00", "2026-11-22T10:29:58.511955"
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"order":"7"}'}}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def run_with(**more):
    return {
        "id": RUN,
        "trace_id": ABOVE,
        "parent_run_id": ABOVE,
        "dotted_order": ORDER,
        "name": "ChatOpenAI",
        "run_type": "llm",
        "start_time": BEGUN,
        "tags": ["t1"],
        "session_name": "shop",
        "events": [],
        "extra": {
            "metadata": {"session_id": "s1", "user_id": "ana", "ls_provider": "openai", "ls_model_name": "m"}
        },
        **more,
    }


@pytest.fixture
def one(spans_of):
    def reading(**more):
        (found,) = spans_of({"post": [run_with(**more)]}, "langsmith")
        assert not isinstance(found, Refused), found.reason
        return found

    return reading


def test_wrapped_openai(one):
    found = one(
        end_time=DONE,
        inputs={"messages": ASKED, "model": "m", "temperature": 0.2, "tools": [TOOL], "stream": False},
        outputs={
            "id": "c1",
            "choices": [
                {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "Soon."}}
            ],
            "model": "m-2026",
            "object": "chat.completion",
            "usage_metadata": {
                "input_tokens": 11,
                "output_tokens": 4,
                "input_token_details": {"cache_read": 3},
                "output_token_details": {"reasoning": 1},
            },
        },
    )
    assert (found.trace_id, found.id, found.parent_id) == (ABOVE, RUN, ABOVE)
    assert (found.name, found.kind) == ("ChatOpenAI", SpanKind.LLM)
    assert found.model == "m-2026"
    assert found.inputs == {"messages": ASKED}
    assert (found.output, found.finish_reason) == ("Soon.", "stop")
    assert found.usage == Usage(input_tokens=11, output_tokens=4)
    assert found.outcome == Ok()
    assert found.people == {"session": "s1", "user": "ana"}
    assert found.started_at == pytest.approx(1_795_343_398.482006)
    assert found.revision == found.ended_at == pytest.approx(1_795_343_398.511955)
    given = found.attributes
    assert given["gen_ai.request.model"] == "m"
    assert given["gen_ai.request.temperature"] == 0.2
    assert given["gen_ai.tool.definitions"] == [TOOL]
    assert given["gen_ai.usage.cache_read.input_tokens"] == 3
    assert given["gen_ai.usage.reasoning.output_tokens"] == 1
    assert given["gen_ai.provider.name"] == "openai"
    assert given["langsmith.tags"] == ["t1"]
    assert given["langsmith.session_name"] == "shop"
    assert given["langsmith.metadata.session_id"] == "s1"


def test_wrapped_openai_responses(one):
    found = one(
        inputs={"input": "Where is it?", "instructions": "Be brief.", "model": "m"},
        outputs={
            "object": "response",
            "output": [
                {"type": "reasoning", "summary": []},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Soon."}],
                },
                {"type": "function_call", "call_id": "call_1", "name": "find", "arguments": '{"order":"7"}'},
            ],
            "status": "completed",
        },
    )
    assert found.inputs == {"messages": ASKED}
    assert found.output == "Soon."
    assert found.attributes["openai.response.tool_calls"] == [CALL]


def test_langchain_messages_and_generations(one):
    asked = [
        [
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "SystemMessage"],
                "kwargs": {"content": "Be brief."},
            },
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "HumanMessage"],
                "kwargs": {"content": [{"type": "text", "text": "Where is it?"}]},
            },
            {
                "type": "ai",
                "data": {
                    "content": "",
                    "tool_calls": [{"name": "find", "args": {"order": "7"}, "id": "call_1"}],
                },
            },
            {"type": "tool", "content": "sent", "tool_call_id": "call_1"},
        ]
    ]
    message = {
        "type": "constructor",
        "id": ["langchain", "AIMessage"],
        "kwargs": {
            "content": "Soon.",
            "usage_metadata": {"input_tokens": 11, "output_tokens": 4},
            "response_metadata": {"finish_reason": "stop", "model_name": "m-2026"},
        },
    }
    found = one(
        inputs={"messages": asked},
        outputs={"generations": [[{"text": "Soon.", "message": message}]], "llm_output": None},
        extra={
            "invocation_params": {"model": "m", "temperature": 0.2, "stop": None},
            "metadata": {"thread_id": "t1"},
        },
    )
    assert found.inputs["messages"] == [
        *ASKED,
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sent", "tool_call_id": "call_1"},
    ]
    assert (found.output, found.finish_reason, found.model) == ("Soon.", "stop", "m-2026")
    assert found.usage == Usage(input_tokens=11, output_tokens=4)
    assert found.people == {"session": "t1"}
    assert found.attributes["gen_ai.request.temperature"] == 0.2


def test_prompts_and_texts(one):
    found = one(
        inputs={"prompts": ["Where?"]},
        outputs={"generations": [[{"text": "Soon."}]], "llm_output": {"token_usage": {"prompt_tokens": 5}}},
    )
    assert found.inputs == {"messages": [{"role": "user", "content": "Where?"}]}
    assert (found.output, found.usage.input_tokens) == ("Soon.", 5)


def test_a_run_that_begins_and_ends_later(spans_of):
    begun, ended = spans_of(
        {
            "post": [run_with(inputs={"messages": ASKED, "model": "m"}, outputs={})],
            "patch": [run_with(end_time=DONE, outputs={"output": "Soon."})],
        },
        "langsmith",
    )
    assert begun.outcome is None
    assert begun.output is None
    both = merged(ended, begun)
    assert both == merged(begun, ended)
    assert (both.inputs, both.output, both.outcome) == ({"messages": ASKED}, "Soon.", Ok())


def test_first_token_of_a_stream(one):
    found = one(events=[{"name": "new_token", "time": "2026-11-22T10:29:58.982006+00:00"}], end_time=None)
    assert found.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.5)


def test_a_run_nested_too_deeply_is_cut(one):
    deep: object = 7
    for _ in range(60):
        deep = {"a": deep}
    found = one(run_type="chain", inputs={"question": deep, "id": 2**70, "text": "a\0b"})
    assert json.dumps(found.inputs).count("{") < 40
    assert (found.inputs["id"], found.inputs["text"]) == (str(2**70), "a\ufffdb")


def test_chains_tools_and_retrievers(one):
    chain = one(run_type="chain", inputs={"question": "Where?"}, outputs={"output": "Soon."}, end_time=DONE)
    assert (chain.kind, chain.inputs, chain.output) == (SpanKind.CHAIN, {"question": "Where?"}, "Soon.")
    documents = [{"page_content": "sent", "type": "Document", "metadata": {"id": "d1"}}]
    found = one(run_type="retriever", inputs={"q": "where"}, outputs={"output": documents})
    assert found.attributes["gen_ai.retrieval.documents"] == [{"content": "sent", "metadata": {"id": "d1"}}]
    failed = one(
        run_type="tool", error="ValueError('boom')\n\nTraceback", end_time=DONE, outputs={"output": None}
    )
    assert failed.outcome == Errored(reason="ValueError('boom')")
    assert failed.output is None
    refused = one(error="BadRequestError('Error code: 400 - no')\n\nTraceback", end_time=DONE)
    assert isinstance(refused.outcome, Failed)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": {"a": 1}},
        {"id": "x" * 600},
        {"start_time": "yesterday"},
        {"end_time": "2020-01-01T00:00:00Z"},
        {"trace_id": None, "dotted_order": None},
    ],
)
def test_a_run_that_cannot_be_read_is_refused_alone(spans_of, make, change):
    good, refused = spans_of({"post": [run_with()], "patch": [run_with(**change)]}, "langsmith")
    assert not isinstance(good, Refused)
    assert isinstance(refused, Refused)
    assert list(read(make.exported("langsmith", refused.body))) == [refused]


def test_the_order_tells_the_trace(spans_of):
    (found,) = spans_of({"patch": [run_with(trace_id=None)]}, "langsmith")
    assert found.trace_id == ABOVE


def event_of(kind, body, at="2026-11-22T10:32:11.330Z"):
    return {"id": f"e-{kind}-{body.get('id')}", "type": kind, "timestamp": at, "body": body}


BATCH = [
    event_of(
        "trace-create",
        {
            "id": "t1",
            "timestamp": "2026-11-22T10:32:11.000Z",
            "name": "support",
            "userId": "ana",
            "sessionId": "s1",
            "input": {"question": "Where?"},
            "release": "r1",
            "tags": ["a"],
        },
    ),
    event_of("trace-create", {"id": "t1", "timestamp": "2026-11-22T10:32:11.000Z", "output": "Soon."}),
    event_of(
        "generation-create",
        {
            "id": "g1",
            "traceId": "t1",
            "parentObservationId": None,
            "name": "llm",
            "startTime": "2026-11-22T10:32:11.100Z",
            "completionStartTime": "2026-11-22T10:32:11.200Z",
            "model": "m",
            "modelParameters": {"temperature": 0.2},
            "input": ASKED,
        },
    ),
    event_of(
        "generation-update",
        {
            "id": "g1",
            "traceId": "t1",
            "endTime": "2026-11-22T10:32:11.329Z",
            "output": "Soon.",
            "usage": {"promptTokens": 11, "completionTokens": 4, "totalTokens": 15},
        },
    ),
    event_of(
        "event-create",
        {
            "id": "e1",
            "traceId": "t1",
            "parentObservationId": "g1",
            "name": "ev",
            "startTime": "2026-11-22T10:32:11.150Z",
        },
    ),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::17])
def test_langfuse_events_in_any_order(spans_of, order):
    spans = spans_of([BATCH[place] for place in order], "langfuse")
    trace = fold(spans, unit=UnitKind.SESSION)
    assert (trace.id, trace.unit_id) == ("t1", "s1")
    assert trace.inputs == {"question": "Where?", "messages": ASKED}
    assert (trace.output, trace.outcome) == ("Soon.", Ok())
    assert trace.usage == Usage(input_tokens=11, output_tokens=4)
    assert trace.latency_ms == pytest.approx(329.0)
    assert trace.attributes["gen_ai.request.model"] == "m"
    assert trace.attributes["gen_ai.request.temperature"] == 0.2
    assert trace.attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.1)
    assert trace.attributes["inchworm.spans"] == 3
    assert "inchworm.incomplete" not in trace.attributes


def test_langfuse_observation_hangs_under_its_trace(spans_of):
    generation = spans_of(BATCH, "langfuse")[2]
    assert generation.parent_id == "t1"
    assert (generation.kind, generation.model) == (SpanKind.LLM, "m")
    update = spans_of(BATCH, "langfuse")[3]
    assert update.parent_id is None
    assert update.revision > generation.revision
    assert merged(update, generation).parent_id == "t1"


def test_langfuse_error_stays_when_the_update_says_nothing(spans_of):
    bad = event_of(
        "generation-create", {"id": "g", "traceId": "t", "level": "ERROR", "statusMessage": "Error code: 400"}
    )
    end = event_of("generation-update", {"id": "g", "traceId": "t", "endTime": "2026-11-22T10:32:11.329Z"})
    trace = fold(spans_of([end, bad], "langfuse"), unit=UnitKind.SESSION)
    assert trace.outcome == Failed(reason="status 400: Error code: 400")
    assert trace.attributes["inchworm.incomplete"] is True


def test_langfuse_kinds_of_observations(spans_of):
    body = {
        "id": "o",
        "traceId": "t",
        "type": "RETRIEVER",
        "usageDetails": {"input": 1},
        "costDetails": {"total": 0.1},
    }
    (found,) = spans_of([event_of("observation-create", body)], "langfuse")
    assert found.kind is SpanKind.RETRIEVER
    assert found.usage == Usage(input_tokens=1, cost_usd=0.1)


def test_langfuse_scores_and_logs_are_not_spans(make):
    events = [
        event_of("score-create", {"id": "s", "traceId": "t", "name": "ok", "value": 1}),
        event_of("sdk-log", {}),
    ]
    body = json.dumps({"batch": [*events, BATCH[0]], "metadata": {}}).encode()
    assert check("langfuse", body) == 1
    assert len(list(read(make.exported("langfuse", body)))) == 1


@pytest.mark.parametrize(
    "event",
    [
        event_of("trace-delete", {"id": "t"}),
        event_of("span-create", {"id": "o"}),
        event_of("span-create", {"traceId": "t"}),
        event_of("span-create", {"id": "o", "traceId": "t", "startTime": "soon"}),
        {"type": "span-create", "body": 7},
        {"type": ["span-create"]},
        7,
    ],
)
def test_an_event_that_cannot_be_read_is_refused_alone(spans_of, make, event):
    good, refused = spans_of([BATCH[0], event], "langfuse")
    assert not isinstance(good, Refused)
    assert isinstance(refused, Refused)
    assert list(read(make.exported("langfuse", refused.body))) == [refused]


@pytest.mark.parametrize("dialect", ["langsmith", "langfuse"])
@pytest.mark.parametrize(
    "body", [b"", b"7", b'{"post": 7}', b'{"batch": 7}', b"\xff", b"[" * 100_000, b'{"post": [{}]}', b"[{}]"]
)
def test_what_can_never_be_read_is_refused_at_once(dialect, body):
    with pytest.raises(InputError):
        check(dialect, body) or check(dialect, b"null")
