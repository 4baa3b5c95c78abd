"""The randomisation betting e-process (RBE): evidence for harm and for "no worse than a margin" in a canary.

A unit is one exposure: outcome ``y`` in [0, 1] (higher is better), arm ``a`` (1 candidate, 0 baseline) and
``pi``, the probability of arm 1 that the gateway used. With ``q = pi (1 - pi)`` and any ``m`` fixed by the
past, ``E[(a - pi)(y - m) | past] = q tau``, so each factor below has mean at most 1 under its null and
``P(ever E >= 1/alpha) <= alpha`` under any looking schedule, changing weights, and drift common to both
arms.

Sources: testing by betting, Waudby-Smith and Ramdas (arXiv 2010.09686); known assignment probabilities,
Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro (arXiv 2210.10768).

Everything is pure. A state is small, immutable and resumable, and the same units give the same state **bit
for bit** however they were cut into batches: every running sum is a strict left-to-right accumulation that
starts at the stored value, and which units share a refreshed mean depends on their position in the stream
only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inchworm.stats.stream import (
    FloatArray,
    Past,
    Units,
    accumulate,
    advance,
    check_losses,
    checked_units,
    log_total,
    past_from_json,
    past_to_json,
    require_version,
)

__all__ = [
    "Design",
    "State",
    "from_json",
    "init",
    "log_e_expand",
    "log_e_harm",
    "to_json",
    "trajectory",
    "update",
    "watch",
]

VERSION: Final = "rbe/1"
SAFETY: Final = 0.9
"""A bet may lose at most this share of the wealth on one unit."""
BOUND_FLOOR: Final = 1e-6
HARM_RATES: Final = (0.03, 0.06, 0.12, 0.24, 0.48, 0.96)
HARM_WEIGHTS: Final = (0.03, 0.07, 0.2, 0.35, 0.25, 0.1)
EXPAND_RATES: Final = (0.35, 0.7, 1.0)
EXPAND_WEIGHTS: Final = (0.2, 0.5, 0.3)
AT_ONCE: Final = 2048
RESERVE: Final = 0.1
"""Share of the harm wealth that waits for later stages, lest a long healthy stage bury later harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What one metric is tested for. Fixed before the first unit; never changed inside a process.

    Raises:
        ValueError: when a number is outside its range.
    """

    delta_harm: float
    """Tolerated loss, in units of y: harm is "the effect is below -delta_harm". In [0, 1)."""
    margins: tuple[float, ...]
    """Margins of non-inferiority, in units of y, each in (0, 1], a process each. May be empty."""
    stages: int
    """How many stages the rollout has, at least 1."""
    spans: tuple[tuple[int, int], ...] = ()
    """Per margin the first and the last stage whose units its process bets on: its population. Empty: all."""

    def __post_init__(self) -> None:
        """Refuse a design that cannot be tested."""
        check_losses(self.delta_harm, self.margins)
        if self.stages < 1:
            msg = f"A rollout has at least one stage, got {self.stages}."
            raise ValueError(msg)
        if self.spans and len(self.spans) != len(self.margins):
            msg = f"Every margin has a span or none has, got {len(self.spans)} for {len(self.margins)}."
            raise ValueError(msg)
        if not all(0 <= first <= last < self.stages for first, last in self.spans):
            msg = f"Spans must lie in stages 0..{self.stages - 1}, got {self.spans}."
            raise ValueError(msg)
        if len(set(self._processes)) != len(self.margins):
            msg = f"Margins of one population must differ from one another, got {self.margins}."
            raise ValueError(msg)

    @property
    def _processes(self) -> tuple[tuple[float, tuple[int, int]], ...]:
        return tuple(
            zip(self.margins, self.spans or ((0, self.stages - 1),) * len(self.margins), strict=True)
        )

    def place(self, margin: float, stage: int | None = None) -> int:
        """Which process tests ``margin`` on the population of ``stage``; the first at any stage if ``None``.

        Raises:
            ValueError: when there is none.
        """
        for place, (one, (first, last)) in enumerate(self._processes):
            if one == margin and (stage is None or first <= stage <= last):
                return place
        msg = f"No process runs at margin {margin}; the design declares {self.margins}, spans {self.spans}."
        raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything an e-process needs to go on. O(1) in the number of units."""

    past: Past
    skipped: int
    """Units with pi of 0 or 1, which carry no comparison."""
    stage: int
    """Stage of the last consumed unit."""
    log_harm: tuple[tuple[float, ...], ...]
    """Log wealth against "no harm", by stage in which the share entered (stages x 6 rates)."""
    log_expand: tuple[tuple[float, ...], ...]
    """Log wealth against "worse than the margin", by margin (margins x 3 rates)."""


def init(design: Design) -> State:
    """The state before the first unit: wealth 1 in every process.

    A rollout of one stage has no later stage to save for, so that stage holds the whole wealth.
    """
    later = design.stages - 1
    shares = (1.0,) if later == 0 else (1.0 - RESERVE, *(RESERVE / later for _ in range(later)))
    return State(
        past=Past(),
        skipped=0,
        stage=0,
        log_harm=tuple(tuple(math.log(share * weight) for weight in HARM_WEIGHTS) for share in shares),
        log_expand=tuple(tuple(math.log(weight) for weight in EXPAND_WEIGHTS) for _ in design.margins),
    )


