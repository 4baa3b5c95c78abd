"""Observe mode through the drain: ids for what did not say one, the ledger once, nothing raw kept."""

import json
import zlib
from dataclasses import replace

import pytest
from tests.unit.capture.observed.traffic import APP, START, edited, support, trace, traces, words

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.observed import observed
from inchworm.app.house import House
from inchworm.app.loop import observing
from inchworm.app.loop.intake import Drain
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId, TraceId
from inchworm.domain.layers import Layer
from inchworm.domain.lifting import extract
from inchworm.domain.rendering import fill

EDIT = edited(
    200, in_system=lambda text: text.replace("concise", "brief"), said={"gen_ai.request.temperature": 0.4}
)
SAID = (
    'parameters and prompt changed: temperature 0 → 0.4; system prompt +1 −1 sentences ("concise" → "brief").'
)


@pytest.fixture
def house(tmp_path):
    spec = replace(observed(tmp_path / "inchworm.yaml", environment={}), app=APP)
    with House(spec=spec, clock=SimulatedClock(START + 86_400), actor="ana") as opened:
        yield opened


def stored(house):
    return [one for batch in house.traces.iterate(house.app) for one in batch]


def entries(house):
    return [one for one in house.control.ledger(house.app)[::-1] if one.kind == "observed"]


def drain(house, found, *, batch=25):
    taking = Drain(house)
    batches = list(found)
    for start in range(0, len(batches), batch):
        taking.take(batches[start : start + batch])
    taking.finish()


def test_a_change_is_entered_with_its_time_and_its_values(house):
    drain(house, traces(EDIT, 300))
    first, changed = entries(house)
    assert changed.what == SAID
    assert changed.at == START + 200 * 60
    assert changed.actor == "inchworm"
    assert changed.data["layers"] == ["parameters", "prompt"]
    assert (changed.data["from"], changed.data["call"]) == (first.data["to"], None)
    assert changed.data["first_seen"] == changed.at
    kept = house.control.configuration(changed.data["to"])
    assert kept.layer(Layer.PARAMETERS) == {"temperature": 0.4}
    assert {one.note for one in house.control.configurations(house.app)} == {"observed in traffic"}


def test_interactions_are_stored_with_the_configuration_that_answered(house):
    drain(house, traces(EDIT, 300))
    first, changed = (one.data["to"] for one in entries(house))
    told = {one.id: one.configuration_id for one in stored(house)}
    assert {told[f"t-{number}"] for number in range(100, 200)} == {first}
    assert {told[f"t-{number}"] for number in range(225, 300)} == {changed}


def test_what_says_its_configuration_is_left_alone(house):
    mine = ConfigurationId("a" * 64)
    drain(house, [replace(one, configuration_id=mine) for one in traces(support, 50)])
    assert {one.configuration_id for one in stored(house)} == {mine}
    assert entries(house) == []
    assert house.control.blob(house.app, observing.STATE) is None


@pytest.mark.parametrize("lost", ["the state", "the entries too", "nothing"])
def test_a_batch_that_comes_again_after_a_crash_announces_nothing_twice(house, monkeypatch, lost):
    batch = list(traces(EDIT, 300))
    drain(house, batch[:150])
    before = house.control.blob(house.app, observing.STATE)
    taking = observing.Observing(house)
    if lost == "the entries too":
        monkeypatch.setattr(observing.Observing, "_announce", lambda *_: None)
    taking(batch[150:])
    monkeypatch.undo()
    if lost != "nothing":
        house.control.put_blob(house.app, observing.STATE, before, at=START)
    drain(house, batch[150:])
    drain(house, batch[150:])
    assert [one.what for one in entries(house)][1:] == [SAID]


def test_two_drains_learn_from_each_other(house):
    one, other = Drain(house), Drain(house)
    batches = list(traces(EDIT, 300))
    for number, start in enumerate(range(0, 300, 20)):
        house.clock.at += 10
        (one if number % 2 else other).take(batches[start : start + 20])
    assert [entry.what for entry in entries(house)][1:] == [SAID]


