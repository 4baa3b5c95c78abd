"""What a gate's tile is made of, whatever its evidence rests on: units, pairs, or units by cluster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.stages import starts_alike
from inchworm.app.web.views.words import Told, evalue
from inchworm.domain import wording
from inchworm.domain.metric import Metric
from inchworm.domain.points import EvidencePoint, MetricPoint
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.rollout.evidence import MetricEvidence, PairedMetric
from inchworm.rollout.evidence.populations import is_shadow, margin_at
from inchworm.rollout.transitions import TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Evidence on a logarithmic scale, with the line that it has to pass.

    Attributes:
        label: ``to expand`` or ``of harm``.
        log_e: log of the e-value.
        log_line: log of the line.
        text: ``e = 10``.
        of: ``of 20``.
        passed: whether it is past the line.
        harm: whether passing it is bad.
    """

    label: str
    log_e: float
    log_line: float
    text: str
    of: str
    passed: bool
    harm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A metric at one moment, in points.

    Attributes:
        at: seconds since the epoch.
        consumed: matured units until then.
        effect: candidate minus baseline, and the ends of its confidence sequence; ``None`` without estimate.
        low: lower end.
        high: upper end.
        margin: what was to be met then, as a difference: negative.
        log_e_harm: log evidence of harm.
        log_e_expand: log evidence that the loss is within the margin.
    """

    at: float
    consumed: int
    effect: float | None
    low: float | None
    high: float | None
    margin: float
    log_e_harm: float
    log_e_expand: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One metric of a rollout.

    Attributes:
        key: the number that opens it.
        name: the metric.
        role: ``goal``, ``guardrail``, ``guardrail, judged`` …
        mark: ``✓``, ``●``, ``○`` or ``■``.
        state: a word beside the mark.
        waits: whether the stage waits for it.
        harmed: whether evidence of harm passed its line.
        told: whether the estimate can be told from zero.
        estimate: ``+2.6``; ``None`` while there is none.
        interval: ``(−0.8 … +5.5)``; empty while there is none.
        rests: what it rests on, in sentences.
        n: ``n = 823 of 7,330``.
        margin: what is to be met now, ``−5.1``.
        margins: since when which margin was to be met: time and difference in points.
        bars: evidence, to expand first.
        series: over time, oldest first; differences in points.
        summary: everything in one sentence, for whoever does not see the plot.
    """

    key: int
    name: str
    role: str
    mark: str
    state: str
    waits: bool
    harmed: bool
    told: Told
    estimate: str | None
    interval: str
    rests: tuple[str, ...]
    n: str
    margin: str
    margins: tuple[tuple[float, float], ...]
    bars: tuple[Bar, ...]
    series: tuple[Moment, ...]
    summary: str


def series(rollout: Rollout, metric: Metric, points: Sequence[EvidencePoint]) -> tuple[Moment, ...]:
    """One metric over time, in points: as far as it is of the present kind, pairs or exposed units."""
    found: list[Moment] = []
    paired = is_shadow(rollout.policy, rollout.stage)
    for point in points:
        if is_shadow(rollout.policy, point.stage) is not paired:
            continue
        said = next((one for one in point.metrics if one.name == metric.name), None)
        if said is not None:
            margin = -100.0 * margin_at(rollout.policy, metric, point.stage)
            found.append(_moment(point, said, margin))
    return tuple(found)


def _moment(point: EvidencePoint, said: MetricPoint, margin: float) -> Moment:
    return Moment(
        at=point.at,
        consumed=point.consumed,
        effect=_points(said.effect),
        low=_points(said.low),
        high=_points(said.high),
        margin=round(margin, 4),
        log_e_harm=said.log_e_harm,
        log_e_expand=said.log_e_expand,
    )


def _points(value: float | None) -> float | None:
    return None if value is None else round(value * 100, 4)


def told_of(interval: tuple[float, float] | None, *, harmed: bool) -> Told:
    """Whether an estimate can be told from zero."""
    if harmed:
        return Told.HARM
    return Told.NULL if interval is None or interval[0] <= 0 <= interval[1] else Told.CANDIDATE


def state_of(rollout: Rollout, one: MetricEvidence | PairedMetric, *, harmed: bool) -> tuple[str, str]:
    """Mark and word."""
    over = rollout.state in TERMINAL
    waits = "○" if over or rollout.state is RolloutState.SOAKING else "●"
    if harmed:
        return "■", "harmed"
    if one.void_at is not None:
        return waits if one.gates else "○", "void"
    if not one.gates:
        return "○", "signal"
    if not one.has_data:
        return waits, "not measured" if over else "not measured yet"
    if one.log_e_expand >= -math.log(rollout.policy.alpha_expand):
        return "✓", "passed" if over else "passes"
    if over:
        return "○", "left open"
    return (waits, "waits") if waits == "●" else (waits, "watched")


def margins_of(seen: Seen, metric: Metric) -> tuple[tuple[float, float], ...]:
    """Since when which margin was to be met, in points; negative."""
    return tuple(
        (one.at, round(-100.0 * margin_at(seen.rollout.policy, metric, one.stage), 4))
        for one in starts_alike(seen.rollout, seen.decisions)
    )


def bars_of(
    rollout: Rollout, one: MetricEvidence | PairedMetric, *, line: float, harmed: bool
) -> tuple[Bar, ...]:
    """Evidence to expand and of harm; of a signal only of harm.

    Args:
        rollout: whose policy says the error of an expansion.
        one: the metric.
        line: what its evidence of harm may reach alone by chance: α w.
        harmed: whether it was named as harmed.
    """
    of_harm = bar("of harm", one.log_e_harm, line, harm=True)
    if harmed:
        # Harm is named once and for good: at its clock's crossing, wherever the evidence stands now.
        of_harm = replace(of_harm, passed=True)
    if not one.gates:
        return (of_harm,)
    return bar("to expand", one.log_e_expand, rollout.policy.alpha_expand, harm=False), of_harm


def bar(label: str, log_e: float, alpha: float, *, harm: bool, symbol: str = "e") -> Bar:
    """Evidence with its line 1/α."""
    return Bar(
        label=label,
        log_e=log_e,
        log_line=-math.log(alpha),
        text=symbol + evalue(log_e).removeprefix("e"),
        of=f"of {wording.line(alpha)}",
        passed=log_e >= -math.log(alpha),
        harm=harm,
    )


def summary(said: str, asked: str, state: str, bars: Sequence[Bar]) -> str:
    """A tile in one sentence: its estimate, what it rests on, its state and its evidence."""
    lines = "; ".join(f"{one.label} {one.text} {one.of}" for one in bars)
    return f"{said}, 95 % confidence sequence, {asked}; {state}; {lines}."
