"""openai: plain, streamed, tools, structured output, responses, embeddings, errors; sync, async."""

import asyncio
import json
import sys

from openai import APIStatusError, AsyncOpenAI, OpenAI
from pydantic import BaseModel

MODEL = "gpt-4o-mini"
TOOL = {
    "name": "arrival",
    "description": "When it arrives.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


class Plan(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


def seen(raw) -> dict:
    """What the headers of an answer say."""
    names = ("x-request-id", *(f"inchworm-{one}" for one in ("trace", "configuration", "unit", "token")))
    return {name: raw.headers.get(name) for name in names}


def sync(mark: str) -> dict:
    """Everything that the synchronous client does."""
    out: dict = {}
    about = {"metadata": {"session_id": f"{mark}-session"}, "user": f"{mark}-user"}
    with OpenAI(max_retries=0) as client:
        out["models"] = [one.id for one in client.models.list()]
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=[
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"{mark} When does it come?"},
            ],
            temperature=0.2,
            max_completion_tokens=50,
            seed=7,
            **about,
        )
        reply = raw.parse()
        out["plain"] = {
            **seen(raw),
            "text": reply.choices[0].message.content,
            "model": reply.model,
            "request": reply._request_id,
            "finish": reply.choices[0].finish_reason,
            "usage": reply.usage.model_dump(exclude_none=True),
        }
        messages: list = [{"role": "user", "content": f"{mark} arrival in Bern?"}]
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=messages, tools=[{"type": "function", "function": TOOL}], **about
        )
        message = raw.parse().choices[0].message
        call = message.tool_calls[0]
        out["tool"] = {
            **seen(raw),
            "name": call.function.name,
            "arguments": json.loads(call.function.arguments),
        }
        messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "Tuesday"}]
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL,
            messages=messages,
            tools=[{"type": "function", "function": TOOL}],
            extra_headers={"inchworm-token": out["plain"]["inchworm-token"] or ""},
            **about,
        )
        out["used"] = {**seen(raw), "text": raw.parse().choices[0].message.content}
        parsed = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": f"{mark} plan?"}],
            response_format=Plan,
            **about,
        )
        out["parsed"] = parsed.choices[0].message.parsed.model_dump()
        raw = client.responses.with_raw_response.create(
            model=MODEL,
            instructions="Be brief.",
            input=f"{mark} responses?",
            temperature=0.2,
            max_output_tokens=50,
            metadata=about["metadata"],
        )
        said = raw.parse()
        out["responses"] = {**seen(raw), "text": said.output_text, "usage": said.usage.model_dump()}
        said = client.responses.create(
            model=MODEL,
            input=f"{mark} responses arrival?",
            tools=[{"type": "function", "strict": True, **TOOL}],
            metadata=about["metadata"],
        )
        item = said.output[0]
        out["responses_tool"] = {"name": item.name, "arguments": json.loads(item.arguments)}
        said = client.responses.parse(
            model=MODEL, input=f"{mark} responses plan?", text_format=Plan, metadata=about["metadata"]
        )
        out["responses_parsed"] = said.output_parsed.model_dump()
        raw = client.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=[f"{mark} one", f"{mark} two"], user=about["user"]
        )
        out["embeddings"] = {**seen(raw), "vectors": [one.embedding for one in raw.parse().data]}
        out["errors"] = {}
        for status in (400, 429, 500):
            try:
                client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": f"{mark} fail {status}"}], **about
                )
            except APIStatusError as error:
                out["errors"][str(status)] = {
                    "class": type(error).__name__,
                    "message": error.body["message"],
                    "code": error.body["code"],
                    "request": error.request_id,
                    "trace": error.response.headers.get("inchworm-trace"),
                    "retry_after": error.response.headers.get("retry-after"),
                }
    return out


async def streams(mark: str) -> dict:
    """What the asynchronous client streams: three at once."""
    about = {"metadata": {"session_id": f"{mark}-session"}}
    async with AsyncOpenAI(max_retries=0) as client:

        async def chat() -> dict:
            stream = await client.chat.completions.with_raw_response.create(
                model=MODEL,
                messages=[{"role": "user", "content": f"{mark} stream?"}],
                stream=True,
                stream_options={"include_usage": True},
                **about,
            )
            pieces, usage = [], None
            async for chunk in stream.parse():
                pieces += [one.delta.content for one in chunk.choices if one.delta.content]
                usage = chunk.usage or usage
            return {**seen(stream), "pieces": pieces, "tokens": usage.total_tokens}

        async def tools() -> dict:
            async with client.chat.completions.stream(
                model=MODEL,
                messages=[{"role": "user", "content": f"{mark} stream arrival?"}],
                tools=[{"type": "function", "function": {**TOOL, "strict": True}}],
                **about,
            ) as stream:
                final = await stream.get_final_completion()
            call = final.choices[0].message.tool_calls[0]
            return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}

        async def responses() -> dict:
            async with client.responses.stream(
                model=MODEL, input=f"{mark} stream responses?", **about
            ) as stream:
                pieces = [one.delta async for one in stream if one.type == "response.output_text.delta"]
                final = await stream.get_final_response()
            return {"pieces": pieces, "tokens": final.usage.total_tokens}

        chat_, tools_, responses_ = await asyncio.gather(chat(), tools(), responses())
        return {"stream": chat_, "stream_tool": tools_, "stream_responses": responses_}


print(json.dumps(sync(sys.argv[1]) | asyncio.run(streams(sys.argv[1]))))
