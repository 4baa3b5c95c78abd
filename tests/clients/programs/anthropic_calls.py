"""anthropic: plain, streamed, tools, structured output, errors; sync and async."""

import asyncio
import json
import sys

from anthropic import Anthropic, APIStatusError, AsyncAnthropic
from pydantic import BaseModel

MODEL = "claude-haiku-4-5"
CALL = {"inchworm-call": "claude"}
TOOL = {
    "name": "arrival",
    "description": "When it arrives.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}


class Plan(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


def seen(raw) -> dict:
    """What the headers of an answer say."""
    names = ("request-id", "inchworm-trace", "inchworm-configuration", "inchworm-unit")
    return {name: raw.headers.get(name) for name in names}


def sync(mark: str) -> dict:
    """Everything that the synchronous client does."""
    out: dict = {}
    about = {"model": MODEL, "max_tokens": 50, "metadata": {"user_id": f"{mark}-user"}}
    with Anthropic(max_retries=0, default_headers=CALL) as client:
        raw = client.messages.with_raw_response.create(
            system="Be brief.",
            messages=[{"role": "user", "content": f"{mark} When does it come?"}],
            stop_sequences=["END"],
            **about,
        )
        reply = raw.parse()
        out["plain"] = {
            **seen(raw),
            "text": reply.content[0].text,
            "model": reply.model,
            "finish": reply.stop_reason,
            "usage": {
                "in": reply.usage.input_tokens,
                "cached": reply.usage.cache_read_input_tokens,
                "out": reply.usage.output_tokens,
            },
        }
        messages: list = [{"role": "user", "content": [{"type": "text", "text": f"{mark} arrival in Bern?"}]}]
        raw = client.messages.with_raw_response.create(messages=messages, tools=[TOOL], **about)
        reply = raw.parse()
        call = reply.content[0]
        out["tool"] = {**seen(raw), "name": call.name, "input": call.input, "finish": reply.stop_reason}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "Tuesday"}
        messages += [{"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
        raw = client.messages.with_raw_response.create(messages=messages, tools=[TOOL], **about)
        out["used"] = {**seen(raw), "text": raw.parse().content[0].text}
        parsed = client.messages.parse(
            messages=[{"role": "user", "content": f"{mark} plan?"}], output_format=Plan, **about
        )
        out["parsed"] = parsed.parsed_output.model_dump()
        out["errors"] = {}
        for status in (400, 429, 500):
            try:
                client.messages.create(
                    messages=[{"role": "user", "content": f"{mark} fail {status}"}], **about
                )
            except APIStatusError as error:
                out["errors"][str(status)] = {
                    "class": type(error).__name__,
                    "type": error.body["error"]["type"],
                    "message": error.body["error"]["message"],
                    "request": error.request_id,
                    "trace": error.response.headers.get("inchworm-trace"),
                    "retry_after": error.response.headers.get("retry-after"),
                }
    return out


async def streams(mark: str) -> dict:
    """What the asynchronous client streams, two at once."""
    about = {"model": MODEL, "max_tokens": 50, "metadata": {"user_id": f"{mark}-user"}}
    async with AsyncAnthropic(max_retries=0, default_headers=CALL) as client:

        async def text() -> dict:
            async with client.messages.stream(
                messages=[{"role": "user", "content": f"{mark} stream?"}], **about
            ) as stream:
                pieces = [piece async for piece in stream.text_stream]
                final = await stream.get_final_message()
                headers = seen(stream.response)
            return {
                **headers,
                "pieces": pieces,
                "tokens": final.usage.output_tokens,
                "finish": final.stop_reason,
            }

        async def tool() -> dict:
            async with client.messages.stream(
                messages=[{"role": "user", "content": f"{mark} stream arrival?"}], tools=[TOOL], **about
            ) as stream:
                final = await stream.get_final_message()
            return {"name": final.content[0].name, "input": final.content[0].input}

        text_, tool_ = await asyncio.gather(text(), tool())
        return {"stream": text_, "stream_tool": tool_}


print(json.dumps(sync(sys.argv[1]) | asyncio.run(streams(sys.argv[1]))))
