"""Whatever is done to a body on its way: the gateway says what is wrong with it, and goes on."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.gateway.conftest import Gateway, World
from tests.integration.gateway.telemetry_bodies import GOOD, Good

OTHERWISE: list[dict[str, str]] = [
    {},
    {},
    {},
    {"content-type": "application/json"},
    {"content-encoding": "gzip"},
]
ODD: list[Any] = [None, True, -1, 1.5, 10**30, 1e308, "", "\0", "x" * 300, [], {}, [[]], {"": {}}]


@pytest.fixture
def gateway(observing: World) -> Gateway:
    return observing.gateways[0]


@st.composite
def spoiled(draw: st.DrawFn, good: Good) -> tuple[bytes, dict[str, str]]:
    """A body with pieces cut out, doubled or replaced, or with a value of another kind; its headers too."""
    packed = good.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(good.body) if packed else good.body
    if body[:1] in b"[{" and draw(st.booleans()):
        body = json.dumps(_swapped(draw, json.loads(body))).encode()
    for _ in range(draw(st.integers(0, 4))):
        at, length = draw(st.integers(0, len(body))), draw(st.integers(0, 40))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(body[at : at + length] * 2), st.just(b"")))
        body = body[:at] + piece + body[at + length :]
    headers = dict(good.headers)
    if packed:
        body = gzip.compress(body)
        body = body[: len(body) - draw(st.sampled_from([0, 0, 1, 9]))]
    odd = draw(
        st.sampled_from([{}, {}, {}, {"content-type": "application/json"}, {"content-encoding": "gzip"}])
    )
    return body, headers | odd


def _swapped(draw: st.DrawFn, value: Any) -> Any:
    """The same with one value, somewhere in it, replaced."""
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    if not inner or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(ODD))
    name, child = draw(st.sampled_from(inner))
    copy = value.copy()
    copy[name] = _swapped(draw, child)
    return copy


@pytest.mark.parametrize("name", GOOD)
def test_no_body_hurts_the_gateway(gateway: Gateway, name: str) -> None:
    good = GOOD[name]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(spoiled(good))
    def send(sent: tuple[bytes, dict[str, str]]) -> None:
        body, headers = sent
        got = gateway.ask(good.path, body, method="POST", **headers)
        assert got.status < 500, (got.status, got.body)
        if got.status >= 400:
            assert got.body

    send()
    assert gateway.ask(good.path, good.body, **good.headers).status == good.status
