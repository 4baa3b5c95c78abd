"""Resolving units: which configuration each gets, with the exposure durable before anything else happens."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, UnitId
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
    with house.ordering:  # others are drained meanwhile
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


def record(house: House, exposed: Sequence[tuple[UnitId, Assignment, float]]) -> int:
    """Store exposures that were made elsewhere; how many were new.

    Places in the order of assignment are given out here, by time and then by arrival among all that are
    handed in together. A unit that a rollout knows keeps its first exposure.

    Args:
        house: the app.
        exposed: unit (its pseudonym), assignment and time (seconds since the epoch), in order of arrival.
    """
    by_rollout: dict[RolloutId, dict[UnitId, tuple[Assignment, float]]] = {}
    for unit_id, assignment, at in sorted(exposed, key=lambda one: one[2]):
        by_rollout.setdefault(assignment.rollout_id, {}).setdefault(unit_id, (assignment, at))
    store, now, new = house.traces, house.now(), 0
    with house.ordering:
        for rollout_id, first in by_rollout.items():
            known = store.assignments(rollout_id, list(first))
            last = store.last_order(rollout_id)
            new += store.add_exposures(
                [
                    Exposure(
                        rollout_id=rollout_id,
                        order=order,
                        unit_id=unit_id,
                        stage=assignment.stage,
                        arm=assignment.arm,
                        probability=assignment.probability,
                        # Assigned it was by now at the latest. A clock that is ahead would keep this unit,
                        # and with it all that come after it, from the monitor until then.
                        at=min(at, now),
                    )
                    for order, (unit_id, (assignment, at)) in enumerate(
                        ((unit, one) for unit, one in first.items() if unit not in known),
                        start=0 if last is None else last + 1,
                    )
                ]
            )
    return new
