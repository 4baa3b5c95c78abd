"""Interactions as tracing clients report them: an agent with its spans, and calls with tools and pictures."""

from __future__ import annotations

from typing import Any

from tests.integration.web.setting import Shop

from inchworm.capture.telemetry import fold
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Trace, Usage
from inchworm.domain.unitkind import UnitKind

AGENT, PARTED, TOOLED, BROKEN, FADED = "ag-8f3c21d0", "ag-parted", "gw-tools", "gw-errored", "gw-faded"
SYSTEM = {
    "role": "system",
    "content": "You are the support agent of a shop. Use the tools before you answer.",
}
ASKED = {"role": "user", "content": "Where is ORDER_1? NAME_1 is waiting for it since DATE_1."}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"order": "ORDER_1"}'},
}
FOUND = '{"order": "ORDER_1", "state": "shipped", "carrier": "DHL", "days": 2}'
ANSWER = "ORDER_1 was handed to the carrier and arrives within two days, NAME_1."


def agent(shop: Shop) -> None:
    """An agent's turn in eight spans, 3.4 s long; and one of which spans are missing."""
    at = shop.clock.at - 120

    def span(id_: str, *where: Any, **more: Any) -> Span:
        under, name, kind, start, end = where
        said = {"outcome": Ok(), "revision": at + end, **more}
        return Span(
            app=shop.house.app,
            trace_id=TraceId(AGENT),
            id=id_,
            parent_id=under,
            name=name,
            kind=kind,
            started_at=at + start,
            ended_at=at + end,
            **said,
        )

    talk = [SYSTEM, ASKED]
    heard = [*talk, {"role": "assistant", "content": "", "tool_calls": [CALL]}]
    heard.append({"role": "tool", "tool_call_id": "call_1", "content": FOUND})
    model = {"model": "gpt-5-mini", "finish_reason": "stop"}
    spans = [
        span("a0", None, "support agent", SpanKind.AGENT, 0, 3.42, inputs={"messages": talk}, output=ANSWER),
        span(
            "a1",
            "a0",
            "plan",
            SpanKind.CHAIN,
            0.01,
            0.96,
            attributes={"langgraph.node": "plan"},
        ),
        span(
            "a2",
            "a1",
            "chat gpt-5-mini",
            SpanKind.LLM,
            0.02,
            0.95,
            inputs={"messages": talk},
            usage=Usage(input_tokens=412, output_tokens=38, cost_usd=0.0004),
            attributes={
                "openai.response.tool_calls": [CALL],
                "gen_ai.response.model": "gpt-5-mini",
                "gen_ai.request.temperature": 0,
            },
            model="gpt-5-mini",
            finish_reason="tool_calls",
        ),
        span(
            "a3",
            "a0",
            "find_order",
            SpanKind.TOOL,
            0.98,
            1.31,
            inputs={"order": "ORDER_1"},
            output=FOUND,
        ),
        span(
            "a4",
            "a0",
            "search the handbook",
            SpanKind.RETRIEVER,
            1.0,
            1.22,
            inputs={"query": "delivery time DHL"},
            output='[{"id": "faq-12", "content": "DHL takes two working days."}]',
        ),
        span(
            "a5",
            "a0",
            "send_notice",
            SpanKind.TOOL,
            1.33,
            1.78,
            outcome=Errored(reason="the mail server answered 451"),
            inputs={"to": "EMAIL_1"},
        ),
        span("a6", "a0", "policy", SpanKind.GUARDRAIL, 1.8, 1.86, output="passed"),
        span(
            "a7",
            "a0",
            "chat gpt-5-mini",
            SpanKind.LLM,
            1.88,
            3.4,
            inputs={"messages": heard},
            output=ANSWER,
            usage=Usage(input_tokens=655, output_tokens=57, cost_usd=0.0007),
            attributes={
                "gen_ai.response.model": "gpt-5-mini",
                "openai.response.reasoning": "It is shipped; say when it comes.",
            },
            **model,
        ),
    ]
    lone = [
        Span(
            app=shop.house.app,
            trace_id=TraceId(PARTED),
            id="p1",
            parent_id="p0",
            name="chat gpt-5-mini",
            kind=SpanKind.LLM,
            started_at=at - 60,
            inputs={"messages": [ASKED]},
            revision=at,
        )
    ]
    shop.house.traces.put_spans([*spans, *lone])
    scores = (
        Score(
            metric="helpful",
            result=Scored(value=0.82),
            source="judge:helpful@3",
            at=at + 60,
            comment="It names the days, and NAME_1.",
        ),
        Score(metric="helpful", result=Unscored(reason="the judge abstained"), source="user", at=at + 90),
    )
    traces = [fold(spans, unit=UnitKind.SESSION), fold(lone, unit=UnitKind.SESSION)]
    shop.house.traces.put_traces(traces)
    shop.house.traces.add_scores([(shop.house.app, TraceId(AGENT), score) for score in scores])


def calls(shop: Shop) -> None:
    """Calls through the gateway: with tools and pictures, one that errored, one without content by now."""
    at, app = shop.clock.at - 40, shop.house.app
    tools = [{"type": "function", "function": {"name": name}} for name in ("find_order", "refund")]
    schema = '{"verdict": "refund", "days": 3, "reasons": ["late", "ORDER_1 was promised"]}'
    shop.house.traces.add_traces(
        [
            Trace(
                id=TraceId(TOOLED),
                app=app,
                at=at,
                unit_id=UnitId("s-17"),
                outcome=Ok(),
                inputs={
                    "messages": [
                        SYSTEM,
                        {"role": "user", "content": "What is wrong with these boots?"},
                        {"role": "assistant", "content": "", "tool_calls": [CALL]},
                        {"role": "tool", "tool_call_id": "call_1", "content": FOUND},
                    ]
                },
                output=schema,
                finish_reason="stop",
                latency_ms=1_840.0,
                usage=Usage(input_tokens=903, output_tokens=41, cost_usd=0.0012),
                attributes={
                    "gen_ai.response.model": "gpt-5",
                    "gen_ai.tool.definitions": tools,
                    "inchworm.call": "verdict",
                    "openai.request.parts": [
                        {"message": 1, "type": "image_url"},
                        {"message": 1, "type": "image_url"},
                    ],
                    "openai.response.reasoning_content": "Both soles are open, so it is a refund.",
                },
            ),
            Trace(
                id=TraceId(BROKEN),
                app=app,
                at=at + 5,
                unit_id=UnitId("s-18"),
                outcome=Errored(reason="the provider answered 529: overloaded"),
                inputs={"messages": [SYSTEM, ASKED]},
                latency_ms=20_110.0,
                attributes={"gen_ai.request.model": "claude-haiku-4-5"},
            ),
            Trace(
                id=TraceId(FADED),
                app=app,
                at=at + 6,
                unit_id=UnitId("s-19"),
                outcome=Failed(reason="the answer took longer than 20 s"),
                latency_ms=20_000.0,
                attributes={"inchworm.content": "expired", "gen_ai.request.model": "gpt-5"},
            ),
        ]
    )