def test_neither_what_is_learned_nor_what_is_announced_holds_anything_raw(house):
    def make(_dice, number):
        address = f"ann.example{number}@mailhost.net" if number < 60 else "bo.planted@mailhost.net"
        return trace(
            number, f"You write to {address} about the order. Be kind, be brief.", f"Ask {address}: where?"
        )

    drain(house, traces(make, 120))
    state = zlib.decompress(house.control.blob(house.app, observing.STATE)).decode()
    told = json.dumps([[one.what, one.data] for one in entries(house)])
    shown = json.dumps([one.configuration.content() for one in house.control.configurations(house.app)])
    assert "You write to" in state
    assert "mailhost" not in state + told + shown
    assert observing.lift(house).stand_ins


def test_lifted_from_sanitized_traffic_the_templates_fit_what_callers_send(house):
    people = ["Maria Lindqvist", "John Smith", "Eva Braun", "Peter Novak"]

    def make(dice, number):
        system = f"You work for Fernhill. Write to help@fernhill.example. You talk to {dice.choice(people)}."
        return trace(
            number, f"{system}\nBe kind.", f"Question: {words(dice, 9)}\nInformation: {words(dice, 60)}"
        )

    drain(house, traces(make, 300))
    prompt = observing.lift(house).configuration.layer(Layer.PROMPT)
    read = 0
    for one in traces(make, 200, first=300):
        for message in one.inputs["messages"]:
            template = prompt[message["role"]]
            values = extract(template, message["content"])
            read += values is not None and fill(template, values) == message["content"]
    assert read >= 0.95 * 400


def test_it_is_said_what_is_seen(house):
    assert observing.look(house) == observing.Observed(calls=(), last=None)
    drain(house, traces(EDIT, 300))
    seen = observing.look(house)
    (call,) = seen.calls
    assert (call.name, call.requests, call.others) == ("", 300, 0)
    assert seen.last is not None
    assert seen.last.what == SAID
    assert call.configuration == seen.last.data["to"]


def test_one_of_several_calls_is_lifted_by_its_name(house):
    def make(dice, number):
        call = ("plan", "write")[number % 2]
        return trace(number, f"You {call} for the shop.", words(dice, 9), **{"inchworm.call": call})

    with pytest.raises(NotFoundError, match="0 requests of it were seen"):
        observing.lift(house)
    drain(house, traces(make, 5))
    with pytest.raises(NotFoundError, match="5 requests"):
        observing.lift(house)
    drain(house, traces(make, 100))
    with pytest.raises(UsageError, match="plan and write") as several:
        observing.lift(house)
    assert several.value.hint == 'say which: inchworm adopt --call "plan"'
    assert observing.lift(house, "write").call == "write"
    with pytest.raises(NotFoundError, match='"sum"') as unknown:
        observing.lift(house, "sum")
    assert unknown.value.hint == "there are: plan, write"


def test_content_is_worth_more_than_telemetry_without_it(house):
    bare = [replace(one, inputs={}, id=TraceId(f"bare-{one.id}")) for one in traces(support, 60)]
    drain(house, bare)
    assert observing.lift(house).configuration.layer(Layer.PROMPT) == {}
    drain(house, traces(support, 60))
    assert set(observing.lift(house).configuration.layer(Layer.PROMPT)) == {"system", "user"}


def test_where_calls_go_is_what_the_server_knew_not_the_shell_of_a_command(house, tmp_path):
    file = tmp_path / "inchworm.yaml"
    elsewhere = {"upstream": "openai", "base_url": "http://127.0.0.1:9/v1"}
    served = replace(observed(file, environment={"OPENAI_BASE_URL": elsewhere["base_url"]}), app=APP)
    with House(spec=served, clock=house.clock, owner=True) as server:
        drain(server, traces(support, 60))
    assert observing.lift(house).configuration.layer(Layer.INFRASTRUCTURE) == elsewhere
    drain(house, traces(support, 60, first=60))
    assert observing.lift(house).configuration.layer(Layer.INFRASTRUCTURE) == elsewhere
    file.write_text("app: shop\n")
    assert observing.lift(house).configuration.layer(Layer.INFRASTRUCTURE) == {"upstream": "openai"}


def test_what_is_learned_is_kept_every_few_seconds_and_at_the_end(house):
    taking = Drain(house)
    found = list(traces(support, 60))
    taking.take(found[:40])
    assert observing.look(house).calls[0].requests == 40
    taking.take(found[40:50])
    taking.finish(at_once=False)
    assert observing.look(house).calls[0].requests == 40
    house.clock.at += 6
    taking.finish(at_once=False)
    assert observing.look(house).calls[0].requests == 50
    taking.take(found[50:])
    taking.finish()
    assert observing.look(house).calls[0].requests == 60
