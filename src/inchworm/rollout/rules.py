"""What the evidence asks for: one small rule per event, in the order in which they are asked.

A rule says nothing or gives the sentence of its event; whether that event is possible where the rollout
stands is the table's business (``transitions``). Harm comes first: stop first, ask later.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from inchworm.domain.rollout import Policy, RolloutState
from inchworm.rollout import wording
from inchworm.rollout.evidence import Crossing, Evidence, MetricEvidence
from inchworm.rollout.observed import Subject, Watched
from inchworm.rollout.transitions import Event, Rung, weight_of

SILENT_LIMIT: Final = 0.1
"""With a larger share of an arm's units unheard of at a stage, nothing expands and nothing completes."""
Rule = Callable[[Subject, Watched, float], str | None]


def harm(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """Evidence of harm passed its line on a clock."""
    evidence = observed.evidence
    clock = evidence.harm
    if clock is None or clock.crossing is None:
        return None
    crossing = clock.crossing
    where = f"at the {wording.ordinal(crossing.candidate)} exposed {subject.policy.unit.value}"
    if crossing.culprits:
        what = wording.listed([wording.moved(evidence.metric(name)) for name in crossing.culprits])
    else:
        what = f"the metrics together lost (most of all {wording.moved(evidence.metric(crossing.leading))})"
    return f"rolled back because {what}; evidence of harm passed {wording.line(clock.alpha)} {where}."


def void(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """The arms are not split as recorded."""
    if not observed.evidence.ratio_void:
        return None
    return f"holding at {_share(subject)} because {_split(subject, observed.evidence)}."


def signal_harm(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """A signal, or a metric whose labels are void, passed its line, and nobody has resumed past it."""
    asking = _pausing(observed)
    if not asking:
        return None
    metric, crossing = asking[0]
    moved = wording.moved(metric)
    what = (
        f"{metric.name} cannot be trusted ({_labels(metric, observed.evidence)}) and {moved}"
        if metric.gates
        else f"the signal {moved}"
    )
    return (
        f"paused at {_share(subject)} because {what}; evidence of harm passed "
        f"{wording.line(metric.alpha_harm * metric.weight)} at the {wording.ordinal(crossing.candidate)} "
        f"exposed {subject.policy.unit.value}."
    )


def expand(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """Every goal and guardrail is within its margin, with enough units and time at this stage."""
    if obstacles(subject, observed, elapsed):
        return None
    evidence, policy = observed.evidence, subject.policy
    least = min(evidence.gates, key=lambda metric: metric.log_e_expand)
    after = weight_of(RolloutState.SOAKING, subject.stage + 1, policy)
    to = f"{wording.percent(after)}, the soak," if subject.rung is Rung.LAST else wording.percent(after)
    factor = policy.stages[subject.stage].margin_factor
    alone = len(evidence.gates) == 1
    which = f"{least.name} is" if alone else f"every gate passed; closest was {least.name}, which is"
    return (
        f"expanded from {_share(subject)} to {to} because {which} not worse by more than "
        f"{wording.points(least.margin, signed=False)} points (margin × {factor:g}): evidence "
        f"{wording.evidence(least.log_e_expand)} of the {wording.line(evidence.alpha_expand)} it needed, "
        f"after {wording.count(evidence.consumed, policy.unit)}."
    )


def soaked(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """The soak is over, everything was measured in it, and nothing was harmed."""
    policy, evidence = subject.policy, observed.evidence
    if not _soak_is_over(subject, elapsed):
        return None
    if policy.soak_s <= 0:
        return "completed because its policy asks for no soak."
    if _unmeasured(evidence) or _unheard(evidence, policy):
        return None
    units = wording.count(evidence.in_stage.units.both, policy.unit)
    nearest = max(
        (clock for clock in evidence.clocks if clock.log_e is not None),
        key=lambda clock: (clock.log_e or 0.0) + math.log(clock.alpha),
    )
    return (
        f"completed because nothing was harmed in the soak of {wording.duration(policy.soak_s)}: {units}, "
        f"evidence of harm {wording.evidence(nearest.log_e or 0.0)} of the {wording.line(nearest.alpha)} "
        "that roll back."
    )


def deadline(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """The time is up and the question is open: hold and ask, saying what would settle it."""
    if subject.rung is Rung.SOAK:
        blind = [*_unmeasured(observed.evidence), *_unheard(observed.evidence, subject.policy)]
        if not _soak_is_over(subject, elapsed) or not blind:
            return None
        return f"holding at {_share(subject)} because the soak is over and {wording.listed(blind)}."
    limit = subject.policy.stages[subject.stage].max_bake_s
    if elapsed < limit:
        return None
    blocked = wording.listed(obstacles(subject, observed, elapsed))
    return f"holding at {_share(subject)} because {wording.duration(limit)} passed and {blocked}."


RULES: Final[tuple[tuple[Event, Rule], ...]] = (
    (Event.HARM, harm),
    (Event.VOID, void),
    (Event.SIGNAL_HARM, signal_harm),
    (Event.EXPAND, expand),
    (Event.EXPAND_TO_SOAK, expand),
    (Event.SOAKED, soaked),
    (Event.DEADLINE, deadline),
)
"""Asked in this order; the first that speaks, and whose event is possible, decides."""


def obstacles(subject: Subject, observed: Watched, elapsed: float) -> tuple[str, ...]:
    """Why it may not expand, as clauses; empty if it may.

    Args:
        subject: a rollout that stands at a stage.
        observed: its evidence.
        elapsed: seconds since it entered its present state and stage.
    """
    evidence, policy = observed.evidence, subject.policy
    stage, here = policy.stages[subject.stage], evidence.in_stage.units
    found: list[str] = []
    if evidence.ratio_void:
        found.append(_split(subject, evidence))
    found += [f"{name} asks for a pause" for name in pausing(observed)]
    if here.both < stage.min_units:
        found.append(
            f"{here.both:,} of at least {wording.count(stage.min_units, policy.unit)} came at this stage"
        )
    # Held, it has waited its longest already; the clock of its state says how long it is held.
    if subject.state is RolloutState.EXPOSING and elapsed < stage.min_bake_s:
        found.append(
            f"{wording.duration(elapsed)} of at least {wording.duration(stage.min_bake_s)} passed here"
        )
    if min(here.baseline, here.candidate) == 0:
        arm = "the candidate" if here.candidate == 0 else "the baseline"
        found.append(f"no {policy.unit.value} got {arm} at this stage")
    found += [*_unmeasured(evidence), *_unheard(evidence, policy)]
    for metric in evidence.gates:
        if metric.has_data and metric.void_at is None:
            found += _short_of(metric, subject, evidence)
    return tuple(found)


def _short_of(metric: MetricEvidence, subject: Subject, evidence: Evidence) -> list[str]:
    """What a measured gate lacks, and what would settle it if it goes on as it went."""
    needed = -math.log(evidence.alpha_expand)
    if metric.log_e_expand >= needed:
        return []
    have = wording.evidence(metric.log_e_expand)
    units = wording.plural(subject.policy.unit)
    more = units_to_settle(metric, needed)
    ahead = (
        f"at the pace so far no number of {units} would settle it"
        if more is None
        else f"at the pace so far about {more:,} more {units} would settle it"
    )
    return [
        f"{metric.name} has evidence {have} of the {wording.line(evidence.alpha_expand)} it needs ({ahead})"
    ]


def units_to_settle(metric: MetricEvidence, needed: float) -> int | None:
    """How many more units would bring the log evidence to ``needed``, if it grew as it has on average.

    Log evidence grows about linearly in the number of units while the effect stays what it is, so n units
    with log e need n · needed / log e in all. An extrapolation, rounded up to two digits: it promises
    nothing. ``None`` while the evidence does not grow.
    """
    if metric.log_e_expand <= 0 or metric.consumed == 0:
        return None
    more = metric.consumed * (needed / metric.log_e_expand - 1.0)
    step = int(10 ** max(math.floor(math.log10(max(more, 1.0))) - 1, 0))
    return max(math.ceil(more / step), 1) * step


def _unmeasured(evidence: Evidence) -> list[str]:
    """Gates that cannot count at this stage: nothing measured is not a pass."""
    if not evidence.gates:
        return ["it has no goal and no guardrail to be judged by"]
    found: list[str] = []
    for metric in evidence.gates:
        if metric.void_at is not None:
            found.append(f"{metric.name} cannot be trusted ({_labels(metric, evidence)})")
        elif not metric.has_data:
            got = metric.reported_in_stage
            silent = (
                "either arm" if got.both == 0 else "the candidate" if got.candidate == 0 else "the baseline"
            )
            found.append(f"{metric.name} was not reported for {silent} at this stage")
    return found


def _unheard(evidence: Evidence, policy: Policy) -> list[str]:
    """Arms much of which was never heard of.

    What they lack counts as failure in both arms alike, and so hides the difference that is looked for.
    """
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


def _pausing(observed: Watched) -> list[tuple[MetricEvidence, Crossing]]:
    return [
        (metric, metric.alone)
        for metric in observed.evidence.metrics
        if metric.alone is not None
        and (not metric.gates or metric.void_at is not None)
        and metric.name not in observed.acknowledged
    ]


def pausing(observed: Watched) -> tuple[str, ...]:
    """Names of the metrics that ask for a pause and that nobody has resumed past."""
    return tuple(metric.name for metric, _ in _pausing(observed))


def _soak_is_over(subject: Subject, elapsed: float) -> bool:
    """The soak's units get their time to mature, so that a late outcome is not missed."""
    policy = subject.policy
    return elapsed >= policy.soak_s + (policy.maturation_s if policy.soak_s > 0 else 0.0)


def _split(subject: Subject, evidence: Evidence) -> str:
    units = wording.count(evidence.consumed, subject.policy.unit)
    return (
        f"the evidence is void: {evidence.candidate:,} of {units} "
        f"got the candidate where {evidence.expected:,.0f} were expected (sample ratio evidence "
        f"{wording.evidence(evidence.log_e_ratio)}, void at {wording.line(evidence.alpha_ratio)})"
    )


def _labels(metric: MetricEvidence, evidence: Evidence) -> str:
    found = wording.evidence(metric.log_e_coverage)
    return (
        f"its values arrive more often in one arm: {metric.missing.candidate:,} of the candidate are "
        f"missing, {metric.missing.baseline:,} of the baseline, evidence {found}, "
        f"void at {wording.line(evidence.alpha_ratio)}"
    )


def _share(subject: Subject) -> str:
    return wording.percent(weight_of(subject.state, subject.stage, subject.policy))
