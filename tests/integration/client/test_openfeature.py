"""The provider for OpenFeature's SDK, through its own client, over a gateway's socket."""

import asyncio
import subprocess
import sys
import threading
from functools import partial

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from tests.integration.client.stub import CANDIDATE, published, until

from inchworm.capture.client import Client
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.targeting import Condition
from inchworm.openfeature import InchwormProvider

STABLE = Configuration.of(
    {
        "infrastructure": {"timeout_s": 20},
        "model": {"name": "small", "calls": {"rerank": {"name": "tiny"}}},
        "parameters": {"temperature": 0.0, "seed": 7, "stop": ["END"]},
        "tools": {"schemas": [{"function": {"strict": False}}]},
    }
)


@pytest.fixture(autouse=True)
def _a_house_of_its_own():
    yield
    api.shutdown()


@pytest.fixture
def feature(stub, client):
    """OpenFeature's client over a gateway that serves this."""

    def make(**served):
        gateway = stub(published(**served))
        api.set_provider_and_wait(InchwormProvider(client(gateway.url)))
        return api.get_client(), gateway

    return make


def who(key="ana", **attributes):
    return EvaluationContext(targeting_key=key, attributes=attributes)


def test_every_type_comes_in_process_with_what_is_told_beside_it(feature):
    flags, gateway = feature(stable=STABLE)
    polls = len(gateway.polls)
    assert flags.get_string_value("shop.model.name", "mine", who()) == "small"
    assert flags.get_integer_value("shop.parameters.seed", 0, who()) == 7
    assert flags.get_boolean_value("shop.tools.schemas.0.function.strict", True, who()) is False
    assert flags.get_object_value("shop.parameters.stop", [], who()) == ["END"]
    assert flags.get_object_value("shop/production", {}, who())["model"]["name"] == "small"
    got = flags.get_float_details("shop.parameters.temperature", 0.9, who())
    assert type(got.value) is float
    assert (got.value, got.reason, got.variant) == (0.0, Reason.STATIC, "stable")
    assert got.flag_metadata == {
        "inchworm.app": "shop/production",
        "inchworm.unit.id": "ana",
        "inchworm.configuration.id": STABLE.id,
    }
    assert flags.get_float_value("shop.infrastructure.timeout_s", 1.0, who()) == 20.0
    named = who(**{"inchworm.call": "rerank"})
    assert flags.get_string_value("shop.model.name", "mine", named) == "tiny"
    assert len(gateway.polls) <= polls + 1  # nobody was asked but by the watcher


def test_a_rollout_splits_and_is_recorded_as_the_gateway_takes_it(feature):
    flags, gateway = feature(weight=0.5)
    found = {}
    for number in range(40):
        got = flags.get_string_details("shop.model.name", "mine", who(f"u-{number}"))
        assert got.reason == Reason.SPLIT
        assert got.flag_metadata["inchworm.probability"] == 0.5
        found[f"u-{number}"] = got.variant
        assert got.value == ("large" if got.variant == "candidate" else "small")
    assert set(found.values()) == {"baseline", "candidate"}
    gateway.wait_for_lines(40)
    assert {line["unit"]: line["arm"] for line in gateway.of("exposed")} == found


def test_asynchronous_callers_get_the_same(feature):
    flags, _ = feature(weight=1.0)

    async def ask():
        return await flags.get_string_details_async("shop.model.name", "mine", who())

    got = asyncio.run(ask())
    assert (got.value, got.variant) == ("large", "candidate")


def test_the_context_chooses_the_audience(feature):
    audience = (Condition(attribute="plan", values=("internal",)),)
    flags, gateway = feature(weight=1.0, audience=audience)
    inside = flags.get_string_details("shop.model.name", "mine", who("a", plan="internal", mail="a@b.c"))
    outside = flags.get_string_details("shop.model.name", "mine", who("b", plan="free"))
    assert (inside.variant, inside.reason) == ("candidate", Reason.SPLIT)
    assert (outside.variant, outside.reason) == ("stable", Reason.DEFAULT)
    gateway.wait_for_lines(1)
    assert [line["unit"] for line in gateway.of("exposed")] == ["a"]


