"""Instrumentations of the openai client by OpenTelemetry, OpenInference, Traceloop; protobuf or JSON."""

import importlib
import json
import sys

from openai import OpenAI, OpenAIError
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

mark, instrumentation, encoding = sys.argv[1:4]
exporter = importlib.import_module(f"opentelemetry.exporter.otlp.{encoding}.http.trace_exporter")
span_exporter = getattr(exporter, "OTLPSpanExporter", None) or exporter.OTLPJSONSpanExporter
provider = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": "7.1"}))
provider.add_span_processor(BatchSpanProcessor(span_exporter()))
trace.set_tracer_provider(provider)
package = {
    "genai": "opentelemetry.instrumentation.genai.openai",
    "openinference": "openinference.instrumentation.openai",
    "traceloop": "opentelemetry.instrumentation.openai",
}[instrumentation]
importlib.import_module(package).OpenAIInstrumentor().instrument(tracer_provider=provider)

client = OpenAI(max_retries=0)
tracer = trace.get_tracer("shop")
out: dict = {}
tool = {
    "type": "function",
    "function": {
        "name": "arrival",
        "description": "When it arrives.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
with tracer.start_as_current_span("answer-question") as root:
    root.set_attribute("session.id", f"{mark}-session")
    root.set_attribute("user.id", f"{mark}-user")
    out["trace"] = format(root.get_span_context().trace_id, "032x")
    reply = client.chat.completions.create(
        model="gpt-4o-mini",
        temperature=0.2,
        max_tokens=50,
        seed=7,
        top_p=0.9,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"{mark} When?"}],
    )
    out["answer"] = reply.choices[0].message.content
with tracer.start_as_current_span("stream") as root:
    out["stream_trace"] = format(root.get_span_context().trace_id, "032x")
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        stream=True,
        stream_options={"include_usage": True},
        messages=[{"role": "user", "content": f"{mark} stream?"}],
    )
    out["streamed"] = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
with tracer.start_as_current_span("tools") as root:
    out["tools_trace"] = format(root.get_span_context().trace_id, "032x")
    called = client.chat.completions.create(
        model="gpt-4o-mini",
        tools=[tool],
        messages=[{"role": "user", "content": f"{mark} arrival in Bern?"}],
    )
    call = called.choices[0].message.tool_calls[0]
    out["tool"] = {"name": call.function.name, "arguments": json.loads(call.function.arguments)}
with tracer.start_as_current_span("responses") as root:
    out["responses_trace"] = format(root.get_span_context().trace_id, "032x")
    said = client.responses.create(
        model="gpt-4o-mini", instructions="Be brief.", input=f"{mark} responses?", temperature=0.2
    )
    out["responded"] = said.output_text
with tracer.start_as_current_span("embeddings") as root:
    out["embeddings_trace"] = format(root.get_span_context().trace_id, "032x")
    out["vector"] = (
        client.embeddings.create(model="text-embedding-3-small", input=f"{mark} text").data[0].embedding
    )
try:
    with tracer.start_as_current_span("fails") as root:
        out["fails_trace"] = format(root.get_span_context().trace_id, "032x")
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "fail 429"}],
        )
except OpenAIError as error:
    out["error"] = type(error).__name__
provider.shutdown()
print(json.dumps(out))
