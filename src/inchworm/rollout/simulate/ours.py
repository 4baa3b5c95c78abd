"""What Inchworm's own policy would do, followed unit by unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inchworm.rollout.simulate.question import Question
from inchworm.rollout.simulate.result import EXPANDED, HELD, ROLLED_BACK, Ends
from inchworm.rollout.simulate.source import Source
from inchworm.stats import parallel
from inchworm.stats.eprocess import Design

__all__ = ["play"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
_SLACK: Final = 1e-9
"""Bounds and paths are added up in another order: what is this near to a line is looked at."""
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(slots=True, kw_only=True)
class _Going:
    """The runs that have not ended."""

    which: IntArray
    """Their numbers, shape (R,)."""
    stage: IntArray
    entered: IntArray
    """Units consumed when they entered their stage."""
    candidates: FloatArray
    states: list[parallel.Runs]

    def keep(self, on: BoolArray) -> None:
        self.which, self.stage, self.entered = self.which[on], self.stage[on], self.entered[on]
        self.candidates = self.candidates[on]
        self.states = [parallel.kept(state, on) for state in self.states]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Played:
    """One block of all runs: who got the candidate, and where in it evidence passed a line."""

    start: int
    a: BoolArray
    harmed: IntArray
    expanded: IntArray
    after: list[parallel.Runs]


def _span(question: Question, number: int) -> tuple[int, int]:
    """The first and the last stage of the population to which a stage belongs."""
    if not question.populations:
        return 0, len(question.stages) + question.later - 1
    same = [i for i, one in enumerate(question.populations) if one == question.populations[number]]
    # What follows belongs to the last stage's.
    return same[0], same[-1] + (question.later if same[-1] == len(question.stages) - 1 else 0)


def designs(question: Question) -> tuple[Design, ...]:
    """What each metric is tested for."""
    made = []
    for metric in question.metrics:
        tested = dict.fromkeys(
            (margin, _span(question, number))
            for number, margin in enumerate(metric.margins)
            if margin is not None
        )
        made.append(
            Design(
                delta_harm=metric.harm_margin,
                margins=tuple(margin for margin, _ in tested),
                spans=tuple(span for _, span in tested),
                stages=len(question.stages) + question.later,
            )
        )
    return tuple(made)


def play(question: Question) -> Ends:
    """Simulate all runs until each has ended.

    Every unit is looked at: a rollback counts at the unit at which evidence passed its line, and so does the
    last expansion. Any other expansion takes effect with the next block of at most 64 units, as a control
    loop has its own delay.
    """
    rng = np.random.default_rng(question.seed)
    plans = designs(question)
    source = Source(question, rng, question.runs)
    ends = Ends(
        kind=np.full(question.runs, HELD, dtype=np.int64),
        units=np.full(question.runs, float(question.max_units)),
        candidates=np.zeros(question.runs),
        stage=np.zeros(question.runs, dtype=np.int64),
    )
    going = _Going(
        which=np.arange(question.runs),
        stage=np.zeros(question.runs, dtype=np.int64),
        entered=np.zeros(question.runs, dtype=np.int64),
        candidates=np.zeros(question.runs),
        states=[parallel.start(plan, question.runs) for plan in plans],
    )
    weights = np.array([stage.weight for stage in question.stages])
    consumed = 0
    while consumed < question.max_units and going.which.size:
        size = parallel.block_length(consumed, question.max_units - consumed)
        pi = weights[going.stage]
        drawn = source.draw(consumed, size, pi)
        steps = []
        for place, (plan, state) in enumerate(zip(plans, going.states, strict=True)):
            y = drawn.y[place]
            binary = not np.any((y != 0.0) & (y != 1.0))
            block = parallel.Block(y=y, a=drawn.a, pi=pi, stage=going.stage, binary=binary)
            steps.append(parallel.step(plan, state, block))
        played = _Played(
            start=consumed,
            a=drawn.a,
            harmed=_harmed(question, plans, steps),
            expanded=_expanded(question, plans, steps, going, consumed),
            after=[one.after for one in steps],
        )
        on = _end(question, ends, going, played)
        if not on.all():
            going.keep(on)
            source.keep(on)
        consumed += size
    ends.candidates[going.which] = going.candidates
    ends.stage[going.which] = going.stage
    return ends


def _harmed(question: Question, plans: tuple[Design, ...], steps: list[parallel.Step]) -> IntArray:
    """The place in the block at which evidence of harm passes its line on a clock; _NEVER without."""
    at = np.full(steps[0].reach_harm.size, _NEVER)
    for clock, alpha in question.alphas:
        here = [place for place, metric in enumerate(question.metrics) if metric.clock is clock]
        if not here:
            continue
        logs = np.stack([steps[j].reach_harm + math.log(question.metrics[j].weight) for j in here])
        rows = np.flatnonzero(np.logaddexp.reduce(logs, axis=0) >= -math.log(alpha) - _SLACK)
        if not rows.size:
            continue
        total = sum(question.metrics[j].weight * parallel.harm_path(plans[j], steps[j], rows) for j in here)
        at[rows] = np.minimum(at[rows], _first(np.greater_equal(total, 1.0 / alpha)))
    return at


def _expanded(
    question: Question,
    plans: tuple[Design, ...],
    steps: list[parallel.Step],
    going: _Going,
    consumed: int,
) -> IntArray:
    """The place in the block at which every margin of the run's stage is met; _NEVER without."""
    size = steps[0].block.y.shape[1]
    at = np.full(going.which.size, _NEVER)
    line = -math.log(question.alpha_expand)
    for number, stage in enumerate(question.stages):
        waiting = [
            (
                j,
                list(zip(plans[j].margins, plans[j].spans, strict=True)).index(
                    (margin, _span(question, number))
                ),
            )
            for j, metric in enumerate(question.metrics)
            if (margin := metric.margins[number]) is not None
        ]
        ready = (going.stage == number) & (consumed + size - going.entered >= stage.min_units)
        for j, place in waiting:
            ready &= steps[j].reach_expand[place] >= line - _SLACK
        rows = np.flatnonzero(ready)
        if not waiting or not rows.size:
            continue
        enough = consumed + np.arange(1, size + 1) - going.entered[rows, None] >= stage.min_units
        for j, place in waiting:
            enough &= parallel.expand_path(plans[j], steps[j], place, rows) >= 1.0 / question.alpha_expand
        at[rows] = _first(enough)
    return at


