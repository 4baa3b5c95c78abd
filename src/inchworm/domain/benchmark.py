"""Trials of two configurations over one eval set, and what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import BenchmarkId, CaseId, ConfigurationId, EvalSetId
from inchworm.domain.metric import Role
from inchworm.domain.outcome import Outcome, Result
from inchworm.domain.trace import UNKNOWN_USAGE, Usage
from inchworm.domain.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One case × configuration × repetition.

    Attributes:
        case_id: the case.
        configuration_id: the configuration.
        repetition: from 0.
        outcome: ok, failed (counts as 0), errored (counted, never a 0).
        output: the answer, if one came.
        finish_reason: the provider's word.
        latency_ms: wall time in milliseconds, if an answer came.
        usage: tokens and cost.
        results: one per metric.
    """

    case_id: CaseId
    configuration_id: ConfigurationId
    repetition: int
    outcome: Outcome
    output: str | None = None
    finish_reason: str | None = None
    latency_ms: float | None = None
    usage: Usage = UNKNOWN_USAGE
    results: dict[str, Result] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its 95 % interval (unless said otherwise)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One metric of a benchmark: candidate minus base, in the metric's units.

    Attributes:
        metric: its name.
        role: what it decides.
        margin: the non-inferiority margin the verdict was taken at.
        verdict: pass, fail, inconclusive or no data.
        because: the verdict as a sentence with its numbers.
        effect: candidate minus base, weighted to production; ``None`` if nothing was measured.
        base: weighted mean of the base.
        candidate: weighted mean of the candidate.
        cases: cases with a value on both sides.
        unscored: cases left without a value, and counted.
        errored: trials on which the harness failed.
        method: which interval it is.
        cases_to_settle: how many cases would settle an inconclusive verdict, if any number would.
    """

    metric: str
    role: Role
    margin: float
    verdict: Verdict
    because: str
    effect: Interval | None
    base: float | None
    candidate: float | None
    cases: int
    unscored: int
    errored: int
    method: str
    cases_to_settle: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEffect:
    """One metric in one cluster; intervals are simultaneous over the clusters."""

    metric: str
    cluster: str
    cases: int
    effect: Interval
    worse: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What came of comparing two configurations.

    Attributes:
        id: derived from its content.
        app: whose.
        base: the configuration compared with.
        candidate: the configuration in question.
        eval_set: on which cases.
        repetitions: samples per case and configuration.
        trials: trials made or taken from the cache.
        comparisons: one per metric.
        clusters: the goal metrics in each cluster.
        regressed: cases that the base answered better on the first goal, worst first.
        verdict: of goals and guardrails together.
        cost_usd: what the trials cost, as far as known.
    """

    id: BenchmarkId
    app: AppRef
    base: ConfigurationId
    candidate: ConfigurationId
    eval_set: EvalSetId
    repetitions: int
    trials: int
    comparisons: tuple[Comparison, ...]
    clusters: tuple[ClusterEffect, ...]
    regressed: tuple[CaseId, ...]
    verdict: Verdict
    cost_usd: float | None
