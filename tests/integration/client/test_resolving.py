"""What a unit gets, in-process."""

import asyncio
import os
import socket

import pytest
from tests.integration.client.stub import CANDIDATE, STABLE, published, until

from inchworm.capture.client import Client
from inchworm.capture.client.apps import REMEMBERED
from inchworm.capture.client.watching import read
from inchworm.domain.errors import TemplateError, UsageError
from inchworm.domain.ids import UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import resolve


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def arms(client, names):
    return {name: client.resolve("shop", name).arm for name in names}


NAMES = [f"u-{number}" for number in range(200)]


def test_without_a_rollout_everybody_gets_stable_as_plain_values(stub, client):
    got = client(stub(published()).url).resolve("shop", "ana")
    assert got.known
    assert (got.app, got.unit, got.arm, got.rollout, got.kept) == ("shop/production", "ana", None, None, None)
    assert got.configuration_id == STABLE.id
    assert got.model == "small"
    assert got.parameters == {"temperature": 0.2}
    assert got.prompt == {"system": "You sell {product}.", "user": "Q: {question}"}
    assert (got.context, got.tools, got.infrastructure) == ({}, {}, {})
    assert got.render({"product": "shoes", "question": "How much?"}) == [
        {"role": "system", "content": "You sell shoes."},
        {"role": "user", "content": "Q: How much?"},
    ]
    assert got.headers == {
        "inchworm-app": "shop/production",
        "inchworm-unit": "ana",
        "inchworm-configuration": STABLE.id,
    }


def test_values_are_copies(stub, client):
    got = client(stub(published()).url).resolve("shop", "ana")
    got.parameters["temperature"] = 2
    assert got.parameters == {"temperature": 0.2}


def test_a_template_that_names_what_is_not_there_is_wrong_usage(stub, client):
    got = client(stub(published()).url).resolve("shop", "ana")
    with pytest.raises(TemplateError, match="question"):
        got.render({"product": "shoes"})


def test_in_a_rollout_units_are_drawn_as_the_gateway_draws_them_and_their_exposure_is_shipped(stub, client):
    document = published(weight=0.5)
    gateway = stub(document)
    one = client(gateway.url)
    table = read(document).apps[0].table
    assert table is not None
    for name in NAMES:
        got, expected = one.resolve("shop", name), resolve(table, UnitId(name))
        assert got.configuration_id == expected.configuration_id
        assert got.assignment == expected.assignment
        assert one.resolve("shop", name) is got
    gateway.wait_for_lines(len(NAMES))
    exposed = gateway.of("exposed")
    assert [line["unit"] for line in exposed] == NAMES  # each once, in the order of assignment
    assert {line["arm"] for line in exposed} == {"baseline", "candidate"}
    assert exposed[0] | {"at": 0} == {
        "app": "shop/production",
        "unit": "u-0",
        "rollout": "r-7",
        "stage": 1,
        "arm": one.resolve("shop", "u-0").arm,
        "probability": 0.5,
        "at": 0,
    }


def test_a_unit_keeps_its_arm_when_a_stage_grows_and_loses_it_with_the_rollout(stub, client):
    gateway = stub(published(weight=0.1))
    one = client(gateway.url)
    before = arms(one, NAMES)
    gateway.publish(published(weight=1.0, generation=2))
    until(lambda: one.resolve("shop", os.urandom(8).hex()).assignment.stage == 2)
    assert arms(one, NAMES) == before
    assert one.resolve("shop", "somebody new").arm == "candidate"
    gateway.publish(published(generation=3))
    until(lambda: one.resolve("shop", "u-0").arm is None)
    assert {one.resolve("shop", name).configuration_id for name in NAMES} == {STABLE.id}