def test_what_an_arm_does_not_set_is_left_to_the_code(feature):
    flags, _ = feature(weight=0.0, stable=STABLE)
    assert "system" in CANDIDATE.layer(Layer.PROMPT)
    got = flags.get_string_details("shop.prompt.system", "mine", who())
    assert (got.value, got.reason, got.variant, got.error_code) == ("mine", Reason.DEFAULT, "baseline", None)


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("other", who(), ErrorCode.FLAG_NOT_FOUND),
        ("shop.nowhere.name", who(), ErrorCode.FLAG_NOT_FOUND),
        ("shop.model.other", who(), ErrorCode.FLAG_NOT_FOUND),
        ("shop.model.name", None, ErrorCode.TARGETING_KEY_MISSING),
        ("shop.parameters.seed", who(), ErrorCode.TYPE_MISMATCH),
        ("shop.parameters.temperature", who(), ErrorCode.TYPE_MISMATCH),
        ("shop", who(), ErrorCode.TYPE_MISMATCH),
    ],
)
def test_errors_give_the_default_and_say_what_is_wrong(feature, key, context, code):
    flags, _ = feature(stable=STABLE)
    got = flags.get_string_details(key, "mine", context)
    assert (got.value, got.reason, got.error_code) == ("mine", Reason.ERROR, code)
    assert got.error_message


def test_a_number_with_a_fraction_is_no_integer_and_a_flag_is_no_number(feature):
    flags, _ = feature(weight=1.0, stable=STABLE)
    for read, key in (
        (flags.get_integer_details, "shop.parameters.temperature"),
        (flags.get_float_details, "shop.model.name"),
        (flags.get_boolean_details, "shop.parameters.temperature"),
        (flags.get_object_details, "shop.parameters.temperature"),
    ):
        assert read(key, read.__name__ and 1, who()).error_code is ErrorCode.TYPE_MISMATCH


def test_inside_of_a_trace_the_trace_s_unit_is_the_key(feature):
    flags, _ = feature(weight=1.0)
    provider = flags.provider
    with provider.client.trace("shop", unit="ana") as one:
        got = flags.get_string_details("shop.model.name", "mine")
        assert got.flag_metadata["inchworm.unit.id"] == "ana"
        assert one.resolved.arm == "candidate"


class Seen(Hook):
    def __init__(self):
        self.stages = []

    def before(self, hook_context, hints):  # noqa: ARG002  # the SDK's signature
        self.stages.append(("before", hook_context.flag_key))

    def after(self, hook_context, details, hints):  # noqa: ARG002  # the SDK's signature
        self.stages.append(("after", details.variant))

    def error(self, hook_context, exception, hints):  # noqa: ARG002  # the SDK's signature
        self.stages.append(("error", exception.error_code))

    def finally_after(self, hook_context, details, hints):  # noqa: ARG002  # the SDK's signature
        self.stages.append(("finally", details.reason))


def test_hooks_are_told_before_after_and_of_errors(feature):
    flags, _ = feature(weight=1.0)
    seen = Seen()
    flags.add_hooks([seen])
    flags.get_string_value("shop.model.name", "mine", who())
    flags.get_string_value("other", "mine", who())
    assert seen.stages == [
        ("before", "shop.model.name"),
        ("after", "candidate"),
        ("finally", Reason.SPLIT),
        ("before", "other"),
        ("error", ErrorCode.FLAG_NOT_FOUND),
        ("finally", Reason.ERROR),
    ]


