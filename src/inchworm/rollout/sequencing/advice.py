"""What a policy cannot decide at an app's traffic, and what could be decided instead. Pure.

A stage whose median time to a decision is beyond its deadline would hold and ask, after days in which people
were exposed for nothing. So it is refused before, together with what would decide: a larger share, wider
margins, a longer bake, or pairs from a shadow stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from inchworm.domain.change import Plan
from inchworm.domain.errors import UsageError
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Policy, Stage, StageKind
from inchworm.domain.wording import duration, listed, share, usd
from inchworm.rollout.evidence.budget import gates
from inchworm.rollout.sequencing.forecast import DAY_S, StageTime, Traffic, needed, together

LOW_TRAFFIC: Final = 1_000
"""Units a day below which shadow and 50/50 are proposed."""
LOW_MARGIN: Final = 0.08
"""The margin that is proposed for them; at 300 units a day it is decided within days."""
_SHARES: Final = (0.1, 0.25, 0.5)
_WIDEST: Final = 0.25
"""No margin beyond it is proposed: it would let through what nobody wants."""
_STEP: Final = 0.005
_LONGEST_DAYS: Final = 90
_SHADOW: Final = Stage(
    weight=1.0,
    min_units=200,
    min_bake_s=7_200,
    max_bake_s=7 * DAY_S,
    margin_factor=1.0,
    kind=StageKind.SHADOW,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """Something that can be decided at a stage that cannot.

    Attributes:
        what: ``weight``, ``margin``, ``bake`` or ``shadow``.
        says: as half a sentence with its numbers.
        days: the median time that it takes.
        cost_usd: what it costs, if that is known.
    """

    what: str
    says: str
    days: float
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A stage that would end without a decision.

    Attributes:
        stage: 0-based.
        says: why, as a sentence.
        instead: what would decide, the smallest change of each kind; a kind that would not is left out.
    """

    stage: int
    says: str
    instead: tuple[Instead, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Stages that decide at low traffic.

    Attributes:
        pairs: of the shadow stage, in the median.
        shadow_days: how long they take.
        shadow_usd: what they cost, if that is known.
        units: of the 50/50 stage, in the median.
        split_days: how long they take.
        margins: of the metrics, where they differ from what is declared.
        yaml: for ``inchworm.yaml``, to be put in place of the keys that it names.
    """

    pairs: int
    shadow_days: float
    shadow_usd: float | None
    units: int
    split_days: float
    margins: dict[str, float]
    yaml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What advice is given on.

    Attributes:
        policy: stages and error rates.
        metrics: the app's registry.
        rates: present mean of each metric.
        traffic: what passes by.
    """

    policy: Policy
    metrics: tuple[Metric, ...]
    rates: Mapping[str, float]
    traffic: Traffic

    @property
    def gating(self) -> tuple[Metric, ...]:
        """The metrics that expansion waits for."""
        return tuple(metric for metric in self.metrics if gates(metric))

    def units(self, stage: Stage, *, factor: float = 1.0, least: float = 0.0) -> int:
        """The median of units (pairs) until every gate has its evidence at a stage, taken by itself.

        Args:
            stage: which.
            factor: its margins are so many times as wide.
            least: no margin is smaller.
        """
        found = [
            needed(
                self.policy,
                stage,
                metric,
                self.rates,
                margin=min(max(metric.margin * stage.margin_factor * factor, least), 1.0),
            )
            for metric in self.gating
        ]
        return max(together(found), stage.min_units)


def advise(situation: Situation, times: Sequence[StageTime]) -> tuple[Undecided, ...]:
    """The stages that would end undecided, each with what would decide instead.

    Args:
        situation: policy, metrics and traffic.
        times: the forecast of the same.
    """
    stages = situation.policy.stages
    return tuple(
        Undecided(
            stage=number,
            says=_says(situation, number, time),
            instead=_instead(situation, stages[number], time),
        )
        for number, time in enumerate(times)
        if time.undecided
    )


def propose(situation: Situation) -> Proposal | None:
    """Stages for low traffic: shadow with paired evidence, then 50/50.

    ``None`` if traffic is not low, or no metric gates.
    """
    traffic = situation.traffic
    if traffic.units_per_day >= LOW_TRAFFIC or not situation.gating:
        return None
    split = Stage(weight=0.5, min_units=1, min_bake_s=DAY_S, max_bake_s=14 * DAY_S, margin_factor=1.0)
    shadow = replace(_SHADOW, min_units=1)
    pairs = situation.units(shadow, least=LOW_MARGIN)
    units = situation.units(split, least=LOW_MARGIN)
    margins = {metric.name: LOW_MARGIN for metric in situation.gating if metric.margin < LOW_MARGIN}
    days = (_days(pairs / traffic.units_per_day, shadow), _days(units / traffic.units_per_day, split))
    cost = None if traffic.usd_per_call is None else pairs * traffic.usd_per_call
    return Proposal(
        pairs=pairs,
        shadow_days=days[0],
        shadow_usd=cost,
        units=units,
        split_days=days[1],
        margins=margins,
        yaml=_yaml(situation, (pairs, units), days, margins),
    )


def refusal(plan: Plan, undecided_because: str | None) -> UsageError | None:
    """Why a plan is not applied: its policy could not decide at the traffic it was made for.

    Args:
        plan: the plan.
        undecided_because: why it is wanted all the same; anything but an empty reason lets it through.
    """
    if not plan.undecided or (undecided_because or "").strip():
        return None
    return UsageError(
        f"{plan.id} is not applied: its policy cannot decide at this traffic. {' '.join(plan.undecided)}",
        hint="change rollout.stages and plan again, or say why it is wanted all the same: "
        f"inchworm apply {plan.id} --undecided-because REASON",
    )


def _says(situation: Situation, number: int, time: StageTime) -> str:
    policy = situation.policy
    stage = policy.stages[number]
    shadow = stage.kind is StageKind.SHADOW
    what = "pairs" if shadow else f"{policy.unit.value}s"
    place = (
        f"Stage {number + 1} of {len(policy.stages)} ({'shadow, ' if shadow else ''}{share(stage.weight)})"
    )
    limit = f"max_bake of {duration(stage.max_bake_s)}"
    if shadow and (stage.budget_usd is not None or stage.max_calls is not None):
        limit += " and its budget"
    come = f"{time.most or 0:,} come within its {limit}"
    takes = f"{_why(situation, stage, time)} about {_about(time.needs):,} {what}"
    return f"{place} would end undecided: {takes}, and {come}."


def _why(situation: Situation, stage: Stage, time: StageTime) -> str:
    if not time.slowest or time.needs <= stage.min_units:
        return "it asks for"
    return (
        f"`{time.slowest}` and its other gates take"
        if len(situation.gating) > 1
        else f"`{time.slowest}` takes"
    )


def _instead(situation: Situation, stage: Stage, time: StageTime) -> tuple[Instead, ...]:
    part = 1.0 if time.takes_part is None else time.takes_part
    traffic = situation.traffic
    pace = part * traffic.units_per_day
    found = _fewer(stage, time, pace)
    if stage.kind is StageKind.SPLIT:
        found += _larger(situation, stage, pace, time.most or 0)
    found += _wider(situation, stage, time, pace)
    bake = time.needs / (pace * stage.weight if stage.kind is StageKind.SHADOW else pace)
    if bake <= _LONGEST_DAYS:
        found.append(
            Instead(
                what="bake",
                says=f"max_bake: {math.ceil(bake * 1.5)}d, of which the median takes {_span(bake)}",
                days=bake,
            )
        )
    if stage.kind is StageKind.SPLIT:
        found += _mirrored(situation, stage, pace)
    return tuple(found)


def _fewer(stage: Stage, time: StageTime, pace: float) -> list[Instead]:
    """Where only the minimum of units stands in the way."""
    units = max(time.evidence, 1)
    if time.needs > stage.min_units or units > (time.most or 0):
        return []
    least = _floor(units, stage.min_units)
    key = "min_pairs" if stage.kind is StageKind.SHADOW else "min_units"
    each = stage.weight if stage.kind is StageKind.SHADOW else 1.0
    days = units / (pace * each)
    return [Instead(what=key, says=f"{key}: {least:,} decides in about {_span(days)}", days=days)]


def _larger(situation: Situation, stage: Stage, pace: float, most: int) -> list[Instead]:
    for weight in _SHARES:
        if weight > stage.weight:
            units = situation.units(replace(stage, weight=weight))
            if units <= most:
                days = units / pace
                return [
                    Instead(
                        what="weight",
                        says=f"weight: {share(weight)} decides in about {_span(days)}",
                        days=days,
                    )
                ]
    return []


def _wider(situation: Situation, stage: Stage, time: StageTime, pace: float) -> list[Instead]:
    """The smallest factor on all margins of the stage with which it decides."""
    most = time.most or 0
    slowest = next((metric for metric in situation.gating if metric.name == time.slowest), None)
    if slowest is None or situation.units(stage, factor=100.0) > most:
        return []
    low, high = 1.0, 100.0
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if situation.units(stage, factor=middle) <= most else (middle, high)
    final = math.ceil(slowest.margin * high / _STEP - 1e-9) * _STEP
    if final > _WIDEST:
        return []
    each = stage.weight if stage.kind is StageKind.SHADOW else 1.0
    days = situation.units(stage, factor=final / slowest.margin) / (pace * each)
    others = " (and the other gates' as much wider)" if len(situation.gating) > 1 else ""
    wider = f"margin: {final:g} instead of {slowest.margin:g} for {slowest.name}{others}"
    return [
        Instead(
            what="margin",
            says=f"{wider} decides in about {_span(days)}",
            days=days,
        )
    ]


def _mirrored(situation: Situation, stage: Stage, pace: float) -> list[Instead]:
    traffic = situation.traffic
    shadow = replace(_SHADOW, margin_factor=stage.margin_factor)
    pairs = situation.units(shadow)
    days = pairs / pace
    if days > _LONGEST_DAYS:
        return []
    cost = None if traffic.usd_per_call is None else pairs * traffic.usd_per_call
    price = "" if cost is None else f", ≈ {usd(cost)}"
    return [
        Instead(
            what="shadow",
            says="shadow first decides the same margin on about "
            f"{_about(pairs):,} pairs, in {_span(days)}{price}",
            days=days,
            cost_usd=cost,
        )
    ]


def _yaml(
    situation: Situation, sizes: tuple[int, int], days: tuple[float, float], margins: Mapping[str, float]
) -> str:
    (pairs, units), (first, second) = sizes, days
    word, least = situation.policy.unit.value, _floor(pairs, 200)
    lines = [f"# for about {situation.traffic.units_per_day:,.0f} {word}s a day"]
    if margins:
        lines += ["metrics:"] + [f"  {name}: {{margin: {margin:g}}}" for name, margin in margins.items()]
    lines += [
        "rollout:",
        "  alpha: {pause: 0.2}  # weaker evidence of harm asks you, and rolls nothing back",
        "  stages:",
        f"    # about {_about(pairs):,} pairs, {_span(first)}",
        f"    - {{shadow: 100%, margin_factor: 1, min_pairs: {least}, max_bake: {_bake(first, 7)}d}}",
        f"    # about {_about(units):,} {word}s, {_span(second)}",
        f"    - {{weight: 50%, min_units: {_floor(units, 1_000)}, max_bake: {_bake(second, 14)}d}}",
    ]
    return "\n".join(lines) + "\n"


def _floor(expected: int, most: int) -> int:
    """A minimum that the median is beyond: half of it, to the next ten."""
    return min(max(math.ceil(expected / 20) * 10, 10), most)


def _bake(days: float, least: int) -> int:
    return max(least, math.ceil(2 * days))


def _days(days: float, stage: Stage) -> float:
    return max(days, stage.min_bake_s / DAY_S)


def _span(days: float) -> str:
    return duration(days * DAY_S)


def _about(number: int) -> int:
    """Two digits of an estimate; the others say nothing."""
    size: int = 10 ** max(len(str(number)) - 2, 0)
    return math.ceil(number / size) * size


def as_sentence(undecided: Undecided) -> str:
    """A stage that would not decide, with all that would."""
    if not undecided.instead:
        return f"{undecided.says} Nothing of this policy would change that: it needs more traffic."
    return f"{undecided.says} Instead: {listed([one.says for one in undecided.instead])}."
