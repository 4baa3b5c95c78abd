"""Replay: everything once, in pairs, within the budget, and going on where it was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from inchworm.benchmark.ports import TrialKey
from inchworm.benchmark.replay import Progress, Replay, replay, run_trials
from inchworm.domain.benchmark import Trial
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ProviderError, UsageError
from inchworm.domain.evalset import Case
from inchworm.domain.ids import CaseId, ConfigurationId
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.outcome import Errored, Failed, Ok, Scored, Unscored
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.upstream import Completion, Late, Refused, Reply

PRICE = {"input": 1_000, "output": 1_000}


def configuration(tone: str, user: str = "{question}", **infrastructure: Any) -> Configuration:
    return Configuration.of(
        {
            "model": {"name": "tiny"},
            "prompt": {"system": tone, "user": user},
            "infrastructure": {"price": PRICE, **infrastructure},
        }
    )


BASE, CANDIDATE = configuration("plain"), configuration("rude")


def metric(name: str = "answered", source: dict[str, Any] | None = None) -> Metric:
    return Metric(
        name=name,
        source=source or {"check": "contains_reference"},
        role=Role.GOAL,
        clock=Clock.FAST,
        margin=0.03,
        harm_margin=0.015,
    )


def cases(count: int) -> list[Case]:
    made = []
    for number in range(count):
        inputs = {"question": f"q{number}"}
        made.append(
            Case(
                id=Case.identify(inputs, "yes"),
                inputs=inputs,
                reference="yes",
                origin="file:x",
                cluster="a",
                group=f"g{number}",
            )
        )
    return made


class Cache:
    """A cache in memory that counts what is written."""

    def __init__(self) -> None:
        self.kept: dict[TrialKey, Trial] = {}
        self.writes: list[int] = []

    def trials(
        self, case_ids: Collection[CaseId], configuration_ids: Collection[ConfigurationId]
    ) -> Mapping[TrialKey, Trial]:
        return {key: t for key, t in self.kept.items() if key[0] in case_ids and key[1] in configuration_ids}

    def put_trials(self, trials: Sequence[Trial]) -> None:
        assert not any(isinstance(trial.outcome, Errored) for trial in trials)
        self.writes.append(len(trials))
        self.kept |= {(t.case_id, t.configuration_id, t.repetition): t for t in trials}


@dataclass
class Model:
    """Says yes. Faults by the number of the call, from 0."""

    faults: dict[int, Exception | Reply] = field(default_factory=dict)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    closed: int = 0
    in_flight: int = 0
    most: int = 0

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:
        number = len(self.asked)
        self.asked.append((request.messages[0].content, request.messages[-1].content, sample))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(0)
            fault = self.faults.get(number)
            if isinstance(fault, Exception):
                raise fault
            usage = Usage(input_tokens=6, output_tokens=4)
            return fault or Completion(text="yes", finish_reason="stop", latency_ms=5, usage=usage)
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        self.closed += 1


def go(model: Model, count: int = 4, cache: Cache | None = None, **settings: Any) -> Replay:
    given: dict[str, Any] = {
        "repetitions": 1,
        "metrics": [metric()],
        "upstream": lambda _: model,
        "cache": cache if cache is not None else Cache(),
        **settings,
    }
    return run_trials(cases(count), given.pop("configurations", [BASE, CANDIDATE]), **given)


def test_every_trial_is_made_once_and_scored():
    model, cache = Model(), Cache()
    result = go(model, 3, cache, repetitions=2)
    assert len(result.trials) == len(set(model.asked)) == len(model.asked) == 12
    assert result.stopped is None
    assert {t.results["answered"] for t in result.trials} == {Scored(value=1.0)}
    assert [t.repetition for t in result.trials[:4]] == [0, 0, 1, 1]
    assert result.trials[0].usage == Usage(input_tokens=6, output_tokens=4, cost_usd=0.01)
    assert result.progress.cost_usd == pytest.approx(0.12)
    assert replace(result.progress, cost_usd=0) == Progress(
        done=12, total=12, cached=0, errored=0, cost_usd=0
    )
    assert len(cache.kept) == 12
    assert model.closed == 1


def test_base_and_candidate_take_turns_in_going_first():
    model = Model()
    go(model, 4, concurrency=1)
    assert [tone for tone, _, _ in model.asked] == ["plain", "rude", "rude", "plain"] * 2


def test_a_second_run_asks_nobody_but_scores_with_the_metrics_of_today():
    cache = Cache()
    go(Model(), 3, cache)
    model = Model()
    result = go(model, 3, cache, metrics=[metric("short", {"check": {"max_words": 0}})])
    assert model.asked == []
    assert {name for t in result.trials for name in t.results} == {"short"}
    assert {t.results["short"] for t in result.trials} == {Scored(value=0.0)}
    assert result.progress.cached == result.progress.done == 6
    assert result.progress.cost_usd == 0


def test_scores_that_code_does_not_give_stay_in_cached_trials():
    cache = Cache()
    helpful = metric("helpful", {"judge": "helpful"})
    go(Model(), 1, cache, metrics=[helpful])
    for trial in cache.kept.values():
        assert isinstance(trial.results["helpful"], Unscored)
        trial.results["helpful"] = Scored(value=0.5)
    result = go(Model(), 1, cache, metrics=[helpful])
    assert {t.results["helpful"] for t in result.trials} == {Scored(value=0.5)}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_killed_in_the_middle_it_goes_on_where_it_was(concurrency):
    cache = Cache()
    broken = Model(faults={9: RuntimeError("killed")})
    with pytest.raises(RuntimeError, match="killed"):
        go(broken, 10, cache, concurrency=concurrency, batch=4)
    assert broken.closed == 1
    assert broken.in_flight == 0
    before = len(cache.kept)
    assert before >= 9 - concurrency + 1
    model = Model()
    result = go(model, 10, cache, concurrency=concurrency)
    assert len(model.asked) == 20 - before
    assert len(result.trials) == len(cache.kept) == 20
    assert result.progress.cached == before


def test_a_cancelled_replay_keeps_what_it_paid_for():
    cache, model = Cache(), Model()
    halfway = asyncio.Event()

    def watch(progress: Progress) -> None:
        if progress.done == 5:
            halfway.set()

    async def cancel() -> None:
        task = asyncio.create_task(
            replay(
                cases(20),
                [BASE, CANDIDATE],
                repetitions=1,
                upstream=lambda _: model,
                metrics=[metric()],
                cache=cache,
                concurrency=2,
                progress=watch,
            )
        )
        await halfway.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert 5 <= len(cache.kept) < 40
    assert model.closed == 1


def test_trials_are_written_in_batches():
    cache = Cache()
    go(Model(), 5, cache, batch=4)
    assert cache.writes == [4, 4, 2]


def test_an_errored_trial_is_tried_once_more_then_counted_and_never_cached():
    cache = Cache()
    down = ProviderError("down")
    result = go(Model(faults={0: down, 2: down, 3: down}), 2, cache, concurrency=1)
    outcomes = [type(trial.outcome) for trial in result.trials]
    assert outcomes.count(Errored) == 1
    assert result.progress.errored == 1
    assert len(cache.kept) == 3
    errored = next(trial for trial in result.trials if isinstance(trial.outcome, Errored))
    assert errored.results["answered"] == Errored(reason="down")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Refused(status=400, message="too long"), "refused with status 400: too long"),
        (Late(deadline_s=0.6, latency_ms=700), "deadline of 0.6 s missed"),
    ],
)
def test_what_the_candidate_caused_is_a_failure_that_counts_as_0(reply, reason):
    cache = Cache()
    result = go(Model(faults={0: reply}), 1, cache, concurrency=1)
    failed = result.trials[0]
    assert failed.outcome == Failed(reason=reason)
    assert failed.results["answered"] == Scored(value=0.0)
    assert failed.output is None
    assert result.trials[1].outcome == Ok()
    assert len(cache.kept) == 2


def test_a_template_that_does_not_fit_is_a_failure_and_asks_nobody():
    model = Model()
    result = go(model, 1, configurations=[BASE, configuration("rude", user="{querstion}")])
    assert len(model.asked) == 1
    failed = result.trials[1].outcome
    assert isinstance(failed, Failed)
    assert "querstion" in failed.reason


def test_no_more_cases_are_in_flight_than_allowed():
    model = Model()
    go(model, 20, concurrency=3)
    assert model.most == 3


@pytest.mark.parametrize(("max_usd", "pairs"), [(0.05, 2), (0.02, 1), (0.005, 1), (0.2, 10)])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_stops_it_between_pairs(max_usd, pairs, concurrency):
    model = Model()
    result = go(model, 10, max_usd=max_usd + 1e-9, concurrency=concurrency)
    assert len(result.trials) == 2 * pairs
    tried: dict[str, int] = {}
    for trial in result.trials:
        tried[trial.case_id] = tried.get(trial.case_id, 0) + 1
    assert set(tried.values()) == {2}
    assert (result.stopped is None) is (pairs == 10)
    if result.stopped is not None:
        assert "the budget of 0.0" in result.stopped


def test_a_budget_needs_prices_and_tokens():
    free = Configuration.of({"model": {"name": "tiny"}, "prompt": {"user": "{question}"}})
    with pytest.raises(UsageError, match="nobody said what tiny costs"):
        go(Model(), configurations=[free], max_usd=1)
    silent = Completion(text="yes", finish_reason=None, latency_ms=1)
    result = go(Model(faults=dict.fromkeys(range(20), silent)), 10, max_usd=1)
    assert result.stopped is not None
    assert "does not say how many tokens" in result.stopped
    assert len(result.trials) < 20


def test_what_is_cached_costs_no_budget():
    cache = Cache()
    go(Model(), 10, cache)
    result = go(Model(), 10, cache, max_usd=0.0)
    assert result.stopped is None
    assert len(result.trials) == 20


def test_a_wrong_call_raises_what_the_upstream_raises():
    with pytest.raises(UsageError, match="no key"):
        go(Model(faults={1: UsageError("no key")}), 10)
    with pytest.raises(UsageError, match="at least 1"):
        go(Model(), repetitions=0)


def test_nothing_to_do_is_done():
    model = Model()
    assert go(model, 0) == Replay(
        trials=(), progress=Progress(done=0, total=0, cached=0, errored=0, cost_usd=0)
    )
    assert go(model, 3, configurations=[]).trials == ()
    assert model.asked == []


def test_progress_is_told_from_the_start_to_the_end():
    told: list[Progress] = []
    go(Model(), 2, progress=told.append)
    assert [p.done for p in told] == [0, 1, 2, 3, 4]
    assert {p.total for p in told} == {4}
