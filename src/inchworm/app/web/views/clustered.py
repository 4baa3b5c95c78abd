"""A tile per metric that is watched by cluster, so that a mean cannot hide a broken tail."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.tile import Bar, bar
from inchworm.app.web.views.words import Told
from inchworm.domain import wording
from inchworm.rollout.evidence import ClusterEvidence, ClusterMetric, Evidence
from inchworm.rollout.monitor import MonitorState
from inchworm.stats.differences import anytime, information, squared_error

LOWEST = 5
"""Clusters that are drawn one by one; the others share a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A cluster, or all that are not drawn one by one; in points.

    Attributes:
        name: ``refund status``, or ``other, 17``.
        effect: candidate minus baseline.
        low: lower end of its interval.
        high: upper end.
        told: whether it can be told from zero; harm if it was named.
        n: units with a value, candidate first: ``158 of 1,410``.
    """

    name: str
    effect: float
    low: float
    high: float
    told: Told
    n: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTile:
    """One metric by cluster.

    Attributes:
        key: the number that opens the traces of the lowest cluster.
        metric: the metric.
        name: ``answered, by cluster``.
        role: ``goal``, ``guardrail``.
        mark: ``○`` or ``■``.
        state: ``watched``, ``harmed``, ``void``.
        harmed: whether a cluster was named.
        found: ``none named``, or the named clusters.
        of: ``of 21 clusters``.
        rests: what it rests on, in sentences.
        n: of the lowest one.
        href: where its traces are.
        dots: the lowest first, the others last.
        margin: what a whole metric has to meet now, ``−5.1``.
        margin_points: the same as a number of points; negative.
        bar: the evidence of harm of all clusters and metrics of its clock together.
        summary: everything in one sentence.
    """

    key: int
    metric: str
    name: str
    role: str
    mark: str
    state: str
    harmed: bool
    found: str
    of: str
    rests: tuple[str, ...]
    n: str
    href: str
    dots: tuple[Dot, ...]
    margin: str
    margin_points: float
    bar: Bar
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A cluster with an estimate."""

    name: str
    effect: float
    squared: float
    known: float
    units: tuple[int, int]
    named: bool


def cluster_tiles(seen: Seen, first: int) -> tuple[ClusterTile, ...]:
    """The first goal or guardrail by cluster, and every other one of which a cluster was named.

    Args:
        seen: all that was read of the rollout.
        first: the key of the first tile.
    """
    evidence, state = seen.evidence, seen.state
    if (
        evidence is None
        or state is None
        or evidence.paired
        or not any(one.units.both for one in evidence.clusters)
    ):
        return ()
    named = _named(evidence)
    gating = [metric.name for metric in evidence.gates]
    shown = [name for name in gating if named.get(name) or name == gating[0]]
    return tuple(
        _tile(seen, evidence, _parts(evidence, state, name, named.get(name, ())), name, key)
        for key, name in enumerate(shown, first)
    )


def _named(evidence: Evidence) -> dict[str, tuple[str, ...]]:
    """The clusters in which each metric was named as harmed, by its id."""
    found: dict[str, tuple[str, ...]] = {}
    for clock in evidence.clocks:
        for one in () if clock.crossing is None else clock.crossing.in_clusters:
            found[one.metric] = (*found.get(one.metric, ()), one.cluster)
    return found


def _tile(seen: Seen, evidence: Evidence, parts: Sequence[_Part], name: str, key: int) -> ClusterTile:
    whole, named = evidence.metric(name), _named(evidence).get(name, ())
    sum_, void = _bar(evidence, name, harmed=bool(named)), evidence.clusters_void_at is not None
    mark, said = ("■", "harmed") if named else ("○", "void" if void else "watched")
    dots = _dots(parts)
    lowest = dots[0] if dots else None
    count = len(evidence.clusters)
    clusters = {one.id: one.name for one in evidence.clusters}
    found = wording.listed([clusters[one] for one in named]) if named else "none named"
    of = f"of {wording.counted(count, 'cluster')}"
    lines = "; ".join(_dot_said(one) for one in dots) or "no cluster has units in both arms yet"
    return ClusterTile(
        key=key,
        metric=name,
        name=f"{name}, by cluster",
        role=whole.role.value,
        mark=mark,
        state=said,
        harmed=bool(named),
        found=found,
        of=of,
        rests=_rests(evidence, dots, len(parts), named),
        n="" if lowest is None else f"n = {lowest.n}",
        href=f"/traces?rollout={seen.rollout.id}&arm=candidate"
        + ("" if lowest is None or not parts else f"&topic={quote(parts[0].name)}"),
        dots=dots,
        margin=wording.margin(whole.margin),
        margin_points=round(-100.0 * whole.margin, 4),
        bar=sum_,
        summary=f"{name}, by cluster: {found} {of}; 95 % intervals: {lines}; margin "
        f"{wording.margin(whole.margin)}; {said}; {sum_.label} {sum_.text} {sum_.of}.",
    )


