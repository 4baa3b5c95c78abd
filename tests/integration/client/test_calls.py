"""Several calls of one app, the version of the program, and floating references, from inside of a program."""

import asyncio

import pytest
from tests.integration.client.stub import published

import inchworm
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError

KEYED = Configuration.of(
    {
        "model": {"name": "large", "calls": {"rerank": {"name": "small"}}},
        "parameters": {"temperature": 0},
        "prompt": {"user": "{question}", "calls": {"rerank": {"user": "Sort: {passages}"}}},
    }
)


@pytest.fixture
def keyed(stub):
    return stub(published(stable=KEYED))


def test_a_call_gets_its_own_values_of_the_same_configuration(keyed, client):
    one = client(keyed.url)
    common, rerank = one.resolve("shop", "ana"), one.resolve("shop", "ana", call="rerank")
    assert (common.model, rerank.model, rerank.call) == ("large", "small", "rerank")
    assert common.configuration_id == rerank.configuration_id == KEYED.id
    assert common.parameters == rerank.parameters == {"temperature": 0}
    assert rerank.render({"passages": "a b"}) == [{"role": "user", "content": "Sort: a b"}]
    assert common.render({"question": "Q"}) == [{"role": "user", "content": "Q"}]
    assert "calls" not in common.prompt
    assert one.resolve("shop", "ana", call="nobody").model == "large"
    assert asyncio.run(one.aresolve("shop", "ana", call="rerank")).model == "small"
    assert rerank.for_call(None).model == "large"


def test_headers_name_the_call_so_that_the_gateway_does_the_same(keyed, client):
    one = client(keyed.url)
    assert one.resolve("shop", "ana", call="rerank").headers["inchworm-call"] == "rerank"
    assert "inchworm-call" not in one.resolve("shop", "ana").headers


def test_an_arm_is_drawn_once_for_all_calls_of_a_unit(stub, client):
    gateway = stub(published(weight=0.5))
    one = client(gateway.url)
    for number in range(20):
        unit = f"u-{number}"
        arms = {one.resolve("shop", unit, call=call).arm for call in ("a", None, "b")}
        assert len(arms) == 1
    assert one.flush(10)
    assert len(gateway.of("exposed")) == 20


@pytest.mark.parametrize("call", ["", 7])
def test_a_call_is_named_by_a_text(keyed, client, call):
    with pytest.raises(UsageError, match="a call is named by a text"):
        client(keyed.url).resolve("shop", "ana", call=call)


def test_a_trace_says_for_which_call_it_was_if_it_was_one(keyed, client):
    one = client(keyed.url)
    with one.trace("shop", unit="ana") as t:
        t.resolve(call="rerank")
        assert t.headers["inchworm-call"] == "rerank"
    with one.trace("shop", unit="ana") as t:
        t.resolve(call="plan")
        t.resolve(call="answer")
    with one.trace("shop", unit="ana"):
        one.resolve("shop", "ana")
    assert one.flush(10)
    said = [trace.get("attributes", {}).get("inchworm.call") for trace in keyed.of("trace")]
    assert said == ["rerank", None, None]


def test_the_version_of_the_program_goes_with_everything(keyed, client, monkeypatch):
    one = client(keyed.url, application="9b2d4c1")
    resolved = one.resolve("shop", "ana")
    assert resolved.headers["inchworm-application"] == "9b2d4c1"
    with one.trace("shop", unit="ana") as t:
        assert t.headers["inchworm-application"] == "9b2d4c1"
    assert one.flush(10)
    assert keyed.of("trace")[0]["application"] == "9b2d4c1"
    monkeypatch.setenv("INCHWORM_APPLICATION", "from-outside")
    assert client(keyed.url).application == "from-outside"
    monkeypatch.setenv("INCHWORM_APPLICATION", "\n")
    assert client(keyed.url).application is None


def test_the_program_s_own_client_can_be_told_too(keyed):
    made = inchworm.configure(keyed.url, app="shop", application="v1")
    try:
        assert made.application == "v1"
        assert inchworm.resolve("shop", "ana", call="rerank").model == "small"
    finally:
        made.close(0.1)


def test_what_a_reference_stands_for_goes_with_the_trace_and_its_calls(keyed, client):
    one = client(keyed.url)
    with one.trace("shop", unit="ana") as t:
        t.observed("index", "faq-2026-11-02")
        assert t.headers["inchworm-observed"] == "index=faq-2026-11-02"
        with pytest.raises(UsageError, match="are no reference and its value"):
            t.observed("no name", "x")
    assert one.flush(10)
    assert keyed.of("trace")[0]["attributes"]["inchworm.observed"] == {"index": "faq-2026-11-02"}


def test_when_nobody_is_at_the_gateway_a_call_goes_out_with_its_own_values(keyed, client):
    from inchworm.capture.client.direct import Call, Way

    one = client(keyed.url)
    one.resolve("shop", "ana")
    way = Way(one, None, "https://provider.example/v1")
    body = b'{"model": "app:shop/rerank", "inchworm": {"inputs": {"passages": "a"}}}'
    sent = way.straight(Call(url=f"{keyed.url}/v1/chat/completions", headers=[], content=body))
    assert sent is not None
    assert b'"model":"small"' in sent.content
    assert b"Sort: a" in sent.content
    assert b"calls" not in sent.content
