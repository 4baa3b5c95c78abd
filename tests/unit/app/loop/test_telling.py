"""Conversations from before the templates were known give the inputs that plans and eval sets need."""

from dataclasses import replace

import pytest
from tests.unit.app.loop.world import World

from inchworm.app.loop.knowing import known
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.telling import Telling
from inchworm.domain.layers import Layer


def said(system, *turns):
    roles = ("user", "assistant") * len(turns)
    asked = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    return {"messages": [{"role": "developer", "content": system}, *asked]}


@pytest.fixture
def adopted(tmp_path, monkeypatch):
    """A shop whose prompts have variables on both sides."""
    world = World.build(tmp_path / "shop")
    prompt = {"system": "You talk to {name}. Be brief.", "user": "Q: {question} I: {documents}"}
    stable = world.house.spec.configuration.with_layer(Layer.PROMPT, prompt)
    lineage = world.house.lineage()
    world.house.control.put_configuration(world.house.app, stable, note="test", at=0.0)
    lying = replace(lineage, stable=stable.id)
    monkeypatch.setattr(type(world.house.control), "lineage", lambda *_: lying)
    yield world
    world.house.close()


def test_inputs_are_read_by_the_templates_of_stable(adopted):
    told = Telling(adopted.house).inputs(said("You talk to Ann. Be brief.", "Q: where? I: there."))
    assert told == {"name": "Ann", "question": "where?", "documents": "there."}


def test_what_does_not_fit_or_has_more_turns_is_not_guessed_at(adopted):
    telling = Telling(adopted.house)
    assert telling.inputs(said("You talk to Ann. Be long.", "Q: where? I: there.")) is None
    assert telling.inputs(said("You talk to Ann. Be brief.", "Q: a I: b", "Yes.", "Q: c I: d")) is None
    assert telling.inputs(said("You talk to Ann. Be brief.")) is None


def test_inputs_by_name_stay_as_they_are(adopted):
    assert Telling(adopted.house).inputs({"question": "where?"}) == {"question": "where?"}


def test_plans_and_eval_sets_see_them_by_name(adopted):
    fits = said("You talk to Ann. Be brief.", "Q: where? I: there.")
    other = said("Something else.", "and else")
    for number, inputs in enumerate((fits, other)):
        adopted.house.traces.add_traces([adopted.trace(number, f"t-{number}", inputs=inputs)])
    assert known(adopted.house).inputs == frozenset({"name", "question", "documents"})
    cases = [case.inputs for case in build_eval_set(adopted.house, size=10).cases]
    assert {"name": "Ann", "question": "where?", "documents": "there."} in cases


def test_before_anything_is_stable_conversations_stay_conversations(tmp_path, monkeypatch):
    world = World.build(tmp_path / "shop")
    monkeypatch.setattr(type(world.house.control), "lineage", lambda *_: None)
    one = said("You talk to Ann.", "Q: where?")
    assert Telling(world.house).inputs(one) == one
    world.house.close()