def _parts(evidence: Evidence, state: MonitorState, name: str, named: Sequence[str]) -> list[_Part]:
    """The clusters with an estimate: the named ones first, then the lowest."""
    found: list[_Part] = []
    kept = {one.id: {each.name: each.units for each in one.metrics} for one in state.clusters}
    for cluster in evidence.clusters:
        one = cluster.metric(name)
        arms = [(units.baseline, units.candidate) for units in kept[cluster.id][name]]
        if one.effect is None or one.baseline is None or one.candidate is None:
            continue
        found.append(
            _Part(
                name=cluster.name,
                effect=one.effect,
                squared=squared_error((one.baseline, one.candidate), arms),
                known=information(arms),
                units=(one.units.baseline, one.units.candidate),
                named=cluster.id in named,
            )
        )
    return sorted(found, key=lambda part: (not part.named, part.effect))


def _dots(parts: Sequence[_Part]) -> tuple[Dot, ...]:
    alone = LOWEST if len(parts) > LOWEST + 1 else LOWEST + 1
    others = parts[alone:]
    dots = [_dot(one) for one in parts[:alone]]
    if others:
        dots.append(_dot(_together(others)))
    return tuple(dots)


def _together(parts: Sequence[_Part]) -> _Part:
    """Clusters that are not drawn one by one, weighted by what each is known to."""
    known = sum(one.known for one in parts)
    return _Part(
        name=f"other, {len(parts):,}",
        effect=sum(one.effect * one.known for one in parts) / known,
        squared=sum(one.squared * (one.known / known) ** 2 for one in parts),
        known=known,
        units=(sum(one.units[0] for one in parts), sum(one.units[1] for one in parts)),
        named=False,
    )


def _dot(one: _Part) -> Dot:
    ends = anytime(one.effect, one.squared, one.known)
    outside = not ends.low <= 0 <= ends.high
    return Dot(
        name=one.name,
        effect=round(100 * one.effect, 4),
        low=round(100 * ends.low, 4),
        high=round(100 * ends.high, 4),
        told=Told.HARM if one.named else Told.CANDIDATE if outside else Told.NULL,
        n=f"{one.units[1]:,} of {sum(one.units):,}",
    )


def _dot_said(one: Dot) -> str:
    ends = wording.bounds(one.low / 100, one.high / 100)
    mark = "harmed, " if one.told is Told.HARM else ""
    return f"{one.name} {mark}{wording.points(one.effect / 100)} {ends}, n = {one.n}"


def _rests(evidence: Evidence, dots: Sequence[Dot], known: int, named: Sequence[str]) -> tuple[str, ...]:
    said: list[str] = []
    if evidence.clusters_void_at is not None:
        said.append("Void: the cluster of a unit is known more often in one arm, so none rolls back.")
    if dots:
        first = dots[0]
        ends = wording.bounds(first.low / 100, first.high / 100)
        which = "Named" if named else "Lowest"
        said.append(f"{which}: {first.name} {wording.points(first.effect / 100)} {ends}.")
    left = len(evidence.clusters) - known
    if left:
        said.append(f"{wording.counted(left, 'cluster')} without units in both arms yet.")
    return tuple(said)


def _bar(evidence: Evidence, name: str, *, harmed: bool) -> Bar:
    """The clusters' part of their clock's sum Σ w E, against the line of the whole."""
    clock = next(one for one in evidence.clocks if one.clock is evidence.metric(name).clock)
    sound = {one.name for one in evidence.gates if one.clock is clock.clock and one.void_at is None}
    parts = [one.log_e_harm + math.log(one.weight) for one in _every(evidence.clusters, sound)]
    top = max(parts, default=0.0)
    total = top + math.log(sum(math.exp(one - top) for one in parts)) if parts else -math.inf
    made = bar("of harm", total, clock.alpha, harm=True, symbol="Σ")
    return replace(made, passed=True) if harmed else made


def _every(clusters: Sequence[ClusterEvidence], sound: set[str]) -> list[ClusterMetric]:
    return [one for cluster in clusters for one in cluster.metrics if one.name in sound]
