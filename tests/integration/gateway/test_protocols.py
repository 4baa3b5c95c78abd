"""The real OpenAI SDK in its other protocols through the gateway, and what is recorded of them."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel
from tests.integration.gateway.conftest import Gateway, World, eventually
from tests.integration.gateway.protocols import TEXT, VECTOR, WORDS
from tests.integration.gateway.upstream_mock import Request

from inchworm.capture.calls import trace_of
from inchworm.domain.trace import Trace

ASKED = "When does my order arrive?"
PARAMETERS = {"type": "object", "properties": {"number": {"type": "integer"}}}
TOOL: Any = {"type": "function", "name": "order", "parameters": PARAMETERS, "strict": False}


@pytest.fixture
def gateway(observing: World) -> Gateway:
    observing.provider.seen.clear()
    return observing.gateways[0]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-mine", max_retries=0) as made:
        yield made


def last(observing: World) -> Request:
    return observing.provider.seen[-1]


def recorded(gateway: Gateway) -> Trace:
    return trace_of(gateway.calls()[-1])


def test_a_response_reaches_the_provider_as_it_was_made_and_is_recorded(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    got = client.responses.create(
        model="m-1", instructions="Be brief.", input=ASKED, extra_headers={"inchworm-unit": "session-1"}
    )
    assert got.output_text == TEXT
    sent = last(observing)
    assert (sent.method, sent.path) == ("POST", "/v1/responses")
    assert sent.json == {"model": "m-1", "instructions": "Be brief.", "input": ASKED}
    assert sent.headers["authorization"] == "Bearer sk-mine"
    called = gateway.calls()[-1]
    assert (called.dialect, called.unit, called.sent) == ("openai-responses", "session-1", None)
    trace = trace_of(called)
    assert trace.output == TEXT
    assert trace.finish_reason == "stop"
    assert trace.inputs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": ASKED},
    ]
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (12, 7)
    said = trace.attributes
    assert said["gen_ai.usage.cache_read.input_tokens"] == 8
    assert said["gen_ai.usage.cache_write.input_tokens"] == 2
    assert said["gen_ai.usage.reasoning.output_tokens"] == 3
    assert said["openai.response.reasoning_content"] == "Think."
    assert said["inchworm.protocol"] == "openai-responses"


def test_a_response_streams_piece_by_piece_and_is_recorded_whole(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    pieces: list[str] = []
    with client.responses.stream(model="m-1", input=ASKED, extra_headers={"x-mock": "slow"}) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                if not pieces:  # the provider waits: what it has said is here already
                    observing.provider.release()
                pieces.append(event.delta)
        assert stream.get_final_response().output_text == TEXT
    assert tuple(pieces) == WORDS
    called = gateway.calls()[-1]
    assert called.streamed
    assert called.ttft_ms is not None
    assert trace_of(called).output == TEXT


def test_tools_and_structured_output_of_responses_pass_in_both_directions(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    got = client.responses.create(model="m-1", input=ASKED, tools=[TOOL])
    assert [one.name for one in got.output if one.type == "function_call"] == ["order"]
    assert last(observing).json["tools"] == [TOOL]
    trace = recorded(gateway)
    function = {"name": "order", "arguments": '{"number": 7}'}
    assert trace.attributes["openai.response.tool_calls"] == [
        {"id": "call-1", "type": "function", "function": function}
    ]
    assert trace.finish_reason == "tool_calls"
    assert trace.output is None

    class Arrival(BaseModel):
        arrives: str

    parsed = client.responses.parse(model="m-1", input=ASKED, text_format=Arrival)
    assert parsed.output_parsed == Arrival(arrives="Tuesday")
    assert last(observing).json["text"]["format"]["type"] == "json_schema"


def test_embeddings_are_recorded_without_their_vectors(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    got = client.embeddings.create(model="m-1", input=["one", "two"])
    assert [one.embedding for one in got.data] == [VECTOR, VECTOR]
    assert last(observing).json["encoding_format"] == "base64"  # as the SDK asks by itself
    trace = recorded(gateway)
    assert trace.inputs == {"input": ["one", "two"]}
    assert trace.output is None
    assert trace.usage.input_tokens == 5
    assert trace.attributes["openai.response.embeddings"] == 2
    assert trace.attributes["gen_ai.embeddings.dimension.count"] == 3
    assert 'embedding"' not in json.dumps(trace.attributes)


def test_models_are_the_provider_s(client: OpenAI, gateway: Gateway, observing: World) -> None:
    before = len(gateway.records())
    assert [one.id for one in client.models.list()] == ["m-1"]  # an app that is only observed is no model
    assert client.models.retrieve("m-7").id == "m-7"
    assert last(observing).path == "/v1/models/m-7"
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("app:shop")
    assert raised.value.code == "model_not_found"
    assert len(gateway.records()) == before


def test_an_answer_is_looked_up_where_it_was_made(client: OpenAI, gateway: Gateway) -> None:
    before = len(gateway.records())
    assert client.responses.retrieve("resp_1").output_text == TEXT
    assert len(gateway.records()) == before


def test_the_async_client_speaks_them_all_at_once(gateway: Gateway) -> None:
    async def stream(client: AsyncOpenAI) -> str:
        events = await client.responses.create(model="m", input=ASKED, stream=True)
        return "".join([one.delta async for one in events if one.type == "response.output_text.delta"])

    async def all_of_them() -> list[Any]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=0) as client:
            response, streamed, vectors, models = await asyncio.gather(
                client.responses.create(model="m", input=ASKED),
                stream(client),
                client.embeddings.create(model="m", input="one"),
                client.models.list(),
            )
            return [response.output_text, streamed, vectors.data[0].embedding, models.data[0].id]

    assert asyncio.run(all_of_them()) == [TEXT, TEXT, VECTOR, "m-1"]


def test_azure_s_paths_lead_to_them_too(gateway: Gateway, observing: World) -> None:
    with AzureOpenAI(
        azure_endpoint=gateway.url, api_key="az", api_version="2026-01-01", max_retries=0
    ) as client:
        assert client.embeddings.create(model="deployed", input="one").data
    assert last(observing).path == "/openai/deployments/deployed/embeddings"
    with OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="sk", max_retries=0) as other:
        assert other.responses.create(model="m", input=ASKED).output_text == TEXT
    assert last(observing).path == "/openai/v1/responses"


@pytest.mark.parametrize(("mode", "error"), [("400", openai.BadRequestError), ("429", openai.RateLimitError)])
def test_a_provider_s_error_is_the_client_s_error_in_each(
    client: OpenAI, gateway: Gateway, mode: str, error: type[openai.APIStatusError]
) -> None:
    for ask in (client.responses.create, client.embeddings.create):
        with pytest.raises(error) as raised:
            ask(model="m", input=ASKED, extra_headers={"x-mock": mode})
        assert raised.value.code == "no"
        assert raised.value.response.headers["retry-after"] == "7"
        assert recorded(gateway).attributes["http.response.status_code"] == int(mode)


def test_a_response_that_is_cut_raises_what_the_gateway_says(client: OpenAI, gateway: Gateway) -> None:
    pieces: list[str] = []

    def read() -> None:
        events = client.responses.create(model="m", input=ASKED, stream=True, extra_headers={"x-mock": "cut"})
        for event in events:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(openai.APIError, match="closed the connection before the answer was whole") as raised:
        read()
    assert raised.value.type == "inchworm_gateway_error"
    assert pieces == [WORDS[0]]
    trace = recorded(gateway)
    assert trace.output == WORDS[0]
    assert gateway.calls()[-1].trouble == "cut"


def test_who_leaves_a_stream_of_a_response_stops_the_provider(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    left = observing.provider.left
    stream = client.responses.create(model="m", input=ASKED, stream=True, extra_headers={"x-mock": "hang"})
    assert next(one.delta for one in stream if one.type == "response.output_text.delta") == WORDS[0]
    stream.close()
    observing.provider.wait_for(lambda: observing.provider.left > left)
    eventually(lambda: gateway.calls()[-1].trouble == "caller_left")
    assert recorded(gateway).output == WORDS[0]
