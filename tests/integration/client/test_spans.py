"""The steps of an interaction, as the gateway gets them and the importer reads them."""

import asyncio
import contextvars
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.client.stub import published

import inchworm
from inchworm.capture.client import spans
from inchworm.capture.dialects import trace_1
from inchworm.capture.fields import Place
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Usage


@pytest.fixture
def gateway(stub):
    return stub(published())


@pytest.fixture
def one(gateway, client):
    return client(gateway.url)


def recorded(gateway, client):
    """The last trace with its steps, as they are imported."""
    assert client.flush(10)
    place = Place(app=AppRef.parse("shop"), id=TraceId("none"), at=0.0)
    return trace_1.read(gateway.of("trace")[-1], place)


def steps(gateway, client):
    return {span.name: span for span in recorded(gateway, client).spans}


def test_a_step_is_recorded_with_all_that_is_said_of_it(gateway, one):
    with (
        one.trace("shop", unit="ana", inputs={"question": "q"}) as t,
        t.span("ask", kind="llm", inputs={"messages": [{"role": "user", "content": "q"}]}) as s,
    ):
        s.model = "small"
        s.output({"text": "a"})
        s.usage(input_tokens=10, output_tokens=2, cost_usd=0.5)
        s.attribute("temperature", 0)
        s.finish_reason = "stop"
    whole = recorded(gateway, one)
    (span,) = whole.spans
    assert (span.id, span.trace_id, span.parent_id, str(span.app)) == (s.id, t.id, None, "shop/production")
    assert (span.name, span.kind, span.model, span.outcome) == ("ask", SpanKind.LLM, "small", Ok())
    assert span.inputs == {"messages": [{"role": "user", "content": "q"}]}
    assert (json.loads(span.output), span.finish_reason) == ({"text": "a"}, "stop")
    assert span.usage == Usage(input_tokens=10, output_tokens=2, cost_usd=0.5)
    assert span.attributes == {"temperature": 0}
    assert whole.trace.at <= span.started_at <= span.ended_at
    assert span.ended_at - span.started_at <= whole.trace.latency_ms / 1000 + 1e-6


def test_steps_stand_within_each_other(gateway, one):
    with one.trace("shop"):
        with inchworm.span("plan", kind="agent") as plan:
            with inchworm.span("search"):
                pass
            with inchworm.span("rank") as rank, inchworm.span("score"):
                pass
        with inchworm.span("answer"):
            pass
    found = steps(gateway, one)
    parents = {name: span.parent_id for name, span in found.items()}
    assert parents == {"plan": None, "search": plan.id, "rank": plan.id, "score": rank.id, "answer": None}


def test_what_steps_cost_is_what_it_cost_unless_that_is_said(gateway, one):
    with one.trace("shop"):
        for _ in range(2):
            with inchworm.span("ask", kind="llm") as s:
                s.usage(input_tokens=5, cost_usd=0.25)
    assert recorded(gateway, one).trace.usage == Usage(input_tokens=10, cost_usd=0.5)
    with one.trace("shop") as t:
        with inchworm.span("ask") as s:
            s.usage(input_tokens=5)
        t.usage(input_tokens=7)
    assert recorded(gateway, one).trace.usage == Usage(input_tokens=7)


def test_an_exception_makes_a_step_errored_and_goes_on_its_way(gateway, one):
    with one.trace("shop") as t:
        with pytest.raises(KeyError, match="no"), t.span("search"):
            raise KeyError("no")
        rank = t.span("rank")
        rank.failed("nothing fits")
        with pytest.raises(ValueError, match="x"), rank:
            raise ValueError("x")
    found = steps(gateway, one)
    assert found["search"].outcome == Errored(reason="KeyError: no")
    assert found["rank"].outcome == Failed(reason="nothing fits")
    assert recorded(gateway, one).trace.outcome == Ok()


def test_outside_of_a_trace_a_step_is_nothing(gateway, one):
    with inchworm.span("search", inputs={"q": 1}) as s:
        s.output("a")
        s.usage(input_tokens=1)
    with one.trace("shop"):
        pass
    assert recorded(gateway, one).spans == ()


