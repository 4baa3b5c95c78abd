"""Replay of an app that makes several calls: each case is asked, and paid, as its call is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inchworm.benchmark.curate import draw
from inchworm.benchmark.ports import TrialKey
from inchworm.benchmark.replay import run_trials
from inchworm.domain.benchmark import Trial
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.evalset import Case
from inchworm.domain.ids import CaseId, ConfigurationId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Ok
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import CALL, Trace, Usage
from inchworm.providers.upstream import Completion, Reply

APP = AppRef(app="shop", environment="production")
KEYED = Configuration.of(
    {
        "model": {"name": "large", "calls": {"rerank": {"name": "small"}}},
        "prompt": {"user": "{question}", "calls": {"rerank": {"user": "Sort: {passages}"}}},
        "infrastructure": {
            "price": {"input": 1_000, "output": 1_000},
            "calls": {"rerank": {"price": {"input": 1, "output": 1}}},
        },
    }
)


def trace(number: int, inputs: dict[str, Any], call: str | None) -> Trace:
    return Trace(
        id=TraceId(f"t-{number}"),
        app=APP,
        at=float(number),
        unit_id=UnitId(f"u-{number}"),
        inputs=inputs,
        outcome=Ok(),
        attributes={} if call is None else {CALL: call},
    )


def cases() -> tuple[Case, ...]:
    traces = [trace(n, {"question": f"q{n}"}, None) for n in range(3)]
    traces += [trace(10 + n, {"passages": f"p{n}"}, "rerank") for n in range(3)]
    traces += [trace(20 + n, {"question": f"o{n}"}, "other") for n in range(3)]
    return draw(traces, {}, size=20, seed=1, name="main", app=APP).cases


class Cache:
    """Keeps nothing but what is written."""

    def __init__(self) -> None:
        self.kept: dict[TrialKey, Trial] = {}

    def trials(
        self, case_ids: Collection[CaseId], configuration_ids: Collection[ConfigurationId]
    ) -> Mapping[TrialKey, Trial]:
        return {key: t for key, t in self.kept.items() if key[0] in case_ids and key[1] in configuration_ids}

    def put_trials(self, trials: Sequence[Trial]) -> None:
        self.kept |= {(t.case_id, t.configuration_id, t.repetition): t for t in trials}


@dataclass
class Model:
    """Notes what it was asked."""

    of: Configuration
    asked: list[tuple[str, str]] = field(default_factory=list)
    closed: int = 0

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:
        del sample
        self.asked.append((request.target["name"], request.messages[-1].content))
        usage = Usage(input_tokens=1, output_tokens=1)
        return Completion(text="yes", finish_reason="stop", latency_ms=5, usage=usage)

    async def close(self) -> None:
        self.closed += 1


def run(cache: Cache) -> tuple[list[Model], Sequence[Trial]]:
    made: list[Model] = []

    def upstream(configuration: Configuration) -> Model:
        made.append(Model(configuration))
        return made[-1]

    found = run_trials(cases(), [KEYED], repetitions=1, upstream=upstream, metrics=[], cache=cache)
    return made, found.trials


def test_cases_remember_the_call_of_their_interaction() -> None:
    assert sorted(str(case.call) for case in cases()) == ["None"] * 3 + ["other"] * 3 + ["rerank"] * 3


def test_a_case_is_rendered_as_its_call_is_and_others_with_the_common_values() -> None:
    made, _ = run(Cache())
    asked = {pair for model in made for pair in model.asked}
    assert asked == {
        *((("small"), f"Sort: p{n}") for n in range(3)),
        *((("large"), f"q{n}") for n in range(3)),
        *((("large"), f"o{n}") for n in range(3)),
    }


def test_one_upstream_serves_all_calls_without_values_of_their_own_and_each_is_closed_once() -> None:
    made, _ = run(Cache())
    assert len(made) == 2
    assert sorted(model.of.layer(Layer.MODEL)["name"] for model in made) == ["large", "small"]
    assert all("calls" not in model.of.layer(layer) for model in made for layer in Layer)
    assert [model.closed for model in made] == [1, 1]


def test_trials_are_kept_under_the_whole_configuration_and_cost_what_their_call_costs() -> None:
    cache = Cache()
    _, trials = run(cache)
    assert {trial.configuration_id for trial in trials} == {KEYED.id}
    cost = {case.call: trial.usage.cost_usd for case, trial in zip(cases(), trials, strict=True)}
    assert cost["rerank"] is not None
    assert cost[None] == cost["other"] == 1_000 * cost["rerank"]
    again, same = run(cache)
    assert again == []
    assert same == trials
