"""One handled interaction, recorded from the inside."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.client.stub import STABLE, published

import inchworm
from inchworm.capture.client.plain import exposed, line, plain
from inchworm.capture.dialects import trace_1
from inchworm.capture.fields import Place
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.trace import Arm, Assignment

SHOP = AppRef.parse("shop")


@pytest.fixture
def gateway(stub):
    return stub(published(weight=0.5))


@pytest.fixture
def one(gateway, client):
    return client(gateway.url)


def recorded(gateway, client, app=SHOP):
    """The traces as the importer of trace/1 reads them."""
    assert client.flush(10)
    place = Place(app=app, id=TraceId("none"), at=0.0)
    return [trace_1.read(members, place).trace for members in gateway.of("trace")]


def test_what_is_recorded_is_a_trace_as_the_importer_reads_it(gateway, one):
    with one.trace("shop", unit="ana", inputs={"question": "How much?"}) as t:
        got = one.resolve("shop", "ana")
        t.inputs["documents"] = ["a", "b"]
        t.output("Five.")
        t.usage(input_tokens=10, output_tokens=2)
        t.usage(input_tokens=5, cost_usd=0.5)
        t.score("polite", True)
        t.attribute("index", "v2")
        t.finish_reason = "stop"
    (trace,) = recorded(gateway, one)
    assert trace.id == t.id
    assert trace.app == SHOP
    assert trace.unit_id == "ana"
    assert trace.assignment == got.assignment
    assert trace.configuration_id == got.configuration_id
    assert trace.inputs == {"question": "How much?", "documents": ["a", "b"]}
    assert (trace.output, trace.finish_reason, trace.outcome) == ("Five.", "stop", Ok())
    assert (trace.usage.input_tokens, trace.usage.output_tokens, trace.usage.cost_usd) == (15, 2, 0.5)
    (score,) = trace.scores
    assert (score.metric, score.result.value, score.source) == ("polite", 1.0, "app")
    assert trace.attributes == {"index": "v2"}
    assert trace.latency_ms >= 0


def test_an_exception_is_recorded_as_errored_and_goes_on_its_way(gateway, one):
    with pytest.raises(KeyError, match="no"), one.trace("shop", unit="ana"):
        raise KeyError("no")
    assert recorded(gateway, one)[0].outcome == Errored(reason="KeyError: no")


def test_a_failure_of_the_configuration_is_said_so_and_stays_one(gateway, one):
    t = one.trace("shop", unit="ana")
    t.failed("no JSON")
    with pytest.raises(ValueError, match="x"), t:
        raise ValueError("x")
    assert recorded(gateway, one)[0].outcome == Failed(reason="no JSON")


def test_an_exception_is_never_asked_for_its_text(gateway, one):
    class TrapError(Exception):
        def __str__(self):
            raise AssertionError("somebody looked")

    with pytest.raises(TrapError), one.trace("shop", unit="ana"):
        raise TrapError(3)
    assert recorded(gateway, one)[0].outcome == Errored(reason="TrapError")


def test_without_a_unit_an_interaction_is_its_own(gateway, one):
    with one.trace("shop") as t:
        pass
    assert recorded(gateway, one)[0].unit_id == t.id


def test_what_is_resolved_right_before_counts_for_one_trace_of_that_app_and_unit(gateway, one):
    def drawn(unit):
        return one.resolve("shop", unit).assignment

    mine = drawn("ana")
    with one.trace("shop"):
        pass
    with one.trace("shop"):
        pass
    drawn("ana")
    with one.trace("shop", unit="ben"):
        pass
    drawn("ana")
    with one.trace("other", unit="ana"):
        pass
    assert one.flush(10)
    found = [(line["unit"], "rollout" in line) for line in gateway.of("trace")]
    assert found[0] == ("ana", True)
    assert [rollout for _, rollout in found[1:]] == [False, False, False]
    assert mine is not None


def test_what_is_resolved_inside_for_others_does_not_count(gateway, one):
    with one.trace("shop", unit="ana") as t:
        one.resolve("other", "ana")
        one.resolve("shop", "ben")
        assert t.resolved is None
        assert t.resolve().unit == "ana"
    assert recorded(gateway, one)[0].unit_id == "ana"


def test_a_trace_says_its_app_and_unit_to_what_is_resolved_inside(gateway, one):
    one.app = None
    with one.trace("shop", unit="ana") as t:
        assert one.resolve() is t.resolved
        assert t.headers["inchworm-unit"] == "ana"
    assert recorded(gateway, one)[0].assignment == t.resolved.assignment


def test_it_can_be_told_what_was_resolved_elsewhere(gateway, one):
    got = one.resolve("shop", "ana")
    one.resolve("shop", "ben")
    with one.trace(resolved=got):
        pass
    trace = recorded(gateway, one)[0]
    assert (trace.unit_id, trace.assignment) == ("ana", got.assignment)


def test_nested_traces_are_apart_and_the_outer_one_goes_on(gateway, one):
    with one.trace("shop", unit="outer") as outer:
        with one.trace("shop", unit="inner"):
            one.resolve("shop", "inner")
        assert outer.resolved is None
        one.resolve("shop", "outer")
    assert [(t.unit_id, t.assignment is not None) for t in recorded(gateway, one)] == [
        ("inner", True),
        ("outer", True),
    ]


def test_tasks_that_run_at_once_do_not_mix(gateway, one):
    async def handle(number):
        async with one.trace("shop", unit=f"u-{number}", inputs={"n": number}) as t:
            await asyncio.sleep(0)
            got = await one.aresolve("shop", f"u-{number}")
            await asyncio.sleep(0)
            t.output(got.arm)

    async def main():
        await asyncio.gather(*(handle(number) for number in range(50)))

    asyncio.run(main())
    for trace in recorded(gateway, one):
        assert trace.unit_id == f"u-{trace.inputs['n']}"
        assert trace.assignment.arm == trace.output


def test_what_a_task_inside_resolves_reaches_the_trace(gateway, one):
    async def main():
        async with one.trace("shop", unit="ana"):
            await asyncio.create_task(one.aresolve("shop", "ana"))

    asyncio.run(main())
    assert recorded(gateway, one)[0].assignment is not None


def test_a_cancelled_task_is_recorded_as_that(gateway, one):
    async def main():
        async with one.trace("shop", unit="ana"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert recorded(gateway, one)[0].outcome == Errored(reason="cancelled")


# --- the decorator


def test_a_function_is_recorded_with_its_arguments_and_its_answer(gateway, one):
    @one.traced("shop", unit="session", ignore=["key"])
    def answer(session: str, question: str, *, documents=(), key="secret"):
        """Its docstring."""
        assert (session, documents, key) == ("ana", ["a"], "k")
        return question + "!"

    assert answer("ana", "How much?", documents=["a"], key="k") == "How much?!"
    assert (answer.__name__, answer.__doc__) == ("answer", "Its docstring.")
    (trace,) = recorded(gateway, one)
    assert (trace.unit_id, trace.output) == ("ana", "How much?!")
    assert trace.inputs == {"question": "How much?", "documents": ["a"]}


def test_an_asynchronous_function_stays_one(gateway, one):
    class Shop:
        @one.traced("shop")
        async def answer(self, question):
            await asyncio.sleep(0)
            return {"text": question}

    assert asyncio.iscoroutinefunction(Shop.answer)
    assert asyncio.run(Shop().answer("q")) == {"text": "q"}
    (trace,) = recorded(gateway, one)
    assert trace.inputs == {"question": "q"}
    assert json.loads(trace.output) == {"text": "q"}


def test_its_errors_are_recorded_and_raised(gateway, one):
    @one.traced("shop")
    def answer(question):
        raise ValueError(question)

    with pytest.raises(ValueError, match="q"):
        answer("q")
    with pytest.raises(TypeError, match="question"):
        answer()
    outcomes = [trace.outcome.reason for trace in recorded(gateway, one)]
    assert outcomes[0] == "ValueError: q"
    assert outcomes[1].startswith("TypeError: ")


def test_what_cannot_be_decorated_is_said_at_once(one):
    with pytest.raises(UsageError, match="is a generator"):

        @one.traced("shop")
        def stream():
            yield "a"

    with pytest.raises(UsageError, match="has no argument 'session'"):

        @one.traced("shop", unit="session")
        def answer(question):
            return question


# --- feedback


def test_feedback_is_a_score_for_a_trace_or_its_id(gateway, one):
    with one.trace("other", unit="ana") as t:
        pass
    one.feedback(t, "helpful", True)
    one.feedback("t-1", "helpful", 0.25, source="ana", app="shop")
    assert one.flush(10)
    first, second = ({**score, "at": 0} for score in gateway.of("score"))
    common = {"metric": "helpful", "at": 0}
    assert first == common | {"app": "other/production", "trace": t.id, "value": 1.0, "source": "user"}
    assert second == common | {"app": "shop/production", "trace": "t-1", "value": 0.25, "source": "ana"}


@pytest.mark.parametrize("value", [4, -2.5, False, "good", "é"])
def test_feedback_is_on_the_scale_that_the_app_declares(gateway, one, value):
    one.feedback("t-1", "stars", value)
    assert one.flush(10)
    (said,) = gateway.of("score")
    assert said["value"] == value
    assert type(said["value"]) is type(value)


def test_feedback_may_be_of_a_step_or_of_a_unit_and_say_more(gateway, one):
    with one.trace("other") as t, t.span("search") as s:
        pass
    one.feedback(s, "relevant", 1)
    one.feedback(None, "helpful", 5, unit="ana", comment="thanks", id="f-1", source="survey")
    assert one.flush(10)
    step, unit = (
        {name: value for name, value in said.items() if name != "at"} for said in gateway.of("score")
    )
    assert step == {
        "app": "other/production",
        "trace": t.id,
        "span": s.id,
        "metric": "relevant",
        "value": 1,
        "source": "user",
    }
    assert unit == {
        "app": "shop/production",
        "unit": "ana",
        "id": "f-1",
        "metric": "helpful",
        "value": 5,
        "source": "survey",
        "comment": "thanks",
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "", None, [1], b"1"])
def test_what_is_no_feedback_is_refused(one, value):
    with pytest.raises(UsageError, match="feedback is a number"):
        one.feedback("t-1", "helpful", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "1", None])
def test_what_is_no_score_is_refused(one, value):
    with one.trace("shop") as t, pytest.raises(UsageError, match="lies in"):
        t.score("helpful", value)


def test_wrong_usage_is_said(one):
    for wrong in (None, 7, inchworm.span("outside")):
        with pytest.raises(UsageError, match="names a trace"):
            one.feedback(wrong, "helpful", 1)
    with pytest.raises(UsageError, match="trace is a text of 1 to 500 characters, not ''"):
        one.feedback("", "helpful", 1)
    with pytest.raises(UsageError, match="a metric is named"):
        one.feedback("t-1", "", 1)
    with pytest.raises(UsageError, match="inputs are a mapping"):
        one.trace("shop", inputs=["q"])
    with pytest.raises(UsageError, match="a unit is a text"):
        one.trace("shop", unit=7)
    with one.trace("shop") as t, pytest.raises(UsageError, match="from 0 on"):
        t.usage(input_tokens=-1)


# --- values of the host program


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Order:
    number: int
    at: object


class Trap:
    def __str__(self):
        raise AssertionError("somebody looked")

    __repr__ = __str__


def test_values_are_written_as_plain_as_they_can_be():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert plain(
        {
            1: (Colour.RED, Decimal("1.5")),
            "o": Order(7, at),
            "t": Trap(),
            "b": b"xyz",
            "n": float("nan"),
            "i": 2**70,
            "m": MappingProxyType({"a": {1}}),
        }
    ) == {
        "1": ["red", "1.5"],
        "o": {"number": 7, "at": str(at)},
        "t": "<Trap>",
        "b": "<bytes of 3>",
        "n": "nan",
        "i": "<int of 71 bits>",
        "m": {"a": [1]},
    }


def test_what_goes_round_in_circles_ends():
    circle: list[object] = []
    circle.append(circle)
    assert "<...>" in json.dumps(plain(circle))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    )
)
def test_whatever_a_program_has_is_one_line_of_json(value):
    text = line("trace", {"inputs": plain({"value": value})})
    assert b"\n" not in text
    json.loads(text.decode())


# --- the module's own functions


def test_the_modules_functions_use_one_client_for_the_whole_program(gateway):
    made = inchworm.configure(gateway.url, app="shop")
    try:
        got = inchworm.resolve(unit="ana")
        assert got.known
        assert asyncio.run(inchworm.aresolve(unit="ana")) is got

        @inchworm.traced(unit="who")
        def answer(who, question):
            assert (who, question) == ("ana", "q")
            return inchworm.resolve().arm

        assert answer("ana", "q") == got.arm
        with inchworm.trace() as t:
            t.output("a")
        inchworm.feedback(t, "helpful", 1)
        assert inchworm.flush()
        assert inchworm.counts().shipped == len(gateway.lines) == 4
        assert got.configuration_id
        assert STABLE.id
        assert isinstance(made, inchworm.Client)
    finally:
        inchworm.configure(gateway.url).close()
        assert made.counts().waiting == 0


def test_what_the_package_lacks_it_says():
    with pytest.raises(AttributeError, match="resolv"):
        inchworm.resolv  # noqa: B018  # asking is the point


@given(st.text(st.characters()), st.floats(0, 1), st.integers(0, 9), st.floats(0, 1e10))
def test_an_exposure_written_by_hand_says_what_a_line_says(unit, probability, stage, at):
    got = Assignment(rollout_id=RolloutId("r-1"), stage=stage, arm=Arm.CANDIDATE, probability=probability)
    members = {"app": "shop/production", "unit": unit, "rollout": "r-1", "stage": stage, "arm": "candidate"}
    expected = line("exposed", members | {"probability": probability, "at": at})
    assert exposed("shop/production", unit, got, at) == expected
