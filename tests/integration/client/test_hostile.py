"""Whatever a program hands over: its own results and exceptions are as they would be without the library."""

import contextlib
import json
import signal
import threading
from collections.abc import Mapping
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.client.stub import published

import inchworm
from inchworm.capture.client import Client
from inchworm.capture.client.plain import line, number_of, plain
from inchworm.capture.client.shipping import Bounds
from inchworm.domain.errors import UsageError


class HostileError(Exception):
    """Raised by everything hostile; must never reach the host."""

    def __str__(self):
        raise HostileError

    __repr__ = __str__


def _raises(*_, **__):
    raise HostileError


_SPECIAL = (
    *("__str__", "__repr__", "__eq__", "__hash__", "__bool__", "__len__", "__iter__", "__getitem__"),
    *("__int__", "__index__", "__float__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"),
    *("__format__", "__call__", "__abs__", "__neg__", "__getattr__", "__reduce_ex__", "__dir__"),
    *("items", "keys", "values", "get", "encode", "split", "partition", "isoformat", "bit_length"),
)
_TRAPS = dict.fromkeys(_SPECIAL, _raises) | {"__class__": property(_raises)}


def _hostile(base):
    return type(f"Hostile{base.__name__.title()}", (base,), dict(_TRAPS))


class Foreign(Mapping[str, object]):
    """A mapping that cannot be read."""

    __getitem__ = __iter__ = __len__ = _raises


class Endless(Mapping[int, int]):
    """A mapping without an end."""

    def __getitem__(self, name):
        return name

    def __iter__(self):
        number = 0
        while True:
            yield number
            number += 1

    def __len__(self):
        return 1


class Odd(Enum):
    """A member that cannot be asked for its value."""

    ONE = 1
    value = property(_raises)


def _round():
    circle: list[object] = []
    circle += [circle, circle, {"again": circle}]
    return circle


def _deep():
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    return deep


class Slotted:
    """A class that answers hostile things for its attributes."""

    __slots__ = ()
    __getattr__ = _raises


HOSTILE = [
    *(_hostile(base)() for base in (object, str, int, float, bytes, list, tuple, dict, set, frozenset)),
    _hostile(str)("text"),
    _hostile(int)(7),
    _hostile(float)(0.5),
    _hostile(list)([1, 2]),
    _hostile(dict)({"a": 1}),
    _hostile(object),
    Foreign(),
    Endless(),
    Odd.ONE,
    Slotted(),
    HostileError(),
    _round(),
    _deep(),
    float("nan"),
    float("-inf"),
    -(2**200_000),
    "x" * 3_000_000,
    "\ud800",
    {1: {2: {(3, 4): object}}, None: b"x", object(): ...},
    (number for number in range(3)),
    lambda: None,
    threading.Lock(),
    memoryview(b"abc"),
    type,
    NotImplemented,
]


# By number: pytest itself would ask hostile values what they are.
every = pytest.mark.parametrize("number", range(len(HOSTILE)))


@pytest.fixture(autouse=True)
def _little_room(monkeypatch):
    monkeypatch.setattr("inchworm.capture.client.plain._NODES", 5_000)


@pytest.fixture(scope="module")
def gone():
    made = Client("http://127.0.0.1:9", app="shop", wait_s=0, bounds=Bounds(bytes=4 << 20))
    yield made
    made.close(0.0)


@every
def test_it_becomes_one_line_of_json(number):
    value = HOSTILE[number]
    text = line("trace", {"inputs": plain({"value": value})})
    assert b"\n" not in text
    assert isinstance(json.loads(text), dict)
    assert len(text) < 40 << 20
    read = number_of(value)
    assert read is None or type(read) in {int, float, bool}


@every
def test_the_hosts_own_result_is_unchanged(gone, number):
    value = HOSTILE[number]

    @gone.traced("shop", unit="first")
    def work(first, second):
        del first
        with inchworm.span("step", inputs={"value": second}) as s:
            s.output(second)
            s.attribute("value", second)
            s.model = second
            s.finish_reason = second
        return second

    traced_step = inchworm.spanned()(lambda given: given)
    assert work(value, value) is value
    assert traced_step(value) is value
    with gone.trace("shop", inputs={"value": value}) as t:
        t.inputs["other"] = value
        t.finish_reason = value
        t.output(value)
        t.failed(value)
        t.attribute(value, value)
        assert traced_step(value) is value
    t.inputs = value
    with t:
        pass


@every
def test_the_hosts_own_exception_is_unchanged(gone, number):
    value = HOSTILE[number]

    class HostError(Exception):
        """The host's."""

        __str__ = __repr__ = _raises

    thrown = HostError(value, "said")
    with pytest.raises(HostError) as caught, gone.trace("shop") as t, t.span("step"):
        raise thrown
    assert caught.value is thrown


@every
def test_wrong_usage_is_the_only_thing_that_is_raised(gone, number):
    value = HOSTILE[number]
    t = gone.trace("shop")
    for use in (
        lambda: gone.resolve(value),
        lambda: gone.resolve("shop", value),
        lambda: gone.resolve("shop", "ana", kept=value),
        lambda: gone.resolve("shop", "ana", attributes=value),
        lambda: gone.resolve("shop", "ana", attributes={"tenant": value}),
        lambda: gone.resolve("shop", "ana", call=value),
        lambda: gone.trace(value),
        lambda: gone.trace("shop", unit=value),
        lambda: gone.trace("shop", inputs=value),
        lambda: gone.trace("shop", resolved=value),
        lambda: t.usage(input_tokens=value, cost_usd=value),
        lambda: t.score(value, value),
        lambda: t.score("helpful", value, source=value),
        lambda: t.observed(value, value),
        lambda: t.span(value, kind=value, inputs=value),
        lambda: t.span(value),
        lambda: gone.feedback(value, "helpful", 1),
        lambda: gone.feedback("t-1", value, 1),
        lambda: gone.feedback("t-1", "helpful", value),
        lambda: gone.feedback(None, "helpful", 1, unit=value, source=value, comment=value, id=value),
        lambda: gone.feedback("t-1", "helpful", 1, app=value),
    ):
        with contextlib.suppress(UsageError):
            use()


@given(
    st.recursive(
        st.integers(0, 15).map(lambda number: HOSTILE[number]) | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_hostile_values_within_others_spoil_only_themselves(value):
    said = json.loads(line("trace", {"inputs": plain({"value": value, "good": "kept"})}))["trace"]["inputs"]
    assert said["good"] == "kept"


def test_a_signal_within_a_trace_ends_the_program_as_it_would(gone):
    def ring(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        with pytest.raises(KeyboardInterrupt), gone.trace("shop") as t, t.span("step"):
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_trouble_of_our_own_is_counted_and_not_raised(stub, client, monkeypatch):
    gateway = stub(published())
    one = client(gateway.url)

    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("inchworm.capture.client.plain.written", fails)
    monkeypatch.setattr("inchworm.capture.client.spans.written", fails)
    with one.trace("shop") as t, t.span("step"):
        pass
    assert one.counts().dropped == 2


def test_memory_is_bounded_while_nobody_takes_anything(gone):
    for number in range(50):
        with gone.trace("shop", inputs={"text": "x" * 500_000}), inchworm.span("step") as s:
            s.output(str(number))
    shipper = gone._shipper
    assert shipper._bytes <= 4 << 20
    assert gone.counts().dropped >= 40
