"""What validation knows of an app: by call, with the recording, the catalogue, and what stable runs with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from tests.unit.app.loop.world import World

from inchworm.app.loop.adopting import take_back
from inchworm.app.loop.knowing import catalogue, known, model
from inchworm.app.loop.retiring import notices, today
from inchworm.app.loop.standing import look
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.layers import Layer
from inchworm.domain.trace import CALL, Usage
from inchworm.providers.catalogue import ModelFacts
from inchworm.rollout.validate import doubts, validate


def declare(world: World, configuration: Configuration) -> None:
    """Another configuration is declared, and stable from now on."""
    take_back(world.house)
    world.house.spec = replace(world.house.spec, configuration=configuration)
    world.house.declare_stable()


def keyed(world: World) -> Configuration:
    prompt = world.stable.layer(Layer.PROMPT)
    return world.stable.with_layer(Layer.PROMPT, prompt | {"calls": {"rerank": {"user": "{passages}"}}})


def test_inputs_of_a_call_with_values_of_its_own_are_known_apart(world: World) -> None:
    declare(world, keyed(world))
    world.take(
        [world.trace(n, f"a-{n}") for n in range(3)]
        + [
            world.trace(n, f"r-{n}", inputs={"passages": f"p{n}"}, attributes={CALL: "rerank"})
            for n in range(3)
        ]
        + [world.trace(n, f"o-{n}", attributes={CALL: "other"}) for n in range(3)]
    )
    found = known(world.house)
    assert found.inputs == frozenset({"question", "documents"})
    assert found.calls["rerank"].inputs == frozenset({"passages"})
    assert validate(keyed(world), found) == ()


def test_how_fast_a_model_writes_is_read_off_its_answers(world: World) -> None:
    said = {"gen_ai.request.model": "tiny"}
    world.take(
        [
            world.trace(
                n % 60, f"f-{n}", latency_ms=1_000.0 + n, usage=Usage(output_tokens=100), attributes=said
            )
            for n in range(40)
        ]
    )
    assert known(world.house).seconds_per_token["tiny"] == pytest.approx(0.01, rel=0.01)


def test_a_model_without_recorded_answers_is_doubted(world: World) -> None:
    world.history(100)
    assert doubts(world.stable, known(world.house)) == ()
    other = world.stable.with_layer(Layer.MODEL, {"name": "huge"})
    (doubt,) = doubts(other, known(world.house))
    assert "no answer of huge" in doubt.message


def test_what_stable_runs_with_refuses_no_change(world: World) -> None:
    facts = ModelFacts(name="tiny", provider="ours", output_tokens=10, own=True)
    world.house.spec = replace(world.house.spec, models=(facts,))
    found = known(world.house)
    assert validate(world.stable, found) == ()
    shorter = world.stable.with_layer(Layer.PARAMETERS, {"temperature": 0, "max_tokens": 11})
    assert len(validate(shorter, found)) == 1


def test_a_model_that_is_not_known_is_an_error_with_the_nearest(world: World) -> None:
    with pytest.raises(NotFoundError, match='Did you mean "gpt-4o-mini"'):
        model(world.house, "gpt-4o-mni")
    assert model(world.house, "gpt-4o-mini") in catalogue(world.house).models


# --- retirement


def retired_in(world: World, days: int, *, name: str = "tiny", earliest: bool = False) -> date:
    day = today(world.house) + timedelta(days=days)
    facts = ModelFacts(name=name, provider="ours", retires_on=day, earliest=earliest, own=True)
    world.house.spec = replace(world.house.spec, models=(facts,))
    return day


def test_a_note_says_how_long_there_is_and_a_warning_that_it_is_over(world: World) -> None:
    assert today(world.house) == datetime.fromtimestamp(world.clock.at, UTC).date()
    day = retired_in(world, 72)
    (one,) = notices(world.house)
    assert one.text == f"tiny is retired on {day} (72 days): plan the model step before."
    assert (one.level, one.days, one.where) == ("note", 72, ("stable", "inchworm.yaml"))
    (over,) = notices(world.house, on=day)
    assert over.level == "warning"
    assert over.text == (
        f"tiny is retired since {day}; requests to it fail, or another model answers them: plan the model "
        "step now."
    )
    assert notices(world.house, on=day - timedelta(days=91)) == ()


def test_a_day_that_is_the_earliest_possible_is_said_to_be_one(world: World) -> None:
    day = retired_in(world, 10, earliest=True)
    (one,) = notices(world.house)
    assert one.text == f"tiny may be retired from {day} on (10 days): plan the model step before."
    (over,) = notices(world.house, on=day + timedelta(days=1))
    assert over.text == f"tiny may be retired since {day}: plan the model step now."


def test_the_models_of_what_is_queued_are_looked_at_too(world: World) -> None:
    from inchworm.app.loop.changing import apply
    from inchworm.app.loop.planning import make_plan

    wanted = world.stable.with_layer(Layer.MODEL, {"name": "next"})
    (rollout,) = apply(world.house, make_plan(world.house, wanted).id)
    retired_in(world, 5, name="next")
    (one,) = notices(world.house)
    assert (one.model, one.where) == ("next", (rollout.id,))
    assert look(world.house).notices == (one,)