class Events:
    def __init__(self):
        self.all = []
        self.said = threading.Condition()
        for event in ProviderEvent:
            api.add_handler(event, partial(self.note, event))

    def note(self, event, details):
        with self.said:
            self.all.append((event, details))
            self.said.notify_all()

    def wait(self, event):
        with self.said:
            assert self.said.wait_for(lambda: any(one is event for one, _ in self.all), 10), self.all
            return next(details for one, details in self.all if one is event)


def test_events_tell_of_news_of_a_gateway_that_goes_and_of_one_that_comes_back(feature):
    flags, gateway = feature(stable=STABLE)
    events = Events()
    events.wait(ProviderEvent.PROVIDER_READY)  # it is so already
    gateway.publish(published(weight=1.0, generation=2, stable=STABLE))
    changed = events.wait(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert "shop/production.prompt.system" in changed.flags_changed
    assert flags.get_string_value("shop.model.name", "mine", who()) == "large"
    events.all.clear()
    gateway.kill()
    events.wait(ProviderEvent.PROVIDER_STALE)
    assert flags.get_provider_status() is ProviderStatus.STALE
    # Who was exposed keeps the arm; who is new gets stable, and is not exposed.
    assert flags.get_string_value("shop.model.name", "mine", who()) == "large"
    new = flags.get_string_details("shop.model.name", "mine", who("new"))
    assert (new.value, new.variant, new.reason) == ("small", "stable", Reason.DEFAULT)
    gateway.start()
    events.wait(ProviderEvent.PROVIDER_READY)
    assert flags.get_provider_status() is ProviderStatus.READY
    assert flags.get_string_value("shop.model.name", "mine", who("new")) == "large"


def test_without_a_gateway_it_is_not_ready_and_becomes_so_with_the_first_answer(stub):
    gateway = stub(published())
    gateway.kill()
    made = Client(gateway.url, wait_s=0.05)
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(InchwormProvider(made))
    flags = api.get_client()
    got = flags.get_string_details("shop.model.name", "mine", who())
    assert (got.value, got.error_code) == ("mine", ErrorCode.PROVIDER_NOT_READY)
    gateway.start()
    until(lambda: flags.get_provider_status() is ProviderStatus.READY)
    assert flags.get_string_value("shop.model.name", "mine", who()) == "small"
    made.close(0.1)


def test_a_listener_that_fails_keeps_no_news_from_its_client(stub, client, caplog):
    gateway = stub(published(weight=1.0))
    one = client(gateway.url)
    told = []

    def fails(news):
        told.append(news)
        raise RuntimeError("cannot schedule new futures after shutdown")  # what the SDK says at exit

    one.listeners.add(fails)
    heard = threading.Event()
    one.listeners.add(lambda news: heard.set() if news.changed else None)
    assert one.resolve("shop", "ana").arm == "candidate"
    gateway.publish(published(generation=2))
    until(lambda: one.resolve("shop", "ana").arm is None)
    assert heard.is_set()
    assert len(told) >= 2
    assert "RuntimeError" in caplog.text


def test_an_answer_that_comes_while_it_gives_up_makes_it_ready(stub):
    gateway = stub(published())

    class Late(Client):
        def ready(self):
            super().ready()
            return False  # as it is if the answer comes right behind the last look

    made = Late(gateway.url)
    provider = InchwormProvider(made)
    api.set_provider_and_wait(provider)
    assert api.get_client().get_provider_status() is ProviderStatus.READY
    made.close(0.1)


def test_a_provider_with_a_client_of_its_own_ends_it(stub):
    gateway = stub(published(weight=1.0))
    provider = InchwormProvider(url=gateway.url)
    api.set_provider_and_wait(provider)
    assert api.get_client().get_string_value("shop.model.name", "mine", who()) == "large"
    provider.shutdown()
    assert [line["unit"] for line in gateway.of("exposed")] == ["ana"]  # it was shipped before the end


def test_importing_inchworm_does_not_load_the_sdk():
    code = "import sys, inchworm; inchworm.Client; print({'openfeature', 'requests'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