def test_what_a_program_stored_keeps_the_arm_in_another_process(stub, client):
    first = client(stub(published(weight=0.1)).url)
    kept = {name: first.resolve("shop", name).kept for name in NAMES}
    before = arms(first, NAMES)
    other_gateway = stub(published(weight=0.9, generation=2))
    second = client(other_gateway.url)
    got = {name: second.resolve("shop", name, kept=kept[name]) for name in NAMES}
    assert {name: one.arm for name, one in got.items()} == before
    assert {one.assignment.stage for one in got.values()} == {1}
    assert arms(second, NAMES) == before  # and is remembered from then on
    second.flush()
    assert other_gateway.of("exposed") == []  # they were exposed before


@pytest.mark.parametrize(
    "kept", ["", "rubbish", "k1:r-6:1:candidate:0.5", "k1:r-7:x:candidate:0.5", "k1:r-7:1:winner:0.5",
             "k1:r-7:1:candidate:7", "k2:r-7:1:candidate:0.5", 7]
)  # fmt: skip
def test_what_was_stored_of_another_rollout_or_is_rubbish_counts_for_nothing(stub, client, kept):
    one = client(stub(published(weight=0.0)).url)
    assert one.resolve("shop", "ana", kept=kept).arm == "baseline"


def test_per_request_each_call_is_a_unit_and_inside_of_a_trace_it_is_the_trace(stub, client):
    one = client(stub(published(weight=0.5, unit=UnitKind.REQUEST)).url)
    assert one.resolve("shop", "ana").unit != one.resolve("shop", "ana").unit
    with one.trace("shop", unit="ana") as t:
        assert one.resolve("shop", "ana").unit == t.id
        assert t.resolved.unit == t.id


def test_without_a_unit_each_call_is_its_own(stub, client):
    one = client(stub(published(weight=0.5)).url)
    assert one.resolve("shop").unit != one.resolve("shop").unit


def test_an_app_that_is_not_served_is_not_known_and_no_error(stub, client):
    one = client(stub(published()).url)
    got = one.resolve("other", "ana")
    assert not got.known
    assert (got.model, got.parameters, got.configuration_id, got.arm) == (None, {}, None, None)
    assert one.counts().unknown == 1
    messages = [{"role": "user", "content": "hi"}]
    assert got.render({}, default=messages) == messages
    assert got.render({"messages": messages}) == messages
    with pytest.raises(UsageError, match="no prompt is known"):
        got.render({"question": "hi"})


def test_wrong_usage_is_said(stub, client):
    one = client(stub(published()).url, app=None)
    with pytest.raises(UsageError, match="no app is named"):
        one.resolve()
    with pytest.raises(UsageError, match="a unit is a text, not int"):
        one.resolve("shop", 7)
    with pytest.raises(UsageError, match="named by a text"):
        one.resolve(7, "ana")
    for url in ("localhost:4141", "ftp://x", "http://", "http://x:y", "http://x?y=1"):
        with pytest.raises(UsageError, match="no address"):
            Client(url)


def test_nobody_there_is_waited_for_once_and_no_error(client):
    one = client(f"http://127.0.0.1:{free_port()}", wait_s=0.05)
    assert not one.resolve("shop", "ana").known
    one._wait_s = 1e9  # a second wait would never end
    assert not one.resolve("shop", "ana").known
    assert not one.counts().connected


def test_a_gateway_that_comes_late_is_heard(stub, client):
    port = free_port()
    one = client(f"http://127.0.0.1:{port}", wait_s=0.01)
    assert not one.resolve("shop", "ana").known
    stub(published(), port=port)
    until(lambda: one.resolve("shop", "ana").known)


def test_while_the_gateway_is_away_known_units_keep_their_arm_and_new_ones_do_not_count(stub, client):
    gateway = stub(published(weight=1.0))
    one = client(gateway.url)
    assert one.resolve("shop", "ana").arm == "candidate"
    gateway.kill()
    until(lambda: not one.counts().connected)
    assert one.resolve("shop", "ana").arm == "candidate"
    ben = one.resolve("shop", "ben")
    assert (ben.configuration_id, ben.arm) == (STABLE.id, None)
    assert one.counts().unexposed == 1
    gateway.start()
    until(lambda: one.counts().connected)
    assert one.resolve("shop", "ben").arm == "candidate"


