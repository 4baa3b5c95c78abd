"""The HTTP client against a server on this machine that misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from inchworm.domain.errors import ProviderError, UsageError
from inchworm.domain.rendering import Message, ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.openai import DEFAULT_BASE_URL, OpenAIUpstream, payload
from inchworm.providers.upstream import Completion, Late, Refused

REQUEST = ModelRequest(
    target={"name": "tiny", "provider": "here"},
    parameters={"temperature": 0, "max_tokens": 8},
    messages=(Message(role="system", content="Be brief."), Message(role="user", content="Hi?")),
    deadline_s=None,
)
GOOD = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13},
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: Any = None, status: int = 200, **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(GOOD if body is None else body)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return web.Response(text=text, status=status, headers=named)

    return handle


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


class Server:
    """Answers with one handler after the other, the last one for ever."""

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = handlers
        self.seen: list[web.Request] = []
        self.bodies: list[Any] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.json())
        return await self.handlers[min(len(self.seen), len(self.handlers)) - 1](request)

    async def run(self, use: Callable[[str], Awaitable[Any]]) -> Any:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            return await use(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        finally:
            await runner.cleanup()


def ask(server: Server, request: ModelRequest = REQUEST, **settings: Any) -> Any:
    async def use(url: str) -> Any:
        upstream = OpenAIUpstream(base_url=url, **{"backoff_s": 0.0, **settings})
        try:
            return await upstream.complete(request, sample=0)
        finally:
            await upstream.close()

    return asyncio.run(server.run(use))


def test_an_answer_comes_with_its_usage_and_the_request_carries_every_layer():
    server = Server(answer())
    reply = ask(server, api_key="sk-made-up")
    assert isinstance(reply, Completion)
    assert (reply.text, reply.finish_reason) == ("Hello.", "stop")
    assert reply.usage == Usage(input_tokens=11, output_tokens=2)
    assert reply.latency_ms > 0
    assert server.seen[0].headers["Authorization"] == "Bearer sk-made-up"
    assert server.bodies[0] == {
        "model": "tiny",
        "temperature": 0,
        "max_tokens": 8,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}],
        "stream": False,
    }


def test_no_key_sends_no_header():
    server = Server(answer())
    ask(server)
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    "fault",
    [
        answer({"error": {"message": "slow down"}}, 429, Retry_After="0"),
        answer("oops", 500),
        answer("", 503, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"),
        answer("{not json"),
        answer({"choices": []}),
        cut_off,
        hang_up,
    ],
)
def test_a_passing_fault_is_retried(fault):
    server = Server(fault, answer())
    reply = ask(server)
    assert isinstance(reply, Completion)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answer({"error": {"message": "slow down"}}, 429), "429: slow down"),
        (answer("oops", 500), "500: oops"),
        (answer("{not json"), "no JSON"),
        (cut_off, "connection failed"),
    ],
)
def test_a_lasting_fault_is_the_harness_s(fault, said):
    server = Server(fault)
    with pytest.raises(ProviderError, match=said):
        ask(server, attempts=3)
    assert len(server.seen) == 3


def test_nobody_there_is_the_harness_s_fault():
    async def use() -> None:
        upstream = OpenAIUpstream(base_url="http://127.0.0.1:9/v1", attempts=1)
        try:
            await upstream.complete(REQUEST, sample=0)
        finally:
            await upstream.close()

    with pytest.raises(ProviderError, match=r"tried once.*connection failed"):
        asyncio.run(use())


def test_retry_after_is_obeyed_up_to_the_longest_wait(monkeypatch):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    # in this module's eyes only: servers of other tests may live in threads of this process
    eyes = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    monkeypatch.setattr("inchworm.providers.asking.asyncio", eyes)
    fault = answer("", 429, Retry_After="7")
    long = answer("", 429, Retry_After="3600")
    ask(Server(fault, long, answer("", 500), answer()), backoff_s=0.5, max_wait_s=60.0)
    # aiohttp yields to the loop with sleep(0) when it closes
    assert [wait for wait in waits if wait] == [7.0, 60.0, 2.0]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_is_the_candidate_s_and_is_not_retried(status):
    server = Server(answer({"error": {"message": "max_tokens is too large"}}, status))
    assert ask(server) == Refused(status=status, message="max_tokens is too large")
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_is_not_accepted_is_the_harness_s_fault_and_is_not_shown(status):
    server = Server(answer({"error": {"message": "bad key"}}, status))
    with pytest.raises(ProviderError, match="bad key") as caught:
        ask(server, api_key="sk-made-up")
    assert "sk-made-up" not in str(caught.value)
    assert len(server.seen) == 1


def test_a_missed_deadline_is_the_candidate_s():
    gate = asyncio.Event

    async def never(_: web.Request) -> web.StreamResponse:
        await gate().wait()
        return web.Response()

    reply = ask(Server(never), replace(REQUEST, deadline_s=0.05))
    assert isinstance(reply, Late)
    assert reply.deadline_s == 0.05
    assert reply.latency_ms >= 49


def test_no_more_requests_are_in_flight_than_allowed():
    inside = 0
    most = 0

    async def count(_: web.Request) -> web.StreamResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        for _turn in range(20):
            await asyncio.sleep(0)
        inside -= 1
        return web.json_response(GOOD)

    async def use(url: str) -> None:
        upstream = OpenAIUpstream(base_url=url, max_concurrency=3)
        await asyncio.gather(*(upstream.complete(REQUEST, sample=i) for i in range(12)))
        await upstream.close()

    asyncio.run(Server(count).run(use))
    assert 1 <= most <= 3


def test_it_can_be_used_again_in_another_loop_after_closing():
    upstream = OpenAIUpstream(base_url="")

    async def use(url: str) -> Any:
        upstream.base_url = url
        reply = await upstream.complete(REQUEST, sample=0)
        await upstream.close()
        return reply

    for _ in range(2):
        assert isinstance(asyncio.run(Server(answer()).run(use)), Completion)


def test_an_empty_answer_is_an_answer():
    body = {
        "choices": [{"message": {"content": None}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": -1},
    }
    reply = ask(Server(answer(body)))
    assert (reply.text, reply.finish_reason, reply.usage) == ("", "length", Usage())


def test_the_key_is_named_and_never_held_or_shown():
    upstream = OpenAIUpstream.of(
        {"base_url": "http://x/v1/", "api_key": "env:MY_KEY", "max_concurrency": 2}, {"MY_KEY": "sk-made-up"}
    )
    assert (upstream.base_url, upstream.api_key, upstream.max_concurrency) == ("http://x/v1", "sk-made-up", 2)
    assert "sk-made-up" not in repr(upstream)
    with pytest.raises(UsageError, match="MY_KEY, which is not set"):
        OpenAIUpstream.of({"api_key": "env:MY_KEY"}, {})
    with pytest.raises(UsageError, match="not hold it") as caught:
        OpenAIUpstream.of({"api_key": "sk-pasted"}, {})
    assert "sk-pasted" not in f"{caught.value}{caught.value.hint}"
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        OpenAIUpstream.of({}, {})
    assert OpenAIUpstream.of({}, {"OPENAI_API_KEY": "k"}).base_url == DEFAULT_BASE_URL
    assert OpenAIUpstream.of({"base_url": "http://127.0.0.1:8080/v1"}, {}).api_key is None


def test_impossible_settings_and_requests_are_usage_errors():
    with pytest.raises(UsageError):
        OpenAIUpstream(base_url="http://x", max_concurrency=0)
    with pytest.raises(UsageError, match="names no model"):
        payload(replace(REQUEST, target={}))
