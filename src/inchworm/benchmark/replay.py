"""Trials: every case under every configuration, from the cache or from the model.

What one case and repetition needs is asked together, base and candidate in turn first, so that a drift of the
provider hits both alike, and so that a run that is cut short leaves whole pairs. Answers are cached, scores
are not: a trial from the cache is scored anew with today's metrics.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from inchworm.benchmark.ports import TrialCache, TrialKey
from inchworm.domain.benchmark import Trial
from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ProviderError, TemplateError, UsageError
from inchworm.domain.evalset import Case
from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Errored, Failed, Outcome
from inchworm.domain.rendering import render
from inchworm.domain.trace import Usage
from inchworm.evaluators.score import computed, score
from inchworm.providers.pricing import Price, price_of, priced
from inchworm.providers.upstream import Completion, Late, Refused, Reply, Upstream, outcome

_Key = tuple[ConfigurationId, str | None]
_TRIES = 2
"""An errored trial is tried once more before it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay is.

    Attributes:
        done: trials that are there, cached ones included.
        total: trials that were asked for.
        cached: trials that came from the cache.
        errored: trials on which the harness failed.
        cost_usd: what this run has cost, as far as known.
    """

    done: int
    total: int
    cached: int
    errored: int
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of a replay.

    Attributes:
        trials: in the order of cases, repetitions and configurations as given.
        progress: the counts at the end.
        stopped: why not all trials were made, as half a sentence; ``None`` if all were.
    """

    trials: tuple[Trial, ...]
    progress: Progress
    stopped: str | None = None


