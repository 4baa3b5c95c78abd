"""The evidence between observed changes: arms' means of what was assigned in each stretch of time.

A change is something that Inchworm only saw happen (another application, a model behind its alias). It hits
both arms alike, so the evidence of the rollout stays valid; whether the effect is the same before and after
is for people to see. A unit belongs to the segment of its assignment. A change that becomes known later
starts its segment with the units that are consumed from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from inchworm.domain.metric import Clock
from inchworm.domain.rollout import Rollout
from inchworm.rollout.evidence import Pair
from inchworm.rollout.monitor.parts import SegmentState, segment
from inchworm.rollout.monitor.streaming import Stream
from inchworm.stats.stream import accumulate

MOST: Final = 6
"""Segments that are kept, the latest."""


def add(
    rollout: Rollout,
    segments: tuple[SegmentState, ...],
    stream: Stream,
    clock: Clock,
    changes: Sequence[tuple[float, str]],
) -> tuple[SegmentState, ...]:
    """The segments after the units of ``stream``, for the metrics of ``clock``."""
    kept = list(_begun(rollout, segments, changes))
    starts = np.array([-np.inf if one.since is None else one.since for one in kept])
    which = np.searchsorted(starts, stream.at, side="right") - 1
    here = [place for place, metric in enumerate(rollout.metrics) if metric.clock is clock]
    outcomes = {place: stream.outcomes(rollout.metrics[place]) for place in here}
    for number in np.unique(which[which >= 0]).tolist():
        units, total = list(kept[number].units), list(kept[number].total)
        inside = which == number
        for place in here:
            values, _, fed = outcomes[place]
            mine = inside & fed
            baseline, candidate = mine & ~stream.candidate, mine & stream.candidate
            units[place] += Pair(
                baseline=int(np.count_nonzero(baseline)), candidate=int(np.count_nonzero(candidate))
            )
            total[place] = (
                float(accumulate(total[place][0], values[baseline])[-1]),
                float(accumulate(total[place][1], values[candidate])[-1]),
            )
        kept[number] = replace(kept[number], units=tuple(units), total=tuple(total))
    return tuple(kept)


def _begun(
    rollout: Rollout, segments: tuple[SegmentState, ...], changes: Sequence[tuple[float, str]]
) -> tuple[SegmentState, ...]:
    """The segments with those that ``changes`` begin, in the order of time; the latest that are kept."""
    said: dict[float, list[str]] = {}
    for at, because in changes:
        said.setdefault(at, []).append(because)
    known = {one.since for one in segments}
    fresh = [segment(len(rollout.metrics), at, "; ".join(why)) for at, why in said.items() if at not in known]
    if not fresh:
        return segments
    every = sorted((*segments, *fresh), key=lambda one: -np.inf if one.since is None else one.since)
    return tuple(every[-MOST:])
