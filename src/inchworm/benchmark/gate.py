"""The gate: from trials to a verdict per metric, and one for all. Pure.

Paired differences per case, weighted to production, robust to groups, against a non-inferiority margin
(``inchworm.stats.paired``). Goals and guardrails decide; signals are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from inchworm.benchmark.paired_cases import PairedCases
from inchworm.benchmark.ports import TrialKey
from inchworm.benchmark.wording import WORDS
from inchworm.domain.benchmark import Benchmark, ClusterEffect, Comparison, Interval, Trial
from inchworm.domain.canonical import digest
from inchworm.domain.evalset import EvalSet
from inchworm.domain.ids import BenchmarkId, CaseId, ConfigurationId
from inchworm.domain.metric import Metric, Role
from inchworm.domain.outcome import encode
from inchworm.domain.verdict import Verdict, overall
from inchworm.domain.wording import counted, interval, margin, percent, usd
from inchworm.stats.paired import PairedEstimate, verdict
from inchworm.stats.planning import items_to_settle

ERRORED_LIMIT = 0.10
"""With a larger share of errored trials on either side a metric says nothing."""
_FEW = "one independent case"


def gate(
    eval_set: EvalSet,
    trials: Sequence[Trial],
    *,
    base: ConfigurationId,
    candidate: ConfigurationId,
    metrics: Sequence[Metric],
    repetitions: int,
    margin_factor: float = 1.0,
    stopped: str | None = None,
    seed: int = 0,
) -> Benchmark:
    """Compare ``candidate`` with ``base``.

    Args:
        eval_set: the cases, with their weights.
        trials: of both configurations; others, and further repetitions, are not looked at.
        base: the configuration compared with.
        candidate: the configuration in question.
        metrics: the app's registry.
        repetitions: samples per case and configuration that were asked for.
        margin_factor: the gate's margins are this times each metric's final margin.
        stopped: why the trials are not complete, as half a sentence. Nothing passes then; what fails on
            fewer cases has failed.
        seed: of the bootstrap.
    """
    sides = {base, candidate}
    cases = {case.id for case in eval_set.cases}
    made = {
        (trial.case_id, trial.configuration_id, trial.repetition): trial
        for trial in trials
        if trial.configuration_id in sides and trial.case_id in cases and trial.repetition < repetitions
    }
    costs = [trial.usage.cost_usd for trial in made.values() if trial.usage.cost_usd is not None]
    cost = sum(costs) if costs else None
    tried = len({case_id for case_id, _, _ in made})
    terms = _Terms(
        margin_factor=margin_factor,
        stopped=None if stopped is None else f"{stopped}, after {tried:,} of {counted(len(cases), 'case')}",
        cost_per_case=None if cost is None or not tried else cost / tried,
        seed=seed,
    )
    paired = {
        metric.name: PairedCases.of(
            metric.name, eval_set.cases, made, base=base, candidate=candidate, repetitions=repetitions
        )
        for metric in metrics
    }
    comparisons = tuple(_comparison(metric, paired[metric.name], terms) for metric in metrics)
    goals = [metric for metric in metrics if metric.role is Role.GOAL]
    gating = [metric for metric in metrics if metric.role is not Role.SIGNAL]
    return Benchmark(
        id=_identify(
            eval_set, made, base=base, candidate=candidate, margins={c.metric: c.margin for c in comparisons}
        ),
        app=eval_set.app,
        base=base,
        candidate=candidate,
        eval_set=eval_set.id,
        repetitions=repetitions,
        trials=len(made),
        comparisons=comparisons,
        clusters=tuple(effect for metric in goals for effect in _clusters(metric, paired[metric.name], seed)),
        regressed=_regressed(paired[(goals or gating)[0].name]) if gating else (),
        verdict=overall(tuple(c.verdict for c in comparisons if c.role is not Role.SIGNAL)),
        cost_usd=cost,
    )


def _identify(
    eval_set: EvalSet,
    made: Mapping[TrialKey, Trial],
    *,
    base: ConfigurationId,
    candidate: ConfigurationId,
    margins: Mapping[str, float],
) -> BenchmarkId:
    """From what went in, not from what came out: the last bit of a mean may differ between machines."""
    results = sorted(
        [*key, {name: encode(result) for name, result in trial.results.items()}]
        for key, trial in made.items()
    )
    content = {
        "eval_set": [str(eval_set.app), eval_set.id],
        "base": base,
        "candidate": candidate,
        "margins": dict(margins),
        "results": results,
    }
    return BenchmarkId(f"bench-{digest(content)[:8]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    margin_factor: float
    stopped: str | None
    cost_per_case: float | None
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ruling:
    verdict: Verdict
    because: str
    more: int | None = None


def _comparison(metric: Metric, paired: PairedCases, terms: _Terms) -> Comparison:
    estimate = paired.estimate(seed=terms.seed)
    allowed = min(1.0, metric.margin * terms.margin_factor)
    ruling = _ruling(metric, paired, estimate, allowed, terms)
    effect, base, candidate = _sides(paired, estimate)
    ending = "" if terms.stopped is None else f" Stopped early: {terms.stopped}."
    return Comparison(
        metric=metric.name,
        role=metric.role,
        margin=allowed,
        verdict=ruling.verdict,
        because=f"{WORDS[ruling.verdict]}: {ruling.because}{ending}",
        effect=effect,
        base=base,
        candidate=candidate,
        cases=int(paired.usable.sum()),
        unscored=paired.unscored,
        errored=paired.errored,
        method="none" if effect is None else (_FEW if estimate is None else estimate.method),
        cases_to_settle=ruling.more,
    )


def _sides(
    paired: PairedCases, estimate: PairedEstimate | None
) -> tuple[Interval | None, float | None, float | None]:
    """Effect, base and candidate. A single independent case says what it is, with no interval to trust."""
    if estimate is not None:
        effect = Interval(estimate=estimate.effect, low=estimate.low, high=estimate.high)
        return effect, estimate.old_mean, estimate.new_mean
    usable = paired.usable
    if not usable.any():
        return None, None, None
    weights = paired.weights()[usable]
    means = [
        float(
            np.average(
                (np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1))[usable],
                weights=weights,
            )
        )
        for values, present in ((paired.old, paired.old_present), (paired.new, paired.new_present))
    ]
    return Interval(estimate=means[1] - means[0], low=-1.0, high=1.0), means[0], means[1]


def _ruling(
    metric: Metric, paired: PairedCases, estimate: PairedEstimate | None, allowed: float, terms: _Terms
) -> _Ruling:
    name = f"`{metric.name}`"
    if paired.trials == 0:
        return _Ruling(verdict=Verdict.NO_DATA, because=f"{name} was measured on no case.")
    why = f" ({_reason(paired.reasons[0])})" if paired.reasons else ""
    if paired.errored_share > ERRORED_LIMIT:
        share = percent(paired.errored_share)
        of = counted(paired.trials, "trial")
        because = f"{name} has {paired.errored:,} errored of {of} ({share} on one side){why}."
        return _Ruling(verdict=Verdict.ERRORED, because=because)
    if not paired.usable.any():
        return _Ruling(
            verdict=Verdict.NO_DATA, because=f"{name} has no value on both sides of any case{why}."
        )
    if estimate is None:
        because = f"{name} was measured on {_FEW}, which has no spread to judge by."
        return _Ruling(verdict=Verdict.INCONCLUSIVE, because=because)
    effect = Interval(estimate=estimate.effect, low=estimate.low, high=estimate.high)
    said = f"{name} {interval(effect)}, margin {margin(allowed)}."
    if _lopsided(paired, terms.seed):
        new, old = paired.new_present.mean(), paired.old_present.mean()
        because = (
            f"{said} It is void: {percent(float(new))} of the candidate's trials have a value, "
            f"{percent(float(old))} of the base's."
        )
        return _Ruling(verdict=Verdict.INCONCLUSIVE, because=because)
    return _judged(estimate, allowed, said, paired, terms)


def _reason(text: str) -> str:
    """A provider's words as a part of ours: one line, not too long, without backticks."""
    line = " ".join(text.replace("`", "'").split()).rstrip(".")
    return line if len(line) <= 200 else f"{line[:200]}…"


