"""From the stages that a file names to the rungs of a policy."""

from __future__ import annotations

from collections.abc import Callable

from inchworm.app.config.problems import KeyPath
from inchworm.app.config.schema import Rollout, StageEntry
from inchworm.domain.assignment import BUCKETS
from inchworm.domain.rollout import Policy, Stage

_FIRST, *_, _LAST = Policy().stages
_FACTORS = tuple(stage.margin_factor for stage in Policy().stages)


def margin_factor(position: int, count: int) -> float:
    """The factor of stage ``position`` (from 0) of ``count``: 2.7, 1.7, 1 for three.

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
    count = len(rollout.stages)
    for position, said in enumerate(rollout.stages):
        entry = said if isinstance(said, StageEntry) else StageEntry(weight=said)
        default = _LAST if position == count - 1 else _FIRST
        stage = Stage(
            weight=entry.weight,
            min_units=entry.min_units,
            min_bake_s=default.min_bake_s if entry.min_bake is None else entry.min_bake,
            max_bake_s=default.max_bake_s if entry.max_bake is None else entry.max_bake,
            margin_factor=margin_factor(position, count)
            if entry.margin_factor is None
            else entry.margin_factor,
        )
        path: KeyPath = ("rollout", "stages", position)
        if not 1 / BUCKETS <= stage.weight < 1:
            wrong(path, f"must lie between 0.01% and 100%, not at {100 * stage.weight:g}%")
        elif stage.weight > 1 - rollout.holdback:
            wrong(
                path,
                f"is {100 * stage.weight:g}%, more than a holdback of {100 * rollout.holdback:g}% leaves",
            )
        elif rungs and stage.weight <= rungs[-1].weight:
            wrong(path, f"is {100 * stage.weight:g}%, not more than the stage before it")
        if stage.min_bake_s > stage.max_bake_s:
            wrong((*path, "min_bake"), f"is longer than max_bake, {stage.max_bake_s / 3600:g}h")
        if position == count - 1 and stage.margin_factor != 1:
            wrong((*path, "margin_factor"), "is 1 in the last stage, which decides at the final margins")
        rungs.append(stage)
    return tuple(rungs)
