"""Tiles of a shadow stage: both answered the same input, and nobody saw the candidate's answer."""

from __future__ import annotations

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.tile import Tile, bars_of, margins_of, series, state_of, summary, told_of
from inchworm.app.web.views.words import Told, what
from inchworm.domain import wording
from inchworm.domain.metric import Clock, Metric
from inchworm.rollout.evidence import Evidence, PairedMetric, ShadowEvidence


def tiles(seen: Seen, evidence: Evidence) -> tuple[Tile, ...]:
    """One per metric, in the order of the registry."""
    shadow = evidence.shadow
    if shadow is None:
        return ()
    return tuple(
        _tile(seen, shadow, metric, one, key)
        for key, (metric, one) in enumerate(zip(seen.rollout.metrics, shadow.metrics, strict=True), 1)
    )


def _tile(seen: Seen, shadow: ShadowEvidence, metric: Metric, one: PairedMetric, key: int) -> Tile:
    harmed = _harmed(shadow, one)
    mark, state = state_of(seen.rollout, one, harmed=harmed)
    known = one.effect is not None
    told = told_of((one.low, one.high) if known else None, harmed=harmed)
    estimate = None if one.effect is None else wording.points(one.effect)
    interval = wording.bounds(one.low, one.high) if known else ""
    margin, n = wording.margin(one.margin), _n(one, shadow)
    bars = bars_of(seen.rollout, one, line=shadow.alpha * one.weight, harmed=harmed)
    said = "no estimate yet" if estimate is None else f"{estimate} points {interval}, new − old"
    return Tile(
        key=key,
        name=one.name,
        role=f"{one.role.value}, judged" if metric.clock is Clock.JUDGED else one.role.value,
        mark=mark,
        state=state,
        waits=mark == "●",
        harmed=harmed,
        told=told,
        estimate=estimate,
        interval=interval,
        rests=_rests(metric, one, told),
        n=n,
        margin=margin,
        margins=margins_of(seen, metric),
        bars=bars,
        series=series(seen.rollout, metric, seen.points),
        summary=summary(f"{one.name}: {said}", f"margin {margin}, {n}", state, bars),
    )


def _harmed(shadow: ShadowEvidence, one: PairedMetric) -> bool:
    crossing = shadow.crossing
    named = () if crossing is None else crossing.culprits or (crossing.leading,)
    return (one.gates and one.name in named) or one.alone is not None


def _rests(metric: Metric, one: PairedMetric, told: Told) -> tuple[str, ...]:
    said = [f"{what(metric)}new − old on the same input."]
    if one.effect is None:
        said = ["No pair has a value on both sides yet."]
    elif told is Told.NULL:
        said.append("Cannot be told from zero.")
    if one.missing:
        said.append(f"{wording.counted(one.missing, 'pair')} without a value on both sides, left out.")
    return (said[0][:1].upper() + said[0][1:], *said[1:])


def _n(one: PairedMetric, shadow: ShadowEvidence) -> str:
    of = "" if one.consumed == shadow.pairs else f" of {shadow.pairs:,}"
    return f"n = {one.consumed:,}{of} pairs"
