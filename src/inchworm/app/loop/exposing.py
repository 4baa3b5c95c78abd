"""Resolving units: which configuration each gets, with the exposure durable before anything else happens."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import UnitId
from inchworm.domain.serving import Resolved, resolve
from inchworm.domain.trace import Assignment, Exposure


def expose(house: House, units: Sequence[tuple[UnitId, float]]) -> list[Resolved]:
    """What each unit gets now. A unit that was exposed before keeps its arm.

    Args:
        house: the app.
        units: id and time (seconds since the epoch) of each unit, in the order in which they came.

    Returns:
        One answer per unit, after the exposures are on the disk.

    Raises:
        NotFoundError: if nothing is served for the app.
    """
    units = [(house.pseudonym(unit_id), at) for unit_id, at in units]
    table = house.control.serving(house.app)
    if table is None:
        raise NotFoundError(f"nothing is served for {house.app} yet", hint="inchworm adopt")
    if table.candidate is None:
        return [resolve(table, unit_id) for unit_id, _ in units]
    rollout_id = table.candidate.rollout_id
    kept = {
        exposure.unit_id: Assignment(
            rollout_id=rollout_id,
            stage=exposure.stage,
            arm=exposure.arm,
            probability=exposure.probability,
        )
        for exposure in house.traces.assignments(rollout_id, [unit_id for unit_id, _ in units]).values()
    }
    last = house.traces.last_order(rollout_id)
    order = 0 if last is None else last + 1
    resolved: list[Resolved] = []
    exposures: list[Exposure] = []
    for unit_id, at in units:
        answer = resolve(table, unit_id, kept.get(unit_id))
        resolved.append(answer)
        if unit_id in kept or answer.assignment is None:
            continue
        kept[unit_id] = answer.assignment
        exposures.append(
            Exposure(
                rollout_id=rollout_id,
                order=order + len(exposures),
                unit_id=unit_id,
                stage=answer.assignment.stage,
                arm=answer.assignment.arm,
                probability=answer.assignment.probability,
                at=at,
            )
        )
    house.traces.add_exposures(exposures)
    return resolved
