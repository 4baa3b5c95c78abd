"""Changes over quality: how good the answers were, beside what was changed when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inchworm.app.house import House
from inchworm.domain import wording
from inchworm.domain.layers import LAYERS
from inchworm.domain.metric import Metric, Role
from inchworm.domain.rollout import LedgerEntry, Rollout, RolloutState
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.stats.intervals import wilson
from inchworm.store.traces import QualityBin

_MINUTE, _HOUR, _DAY = 60.0, 3_600.0, 86_400.0
WIDTHS = (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, _DAY)
"""Widths of a bin, in seconds."""
BINS = 60
"""Bins at most."""
LONGEST_S = 14 * _DAY
LEDGER = 500
OK = "answered without a failure"
Kind = Literal["flight", "ran", "back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """One bin with at least one value.

    Attributes:
        at: the middle of it, seconds since the epoch.
        start: where it begins.
        n: traces with a value.
        mean: in percent.
        low: lower end of its 95 % interval (Wilson), in percent.
        high: upper end.
    """

    at: float
    start: float
    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeBar:
    """A rollout on the time axis.

    Attributes:
        layer: which layer it moved.
        rollout: its id.
        start: when it started.
        end: when it ended, or now.
        kind: in flight, ran, or rolled back.
        state: in words.
    """

    layer: str
    rollout: str
    start: float
    end: float
    kind: Kind
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Something that changed and was not ours."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality and changes over one stretch of time.

    Attributes:
        metric: what is shown, in words.
        width: of a bin, in words.
        width_s: of a bin, seconds.
        since: where the axis begins, seconds since the epoch.
        until: where it ends.
        bins: those with a value, oldest first.
        layers: the names of the rows.
        bars: rollouts.
        observed: changes that were only seen.
        n: traces with a value in all.
        summary: the numbers as a sentence.
    """

    metric: str
    width: str
    width_s: float
    since: float
    until: float
    bins: tuple[Stretch, ...]
    layers: tuple[str, ...]
    bars: tuple[ChangeBar, ...]
    observed: tuple[Observed, ...]
    n: int
    summary: str


def width_for(seconds: float) -> float:
    """The narrowest width with which so many seconds fit into :data:`BINS`."""
    return next((width for width in WIDTHS if seconds / width <= BINS), WIDTHS[-1])


def goal(metrics: Sequence[Metric]) -> str | None:
    """The goal that scores say; ``None`` where there is none, or a builtin decides by the outcome alone."""
    return next((one.name for one in metrics if one.role is Role.GOAL and "builtin" not in one.source), None)


def read(house: House, rollouts: Sequence[Rollout], *, declared: bool) -> Quality | None:
    """Quality up to now; ``None`` without traces.

    Args:
        house: the app.
        rollouts: all of it.
        declared: whether metrics are in force; else the share of answers without a failure is shown.
    """
    period = house.traces.period(house.app)
    now = house.now()
    if period is None:
        return None
    since = max(period[0], now - LONGEST_S)
    width = width_for(max(now - since, _MINUTE))
    since -= since % width
    metric = goal(house.spec.metrics) if declared else None
    bins = house.traces.quality(house.app, metric=metric, since=since, until=now, width_s=width)
    if metric is not None and not bins:  # traffic that nobody has scored
        metric = None
        bins = house.traces.quality(house.app, metric=None, since=since, until=now, width_s=width)
    entries = house.control.ledger(house.app, since=since, limit=LEDGER)
    return build(bins, rollouts, entries, metric=metric, since=since, until=now, width_s=width)


def build(
    bins: Sequence[QualityBin],
    rollouts: Sequence[Rollout],
    entries: Sequence[LedgerEntry],
    *,
    metric: str | None,
    since: float,
    until: float,
    width_s: float,
) -> Quality:
    """What is shown of bins, rollouts and ledger over ``since … until``."""
    stretches = tuple(_stretch(one, width_s, until) for one in bins)
    name = OK if metric is None else metric
    return Quality(
        metric=name,
        width=wording.duration(width_s),
        width_s=width_s,
        since=since,
        until=until,
        bins=stretches,
        layers=tuple(layer.value for layer in LAYERS),
        bars=tuple(
            _bar(one, until)
            for one in rollouts
            if one.started_at is not None and (one.ended_at or until) >= since
        ),
        observed=tuple(
            Observed(at=entry.at, what=entry.what) for entry in entries[::-1] if entry.kind == "observed"
        ),
        n=sum(one.n for one in bins),
        summary=_summary(name, stretches),
    )


def _stretch(one: QualityBin, width_s: float, until: float) -> Stretch:
    # A mean of values in [0, 1] varies less than a rate: the interval is rather too wide than too narrow.
    interval = wilson(min(max(one.total, 0.0), one.n), one.n)
    return Stretch(
        at=(one.start + min(one.start + width_s, until)) / 2,
        start=one.start,
        n=one.n,
        mean=round(100 * one.total / one.n, 3),
        low=round(100 * interval.low, 3),
        high=round(100 * interval.high, 3),
    )


def _bar(one: Rollout, until: float) -> ChangeBar:
    kind: Kind = "ran"
    if one.state in IN_FLIGHT:
        kind = "flight"
    elif one.state is RolloutState.ROLLED_BACK:
        kind = "back"
    return ChangeBar(
        layer=one.layer.value,
        rollout=one.id,
        start=one.started_at or one.created_at,
        end=one.ended_at or until,
        kind=kind,
        state=one.state.value.replace("_", " "),
    )


def _summary(name: str, bins: Sequence[Stretch]) -> str:
    if not bins:
        return f"{name}: nothing was measured"
    last = bins[-1]
    worst = min(bins, key=lambda one: one.mean)
    return (
        f"{name}: {last.mean:.1f} % ({last.low:.1f} … {last.high:.1f}), n = {last.n:,} in the last bin; "
        f"lowest {worst.mean:.1f} % ({worst.low:.1f} … {worst.high:.1f}), n = {worst.n:,}"
    )