def test_a_change_arrives_after_the_gateway_came_back(stub, client):
    gateway = stub(published(weight=1.0))
    one = client(gateway.url)
    assert one.resolve("shop", "ana").arm == "candidate"
    gateway.kill()
    gateway.document = published(generation=2)
    gateway.start()
    until(lambda: one.resolve("shop", "ana").arm is None)


def test_a_gateway_that_has_nothing_to_say_is_asked_again(stub, client, monkeypatch):
    monkeypatch.setattr("inchworm.capture.client.watching._LONGEST_PAUSE_S", 0.05)
    gateway = stub(None)
    one = client(gateway.url, wait_s=0.01)
    assert not one.resolve("shop", "ana").known
    for rubbish in (b"rubbish", b'{"content": "{}"}', b"[]"):
        gateway.publish(rubbish)
        count = len(gateway.polls)
        until(lambda count=count: len(gateway.polls) > count + 1)
        assert not one.resolve("shop", "ana").known
    gateway.publish(published())
    until(lambda: one.resolve("shop", "ana").known)


def test_what_is_served_is_kept_in_a_file_for_a_start_without_a_gateway(stub, client, tmp_path):
    cache = tmp_path / "new" / "served.json"
    gateway = stub(published(weight=1.0))
    assert client(gateway.url, cache=cache).resolve("shop", "ana").arm == "candidate"
    gateway.kill()
    one = client(gateway.url, cache=cache, wait_s=0.01)
    got = one.resolve("shop", "ana")
    assert got.configuration_id == STABLE.id  # a rollout that may be over exposes nobody
    assert (got.arm, one.counts().known) == (None, True)
    assert [path.name for path in cache.parent.iterdir()] == ["served.json"]


def test_a_cache_that_cannot_be_read_or_written_is_no_harm(stub, client, tmp_path):
    cache = tmp_path / "served.json"
    cache.mkdir()
    gateway = stub(published())
    assert client(gateway.url, cache=cache).resolve("shop", "ana").known


def test_the_first_wait_does_not_hold_up_an_event_loop(stub, client):
    gateway = stub(None)
    one = client(gateway.url, wait_s=30.0)

    async def main():
        waiting = asyncio.create_task(one.aresolve("shop", "ana"))
        await asyncio.to_thread(until, lambda: gateway.polls)  # the loop goes on
        assert not waiting.done()
        gateway.publish(published())
        got = await waiting
        assert got.known
        assert (await one.aresolve("shop", "ben")).known

    asyncio.run(main())


def test_the_environment_says_where_the_gateway_is_and_which_app_is_meant(stub, client, monkeypatch):
    monkeypatch.setenv("INCHWORM_URL", stub(published()).url)
    monkeypatch.setenv("INCHWORM_APP", "shop/production")
    one = client(None, app=None)
    assert one.resolve(unit="ana").model == "small"


def test_the_units_that_are_remembered_are_bounded(stub, client, monkeypatch):
    monkeypatch.setattr("inchworm.capture.client.apps.REMEMBERED", 128)
    assert REMEMBERED > 128
    one = client(stub(published(weight=0.5)).url)
    for number in range(500):
        one.resolve("shop", f"u-{number}")
    assert len(one._apps["shop"].seen) <= 128


def test_a_candidate_is_given_with_its_own_values(stub, client):
    got = client(stub(published(weight=1.0)).url).resolve("shop", "ana")
    assert (got.model, got.configuration_id, got.rollout) == ("large", CANDIDATE.id, "r-7")
    assert (
        repr(got)
        == f"Resolved(app='shop/production', unit='ana', configuration_id='{CANDIDATE.id}', arm='candidate')"
    )


def test_a_unit_that_no_header_can_say_is_left_out_of_the_headers(stub, client):
    got = client(stub(published()).url).resolve("shop", "ana\nx: y")
    assert "inchworm-unit" not in got.headers
