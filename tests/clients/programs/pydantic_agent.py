"""pydantic-ai: agents with a tool and a structured answer, over both wires, instrumented over OTLP."""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))


class Plan(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


def arrival(city: str) -> str:
    """When it arrives."""
    return f"Tuesday in {city}"


mark = sys.argv[1]
out: dict = {}
tracer = trace.get_tracer("shop")
for wire, model in (("openai", "openai-chat:gpt-4o-mini"), ("anthropic", "anthropic:claude-haiku-4-5")):
    with tracer.start_as_current_span(f"{wire}-agent") as root:
        root.set_attribute("session.id", f"{mark}-session")
        agent = Agent(model, name="helper", instructions="Be brief.", tools=[arrival])
        answered = agent.run_sync(f"{mark} arrival in Bern?", model_settings={"temperature": 0.2})
        out[wire] = {
            "trace": format(root.get_span_context().trace_id, "032x"),
            "output": answered.output,
            "requests": answered.usage.requests,
            "tokens": [answered.usage.input_tokens, answered.usage.output_tokens],
        }
with tracer.start_as_current_span("plan") as root:
    planned = Agent("openai-chat:gpt-4o-mini", output_type=Plan, name="planner").run_sync(f"{mark} plan?")
    out["plan"] = {
        "trace": format(root.get_span_context().trace_id, "032x"),
        "output": planned.output.model_dump(),
    }
provider.shutdown()
print(json.dumps(out))
