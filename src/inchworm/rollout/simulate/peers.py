"""What other people's rules would do with the same kind of traffic.

They have no rule for expanding: with several stages each lasts as long as the next, and the units of all
stages are pooled, as these rules do. With several metrics each is tested at alpha over their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inchworm.domain.errors import InputError
from inchworm.rollout.simulate.question import Judged, Question, Rates
from inchworm.rollout.simulate.result import HELD, ROLLED_BACK, Ends
from inchworm.rollout.simulate.source import Source
from inchworm.stats import rules

__all__ = ["PEERS", "play"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_HALF: Final = 0.5
_CELLS: Final = 1_000_000
"""Units held in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some runs of one metric, whole."""

    of: rules.Seen
    position: FloatArray
    """Units of both arms at each candidate observation."""
    y: FloatArray
    a: BoolArray


Rule = Callable[[Question, Judged, _Part, float], FloatArray]


def _told(rule: Callable[..., BoolArray], **settings: float) -> Rule:
    """A rule that looks at every candidate observation; gives how many it took, by run."""

    def run(_question: Question, _metric: Judged, part: _Part, alpha: float) -> FloatArray:
        return rules.first(rule(part.of, alpha=alpha, **settings), part.of)

    return run


def _without_alpha(rule: Callable[..., BoolArray]) -> Rule:
    def run(_question: Question, _metric: Judged, part: _Part, _alpha: float) -> FloatArray:
        return rules.first(rule(part.of), part.of)

    return run


def _planned(question: Question, _metric: Judged, part: _Part, alpha: float) -> FloatArray:
    return rules.first(rules.obrien_fleming(part.of, alpha=alpha, most=question.planned), part.of)


def _oracle(question: Question, metric: Judged, part: _Part, alpha: float) -> FloatArray:
    rates, pi = metric.outcomes, question.stages[0].weight
    if not isinstance(rates, Rates) or len(question.stages) > 1:
        raise InputError(
            "the oracle knows two rates and one split", hint="ask it for yes/no outcomes, at one --weight"
        )
    if rates.candidate >= rates.baseline:  # it knows that there is no harm
        return np.full(part.y.shape[0], math.inf)
    near = 1e-9
    calls = rules.oracle(
        part.of,
        baseline=min(max(rates.baseline, near), 1 - near),
        candidate=min(max(rates.candidate, near), 1 - near),
        pi=pi,
        alpha=alpha,
    )
    return rules.first(calls, part.of)


def _safe(question: Question, metric: Judged, part: _Part, alpha: float) -> FloatArray:
    if not isinstance(metric.outcomes, Rates):
        raise InputError(
            "safestats' 2×2 test is for yes/no outcomes", hint="give --baseline-rate and --candidate-rate"
        )
    weight = question.stages[0].weight
    ratio = max(round((1.0 - weight) / weight), 1)
    times = np.full(part.y.shape[0], math.inf)
    for row, (y, a) in enumerate(zip(part.y, part.a, strict=True)):
        of = rules.blocked(y, a, ratio)
        if of.n1.size:
            times[row] = rules.first(rules.safestats(of, alpha=alpha), of)
    return times


PEERS: Final[Mapping[str, Rule]] = {
    "oracle": _oracle,
    "fixed-z": _told(rules.fixed_z),
    "msprt": _told(rules.msprt),
    "growthbook": _told(rules.growthbook),
    "growthbook-one-sided": _told(rules.growthbook_one_sided),
    "safestats": _safe,
    "obrien-fleming": _planned,
    "obrien-fleming-peeked": _told(rules.obrien_fleming_peeked),
    "kayenta": _without_alpha(rules.kayenta),
    "threshold": _without_alpha(rules.threshold),
}
"""By the names that ``--method`` takes."""


def play(question: Question, method: str) -> Ends:
    """Simulate all runs under one of ``PEERS``.

    Raises:
        InputError: if the rule is not made for such outcomes, or such a budget.
    """
    rule = PEERS[method]
    if question.alpha >= _HALF:
        raise InputError(f"{method} is one-sided, and made for an alpha below 0.5, not {question.alpha:g}")
    rng = np.random.default_rng(question.seed)
    size, stages = question.max_units, question.stages
    stage = np.minimum(np.arange(size) * len(stages) // size, len(stages) - 1)
    pi = np.array([one.weight for one in stages])[stage]
    units = np.full(question.runs, float(size))
    candidates = np.zeros(question.runs)
    kind = np.full(question.runs, HELD, dtype=np.int64)
    chunk = max(_CELLS // (size * len(question.metrics)), 1)
    for begin in range(0, question.runs, chunk):
        here = slice(begin, min(begin + chunk, question.runs))
        number = here.stop - here.start
        drawn = Source(question, rng, number).draw(0, size, np.broadcast_to(pi, (number, size)))
        times = np.full(number, math.inf)
        position = np.empty((number, 0))
        for metric, y in zip(question.metrics, drawn.y, strict=True):
            part = _part(y, drawn.a)
            position = part.position
            if part.of.n1.shape[1]:
                found = rule(question, metric, part, question.alpha / len(question.metrics))
                times = np.minimum(times, found)
        back = np.isfinite(times)
        kind[here] = np.where(back, ROLLED_BACK, HELD)
        rows = np.flatnonzero(back)
        at = np.minimum(times[rows].astype(np.int64), np.count_nonzero(drawn.a[rows], axis=1)) - 1
        units[begin + rows] = position[rows, at]
        candidates[here] = np.where(back, times, np.count_nonzero(drawn.a, axis=1))
    reached = stage[np.minimum(units.astype(np.int64), size) - 1]
    return Ends(kind=kind, units=units, candidates=candidates, stage=reached.astype(np.int64))


def _part(y: FloatArray, a: BoolArray) -> _Part:
    """What is seen at each candidate observation of each run, padded with NaN."""
    n1 = np.cumsum(a, axis=1)
    rows, columns = np.nonzero(a)
    place = n1[rows, columns] - 1
    most = int(n1[:, -1].max())

    def at(values: NDArray[np.floating]) -> FloatArray:
        padded = np.full((y.shape[0], most), np.nan)
        padded[rows, place] = values
        return padded

    squares = np.square(y)
    sums = {"s": np.cumsum(y, axis=1), "q": np.cumsum(squares, axis=1)}
    ours = {"s": np.cumsum(y * a, axis=1), "q": np.cumsum(squares * a, axis=1)}
    count = n1[rows, columns].astype(np.float64)
    position = columns + 1.0
    s1, q1 = ours["s"][rows, columns], ours["q"][rows, columns]
    of = rules.Seen(
        n1=at(count),
        s1=at(s1),
        q1=at(q1),
        n0=at(position - count),
        s0=at(sums["s"][rows, columns] - s1),
        q0=at(sums["q"][rows, columns] - q1),
    )
    return _Part(of=of, position=at(position), y=y, a=a)
