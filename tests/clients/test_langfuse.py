"""Langfuse's clients: Python 5 and JavaScript 5 over OTLP, JavaScript 3; prompts, data sets."""

from typing import Any

import pytest
from tests.clients.answers import DATED, TEXT, TOKENS_CACHED, TOKENS_IN, TOKENS_OUT
from tests.clients.running import APP, World, given

from inchworm.domain.span import SpanKind

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module")
def said(world: World) -> dict[str, Any]:
    """What the program in Python got."""
    return world.python("langfuse_5", "lf")


@pytest.fixture(scope="module")
def old(world: World) -> dict[str, Any]:
    """What the program with the old client in JavaScript got."""
    return world.node("langfuse_3", "l3")


@pytest.fixture(scope="module")
def new(world: World) -> dict[str, Any]:
    """What the program with the new client in JavaScript got."""
    return world.node("langfuse_otel", "lj")


def assert_the_trace(trace: dict[str, Any], mark: str) -> None:
    """The fields that all three clients send alike."""
    assert trace["unit"] == f"{mark}-session"
    assert trace["outcome"] == {"is": "ok"}
    assert trace["output"] == TEXT
    assert trace["inputs"]["question"] == f"{mark} When does it come?"
    usage = trace["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (TOKENS_IN, TOKENS_OUT)
    attributes = trace["attributes"]
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.request.temperature"] == 0.2
    assert attributes["gen_ai.request.max_tokens"] == 50


def test_it_is_satisfied(said):
    assert said["auth"] is True
    assert said["answer"] == TEXT
    assert said["stderr"] == ""


def test_a_trace_arrives_field_by_field(world, said):
    trace = world.trace(said["trace"])
    assert_the_trace(trace, "lf")
    assert trace["latency_ms"] >= 0
    assert trace["usage"]["cost_usd"] == pytest.approx(0.000031)
    attributes = trace["attributes"]
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == TOKENS_CACHED
    assert attributes["user.id"] == "lf-user"
    assert attributes["langfuse.trace.tags"] == ["beta", "docs"]
    assert attributes["langfuse.trace.metadata.team"].strip('"') == "search"
    assert attributes["langfuse.version"] == "7.1"


def test_its_observations_stand_as_a_tree(world, said):
    spans = world.spans(said["trace"], 5)
    assert {name: one.kind for name, one in spans.items()} == {
        "answer-question": SpanKind.AGENT,
        "find-documents": SpanKind.RETRIEVER,
        "write": SpanKind.LLM,
        "look-up": SpanKind.TOOL,
        "cached": SpanKind.EVENT,
    }
    root = spans["answer-question"]
    assert root.parent_id is None
    assert {one.parent_id for name, one in spans.items() if name != "answer-question"} == {root.id}
    write = spans["write"]
    assert write.id == said["generation"]
    assert write.inputs["messages"][1] == {"role": "user", "content": "lf When?"}
    assert write.usage.cost_usd == pytest.approx(0.000031)
    assert "no such city" in str(spans["look-up"].outcome)
    assert "Deliveries are on Tuesdays." in str(spans["find-documents"].output)


def test_scores_arrive_on_the_scale_that_is_declared(world, said):
    scores = given(world.trace(said["trace"], scores=4))
    assert scores["helpful"]["result"] == {"is": "scored", "value": 0.75}
    assert scores["short"]["result"] == {"is": "scored", "value": 1.0}
    assert scores["tone"]["result"] == {"is": "scored", "value": 1.0}
    assert scores["solved"]["result"] == {"is": "scored", "value": 1.0}  # said of the session
    assert {one["source"] for one in scores.values()} == {"langfuse"}


def test_its_openai_wrapper_goes_through_the_gateway_and_reports(world, said):
    [asked] = world.provider.about("lf wrapped?")
    assert asked.headers["authorization"] == "Bearer sk-of-the-provider"
    trace = world.trace(said["decorated"])
    assert trace["output"] == TEXT
    assert trace["usage"]["input_tokens"] == TOKENS_IN
    wrapped = world.spans(said["decorated"], 2)["wrapped"]
    assert wrapped.kind is SpanKind.LLM
    assert wrapped.model == "gpt-4o-mini" + DATED
    assert wrapped.inputs["messages"] == [{"role": "user", "content": "lf wrapped?"}]


def test_the_old_javascript_client_arrives_whole_in_whatever_order_it_sends(world, old):
    trace = world.trace(old["trace"], scores=2)
    assert_the_trace(trace, "l3")
    scores = given(trace)
    assert scores["helpful"]["result"] == {"is": "scored", "value": 0.75}
    assert scores["tone"]["result"] == {"is": "scored", "value": 1.0}
    spans = world.spans(old["trace"], 4)
    write = spans["write"]
    assert write.id == old["generation"]
    assert write.kind is SpanKind.LLM
    assert write.output == TEXT
    assert spans["find-documents"].id == old["span"]
    assert "Deliveries are on Tuesdays." in str(spans["find-documents"].output)
    assert spans["cached"].kind is SpanKind.EVENT


def test_the_new_javascript_client_arrives_whole(world, new):
    trace = world.trace(new["trace"])
    assert_the_trace(trace, "lj")
    assert trace["attributes"]["langfuse.trace.tags"] == ["beta"]
    spans = world.spans(new["trace"], 3)
    assert spans["write"].id == new["generation"]
    assert spans["find-documents"].kind is SpanKind.RETRIEVER
    assert {spans[name].parent_id for name in ("write", "find-documents")} == {spans["answer-question"].id}


def test_prompts_and_data_sets_are_read_from_what_is_served(world, said):
    world.trace(said["trace"])  # something to draw from
    world.post("/evalsets", {"name": "questions", "size": 3})
    drawn = world.get("/evalsets/questions")["eval_set"]["cases"]
    got = world.python("langfuse_prompt", f"{APP}/letter", "questions", LANGFUSE_SECRET_KEY=world.viewer)
    assert got["prompt"] == [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "message", "role": "user", "content": "Question: {{question}}"},
    ]
    assert got["name"] == f"{APP}/letter"
    assert "production" in got["labels"]
    assert got["dataset"] == "questions"
    assert {one["id"]: one["input"] for one in got["items"]} == {one["id"]: one["inputs"] for one in drawn}
    trace = world.trace(got["trace"])
    assert trace["attributes"]["gen_ai.prompt.name"] == f"{APP}/letter"
    assert str(trace["attributes"]["gen_ai.prompt.version"]) == str(got["version"])
