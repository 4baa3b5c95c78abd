"""Benchmarks: eval sets drawn from what is stored, configurations compared, work done for rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.evidence import freeze_now
from inchworm.app.loop.sampling import MAIN, repetitions
from inchworm.app.loop.telling import Telling
from inchworm.app.loop.upstreams import upstream_for
from inchworm.benchmark.curate import draw, grow
from inchworm.benchmark.gate import gate
from inchworm.benchmark.replay import Progress, Replay, run_trials
from inchworm.benchmark.report import decisive
from inchworm.benchmark.wording import WORDS
from inchworm.domain.benchmark import Benchmark, Trial
from inchworm.domain.configuration import Configuration
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.feedback import is_given
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import LedgerEntry

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
    grown = grow(present, [case for case in cases if not case.is_forgotten])
    added = len(grown.cases) - len(present.cases)
    if added:
        keep_eval_set(house, grown, f"{grown.id}: {added:,} cases admitted because {proposal.because}")
    house.control.close_proposal(proposal_id, "accepted")
    return grown, added


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
        metrics=_measurable(freeze_now(house) if metrics is None else metrics),
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
    now, eval_set = house.now(), eval_set.remaining()
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
        metrics=_measurable(house.spec.metrics if metrics is None else metrics),
        repetitions=count,
        margin_factor=margin_factor,
        stopped=made.stopped,
    )
    house.control.put_benchmark(benchmark, at=house.now())
    return benchmark


def _measurable(metrics: Sequence[Metric]) -> list[Metric]:
    """Without those that wait for feedback: nobody says anything of an answer that nobody got."""
    return [one for one in metrics if not is_given(one)]


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


def because(benchmark: Benchmark) -> str:
    """The sentence of the comparison that decided, without its verdict and its full stop."""
    decided = decisive(benchmark)
    if decided is None:
        return "nothing was measured"
    return decided.because.removeprefix(f"{WORDS[decided.verdict]}: ").removesuffix(".")