def _log_factors(
    design: Design, units: Units, m: FloatArray, v: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Log growth of each bet at each unit: harm (6, N), and one (3, N) per margin."""
    cells = _cells(units, m, v)
    if cells is None:
        return _grow(design, y=units.y, a=units.a, pi=units.pi, m=m, v=v)
    first, which = cells
    y, a = np.tile((0.0, 0.0, 1.0, 1.0), first.size), np.tile((0.0, 1.0, 0.0, 1.0), first.size)
    pi, m, v = (np.repeat(one[first], 4) for one in (units.pi, m, v))
    harm, expand = _grow(design, y=y, a=a, pi=pi, m=m, v=v)
    return np.take(harm, which, axis=1), tuple(np.take(rows, which, axis=1) for rows in expand)


def _cells(units: Units, m: FloatArray, v: FloatArray) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Units of equal y, a, pi, m and v grow alike: binary outcomes come in four cells between two refreshes.

    Returns:
        The first unit of each stretch in which pi, m and v stay, and each unit's cell, 4 per stretch in the
        order of (y, a); ``None`` where there is nothing to save.
    """
    if not np.all((units.y == 0.0) | (units.y == 1.0)):
        return None
    fresh = (np.diff(m) != 0.0) | (np.diff(v) != 0.0) | (np.diff(units.pi) != 0.0)
    stretch = np.concatenate(([0], np.cumsum(fresh)))
    if units.y.size == 0 or 4 * (int(stretch[-1]) + 1) >= units.y.size:
        return None
    first = np.concatenate(([0], np.flatnonzero(fresh) + 1))
    return first, 4 * stretch + (2.0 * units.y + units.a).astype(np.intp)


def _grow(
    design: Design, *, y: FloatArray, a: FloatArray, pi: FloatArray, m: FloatArray, v: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """The same, unit by unit."""
    q = pi * (1.0 - pi)
    x = (a - pi) * (y - m)
    bound = np.maximum((1.0 - pi) * (1.0 - m), pi * m) + q * design.delta_harm
    bets = np.minimum(np.array(HARM_RATES)[:, None] / np.sqrt(v), SAFETY / bound)
    harm = np.log1p(bets * (-x - q * design.delta_harm))
    reach = np.maximum((1.0 - pi) * m, pi * (1.0 - m))
    rates = np.array(EXPAND_RATES)[:, None]
    expand = []
    for margin in design.margins:
        cap = SAFETY / np.maximum(reach - q * margin, BOUND_FLOOR)
        expand.append(np.log1p(np.minimum(rates * margin / v, cap) * (x + q * margin)))
    return harm, tuple(expand)


def _awake(start: FloatArray, steps: FloatArray, awake: NDArray[np.bool_]) -> FloatArray:
    """Log wealth that grows where it is awake, (rates, N + 1), or (rates, 1) if it sleeps throughout."""
    if not awake.any():
        return start[:, None]
    return accumulate(start, steps if awake.all() else np.where(awake, steps, 0.0))


def _total_harm(paths: Sequence[FloatArray]) -> FloatArray:
    """Log E against "no harm" over all shares, each summed first, so that one asleep costs nothing."""
    length = max(path.shape[1] for path in paths)
    return log_total(np.stack([np.broadcast_to(log_total(path), length) for path in paths]))


def _paths(
    design: Design, state: State, units: Units
) -> tuple[State, tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """The state after the units, and every log wealth before and after each of them.

    Paths are (rates, N + 1), or (rates, 1) for what slept throughout: a reserve until units of its stage or
    a later one come, a margin while units of other populations do.
    """
    if len(state.log_harm) != design.stages or len(state.log_expand) != len(design.margins):
        msg = "The state belongs to another design: its stages or margins differ in number."
        raise ValueError(msg)
    past, m, v = advance(state.past, units.y)
    harm, expand = _log_factors(design, units, m, v)
    harm_paths = tuple(
        _awake(np.array(row), harm, units.stage >= entry) for entry, row in enumerate(state.log_harm)
    )
    spans = design.spans or ((0, design.stages - 1),) * len(expand)
    expand_paths = tuple(
        _awake(np.array(row), steps, (units.stage >= first) & (units.stage <= last))
        for row, steps, (first, last) in zip(state.log_expand, expand, spans, strict=True)
    )
    later = State(
        past=past,
        skipped=state.skipped + int(units.kept.size - units.y.size),
        stage=int(units.stage[-1]) if units.y.size else state.stage,
        log_harm=tuple(tuple(path[:, -1].tolist()) for path in harm_paths),
        log_expand=tuple(tuple(path[:, -1].tolist()) for path in expand_paths),
    )
    return later, harm_paths, expand_paths


def update(
    design: Design, state: State, *, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike
) -> State:
    """Consume units in assignment order.

    Args:
        design: what is tested.
        state: the state so far.
        y: outcomes in [0, 1], shape (N,), higher is better.
        a: arms, 1 candidate and 0 baseline, shape (N,).
        pi: probability of arm 1 that the gateway used, shape (N,). Units with 0 or 1 are skipped.
        stage: stage index at assignment, shape (N,).

    Raises:
        ValueError: when a unit is malformed (see ``checked_units``) or the state belongs to another design.
    """
    return _paths(design, state, checked_units(y=y, a=a, pi=pi, stage=stage, stages=design.stages))[0]


def trajectory(
    design: Design, state: State, *, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike
) -> tuple[State, FloatArray, FloatArray]:
    """Like ``update``, and tell the evidence after every unit.

    Returns:
        The state; log E against "no harm" after each unit, shape (N,); log E for expansion, shape (margins,
        N). A skipped unit repeats the value before it. The first crossing of 1/alpha is ``argmax(path >=
        -log(alpha))``.

    Raises:
        ValueError: as ``update``.
    """
    units = checked_units(y=y, a=a, pi=pi, stage=stage, stages=design.stages)
    later, harm, expand = _paths(design, state, units)
    position = np.cumsum(units.kept)
    expand_paths = np.empty((len(expand), position.size))
    for row, path in zip(expand_paths, expand, strict=True):
        row[:] = np.broadcast_to(log_total(path), units.y.size + 1)[position]
    return later, _over_all(harm, units)[position], expand_paths


def watch(
    design: Design, state: State, *, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike
) -> tuple[State, FloatArray]:
    """The state and the path of harm of ``trajectory``, without the paths of expansion.

    Raises:
        ValueError: as ``update``.
    """
    units = checked_units(y=y, a=a, pi=pi, stage=stage, stages=design.stages)
    skipped = int(units.kept.size - units.y.size)
    path = np.empty(units.y.size + 1)
    path[0] = log_e_harm(design, state)
    # In parts that fit into the processor's cache; that changes no bit.
    for start in range(0, units.y.size, AT_ONCE):
        part = units.part(start, start + AT_ONCE)
        state, harm, _ = _paths(design, state, part)
        path[start + 1 : start + 1 + part.y.size] = _over_all(harm, part)[1:]
    return replace(state, skipped=state.skipped + skipped), path[np.cumsum(units.kept)]


def _over_all(paths: Sequence[FloatArray], units: Units) -> FloatArray:
    """Log E against "no harm" before and after each kept unit, shape (N + 1,)."""
    total: FloatArray = np.broadcast_to(_total_harm(paths), units.y.size + 1)
    return total


def log_e_harm(design: Design, state: State) -> float:
    """Log E against "the effect is at least -delta_harm"; roll back at log(1/alpha). Sleeping wealth counts.

    Raises:
        ValueError: when the state belongs to another design.
    """
    if len(state.log_harm) != design.stages:
        msg = f"The state holds {len(state.log_harm)} stages, the design {design.stages}."
        raise ValueError(msg)
    return float(_total_harm([np.array(row)[:, None] for row in state.log_harm])[0])


def log_e_expand(design: Design, state: State, margin: float, stage: int | None = None) -> float:
    """Log E against "the effect is at most -margin"; the margin is met at log(1/alpha).

    Args:
        design: what is tested.
        state: the state so far.
        margin: one of the design's.
        stage: a stage of the population that is meant, where the design has spans.

    Raises:
        ValueError: when the margin is not one of the design's, or the state belongs to another design.
    """
    place = design.place(margin, stage)
    if len(state.log_expand) != len(design.margins):
        msg = f"The state holds {len(state.log_expand)} margins, the design {len(design.margins)}."
        raise ValueError(msg)
    return float(log_total(np.array(state.log_expand[place])[:, None])[0])


def to_json(state: State) -> dict[str, object]:
    """The state as a plain dict; ``from_json(json.loads(json.dumps(...)))`` gives it back bit for bit."""
    return {
        "version": VERSION,
        "past": past_to_json(state.past),
        "skipped": state.skipped,
        "stage": state.stage,
        "log_harm": [list(row) for row in state.log_harm],
        "log_expand": [list(row) for row in state.log_expand],
    }


def _rows(value: Sequence[Sequence[float]], width: int) -> tuple[tuple[float, ...], ...]:
    rows = tuple(tuple(float(number) for number in row) for row in value)
    if any(len(row) != width or not all(map(math.isfinite, row)) for row in rows):
        msg = f"A stored wealth row must hold {width} finite numbers."
        raise ValueError(msg)
    return rows


def from_json(data: Mapping[str, Any]) -> State:
    """Read a state written by ``to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, VERSION)
    try:
        return State(
            past=past_from_json(data["past"]),
            skipped=int(data["skipped"]),
            stage=int(data["stage"]),
            log_harm=_rows(data["log_harm"], len(HARM_RATES)),
            log_expand=_rows(data["log_expand"], len(EXPAND_RATES)),
        )
    except (KeyError, TypeError) as error:
        msg = f"The stored e-process state is malformed: {error}."
        raise ValueError(msg) from error