def _judged(
    estimate: PairedEstimate, allowed: float, said: str, paired: PairedCases, terms: _Terms
) -> _Ruling:
    outcome = verdict(estimate, allowed).outcome
    match outcome:
        case "fail":
            return _Ruling(verdict=Verdict.FAIL, because=said)
        case "pass":
            if terms.stopped is not None:
                return _Ruling(verdict=Verdict.INCONCLUSIVE, because=f"{said} It would pass so far.")
            return _Ruling(verdict=Verdict.PASS, because=said)
        case "inconclusive":
            total = items_to_settle(estimate, allowed)
            if total is None:
                because = f"{said} It lies on the margin: more cases would not settle it."
                return _Ruling(verdict=Verdict.INCONCLUSIVE, because=because)
            more = max(1, total - int(paired.usable.sum()))
            price = "" if not terms.cost_per_case else f" (≈ {usd(more * terms.cost_per_case)})"
            because = f"{said} {counted(more, 'more case')} would settle it{price}."
            return _Ruling(verdict=Verdict.INCONCLUSIVE, because=because, more=more)
        case _:
            assert_never(outcome)


def _lopsided(paired: PairedCases, seed: int) -> bool:
    """Whether one side has values more often than the other, with confidence."""
    coverage = paired.coverage(seed=seed)
    return coverage is not None and (coverage.low > 0 or coverage.high < 0)


def _clusters(metric: Metric, paired: PairedCases, seed: int) -> list[ClusterEffect]:
    """The effect in each cluster, worst first; Bonferroni, because groups may span clusters."""
    parts = {name: paired.only(rows) for name, rows in paired.clusters().items()}
    family = max(1, sum(part.groups() > 1 for part in parts.values()))
    effects: list[ClusterEffect] = []
    for name, part in parts.items():
        estimate = part.estimate(confidence=1 - 0.05 / family, seed=seed)
        effect, _, _ = _sides(part, estimate)
        if effect is not None:
            effects.append(
                ClusterEffect(
                    metric=metric.name,
                    cluster=name,
                    cases=len(part.cases),
                    effect=effect,
                    worse=estimate is not None and effect.high < 0,
                )
            )
    return sorted(effects, key=lambda e: (not e.worse, e.effect.estimate, e.cluster))


def _regressed(paired: PairedCases) -> tuple[CaseId, ...]:
    """Cases that the base answered better: the largest drop first, then what production asks most."""
    difference, usable = paired.difference(), paired.usable
    found = [
        (float(difference[row]), -case.weight, case.id)
        for row, case in enumerate(paired.cases)
        if usable[row] and difference[row] < 0
    ]
    return tuple(case_id for _, _, case_id in sorted(found))
