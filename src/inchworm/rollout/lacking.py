"""What evidence still lacks before a stage may grow, as clauses: of units, or of a shadow stage's pairs."""

from __future__ import annotations

import math
from typing import Final

from inchworm.domain.rollout import Policy, Stage
from inchworm.domain.wording import counted
from inchworm.rollout import wording
from inchworm.rollout.evidence import Evidence, MetricEvidence, PairedMetric

SILENT_LIMIT: Final = 0.1
"""With a larger share of an arm's units unheard of at a stage, nothing expands and nothing completes."""
_PAIR: Final = "pair"


def noun(evidence: Evidence, policy: Policy) -> str:
    """What the present stage counts: ``session``, or ``pair`` at a shadow stage."""
    return _PAIR if evidence.paired else policy.unit.value


def few(evidence: Evidence, policy: Policy, stage: Stage) -> list[str]:
    """Too few units, or pairs, at this stage."""
    came = evidence.shadow_stage.pairs if evidence.paired else evidence.in_stage.units.both
    if came >= stage.min_units:
        return []
    return [f"{came:,} of at least {counted(stage.min_units, noun(evidence, policy))} came at this stage"]


def one_armed(evidence: Evidence, policy: Policy) -> list[str]:
    """An arm that nobody got at this stage; a pair always has both."""
    here = evidence.in_stage.units
    if evidence.paired or min(here.baseline, here.candidate) > 0:
        return []
    arm = "the candidate" if here.candidate == 0 else "the baseline"
    return [f"no {policy.unit.value} got {arm} at this stage"]


def unmeasured(evidence: Evidence) -> list[str]:
    """Gates that cannot count at this stage: nothing measured is not a pass."""
    if not evidence.gates:
        return ["it has no goal and no guardrail to be judged by"]
    if evidence.paired:
        return [one for metric in evidence.asked for one in _unpaired(metric, evidence)]
    found: list[str] = []
    for metric in evidence.gates:
        if metric.void_at is not None:
            found.append(f"{metric.name} cannot be trusted ({labels(metric, evidence)})")
        elif not metric.has_data:
            got = metric.reported_in_stage
            silent = (
                "either arm" if got.both == 0 else "the candidate" if got.candidate == 0 else "the baseline"
            )
            found.append(f"{metric.name} was not reported for {silent} at this stage")
        elif metric.floored:
            found.append(_floored(metric))
    return found


def _floored(metric: MetricEvidence | PairedMetric) -> str:
    """When everything fails for everybody, the candidate is not worse, and nothing is known of it."""
    return f"{metric.name} was 0 for everybody at this stage, with either configuration, which shows nothing"


def _unpaired(metric: MetricEvidence | PairedMetric, evidence: Evidence) -> list[str]:
    here = evidence.shadow_stage.pairs
    if not isinstance(metric, PairedMetric) or here == 0:
        return []
    if not metric.has_data:
        return [f"{metric.name} has no value on both sides of any pair at this stage"]
    missing = here - metric.in_stage
    if missing > SILENT_LIMIT * here:
        return [f"{metric.name} has no value on both sides of {missing:,} of {counted(here, _PAIR)}"]
    if metric.floored:
        return [_floored(metric)]
    return []


def unheard(evidence: Evidence, policy: Policy) -> list[str]:
    """Arms much of which was never heard of.

    What they lack counts as failure in both arms alike, and so hides the difference that is looked for.
    """
    if evidence.paired:
        mirrored = evidence.shadow_stage
        if mirrored.silent <= SILENT_LIMIT * mirrored.pairs:
            return []
        return [f"the candidate never answered in {mirrored.silent:,} of {counted(mirrored.pairs, _PAIR)}"]
    here = evidence.in_stage
    arms = (
        ("candidate", here.silent.candidate, here.units.candidate),
        ("baseline", here.silent.baseline, here.units.baseline),
    )
    return [
        f"nothing came in from {silent:,} of {wording.count(units, policy.unit)} of the {arm} "
        "(rollout.maturation says how long that may take)"
        for arm, silent, units in arms
        if silent > SILENT_LIMIT * units
    ]


def short_of(evidence: Evidence, policy: Policy) -> list[str]:
    """What each measured gate lacks, and what would settle it if it goes on as it went."""
    return [
        clause
        for metric in evidence.asked
        if metric.has_data and metric.void_at is None
        for clause in _short_of(metric, evidence, f"{noun(evidence, policy)}s")
    ]


def _short_of(metric: MetricEvidence | PairedMetric, evidence: Evidence, units: str) -> list[str]:
    needed = -math.log(evidence.alpha_expand)
    if metric.log_e_expand >= needed:
        return []
    have = wording.evidence(metric.log_e_expand)
    more = units_to_settle(metric, needed)
    ahead = (
        f"at the pace so far no number of {units} would settle it"
        if more is None
        else f"at the pace so far about {more:,} more {units} would settle it"
    )
    return [
        f"{metric.name} has evidence {have} of the {wording.line(evidence.alpha_expand)} it needs ({ahead})"
    ]


def units_to_settle(metric: MetricEvidence | PairedMetric, needed: float) -> int | None:
    """How many more units would bring the log evidence to ``needed``, if it grew as it has on average.

    Log evidence grows about linearly in the number of units while the effect stays what it is, so n units
    with log e need n · needed / log e in all. Units are those that come, be they judged or not. An
    extrapolation, rounded up to two digits: it promises nothing. ``None`` while the evidence does not grow.
    """
    # Evidence of before did not say how many came.
    came = metric.came or metric.consumed
    if metric.log_e_expand <= 0 or came == 0:
        return None
    more = came * (needed / metric.log_e_expand - 1.0)
    step = int(10 ** max(math.floor(math.log10(max(more, 1.0))) - 1, 0))
    return max(math.ceil(more / step), 1) * step


def labels(metric: MetricEvidence, evidence: Evidence) -> str:
    """Why the values of a metric cannot be trusted."""
    found = wording.evidence(metric.log_e_coverage)
    return (
        f"its values arrive more often in one arm: {metric.missing.candidate:,} of the candidate are "
        f"missing, {metric.missing.baseline:,} of the baseline, evidence {found}, "
        f"void at {wording.line(evidence.alpha_ratio)}"
    )
