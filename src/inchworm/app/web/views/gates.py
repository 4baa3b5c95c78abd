"""A tile per metric: the estimate with its interval, what it rests on, and the evidence for and against."""

from __future__ import annotations

from inchworm.app.web.views import paired
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.tile import (
    Tile,
    bars_of,
    margins_of,
    series,
    state_of,
    summary,
    told_of,
)
from inchworm.app.web.views.words import Told, evalue, what
from inchworm.domain import wording
from inchworm.domain.metric import Absence, Clock, Metric
from inchworm.rollout.evidence import Evidence, MetricEvidence


def tiles(seen: Seen) -> tuple[Tile, ...]:
    """One per metric, in the order of the registry; none before there is evidence."""
    evidence = seen.evidence
    if evidence is None or seen.rollout.stage < 0:
        return ()
    if evidence.paired:
        return paired.tiles(seen, evidence)
    return tuple(
        _tile(seen, evidence, metric, one, key)
        for key, (metric, one) in enumerate(zip(seen.rollout.metrics, evidence.metrics, strict=True), 1)
    )


def _tile(seen: Seen, evidence: Evidence, metric: Metric, one: MetricEvidence, key: int) -> Tile:
    harmed = _harmed(evidence, one)
    mark, state = state_of(seen.rollout, one, harmed=harmed)
    effect = one.effect
    told = told_of(None if effect is None else (effect.low, effect.high), harmed=harmed)
    estimate = None if effect is None else wording.points(effect.effect)
    interval = "" if effect is None else wording.bounds(effect.low, effect.high)
    margin = wording.margin(one.margin)
    bars = bars_of(seen.rollout, one, line=one.alpha_harm * one.weight, harmed=harmed)
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
        margins=margins_of(seen, metric),
        bars=bars,
        series=series(seen.rollout, metric, seen.points),
        summary=summary(f"{one.name}: {said}", f"margin {margin}, {_n(one)}", state, bars),
    )


def _harmed(evidence: Evidence, one: MetricEvidence) -> bool:
    """Whether it was named as a whole; a cluster that was named is told by the clusters."""
    for clock in evidence.clocks:
        crossing = clock.crossing
        if crossing is None or not one.gates:
            continue
        alone = not crossing.in_clusters and crossing.leading_cluster is None
        if one.name in (crossing.culprits or ((crossing.leading,) if alone else ())):
            return True
    return one.alone is not None


def _role(one: MetricEvidence) -> str:
    return f"{one.role.value}, judged" if one.clock is Clock.JUDGED else one.role.value


def _rests(metric: Metric, one: MetricEvidence, evidence: Evidence, told: Told) -> tuple[str, ...]:
    said: list[str] = []
    effect = one.effect
    if effect is None:
        said.append("No stage has values from both arms yet.")
    else:
        means = f"{wording.percent(effect.candidate)} against {wording.percent(effect.baseline)}"
        said.append(f"{what(metric)}{means}.")
        if told is Told.NULL:
            said.append("Cannot be told from zero.")
    if one.void_at is not None:
        e = evalue(one.log_e_coverage)
        said.append(
            f"Void: values arrive more often in one arm, {e}, void at {wording.line(evidence.alpha_ratio)}."
        )
    return tuple(said + _absent(one))


def _absent(one: MetricEvidence) -> list[str]:
    """What became of units without a value."""
    # Of what counts on its clock so far, which is behind the other one and may be a sample.
    left_out = max(one.reported.both + one.missing.both - one.consumed, 0)
    as_failed = max(one.missing.both - left_out, 0)
    said: list[str] = []
    if as_failed:
        said.append(f"{as_failed:,} absent, counted as failed.")
    if left_out:
        why = "the harness failed on them" if one.absence is Absence.FAILURE else "absent"
        said.append(f"{left_out:,} left out: {why}.")
    return said


def _n(one: MetricEvidence) -> str:
    return f"n = {one.reported.candidate:,} of {one.reported.both:,}"
