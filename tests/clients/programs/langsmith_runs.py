"""langsmith: traceable functions, a wrapped OpenAI client, plain and streamed, feedback; sync and async."""

import asyncio
import contextlib
import json
import sys

from langsmith import Client, traceable, tracing_context
from langsmith.run_helpers import get_current_run_tree
from langsmith.wrappers import wrap_openai
from openai import AsyncOpenAI, OpenAI

mark, way = sys.argv[1:3]
BATCHES = {
    "batch_ingest_config": {
        "use_multipart_endpoint": False,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_nthreads_limit": 16,
        "scale_up_qsize_trigger": 1000,
        "scale_down_nempty_trigger": 4,
    }
}
client = Client(info=BATCHES) if way == "batch" else Client()
openai = wrap_openai(OpenAI())
aopenai = wrap_openai(AsyncOpenAI())
out: dict = {}


@traceable(run_type="retriever", name="find-documents")
def find(question: str) -> list[dict]:
    del question
    return [
        {"page_content": "Deliveries are on Tuesdays.", "type": "Document", "metadata": {"source": "a.md"}}
    ]


@traceable(run_type="tool", name="look-up")
def look_up(city: str) -> str:
    raise KeyError(city)


@traceable(
    name="answer-question",
    tags=["beta"],
    metadata={"session_id": f"{mark}-session", "user_id": f"{mark}-user"},
)
def answer(question: str) -> str:
    tree = get_current_run_tree()
    out["trace"], out["dotted"] = str(tree.trace_id), tree.dotted_order
    find(question)
    with contextlib.suppress(KeyError):
        look_up("Bern")
    reply = openai.chat.completions.create(
        model="gpt-4o-mini",
        temperature=0.2,
        max_tokens=50,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}],
    )
    return reply.choices[0].message.content or ""


@traceable(name="stream-it")
async def stream_it(question: str) -> str:
    out["stream_trace"] = str(get_current_run_tree().trace_id)
    stream = await aopenai.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    return "".join([one.choices[0].delta.content or "" async for one in stream if one.choices])


with tracing_context(client=client, enabled=True):
    out["answer"] = answer(f"{mark} When does it come?")
    out["streamed"] = asyncio.run(stream_it(f"{mark} stream?"))
client.create_feedback(run_id=out["trace"], trace_id=out["trace"], key="helpful", score=0.75, comment="fine")
client.flush()
print(json.dumps(out))
