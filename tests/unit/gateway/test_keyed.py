"""Layers keyed by call: the gateway applies the values of the call that is named."""

from __future__ import annotations

from typing import Any

import pytest

from inchworm.capture.fields import UnitFrom
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.published import Published, PublishedApp
from inchworm.domain.serving import Candidate, ServingTable
from inchworm.gateway.applying import apply
from inchworm.gateway.compiled import compiled
from inchworm.gateway.resolving import Decision, Serving, unexposed

APP = AppRef(app="shop", environment="production")
STABLE = Configuration.of(
    {
        "infrastructure": {"base_url": "http://a/v1", "calls": {"rerank": {"base_url": "http://b/v1"}}},
        "model": {"name": "large", "calls": {"rerank": {"name": "small"}}},
        "parameters": {"temperature": 0.5, "calls": {"rerank": {"temperature": 0}}},
        "prompt": {
            "system": "Help.",
            "calls": {"rerank": {"few_shot": [{"inputs": {"question": "which?"}, "answer": "2"}]}},
        },
    }
)
CANDIDATE = STABLE.with_layer(
    Layer.PROMPT,
    {
        "system": "Help.",
        "calls": {
            "rerank": {"system": "Sort.", "few_shot": [{"inputs": {"question": "which?"}, "answer": "2"}]}
        },
    },
)


def serving(weight: float | None = None) -> Serving:
    candidate = Candidate(
        rollout_id=RolloutId("r-1"),
        configuration_id=CANDIDATE.id,
        stage=0,
        weight=weight or 0.0,
        salt="s",
        hash_version=1,
    )
    table = ServingTable(
        app=APP, generation=1, stable=STABLE.id, candidate=None if weight is None else candidate
    )
    one = PublishedApp(app=APP, table=table, configurations={STABLE.id: STABLE, CANDIDATE.id: CANDIDATE})
    return Serving(Published(apps=(one,)), b"k" * 32)


def decided(one: Serving, call: str | None) -> Decision:
    return one.decide(one.apps[0], UnitId("ana"), UnitFrom.STATED, {}, call=call)


@pytest.mark.parametrize(
    ("call", "model", "address", "temperature"),
    [
        (None, "large", "http://a/v1", 0.5),
        ("rerank", "small", "http://b/v1", 0),
        ("other", "large", "http://a/v1", 0.5),
    ],
)
def test_a_call_gets_its_values_and_any_other_name_the_common_ones(
    call: str | None, model: str, address: str, temperature: float
) -> None:
    decision = decided(serving(), call)
    assert decision.compiled is not None
    assert (decision.compiled.model, decision.infrastructure["base_url"]) == (model, address)
    body = apply({"messages": [{"role": "user", "content": "When?"}]}, decision.compiled).body
    assert (body["model"], body["temperature"]) == (model, temperature)
    assert "calls" not in body


def test_whatever_the_call_the_whole_configuration_is_recorded() -> None:
    assert {decided(serving(), call).configuration_id for call in (None, "rerank", "other")} == {STABLE.id}


def test_each_call_is_made_ready_once() -> None:
    one = serving()
    assert decided(one, "rerank").compiled is decided(one, "rerank").compiled
    assert decided(one, None).compiled is decided(one, "other").compiled


def test_a_candidate_moves_the_prompt_of_one_call_alone() -> None:
    one = serving(weight=1.0)
    asked = {"messages": [{"role": "system", "content": "Help."}, {"role": "user", "content": "When?"}]}

    def system(call: str | None) -> str:
        found: str = apply(asked, decided(one, call).compiled).body["messages"][0]["content"]
        return found

    assert decided(one, None).configuration_id == CANDIDATE.id
    assert (system(None), system("rerank")) == ("Help.", "Sort.")


def test_who_cannot_be_exposed_gets_stable_s_values_of_the_same_call() -> None:
    one = serving(weight=1.0)
    back = unexposed(one.apps[0], decided(one, "rerank"))
    assert back.configuration_id == STABLE.id
    assert back.compiled is not None
    assert back.compiled.model == "small"
    assert (back.infrastructure["base_url"], back.assignment) == ("http://b/v1", None)


def test_examples_of_every_call_say_nothing_of_who_is_talking() -> None:
    assert "which?" in serving().apps[0].examples


def test_a_layer_that_only_the_program_can_follow_is_left_to_it_for_the_call_that_moves_it() -> None:
    moved = STABLE.with_layer(Layer.TOOLS, {"calls": {"rerank": {"index": "faq-2"}}})
    ready = compiled(moved, STABLE)
    assert ready.of(None).left_to_app == ()
    assert ready.of("rerank").left_to_app == (Layer.TOOLS,)


def test_an_app_that_is_only_observed_goes_where_its_call_is_declared_to_go() -> None:
    infrastructure: dict[str, Any] = {"base_url": "http://a", "calls": {"rerank": {"base_url": "http://b"}}}
    observed = PublishedApp(app=APP, infrastructure=infrastructure)
    one = Serving(Published(apps=(observed,)), b"k" * 32)
    assert decided(one, "rerank").infrastructure == {"base_url": "http://b"}
    assert decided(one, None).infrastructure == {"base_url": "http://a"}


def test_the_newer_name_of_the_limit_takes_the_place_of_the_caller_s() -> None:
    thinker = Configuration.of({"model": {"name": "t"}, "parameters": {"max_completion_tokens": 9}})
    body = apply({"max_tokens": 5, "messages": []}, compiled(thinker, thinker)).body
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
