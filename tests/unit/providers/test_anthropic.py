"""Anthropic's messages, asked for a benchmark, against a server on this machine."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from inchworm.domain.errors import UsageError
from inchworm.domain.rendering import Message, ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.anthropic import DEFAULT_BASE_URL, AnthropicUpstream, payload
from inchworm.providers.upstream import Completion, Refused, Reply

REQUEST = ModelRequest(
    target={"name": "claude-small"},
    parameters={"temperature": 0, "max_completion_tokens": 8, "stop": "\n"},
    messages=(Message(role="system", content="Be brief."), Message(role="user", content="Hi?")),
    deadline_s=None,
)
GOOD = {
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Hel"},
        {"type": "text", "text": "lo."},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 2},
}


def asked(request: ModelRequest, *answers: tuple[int, Any]) -> tuple[Reply, list[tuple[Any, Any]]]:
    """What comes back, and what the server was sent: headers and body of each attempt."""
    seen: list[tuple[Any, Any]] = []

    async def handle(got: web.Request) -> web.Response:
        seen.append((dict(got.headers), await got.json()))
        status, body = answers[min(len(seen), len(answers)) - 1]
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), status=status)

    async def run() -> Reply:
        app = web.Application()
        app.router.add_post("/v1/messages", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        upstream = AnthropicUpstream(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", backoff_s=0.0)
        try:
            return await upstream.complete(request, sample=0)
        finally:
            await upstream.close()
            await runner.cleanup()

    return asyncio.run(run()), seen


def test_the_answer_is_its_texts_and_what_was_cached_was_read_too() -> None:
    reply, ((headers, body),) = asked(REQUEST, (200, GOOD))
    assert isinstance(reply, Completion)
    assert (reply.text, reply.finish_reason) == ("Hello.", "stop")
    assert reply.usage == Usage(input_tokens=23, output_tokens=2)
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("k", "2023-06-01")
    assert body == {
        "model": "claude-small",
        "temperature": 0,
        "max_tokens": 8,
        "stop_sequences": ["\n"],
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hi?"}],
    }


def test_what_it_refuses_is_the_configurations_and_an_overload_is_asked_again() -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "too hot"}}
    reply, seen = asked(REQUEST, (529, error), (400, error))
    assert reply == Refused(status=400, message="too hot")
    assert len(seen) == 2


def test_an_answer_that_cannot_be_read_is_asked_again() -> None:
    reply, seen = asked(REQUEST, (200, "no JSON"), (200, {"content": None}), (200, GOOD))
    assert isinstance(reply, Completion)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({}, "limit of tokens"), ({"max_tokens": 5, "seed": 1}, "layers.parameters.seed cannot be said")],
)
def test_what_cannot_be_said_in_its_protocol_is_an_error_of_usage(
    parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        payload(replace(REQUEST, parameters=parameters))


def test_it_is_made_from_the_infrastructure_layer() -> None:
    made = AnthropicUpstream.of({"max_concurrency": 3}, {"ANTHROPIC_API_KEY": "secret"})
    assert (made.base_url, made.api_key, made.max_concurrency) == (DEFAULT_BASE_URL, "secret", 3)
    assert "secret" not in repr(made)
    with pytest.raises(UsageError, match="ANTHROPIC_API_KEY, which is not set"):
        AnthropicUpstream.of({}, {})
