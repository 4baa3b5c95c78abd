"""What the evidence asks for: one small rule per event, in the order in which they are asked.

A rule says nothing or gives the sentence of its event; whether that event is possible where the rollout
stands is the table's business (``transitions``). Harm comes first: stop first, ask later.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from inchworm.domain.rollout import RolloutState
from inchworm.domain.shadow import shadow_budget_used
from inchworm.rollout import lacking, permits, wording
from inchworm.rollout.evidence import Crossing, Evidence, MetricEvidence, PairedMetric
from inchworm.rollout.evidence.populations import matures_after
from inchworm.rollout.observed import Subject, Watched
from inchworm.rollout.transitions import Event, Rung

Rule = Callable[[Subject, Watched, float], str | None]


def harm(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """Evidence of harm passed its line, on a clock or in pairs."""
    found = observed.evidence.harm
    if found is None:
        return None
    passed = f"evidence of harm passed {wording.line(found.alpha)}"
    what, at = wording.blamed(observed.evidence, found), found.crossing.candidate
    if found.paired:
        return f"rolled back because {what}; {passed}, found in {at:,} pairs, and nobody was exposed."
    return (
        f"rolled back because {what}; {passed} at the {wording.ordinal(at)} exposed "
        f"{subject.policy.unit.value}."
    )


def void(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """The arms are not split as recorded."""
    if not observed.evidence.ratio_void:
        return None
    return f"holding at {_share(subject)} because {_split(subject, observed.evidence)}."


def signal_harm(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """A signal, or a metric whose labels are void, passed its line, and nobody has resumed past it."""
    asking = _pausing(observed)
    if not asking:
        return _early(subject, observed)
    metric, crossing = asking[0]
    evidence = observed.evidence
    if isinstance(metric, PairedMetric):
        alpha = 0.0 if evidence.shadow is None else evidence.shadow.alpha
        return (
            f"paused at {_share(subject)} because the signal {wording.moved_in_pairs(metric)}; evidence of "
            f"harm passed {wording.line(alpha * metric.weight)}, found in {crossing.unit:,} pairs."
        )
    moved = wording.moved(metric)
    what = (
        f"{metric.name} cannot be trusted ({lacking.labels(metric, evidence)}) and {moved}"
        if metric.gates
        else f"the signal {moved}"
    )
    return (
        f"paused at {_share(subject)} because {what}; evidence of harm passed "
        f"{wording.line(metric.alpha_harm * metric.weight)} at the {wording.ordinal(crossing.candidate)} "
        f"exposed {subject.policy.unit.value}."
    )


def _early(subject: Subject, observed: Watched) -> str | None:
    """Evidence of harm is past the weaker line at which a person is asked, and nobody has resumed past it.

    An e-value past 1/α at any look is a false alarm with probability α at most, so the line may be lower
    where only a person's time is at stake: α = .20 may pause, and never rolls back.
    """
    warnings = _warnings(subject, observed)
    if not warnings:
        return None
    name, log_e, alpha = warnings[0]
    return (
        f"paused at {_share(subject)} because evidence of harm {name} is {wording.evidence(log_e)}, past the "
        f"{wording.line(alpha)} at which a person is asked. Resume goes on until harm is shown; abort stops "
        "it."
    )


def over_budget(subject: Subject, observed: Watched, _elapsed: float) -> str | None:
    """More was lost against the anchor than the loss budget allows, and nobody has been asked yet."""
    if observed.permits.anchor_asked:
        return None
    spent = permits.over_budget(subject, observed.permits)
    if spent is None:
        return None
    return f"holding at {_share(subject)} because {spent}. A person decides: promote or abort."


def expand(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """Every goal and guardrail is within its margin, with enough units and time at this stage."""
    if obstacles(subject, observed, elapsed):
        return None
    evidence, policy = observed.evidence, subject.policy
    least = min(evidence.asked, key=lambda metric: metric.log_e_expand)
    after = wording.share_at(RolloutState.EXPOSING, subject.stage + 1, policy)
    to = f"{after}, the soak," if subject.rung is Rung.LAST else after
    factor = policy.stages[subject.stage].margin_factor
    alone = len(evidence.asked) == 1
    seen = evidence.shadow_stage.pairs if evidence.paired else evidence.consumed
    which = f"{least.name} is" if alone else f"every gate passed; closest was {least.name}, which is"
    return (
        f"expanded from {_share(subject)} to {to} because {which} not worse by more than "
        f"{wording.points(least.margin, signed=False)} points (margin × {factor:g}): evidence "
        f"{wording.evidence(least.log_e_expand)} of the {wording.line(evidence.alpha_expand)} it needed, "
        f"after {wording.counted(seen, lacking.noun(evidence, policy))}."
    )


def shadow_budget(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """Nothing more may be mirrored, and what was mirrored does not suffice."""
    spent = observed.permits.shadow
    if spent is None or subject.rung is Rung.SOAK:
        return None
    used = shadow_budget_used(subject.policy.stages[subject.stage], spent)
    if used is None:
        return None
    blocked = wording.listed(obstacles(subject, observed, elapsed))
    return (
        f"holding before anybody is exposed, with nothing mirrored any more, because {used} and {blocked}. "
        "A person decides: promote or abort; unless what is still to come suffices."
    )


def soaked(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """The soak is over, everything was measured in it, and nothing was harmed."""
    policy, evidence = subject.policy, observed.evidence
    if not _soak_is_over(subject, evidence, elapsed):
        return None
    if policy.soak_s <= 0:
        stopped = permits.obstacles(subject, observed.permits, len(policy.stages) + 1)
        return None if stopped else "completed because its policy asks for no soak."
    if lacking.unmeasured(evidence) or lacking.unheard(evidence, policy):
        return None
    if permits.obstacles(subject, observed.permits, len(policy.stages) + 1):
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
        open_ = _open_after_soak(subject, observed)
        if not _soak_is_over(subject, observed.evidence, elapsed) or not open_:
            return None
        return f"holding at {_share(subject)} because the soak is over and {wording.listed(open_)}."
    limit = subject.policy.stages[subject.stage].max_bake_s
    if elapsed < limit:
        return None
    blocked = obstacles(subject, observed, elapsed)
    if blocked == permits.frozen(subject, observed.permits):
        return None  # there is no question: the evidence suffices, and the freeze ends by itself
    passed = wording.duration(limit)
    return f"holding at {_share(subject)} because {passed} passed and {wording.listed(blocked)}."


def awaited(subject: Subject, observed: Watched, elapsed: float) -> str | None:
    """The evidence suffices and people have not agreed: they are asked now, not at the deadline."""
    if subject.rung is Rung.SOAK:
        return None
    stopped = permits.obstacles(subject, observed.permits, subject.stage + 1)
    agreed = not permits.unapproved(subject, observed.permits.approvals, subject.stage + 1)
    if agreed or subject.emergency is not None or obstacles(subject, observed, elapsed) != stopped:
        return None
    return f"holding at {_share(subject)}: every gate passed, and {wording.listed(stopped)}."


RULES: Final[tuple[tuple[Event, Rule], ...]] = (
    (Event.HARM, harm),
    (Event.VOID, void),
    (Event.SIGNAL_HARM, signal_harm),
    (Event.OVER_BUDGET, over_budget),
    (Event.EXPAND, expand),
    (Event.EXPAND_TO_SOAK, expand),
    (Event.OVER_BUDGET, shadow_budget),
    (Event.SOAKED, soaked),
    (Event.DEADLINE, deadline),
    (Event.DEADLINE, awaited),
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
    stage = policy.stages[subject.stage]
    found: list[str] = []
    if evidence.ratio_void:
        found.append(_split(subject, evidence))
    found += [f"{name} asks for a pause" for name in pausing(subject, observed)]
    found += lacking.few(evidence, policy, stage)
    # Held, it has waited its longest already; the clock of its state says how long it is held. But a shadow
    # stage may be held early, when its budget is used up, and must not go on the sooner for that.
    if (subject.state is RolloutState.EXPOSING or evidence.paired) and elapsed < stage.min_bake_s:
        found.append(
            f"{wording.duration(elapsed)} of at least {wording.duration(stage.min_bake_s)} passed here"
        )
    found += lacking.one_armed(evidence, policy)
    found += [*lacking.unmeasured(evidence), *lacking.unheard(evidence, policy)]
    found += permits.obstacles(subject, observed.permits, subject.stage + 1)
    found += lacking.short_of(evidence, policy)
    return tuple(found)


def _pausing(observed: Watched) -> list[tuple[MetricEvidence | PairedMetric, Crossing]]:
    evidence = observed.evidence
    watched: list[MetricEvidence | PairedMetric] = [*evidence.metrics]
    watched += evidence.shadow.metrics if evidence.shadow is not None else ()
    return [
        (metric, metric.alone)
        for metric in watched
        if metric.alone is not None
        and (not metric.gates or metric.void_at is not None)
        and metric.name not in observed.acknowledged
    ]


def _warnings(subject: Subject, observed: Watched) -> list[tuple[str, float, float]]:
    """Where evidence of harm asks for a pause: its name, log e, and the level of its line."""
    policy, evidence = subject.policy, observed.evidence
    if policy.alpha_pause <= 0.0:
        return []
    # Shared over the clocks, and with pairs, as what rolls back is.
    factor = policy.alpha_pause / (policy.alpha_harm_fast + policy.alpha_harm_judged)
    told = [(f"on the {clock.clock} clock", clock.log_e, clock.alpha) for clock in evidence.clocks]
    if evidence.shadow is not None:
        told.append(("in pairs", evidence.shadow.log_e, evidence.shadow.alpha))
    return [
        (name, log_e, alpha * factor)
        for name, log_e, alpha in told
        if log_e is not None and log_e >= -math.log(alpha * factor) and name not in observed.acknowledged
    ]


def pausing(subject: Subject, observed: Watched) -> tuple[str, ...]:
    """Names of the metrics and clocks that ask for a pause and that nobody has resumed past."""
    metrics = [metric.name for metric, _ in _pausing(observed)]
    return tuple(dict.fromkeys([*metrics, *(name for name, _, _ in _warnings(subject, observed))]))


def _open_after_soak(subject: Subject, observed: Watched) -> list[str]:
    """What keeps it from completing for good, unless a person has the word."""
    policy, evidence = subject.policy, observed.evidence
    # A soak that lasts no time has nothing to be measured in.
    blind = [*lacking.unmeasured(evidence), *lacking.unheard(evidence, policy)] if policy.soak_s > 0 else []
    return [*blind, *permits.asking(subject, observed.permits, len(policy.stages) + 1)]


def _soak_is_over(subject: Subject, evidence: Evidence, elapsed: float) -> bool:
    """The soak's units get their time to mature on every clock, so that a late outcome is not missed."""
    policy = subject.policy
    if policy.soak_s <= 0:
        return True
    # Evidence from before clocks had watermarks of their own says nothing of them.
    clocks = [clock.clock for clock in evidence.clocks if clock.consumed]
    return elapsed >= policy.soak_s + max(
        (matures_after(policy, clock) for clock in clocks), default=policy.maturation_s
    )


def _split(subject: Subject, evidence: Evidence) -> str:
    units = wording.count(evidence.consumed, subject.policy.unit)
    return (
        f"the evidence is void: {evidence.candidate:,} of {units} "
        f"got the candidate where {evidence.expected:,.0f} were expected (sample ratio evidence "
        f"{wording.evidence(evidence.log_e_ratio)}, void at {wording.line(evidence.alpha_ratio)})"
    )


def _share(subject: Subject) -> str:
    return wording.share_at(subject.state, subject.stage, subject.policy)