def test_tasks_and_threads_keep_their_own_order(gateway, one):
    async def work(number):
        async with inchworm.span(f"outer-{number}") as outer:
            await asyncio.sleep(0)
            async with inchworm.span(f"inner-{number}"):
                await asyncio.sleep(0)
        return outer.id

    async def main():
        async with one.trace("shop"):
            return await asyncio.gather(*map(work, range(20)))

    outer = asyncio.run(main())
    found = steps(gateway, one)
    assert [found[f"inner-{number}"].parent_id for number in range(20)] == outer
    with one.trace("shop") as t, t.span("all") as s, ThreadPoolExecutor(4) as pool:

        def elsewhere(name):
            with t.span(name):
                pass

        for number in range(4):
            pool.submit(elsewhere, f"apart-{number}").result()
            pool.submit(contextvars.copy_context().run, elsewhere, f"within-{number}").result()
    found = steps(gateway, one)
    assert {found[f"apart-{number}"].parent_id for number in range(4)} == {None}
    assert {found[f"within-{number}"].parent_id for number in range(4)} == {s.id}


def test_a_step_of_another_interaction_is_no_parent(gateway, one):
    with one.trace("shop"), inchworm.span("outer"), one.trace("shop"), inchworm.span("inner"):
        pass
    assert one.flush(10)
    spans_of = [[(s["name"], s.get("parent")) for s in line["spans"]] for line in gateway.of("trace")]
    assert spans_of == [[("inner", None)], [("outer", None)]]


def test_what_is_open_at_the_end_has_none_and_what_begins_after_it_is_lost(gateway, one):
    with one.trace("shop") as t:
        late = t.span("stream")
        late.__enter__()
    late.__exit__(None, None, None)
    with t.span("afterwards"):
        pass
    (span,) = recorded(gateway, one).spans
    assert (span.name, span.ended_at, span.outcome) == ("stream", None, None)
    assert one.counts().cut == 1


def test_more_steps_than_there_is_room_for_are_counted(gateway, one, monkeypatch):
    monkeypatch.setattr(spans, "MOST", 3)
    monkeypatch.setattr(spans, "ROOM", 1_500)
    with one.trace("shop") as t:
        for number in range(5):
            with t.span(f"s-{number}", inputs={"text": "x" * 400}) as s:
                s.output("y" * 400)
    whole = recorded(gateway, one)
    assert [(span.name, bool(span.inputs)) for span in whole.spans] == [
        ("s-0", True),
        ("s-1", False),
        ("s-2", False),
    ]
    assert whole.trace.attributes == {spans.LEFT_OUT: 2, spans.EMPTIED: 2}
    assert one.counts().cut == 4


def test_a_function_is_a_step_with_its_arguments_and_its_answer(gateway, one):
    @inchworm.spanned(kind="retriever", ignore=["index"])
    def search(question, index="i"):
        return [question, index]

    @inchworm.spanned("re-rank")
    async def rank(documents):
        await asyncio.sleep(0)
        return documents[:1]

    class Shop:
        @inchworm.spanned()
        def price(self, good):
            return good

    assert search("unrecorded") == ["unrecorded", "i"]
    with one.trace("shop"):
        assert asyncio.run(rank(search("q", index="secret"))) == ["q"]
        assert Shop().price("cup") == "cup"
        with pytest.raises(TypeError, match="question"):
            search()  # type: ignore[call-arg]  # that it is wrong is the point
    assert asyncio.iscoroutinefunction(rank)
    first, second, third, fourth = recorded(gateway, one).spans
    assert (first.name, first.kind, first.inputs) == ("search", SpanKind.RETRIEVER, {"question": "q"})
    assert (second.name, second.inputs) == ("re-rank", {"documents": ["q", "secret"]})
    assert json.loads(second.output) == ["q"]
    assert (third.name, third.inputs, third.output) == ("price", {"good": "cup"}, "cup")
    assert fourth.outcome.reason.startswith("TypeError")


def test_wrong_usage_is_said(one):
    with pytest.raises(UsageError, match='the kind of a step is "search"'):
        inchworm.span("search", kind="search")
    with pytest.raises(UsageError, match="the kind of a step is a list"):
        inchworm.spanned(kind=[])  # type: ignore[arg-type]  # as above
    with pytest.raises(UsageError, match="inputs are a mapping"), one.trace("shop") as t:
        t.span("search", inputs=["q"])
    with pytest.raises(UsageError, match="is a generator"):

        @inchworm.spanned()
        def stream():
            yield "a"


def test_kinds_are_those_that_spans_have():
    assert sorted(spans.KINDS) == sorted(kind.value for kind in SpanKind)


def test_many_threads_at_one_trace_lose_nothing(gateway, one):
    with one.trace("shop") as t:

        def work():
            for _ in range(25):
                with t.span("s") as s:
                    s.usage(input_tokens=1)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    whole = recorded(gateway, one)
    assert len({span.id for span in whole.spans}) == 200
    assert whole.trace.usage.input_tokens == 200
