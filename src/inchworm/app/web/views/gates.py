"""A tile per metric: the estimate with its interval, what it rests on, and the evidence for and against."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.words import Told, evalue
from inchworm.domain import wording
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.points import EvidencePoint, MetricPoint
from inchworm.domain.rollout import Decision, Rollout, RolloutState
from inchworm.rollout.evidence import Evidence, MetricEvidence
from inchworm.rollout.monitor import margin_at
from inchworm.rollout.transitions import TERMINAL, UNEXPOSED


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
class StageStart:
    """When a stage began: ``5 %``."""

    at: float
    stage: int
    label: str


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


def stage_starts(rollout: Rollout, decisions: tuple[Decision, ...]) -> tuple[StageStart, ...]:
    """When each stage began, from the decisions; stages that nobody was exposed at are left out."""
    found: list[StageStart] = []
    before = UNEXPOSED
    for decision in decisions:
        if decision.state in TERMINAL or decision.stage < 0 or decision.stage == before:
            continue
        before = decision.stage
        found.append(StageStart(at=decision.at, stage=before, label=stage_name(rollout, before)))
    return tuple(found)


def stage_name(rollout: Rollout, stage: int) -> str:
    """``5 %``, or ``soak``."""
    stages = rollout.policy.stages
    return wording.share(stages[stage].weight) if stage < len(stages) else "soak"


def tiles(seen: Seen) -> tuple[Tile, ...]:
    """One per metric, in the order of the registry; none before there is evidence."""
    evidence = seen.evidence
    if evidence is None or seen.rollout.stage < 0:
        return ()
    return tuple(
        _tile(seen, evidence, metric, one, key)
        for key, (metric, one) in enumerate(zip(seen.rollout.metrics, evidence.metrics, strict=True), 1)
    )


def _tile(seen: Seen, evidence: Evidence, metric: Metric, one: MetricEvidence, key: int) -> Tile:
    harmed = _harmed(evidence, one)
    mark, state = _state(seen.rollout, evidence, one, harmed=harmed)
    effect = one.effect
    told = Told.NULL
    if harmed:
        told = Told.HARM
    elif effect is not None and not effect.low <= 0 <= effect.high:
        told = Told.CANDIDATE
    estimate = None if effect is None else wording.points(effect.effect)
    interval = "" if effect is None else wording.bounds(effect.low, effect.high)
    margin = wording.margin(one.margin)
    bars = _bars(evidence, one, harmed=harmed)
    said = "no estimate yet" if estimate is None else f"{estimate} points {interval}"
    return Tile(
        key=key,
        name=one.name,
        role=_role(one),
        mark=mark,
        state=state,
        waits=mark == "●",
        harmed=harmed,
        told=told,
        estimate=estimate,
        interval=interval,
        rests=_rests(metric, one, evidence, told),
        n=_n(one),
        margin=margin,
        margins=tuple(
            (one.at, round(-100.0 * margin_at(seen.rollout.policy, metric, one.stage), 4))
            for one in stage_starts(seen.rollout, seen.decisions)
        ),
        bars=bars,
        series=series(seen.rollout, metric, seen.points),
        summary=f"{one.name}: {said}, 95 % confidence sequence, margin {margin}, {_n(one)}; {state}; "
        + "; ".join(f"{bar.label} {bar.text} {bar.of}" for bar in bars)
        + ".",
    )


def series(rollout: Rollout, metric: Metric, points: tuple[EvidencePoint, ...]) -> tuple[Moment, ...]:
    """One metric over time, in points."""
    found: list[Moment] = []
    for point in points:
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


def _harmed(evidence: Evidence, one: MetricEvidence) -> bool:
    crossed = [clock.crossing for clock in evidence.clocks if clock.crossing is not None]
    if one.gates and any(one.name in (crossing.culprits or (crossing.leading,)) for crossing in crossed):
        return True
    return one.alone is not None


def _state(rollout: Rollout, evidence: Evidence, one: MetricEvidence, *, harmed: bool) -> tuple[str, str]:
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
    if one.log_e_expand >= -math.log(evidence.alpha_expand):
        return "✓", "passed" if over else "passes"
    if over:
        return "○", "left open"
    return (waits, "waits") if waits == "●" else (waits, "watched")


def _role(one: MetricEvidence) -> str:
    return f"{one.role.value}, judged" if one.clock is Clock.JUDGED else one.role.value


def _rests(metric: Metric, one: MetricEvidence, evidence: Evidence, told: Told) -> tuple[str, ...]:
    said: list[str] = []
    effect = one.effect
    if effect is None:
        said.append("No stage has values from both arms yet.")
    else:
        means = f"{wording.percent(effect.candidate)} against {wording.percent(effect.baseline)}"
        said.append(f"{_what(metric)}{means}.")
        if told is Told.NULL:
            said.append("Cannot be told from zero.")
    if one.void_at is not None:
        e = evalue(one.log_e_coverage)
        said.append(
            f"Void: values arrive more often in one arm, {e}, void at {wording.line(evidence.alpha_ratio)}."
        )
    return tuple(said + _absent(one, evidence))


def _absent(one: MetricEvidence, evidence: Evidence) -> list[str]:
    """What became of units without a value."""
    left_out = max(evidence.consumed - one.consumed, 0)
    as_failed = max(one.missing.both - left_out, 0)
    said: list[str] = []
    if as_failed:
        said.append(f"{as_failed:,} absent, counted as failed.")
    if left_out:
        why = "the harness failed on them" if one.absence is Absence.FAILURE else "absent"
        said.append(f"{left_out:,} left out: {why}.")
    return said


def _what(metric: Metric) -> str:
    match metric.source:
        case {"builtin": "latency_p95", "threshold_ms": int() | float() as limit}:
            return f"Share within {limit / 1000:.1f} s: "
        case {"builtin": "cost", "cap_usd": int() | float() as cap}:
            return f"Share left of {wording.usd(cap)} a call: "
        case {"judge": _}:
            return "The judge’s score: "
        case _:
            return ""


def _n(one: MetricEvidence) -> str:
    return f"n = {one.reported.candidate:,} of {one.reported.both:,}"


def _bars(evidence: Evidence, one: MetricEvidence, *, harmed: bool) -> tuple[Bar, ...]:
    line = -math.log(one.alpha_harm * one.weight)
    harm = Bar(
        label="of harm",
        log_e=one.log_e_harm,
        log_line=line,
        text=evalue(one.log_e_harm),
        of=f"of {wording.line(one.alpha_harm * one.weight)}",
        # Harm is named once and for good: at its clock's crossing, wherever the evidence stands now.
        passed=harmed or one.log_e_harm >= line,
        harm=True,
    )
    if one.role is Role.SIGNAL:
        return (harm,)
    line = -math.log(evidence.alpha_expand)
    expand = Bar(
        label="to expand",
        log_e=one.log_e_expand,
        log_line=line,
        text=evalue(one.log_e_expand),
        of=f"of {wording.line(evidence.alpha_expand)}",
        passed=one.log_e_expand >= line,
        harm=False,
    )
    return expand, harm
