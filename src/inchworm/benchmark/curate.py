"""From production to an eval set: a weighted sample that stands for all of the traffic. Pure.

Each cluster is a stratum with a proportional part of the sample and a floor. Inside a stratum cases are drawn
with probability proportional to how often production asked them (systematic sampling, Madow 1949; Särndal,
Swensson & Wretman 1992, section 3.6.2), so that ``weight`` = occurrences / probability (Horvitz & Thompson
1952) is one number for most cases of a stratum, and the weights add up to the interactions they stand for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, TraceId, UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.domain.trace import Trace

NO_CLUSTER = "outside every cluster"
"""The stratum of interactions that belong to no cluster."""
FLOOR = 5
"""Cases per cluster at least, where the cluster has as many."""
ADMITTED_SHARE = 0.01
"""All cases admitted by one call of :func:`grow` together weigh at most this share of the eval set."""


@dataclass(slots=True)
class _Seen:
    """One case as production asked it."""

    first: Trace
    count: int = 0
    clusters: Counter[str] = field(default_factory=Counter)

    @property
    def cluster(self) -> str:
        return min(self.clusters, key=lambda name: (-self.clusters[name], name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stratum:
    ids: tuple[CaseId, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


def draw(
    traces: Iterable[Trace],
    clusters: Mapping[TraceId, str],
    *,
    size: int,
    seed: int,
    name: str,
    app: AppRef,
    unit: UnitKind = UnitKind.SESSION,
    floor: int = FLOOR,
    version: int = 1,
) -> EvalSet:
    """Draw an eval set; the same traces (in any order), clusters and seed give the same set.

    Interactions with equal inputs and reference are one case, which counts as often as it was asked.
    Interactions without content are left out, and the population says how many.

    Args:
        traces: the interactions to stand for, sanitized; read once.
        clusters: name of the cluster of each interaction that has one.
        size: how many cases; fewer come if production asked fewer different ones.
        seed: of the draw.
        name: of the eval set.
        app: whose traffic it is.
        unit: what groups the interactions; only worded in the population.
        floor: cases per cluster at least, as far as ``size`` allows.
        version: of the eval set.

    Raises:
        UsageError: if ``size`` or ``floor`` is below 1.
        InputError: if no interaction has content.
    """
    if size < 1 or floor < 1:
        msg = f"an eval set has at least one case, and one per cluster: not size {size} with floor {floor}"
        raise UsageError(msg)
    seen, count = _collect(traces, clusters)
    if not seen:
        msg = f"none of {count.all:,} interactions says what was asked, so there is nothing to make cases of"
        raise InputError(msg, hint="record inputs with the traces, or import data that has them")
    strata = _strata(seen, size)
    parts = _allocate([(len(stratum.ids), stratum.total) for stratum in strata], size=size, floor=floor)
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    for stratum, part in zip(strata, parts, strict=True):
        for case_id, weight in _sample(stratum, part, rng):
            found = seen[case_id]
            cases.append(
                Case(
                    id=case_id,
                    inputs=found.first.inputs,
                    reference=found.first.reference,
                    origin=f"trace:{found.first.id}",
                    cluster=found.cluster,
                    group=found.first.unit_id,
                    weight=weight,
                    call=found.first.call,
                )
            )
    per_cluster: Counter[str] = Counter()
    for found in seen.values():
        per_cluster[found.cluster] += found.count
    return EvalSet(
        name=name,
        version=version,
        app=app,
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        shares={cluster: number / count.used for cluster, number in sorted(per_cluster.items())},
        population=count.sentence(unit),
    )


def grow(eval_set: EvalSet, cases: Sequence[Case]) -> EvalSet:
    """The next version with ``cases`` admitted; the same set if it has all of them already.

    Admitted cases are chosen for their outcome (they failed), so the population's estimate must hardly feel
    them: each stands for itself alone, weight 1, and all of them together for at most 1 % of the total. The
    weights of the others shrink by as much, so that the sum stays what the population says. The weighted
    estimate moves by at most that share of the difference between the admitted cases and the rest, while
    each admitted case is run, listed when it regresses, and counted in its cluster.

    Args:
        eval_set: the version to grow from.
        cases: what to admit; duplicates, and cases it has already, change nothing.
    """
    known = {case.id for case in eval_set.cases}
    new = {case.id: case for case in cases if case.id not in known}
    if not new:
        return eval_set
    total = sum(case.weight for case in eval_set.cases)
    weight = min(1.0, ADMITTED_SHARE * total / len(new)) if known else 1.0
    shrink = (total - weight * len(new)) / total if known else 1.0
    grown = [replace(case, weight=case.weight * shrink) for case in eval_set.cases]
    grown += [replace(case, weight=weight) for case in new.values()]
    version = eval_set.version + 1
    word = "case" if len(new) == 1 else "cases"
    return EvalSet(
        name=eval_set.name,
        version=version,
        app=eval_set.app,
        cases=tuple(sorted(grown, key=lambda case: case.id)),
        shares=_shares(grown),
        population=f"{eval_set.population}; {len(new):,} {word} admitted in version {version}",
        parent=eval_set.id,
    )


def _shares(cases: Sequence[Case]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for case in sorted(cases, key=lambda case: (case.cluster, case.id)):
        weights[case.cluster] = weights.get(case.cluster, 0.0) + case.weight
    total = sum(weights.values())
    return {cluster: weight / total for cluster, weight in weights.items()}


@dataclass(slots=True)
class _Count:
    """What the population sentence says."""

    all: int = 0
    used: int = 0
    units: set[UnitId] = field(default_factory=set)
    since: float = math.inf
    until: float = -math.inf

    def sentence(self, unit: UnitKind) -> str:
        units = len(self.units)
        if unit is UnitKind.REQUEST:
            text = f"{self.used:,} {_plural('request', self.used)}"
        elif units == self.used:
            text = f"{units:,} {_plural(unit.value, units)}"
        else:
            text = (
                f"{self.used:,} {_plural('interaction', self.used)} in {units:,} {_plural(unit.value, units)}"
            )
        left = self.all - self.used
        out = f"; {left:,} more left out, which came without content" if left else ""
        return f"{text} of {_period(self.since, self.until)}{out}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _period(since: float, until: float) -> str:
    """``9–16 Nov 2026``, in UTC."""
    first, last = datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)
    end = f"{last.day} {last:%b} {last.year}"
    if first.date() == last.date():
        return end
    if first.year != last.year:
        return f"{first.day} {first:%b} {first.year} – {end}"
    return f"{first.day}–{end}" if first.month == last.month else f"{first.day} {first:%b} – {end}"


def _collect(traces: Iterable[Trace], clusters: Mapping[TraceId, str]) -> tuple[dict[CaseId, _Seen], _Count]:
    seen: dict[CaseId, _Seen] = {}
    count = _Count()
    for trace in traces:
        count.all += 1
        if not trace.has_content:
            continue
        count.used += 1
        count.units.add(trace.unit_id)
        count.since, count.until = min(count.since, trace.at), max(count.until, trace.at)
        case_id = Case.identify(trace.inputs, trace.reference, trace.call)
        found = seen.setdefault(case_id, _Seen(first=trace))
        if (trace.at, trace.id) < (found.first.at, found.first.id):
            found.first = trace
        found.count += 1
        found.clusters[clusters.get(trace.id, NO_CLUSTER)] += 1
    return seen, count


def _strata(seen: Mapping[CaseId, _Seen], size: int) -> list[_Stratum]:
    """One stratum per cluster, largest first; where there are more than ``size``, the smallest are one."""
    members: dict[str, list[CaseId]] = {}
    for case_id in sorted(seen):
        members.setdefault(seen[case_id].cluster, []).append(case_id)
    totals = {cluster: sum(seen[case_id].count for case_id in ids) for cluster, ids in members.items()}
    ranked = sorted(members, key=lambda cluster: (-totals[cluster], cluster))
    groups = [members[cluster] for cluster in ranked]
    if len(groups) > size:
        rest = sorted(case_id for ids in groups[size - 1 :] for case_id in ids)
        groups = [*groups[: size - 1], rest]
    return [_Stratum(ids=tuple(ids), counts=tuple(seen[case_id].count for case_id in ids)) for ids in groups]


def _allocate(strata: Sequence[tuple[int, int]], *, size: int, floor: int) -> list[int]:
    """Cases per stratum: proportional to its interactions, at least the floor, at most what it has.

    Args:
        strata: different cases, and interactions, of each.
        size: cases in all, at least one per stratum.
        floor: cases per stratum at least, as far as the size allows.
    """
    least = min(floor, size // len(strata))
    room = [have for have, _ in strata]
    given = [min(least, have) for have in room]
    for _ in range(min(size, sum(room)) - sum(given)):
        # Highest averages (Webster): the next case goes where a case stands for most interactions.
        open_strata = [h for h in range(len(strata)) if given[h] < room[h]]
        best = max(open_strata, key=lambda h: (strata[h][1] / (given[h] + 0.5), -h))
        given[best] += 1
    return given


def _sample(stratum: _Stratum, part: int, rng: np.random.Generator) -> list[tuple[CaseId, float]]:
    """Draw ``part`` cases with probability proportional to their counts; the most frequent are certain."""
    left = dict(zip(stratum.ids, stratum.counts, strict=True))
    certain: list[tuple[CaseId, float]] = []
    while True:
        places = part - len(certain)
        total = sum(left.values())
        # A case whose share of the interactions fills a place by itself stands for itself alone.
        full = [case_id for case_id, count in left.items() if count * places >= total]
        if not full:
            break
        certain += [(case_id, float(left.pop(case_id))) for case_id in full]
    if places == 0:
        return certain
    ids = list(left)
    order = rng.permutation(len(ids))
    ends = np.cumsum([left[ids[position]] for position in order])
    step = total / places
    marks = (rng.random() + np.arange(places)) * step
    hit = np.minimum(np.searchsorted(ends, marks, side="right"), len(ids) - 1)  # rounding at the last end
    return [*certain, *((ids[order[position]], step) for position in hit)]