def run_trials(
    cases: Sequence[Case],
    configurations: Sequence[Configuration],
    *,
    repetitions: int,
    upstream: Callable[[Configuration], Upstream],
    metrics: Sequence[Metric],
    cache: TrialCache,
    prices: Mapping[str, Price] | None = None,
    concurrency: int = 16,
    batch: int = 64,
    max_usd: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Replay:
    """:func:`replay` for callers without an event loop."""
    return asyncio.run(
        replay(
            cases,
            configurations,
            repetitions=repetitions,
            upstream=upstream,
            metrics=metrics,
            cache=cache,
            prices=prices,
            concurrency=concurrency,
            batch=batch,
            max_usd=max_usd,
            progress=progress,
        )
    )


async def replay(
    cases: Sequence[Case],
    configurations: Sequence[Configuration],
    *,
    repetitions: int,
    upstream: Callable[[Configuration], Upstream],
    metrics: Sequence[Metric],
    cache: TrialCache,
    prices: Mapping[str, Price] | None = None,
    concurrency: int = 16,
    batch: int = 64,
    max_usd: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Replay:
    """Make every trial that the cache does not have. Killed at any moment, it goes on where it was.

    Args:
        cases: what is asked; no case twice.
        configurations: who is asked; no configuration twice.
        repetitions: samples per case and configuration, at least 1.
        upstream: who answers for a configuration; called once for each (and for each call with values of its
            own), and closed at the end.
        metrics: what the answers are scored by.
        cache: where trials are kept, in batches of ``batch``.
        prices: US dollars per million tokens by model name, for layers that say no price themselves.
        concurrency: cases in flight at once, each with one request at a time.
        batch: trials between two writes to the cache.
        max_usd: what this run may cost at most; it stops before it would cost more.
        progress: called after every trial.

    Raises:
        UsageError: if a number is out of range, if a budget is set but a price is not known, or as the
            upstream raises it, e.g. for a missing API key.
    """
    if repetitions < 1 or concurrency < 1 or batch < 1:
        msg = f"repetitions, concurrency and batch are at least 1, not {repetitions}, {concurrency}, {batch}"
        raise UsageError(msg)
    effective = {
        (configuration.id, call): for_call(configuration, call)
        for configuration in configurations
        for call in {case.call for case in cases}
    }
    price = {key: price_of(values, prices) for key, values in effective.items()}
    if max_usd is not None:
        _demand_prices(effective, price)
    known = cache.trials([case.id for case in cases], [configuration.id for configuration in configurations])
    run = _Run(
        configurations=configurations,
        metrics=metrics,
        cache=cache,
        effective=effective,
        price=price,
        batch=batch,
        max_usd=max_usd,
        report=progress,
        total=len(cases) * len(configurations) * repetitions,
    )
    for position, (repetition, case) in enumerate((r, case) for r in range(repetitions) for case in cases):
        turn = position % max(1, len(configurations))
        missing: list[Configuration] = []
        for configuration in (*configurations[turn:], *configurations[:turn]):
            trial = known.get((case.id, configuration.id, repetition))
            if trial is None:
                missing.append(configuration)
            else:
                run.take(case, trial)
        if missing:
            run.queue.append((case, repetition, tuple(missing)))
    run.tell()
    if run.queue:
        await _ask(run, _upstreams(configurations, effective, upstream), concurrency)
    keys = [(case.id, c.id, r) for case in cases for r in range(repetitions) for c in configurations]
    return Replay(
        trials=tuple(run.trials[key] for key in keys if key in run.trials),
        progress=run.counts(),
        stopped=run.stopped,
    )


def _upstreams(
    configurations: Sequence[Configuration],
    effective: Mapping[_Key, Configuration],
    upstream: Callable[[Configuration], Upstream],
) -> dict[_Key, Upstream]:
    """Who answers: one per configuration, and one more per call with values of its own."""
    found: dict[_Key, Upstream] = {}
    for configuration in configurations:
        own = set(call_names(configuration))
        common: Upstream | None = None
        for key in (key for key in effective if key[0] == configuration.id):
            if key[1] in own:
                found[key] = upstream(effective[key])
            else:
                common = upstream(effective[key]) if common is None else common
                found[key] = common
    return found


async def _ask(run: _Run, upstreams: Mapping[_Key, Upstream], concurrency: int) -> None:
    workers: list[asyncio.Task[None]] = []
    try:
        if run.max_usd is not None:
            await run.one(upstreams)  # so that the others know what a trial costs
        workers += [asyncio.create_task(run.work(upstreams)) for _ in range(min(concurrency, len(run.queue)))]
        await asyncio.gather(*workers)
    finally:
        # Whatever ended it, finished answers are kept: they were paid for.
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        run.flush()
        for upstream in {id(upstream): upstream for upstream in upstreams.values()}.values():
            await upstream.close()


@dataclass(slots=True, kw_only=True)
class _Run:
    """The state of one replay; lives in one event loop."""

    configurations: Sequence[Configuration]
    metrics: Sequence[Metric]
    cache: TrialCache
    effective: Mapping[_Key, Configuration]
    price: Mapping[_Key, Price | None]
    batch: int
    max_usd: float | None
    report: Callable[[Progress], None] | None
    total: int
    queue: deque[tuple[Case, int, tuple[Configuration, ...]]] = field(default_factory=deque)
    trials: dict[TrialKey, Trial] = field(default_factory=dict)
    unsaved: list[Trial] = field(default_factory=list)
    cached: int = 0
    errored: int = 0
    asked: int = 0
    in_flight: int = 0
    spent: float = 0.0
    stopped: str | None = None

    def take(self, case: Case, cached: Trial) -> None:
        """A trial from the cache, scored anew; scores that code does not give stay as they are."""
        trial = replace(cached, usage=priced(cached.usage, self.price[cached.configuration_id, case.call]))
        trial = self._scored(case, trial)
        self.trials[trial.case_id, trial.configuration_id, trial.repetition] = trial
        self.cached += 1

    def counts(self) -> Progress:
        return Progress(
            done=len(self.trials),
            total=self.total,
            cached=self.cached,
            errored=self.errored,
            cost_usd=self.spent,
        )

    def tell(self) -> None:
        if self.report is not None:
            self.report(self.counts())

    def flush(self) -> None:
        kept = [trial for trial in self.unsaved if not isinstance(trial.outcome, Errored)]
        self.unsaved = []
        if kept:
            self.cache.put_trials(kept)

    async def work(self, upstreams: Mapping[_Key, Upstream]) -> None:
        while await self.one(upstreams):
            pass

    async def one(self, upstreams: Mapping[_Key, Upstream]) -> bool:
        """Make all trials of the next case and repetition; false if there is none, or no money for it."""
        if self.stopped is not None or not self.queue or not self._affordable(len(self.queue[0][2])):
            return False
        case, repetition, missing = self.queue.popleft()
        self.in_flight += len(missing)
        for configuration in missing:
            upstream = upstreams[configuration.id, case.call]
            trial = await self._trial(case, configuration, repetition, upstream)
            self.in_flight -= 1
            self._add(trial)
        return True

    def _affordable(self, more: int) -> bool:
        if self.max_usd is None:
            return True
        each = self.spent / self.asked if self.asked else 0.0
        if self.spent + each * (self.in_flight + more) <= self.max_usd and self.spent < self.max_usd:
            return True
        self.stopped = f"the budget of {self.max_usd:.2f} USD is used up"
        return False

    def _add(self, trial: Trial) -> None:
        self.trials[trial.case_id, trial.configuration_id, trial.repetition] = trial
        self.unsaved.append(trial)
        self.errored += isinstance(trial.outcome, Errored)
        cost = trial.usage.cost_usd
        if cost is not None:
            self.asked += 1
            self.spent += cost
        elif self.max_usd is not None and trial.output is not None and self.queue:
            self.stopped = "the upstream does not say how many tokens it used, so no budget can be held"
        if len(self.unsaved) >= self.batch:
            self.flush()
        self.tell()

    async def _trial(
        self, case: Case, configuration: Configuration, repetition: int, upstream: Upstream
    ) -> Trial:
        became: Outcome
        reply: Reply | None = None
        try:
            request = render(self.effective[configuration.id, case.call], case.inputs)
        except TemplateError as error:
            became = Failed(reason=error.message)
        else:
            became = Errored(reason="not asked")
            for _ in range(_TRIES):
                try:
                    reply = await upstream.complete(request, sample=repetition)
                except ProviderError as error:
                    became = Errored(reason=error.message)
                else:
                    became = outcome(reply)
                    break
        trial = Trial(
            case_id=case.id, configuration_id=configuration.id, repetition=repetition, outcome=became
        )
        return self._scored(case, _filled(trial, reply, self.price[configuration.id, case.call]))

    def _scored(self, case: Case, trial: Trial) -> Trial:
        results = score(
            self.metrics,
            outcome=trial.outcome,
            output=trial.output,
            finish_reason=trial.finish_reason,
            latency_ms=trial.latency_ms,
            usage=trial.usage,
            reference=case.reference,
        )
        for metric in self.metrics:
            if not computed(metric) and metric.name in trial.results:
                results[metric.name] = trial.results[metric.name]
        return replace(trial, results=results)


def _filled(trial: Trial, reply: Reply | None, price: Price | None) -> Trial:
    match reply:
        case Completion(text=text, finish_reason=finish, latency_ms=latency, usage=usage):
            return replace(
                trial,
                output=text,
                finish_reason=finish,
                latency_ms=latency,
                usage=priced(usage, price),
            )
        case Late(latency_ms=latency, usage=usage):
            return replace(trial, latency_ms=latency, usage=priced(usage, price))
        case Refused() | None:
            return replace(trial, usage=Usage())


def _demand_prices(effective: Mapping[_Key, Configuration], price: Mapping[_Key, Price | None]) -> None:
    for key, values in effective.items():
        if price[key] is None:
            name = values.layer(Layer.MODEL).get("name", short(key[0]))
            msg = f"a budget is set, but nobody said what {name} costs"
            hint = "add price: {input: .., output: ..} (USD per million tokens) to layers.infrastructure"
            raise UsageError(msg, hint=hint)
