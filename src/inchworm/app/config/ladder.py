"""From the stages that a file names to the rungs of a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

from inchworm.app.config.problems import KeyPath
from inchworm.app.config.schema import Rollout, ShadowEntry, StageEntry
from inchworm.domain.assignment import BUCKETS
from inchworm.domain.rollout import Policy, Stage, StageKind
from inchworm.domain.targeting import Condition

LARGEST_HOLDOUT = 0.5
"""More than half of the people would make the rest the exception."""
_FIRST, *_, _LAST = Policy().stages
_FACTORS = tuple(stage.margin_factor for stage in Policy().stages)


def margin_factor(position: int, count: int) -> float:
    """The factor of stage ``position`` (from 0) of ``count``, shadow stages left out: 2.7, 1.7, 1 for three.

    For other numbers the stages stand evenly on the line through these three points; the last has factor 1.
    """
    if position == count - 1:
        return _FACTORS[-1]
    place = position / (count - 1) * (len(_FACTORS) - 1)
    left = int(place)
    low, high = _FACTORS[left], _FACTORS[min(left + 1, len(_FACTORS) - 1)]
    return round(low + (high - low) * (place - left), 2)


def stages(rollout: Rollout, wrong: Callable[[KeyPath, str], None]) -> tuple[Stage, ...]:
    """The rungs; what is wrong with them is told to ``wrong`` with the path of its key."""
    rungs: list[Stage] = []
    said = [_entry(one) for one in rollout.stages]
    count = sum(isinstance(one, StageEntry) for one in said)
    position = 0
    for place, entry in enumerate(said):
        path: KeyPath = ("rollout", "stages", place)
        match entry:
            case ShadowEntry():
                stage = _shadow(entry)
                _check_shadow(stage, rungs, partial(wrong, path))
            case StageEntry():
                stage = _split(entry, position, count)
                last = position == count - 1
                _check_split(stage, rungs, rollout.holdback, path, wrong, last=last)
                position += 1
            case _:
                assert_never(entry)
        if stage.min_bake_s > stage.max_bake_s:
            wrong((*path, "min_bake"), f"is longer than max_bake, {stage.max_bake_s / 3600:g}h")
        rungs.append(stage)
    if not count:
        wrong(("rollout", "stages"), "needs a stage after shadow at which the candidate answers, as in 50%")
    return tuple(rungs)


def _entry(said: float | str | StageEntry | ShadowEntry) -> StageEntry | ShadowEntry:
    match said:
        case str():
            return ShadowEntry(shadow=1.0)
        case int() | float():
            return StageEntry(weight=said)
        case _:
            return said


def _shadow(entry: ShadowEntry) -> Stage:
    return Stage(
        weight=entry.shadow,
        min_units=entry.min_pairs,
        min_bake_s=_FIRST.min_bake_s if entry.min_bake is None else entry.min_bake,
        max_bake_s=_FIRST.max_bake_s if entry.max_bake is None else entry.max_bake,
        margin_factor=_FACTORS[0] if entry.margin_factor is None else entry.margin_factor,
        kind=StageKind.SHADOW,
        audience=_audience(entry),
        max_calls=entry.max_calls,
        budget_usd=entry.budget,
    )


def _split(entry: StageEntry, position: int, count: int) -> Stage:
    default = _LAST if position == count - 1 else _FIRST
    factor = margin_factor(position, count) if entry.margin_factor is None else entry.margin_factor
    return Stage(
        weight=entry.weight,
        min_units=entry.min_units,
        min_bake_s=default.min_bake_s if entry.min_bake is None else entry.min_bake,
        max_bake_s=default.max_bake_s if entry.max_bake is None else entry.max_bake,
        margin_factor=factor,
        audience=_audience(entry),
    )


def _audience(entry: StageEntry | ShadowEntry) -> tuple[Condition, ...]:
    return tuple(Condition(attribute=name, values=values) for name, values in (entry.audience or {}).items())


def _check_shadow(stage: Stage, before: Sequence[Stage], wrong: Callable[[str], None]) -> None:
    if stage.weight < 1 / BUCKETS:
        wrong(f"must mirror at least 0.01%, not {100 * stage.weight:g}%")
    elif before and before[-1].kind is not StageKind.SHADOW:
        wrong("is a shadow stage, and these come first, before anybody gets the candidate")
    elif before and stage.weight <= before[-1].weight and stage.audience == before[-1].audience:
        wrong(f"mirrors {100 * stage.weight:g}%, not more than the stage before it")
    elif stage.max_calls is not None and stage.max_calls < stage.min_units:
        wrong(f"mirrors {stage.max_calls:,} calls at most, fewer than the {stage.min_units:,} pairs it needs")


def _check_split(
    stage: Stage,
    before: Sequence[Stage],
    holdback: float,
    path: KeyPath,
    wrong: Callable[[KeyPath, str], None],
    *,
    last: bool,
) -> None:
    previous = before[-1] if before and before[-1].kind is StageKind.SPLIT else None
    if not 1 / BUCKETS <= stage.weight < 1:
        wrong(path, f"must lie between 0.01% and 100%, not at {100 * stage.weight:g}%")
    elif stage.weight > 1 - holdback:
        wrong(path, f"is {100 * stage.weight:g}%, more than a holdback of {100 * holdback:g}% leaves")
    elif previous is not None and stage.weight <= previous.weight and stage.audience == previous.audience:
        wrong(path, f"is {100 * stage.weight:g}%, not more than the stage before it")
    if last and stage.audience:
        wrong((*path, "audience"), "is for stages before the last, from which everybody gets the change")
    if last and stage.margin_factor != 1:
        wrong((*path, "margin_factor"), "is 1 in the last stage, which decides at the final margins")
