"""Benchmarks: eval sets drawn from what is stored, configurations compared, work done for rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.evidence import freeze, freeze_now
from inchworm.app.loop.telling import Telling
from inchworm.app.loop.upstreams import upstream_for
from inchworm.benchmark.curate import draw, grow
from inchworm.benchmark.gate import gate
from inchworm.benchmark.replay import Progress, Replay, run_trials
from inchworm.benchmark.report import decisive
from inchworm.benchmark.wording import WORDS
from inchworm.domain.benchmark import Benchmark, Trial
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import InchwormError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import LedgerEntry, RolloutState
from inchworm.domain.work import WorkItem

MAIN = "main"
"""The eval set that gates use unless told otherwise."""
KIND = "benchmark"
_LEASE_S = 600.0
_SAMPLES = 3
"""Repetitions where sampling makes answers differ."""

Watch = Callable[[Progress], None]


def build_eval_set(house: House, *, name: str = MAIN, size: int = 600, seed: int = 1) -> EvalSet:
    """Draw a new version of an eval set from the stored interactions.

    Raises:
        InputError: if nothing with content is stored.
    """
    versions = [summary.version for summary in house.control.eval_sets(house.app) if summary.name == name]
    telling = Telling(house)
    traces = [trace for batch in house.traces.iterate(house.app) for trace in telling.traces(batch)]
    eval_set = draw(
        traces,
        house.traces.clusters(house.app),
        size=size,
        seed=seed,
        name=name,
        app=house.app,
        unit=house.spec.policy.unit,
        version=max(versions, default=0) + 1,
    )
    keep_eval_set(house, eval_set, f"{eval_set.id} drawn: {eval_set.population}")
    return eval_set


def keep_eval_set(house: House, eval_set: EvalSet, what: str) -> None:
    """Store a version and tell the ledger."""
    now = house.now()
    house.control.put_eval_set(eval_set, at=now)
    house.control.append_ledger(
        LedgerEntry(
            app=house.app,
            at=now,
            kind="evalset",
            actor=house.actor,
            what=what,
            data={"eval_set": eval_set.id, "cases": len(eval_set.cases)},
        )
    )


def accept(house: House, proposal_id: str) -> tuple[EvalSet, int]:
    """Admit a proposal's cases: the next version of the eval set, and how many cases are new in it.

    Raises:
        NotFoundError: if there is no such proposal, or no eval set to grow.
    """
    proposal, cases = house.control.proposal(proposal_id)
    present = house.control.eval_set(house.app, MAIN)
    grown = grow(present, cases)
    added = len(grown.cases) - len(present.cases)
    if added:
        keep_eval_set(house, grown, f"{grown.id}: {added:,} cases admitted because {proposal.because}")
    house.control.close_proposal(proposal_id, "accepted")
    return grown, added


def repetitions(configurations: Sequence[Configuration]) -> int:
    """One sample where answers are deterministic, several where a temperature makes them differ."""
    sampled = any(
        configuration.layer(Layer.PARAMETERS).get("temperature", 1) for configuration in configurations
    )
    return _SAMPLES if sampled else 1


def replay(
    house: House,
    cases: Sequence[Case],
    configurations: Sequence[Configuration],
    samples: int,
    *,
    metrics: Sequence[Metric] | None = None,
    max_usd: float | None = None,
    watch: Watch | None = None,
) -> Replay:
    """Answer every case under every configuration, from the cache where it was answered before.

    Scored by ``metrics``; by the declared ones, with thresholds as of now, by default.
    """
    return run_trials(
        cases,
        configurations,
        repetitions=samples,
        upstream=lambda configuration: upstream_for(house, configuration),
        metrics=freeze_now(house) if metrics is None else metrics,
        cache=house.control,
        max_usd=max_usd,
        progress=watch,
    )


def compare(
    house: House,
    base: Configuration,
    candidate: Configuration,
    *,
    eval_set: EvalSet,
    metrics: Sequence[Metric] | None = None,
    samples: int | None = None,
    margin_factor: float = 1.0,
    max_usd: float | None = None,
    watch: Watch | None = None,
) -> Benchmark:
    """Benchmark ``candidate`` against ``base`` by ``metrics`` (the declared ones), and keep the result."""
    now = house.now()
    for configuration in (base, candidate):
        house.control.put_configuration(house.app, configuration, note="benchmarked", at=now)
    count = repetitions((base, candidate)) if samples is None else samples
    made = replay(
        house, eval_set.cases, (base, candidate), count, metrics=metrics, max_usd=max_usd, watch=watch
    )
    benchmark = gate(
        eval_set,
        made.trials,
        base=base.id,
        candidate=candidate.id,
        metrics=house.spec.metrics if metrics is None else metrics,
        repetitions=count,
        margin_factor=margin_factor,
        stopped=made.stopped,
    )
    house.control.put_benchmark(benchmark, at=house.now())
    return benchmark


@dataclass(frozen=True, slots=True)
class TrialRunner:
    """The port of ``attribution`` to replays."""

    house: House
    watch: Watch | None = None

    def __call__(
        self, cases: Sequence[Case], configurations: Sequence[Configuration], samples: int, /
    ) -> Sequence[Trial]:
        """One trial per case, configuration and repetition."""
        return replay(self.house, cases, configurations, samples, watch=self.watch).trials


def work_off(house: House, *, owner: str, watch: Watch | None = None) -> int:
    """Do the benchmarks that this app's rollouts wait for; how many were done.

    What ``watch`` raises ends the work; the item stays leased.
    """
    done = 0
    while leased := house.control.lease_work(
        [KIND], owner=owner, now=house.now(), lease_s=_LEASE_S, app=house.app
    ):
        for item in leased:
            _work(house, item, owner, watch)
            done += 1
    return done


def _work(house: House, item: WorkItem, owner: str, watch: Watch | None) -> None:
    try:
        rollout = house.control.rollout(RolloutId(item.payload["rollout"]))
        if rollout.state is not RolloutState.BENCHMARKING:
            # Nobody waits for it any more, and every call costs money.
            error = f"{rollout.id} was {rollout.state.value} before its benchmark was made"
            house.control.fail_work(item.id, owner=owner, error=error, retry=False)
            return
        benchmark = compare(
            house,
            house.control.configuration(ConfigurationId(item.payload["base"])),
            house.control.configuration(ConfigurationId(item.payload["candidate"])),
            eval_set=house.control.eval_set(house.app, MAIN),
            # As it was applied and started, whatever inchworm.yaml says by now.
            metrics=freeze(house, rollout, house.now()),
            margin_factor=float(item.payload["margin_factor"]),
            watch=watch,
        )
    except InchwormError as error:
        house.control.fail_work(item.id, owner=owner, error=_said(error), retry=False)
        return
    house.control.finish_work(
        item.id,
        owner=owner,
        result={
            "verdict": benchmark.verdict.value,
            "benchmark_id": benchmark.id,
            "because": because(benchmark),
        },
    )


def _said(error: InchwormError) -> str:
    return error.message if error.hint is None else f"{error.message}: {error.hint}"


def because(benchmark: Benchmark) -> str:
    """The sentence of the comparison that decided, without its verdict and its full stop."""
    decided = decisive(benchmark)
    if decided is None:
        return "nothing was measured"
    return decided.because.removeprefix(f"{WORDS[decided.verdict]}: ").removesuffix(".")