def _first(met: BoolArray) -> IntArray:
    places: IntArray = np.where(met.any(axis=1), met.argmax(axis=1), _NEVER)
    return places


def _end(question: Question, ends: Ends, going: _Going, played: _Played) -> BoolArray:
    """Write down the runs that end in this block; which go on, with what they have seen by its end."""
    consumed, size, expanded = played.start, played.a.shape[1], played.expanded
    last = going.stage == len(question.stages) - 1
    limits = np.array([stage.max_units or _NEVER for stage in question.stages])[going.stage]
    # The deadline's own unit still counts.
    left = np.where(limits == _NEVER, _NEVER, limits - 1 - (consumed - going.entered))
    through = np.where(last, expanded, _NEVER)
    late = np.where(left < np.minimum(expanded, size), left, _NEVER)
    at = np.minimum(np.minimum(played.harmed, through), late)
    over = at < size
    kind = np.where(played.harmed <= at, ROLLED_BACK, np.where(through <= at, EXPANDED, HELD))
    running = np.cumsum(played.a, axis=1)
    who = going.which[over]
    ends.kind[who] = kind[over]
    ends.units[who] = consumed + at[over] + 1.0
    ends.candidates[who] = going.candidates[over] + running[np.flatnonzero(over), at[over]]
    ends.stage[who] = going.stage[over]
    due = _scheduled(question)[going.stage] <= consumed + size
    up = ~over & ~last & ((expanded < size) | due)
    going.candidates = going.candidates + running[:, -1]
    going.entered = np.where(up, consumed + size, going.entered)
    going.stage = going.stage + up
    going.states = played.after
    on: BoolArray = ~over
    return on


def _scheduled(question: Question) -> IntArray:
    """The unit at which each stage ends that waits for no evidence; _NEVER where it waits."""
    number = len(question.stages)
    return np.array(
        [
            (place + 1) * question.max_units // number
            if all(metric.margins[place] is None for metric in question.metrics)
            else _NEVER
            for place in range(number)
        ]
    )
