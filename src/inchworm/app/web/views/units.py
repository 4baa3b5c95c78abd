"""What is known of units beside their number: who takes part, what has matured, what is judged."""

from __future__ import annotations

from collections.abc import Iterator

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.stages import audience, stage_name
from inchworm.domain import wording
from inchworm.domain.metric import Clock
from inchworm.domain.rollout import Judging, Stage, StageKind
from inchworm.domain.shadow import ShadowSpent
from inchworm.rollout.evidence import ClockEvidence, Pair
from inchworm.rollout.evidence.populations import clocks_of, matures_after, pairs_mature_after
from inchworm.rollout.wording import plural

_HOW = {
    "session": "session, fixed at first exposure by a signed token",
    "user": "user, fixed at first exposure",
    "request": "request, each drawn on its own",
}
Fact = tuple[str, str]


def facts_of_units(seen: Seen) -> Iterator[Fact]:
    """Names with what is known, for the list beside the table."""
    rollout, policy, evidence = seen.rollout, seen.rollout.policy, seen.evidence
    yield "unit", _HOW[policy.unit.value]
    yield from _audience(seen)
    if policy.holdout:
        yield (
            "holdout",
            f"{wording.share(policy.holdout)} of the {plural(policy.unit)}, exposed to no rollout",
        )
    yield from _mirrored(seen)
    if evidence is None or not seen.exposed:
        return
    clocks = {one.clock: one for one in evidence.clocks}
    alone = len(clocks_of(rollout)) == 1
    for clock in clocks_of(rollout):
        consumed = clocks[clock].consumed if clock in clocks else evidence.consumed
        wait = matures_after(policy, clock)
        past = f" past their {wording.duration(wait)}" if wait > 0 else ""
        # Evidence from before clocks had watermarks of their own: both stand where the one stood.
        done = consumed or evidence.consumed
        yield "matured" if alone else f"matured, {clock.value}", f"{done:,} of {seen.exposed:,}{past}"
    if Clock.JUDGED in clocks:
        yield from _judged(seen, clocks[Clock.JUDGED])
    yield from _late(list(clocks.values()), alone=alone)


def _audience(seen: Seen) -> Iterator[Fact]:
    """Who takes part now, or will at the stage that comes next."""
    stages = seen.rollout.policy.stages
    here = max(seen.rollout.stage, 0)
    if here < len(stages) and stages[here].audience:
        yield "audience", f"{audience(stages[here].audience)}; others get stable"
        return
    later = next((place for place in range(here, len(stages)) if stages[place].audience), None)
    if later is not None:
        name = stage_name(seen.rollout, later)
        yield "audience", f"everybody; at {name} only where {audience(stages[later].audience)}"


def _mirrored(seen: Seen) -> Iterator[Fact]:
    stages, shadow = seen.rollout.policy.stages, None if seen.evidence is None else seen.evidence.shadow
    for place, spent in sorted(seen.spent.items()):
        stage = stages[place]
        if stage.kind is not StageKind.SHADOW:
            continue
        many = len(seen.spent) > 1
        name = f"mirrored, {stage_name(seen.rollout, place)}" if many else "mirrored"
        yield name, mirrored_said(stage, spent)
        if shadow is not None and not many:
            wait = pairs_mature_after(seen.rollout)
            past = f" past their {wording.duration(wait)}" if wait > 0 else ""
            yield (
                "matured",
                f"{wording.counted(shadow.pairs, 'pair')} of {wording.counted(spent.calls, 'call')}{past}",
            )


def mirrored_said(stage: Stage, spent: ShadowSpent) -> str:
    """``512 of at most 5,000 calls, 0.84 USD of 5 USD; nobody saw an answer``."""
    most = "" if stage.max_calls is None else f" of at most {stage.max_calls:,}"
    said = f"{spent.calls:,}{most} calls"
    if spent.priced:
        about = "about " if spent.unpriced else ""
        said += f", {about}{wording.usd(spent.estimate_usd)}"
        said += "" if stage.budget_usd is None else f" of {wording.usd(stage.budget_usd)}"
    elif stage.budget_usd is not None:
        said += f", cost not known yet, of {wording.usd(stage.budget_usd)}"
    return f"{said}; nobody saw an answer"


def _judged(seen: Seen, clock: ClockEvidence) -> Iterator[Fact]:
    """How many units are judged, and that it was drawn so."""
    rates = seen.rollout.policy.judging
    state = None if seen.state is None else seen.state.clocks.get(Clock.JUDGED)
    if state is None or not state.consumed or rates == Judging():
        return
    counted, came = clock.counted, Pair(baseline=state.consumed - state.candidate, candidate=state.candidate)
    candidate = f"{counted.candidate:,} of {came.candidate:,} candidate{_rate(rates.candidate)}"
    baseline = f"{counted.baseline:,} of {came.baseline:,} baseline{_rate(rates.baseline)}"
    yield "judged", f"{candidate}, {baseline}"


def _rate(rate: float) -> str:
    """``(1 in 5, by design)``; nothing where all are judged."""
    if rate >= 1:
        return ""
    inverse = 1 / rate
    said = f"1 in {inverse:.0f}" if abs(inverse - round(inverse)) < 0.01 else wording.share(rate)
    return f" ({said}, by design)"


def _late(clocks: list[ClockEvidence], *, alone: bool) -> Iterator[Fact]:
    for one in clocks:
        if one.late.both:
            what = "score" if one.clock is Clock.JUDGED else "interaction"
            late = f"{wording.counted(one.late.both, what)} behind the watermark"
            arms = f"({one.late.baseline:,} · {one.late.candidate:,})"
            yield "late" if alone else f"late, {one.clock.value}", f"{late} {arms}, in no evidence"
