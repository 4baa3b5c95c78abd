"""Resolving units: which configuration each gets, with the exposure durable before anything else happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import NO_ATTRIBUTES, Resolved, Resolver
from inchworm.domain.trace import Assignment, Exposure


def expose(
    house: House, units: Sequence[tuple[UnitId, float]], attributes: Mapping[str, str] = NO_ATTRIBUTES
) -> list[Resolved]:
    """What each unit gets now. A unit that was exposed before keeps its arm.

    Args:
        house: the app.
        units: id and time (seconds since the epoch) of each unit, in the order in which they came.
        attributes: what is known of all of them before they are assigned.

    Returns:
        One answer per unit, after the exposures are on the disk.

    Raises:
        NotFoundError: if nothing is served for the app.
    """
    table = house.control.serving(house.app)
    if table is None:
        raise NotFoundError(f"nothing is served for {house.app} yet", hint="inchworm adopt")
    candidate, resolver = table.candidate, Resolver(table)
    if candidate is None:
        return [resolver(unit_id) for unit_id, _ in units]
    # The draw is of the id itself, as gateways and clients know it; what is stored is its pseudonym.
    named = [house.pseudonym(unit_id) for unit_id, _ in units]
    rollout_id = candidate.rollout_id
    draw = candidate.stage if candidate.per_stage else 0
    with house.ordering:  # others are drained meanwhile
        kept = {
            exposure.unit_id: Assignment(
                rollout_id=rollout_id,
                stage=exposure.stage,
                arm=exposure.arm,
                probability=exposure.probability,
            )
            for exposure in house.traces.assignments(rollout_id, named, draw=draw).values()
        }
        last = house.traces.last_order(rollout_id)
        order = 0 if last is None else last + 1
        resolved: list[Resolved] = []
        exposures: list[Exposure] = []
        for (unit_id, at), name in zip(units, named, strict=True):
            answer = resolver(unit_id, kept.get(name), attributes)
            resolved.append(answer)
            if name in kept or answer.assignment is None:
                continue
            kept[name] = answer.assignment
            exposures.append(
                Exposure(
                    rollout_id=rollout_id,
                    order=order + len(exposures),
                    unit_id=name,
                    stage=answer.assignment.stage,
                    arm=answer.assignment.arm,
                    probability=answer.assignment.probability,
                    at=at,
                    draw=draw,
                )
            )
        house.traces.add_exposures(exposures)
    return resolved


def record(house: House, exposed: Sequence[tuple[UnitId, Assignment, float]]) -> int:
    """Store exposures that were made elsewhere; how many were new.

    Places in the order of assignment are given out here, by time and then by arrival among all that are
    handed in together. A unit that a rollout knows keeps its first exposure; where units are drawn anew at
    each stage (unit ``user``), its first one in each.

    Args:
        house: the app.
        exposed: unit (its pseudonym), assignment and time (seconds since the epoch), in order of arrival.
    """
    by_rollout: dict[RolloutId, list[tuple[UnitId, Assignment, float]]] = {}
    for one in sorted(exposed, key=lambda one: one[2]):
        by_rollout.setdefault(one[1].rollout_id, []).append(one)
    store, now, new = house.traces, house.now(), 0
    with house.ordering:
        for rollout_id, came in by_rollout.items():
            redrawn = _redrawn(house, rollout_id)
            first: dict[tuple[UnitId, int], tuple[Assignment, float]] = {}
            for unit_id, assignment, at in came:
                first.setdefault((unit_id, assignment.stage if redrawn else 0), (assignment, at))
            known = {
                (unit_id, draw)
                for draw in {draw for _, draw in first}
                for unit_id in store.assignments(
                    rollout_id, [unit_id for unit_id, its in first if its == draw], draw=draw
                )
            }
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
                        draw=draw,
                    )
                    for order, ((unit_id, draw), (assignment, at)) in enumerate(
                        ((named, one) for named, one in first.items() if named not in known),
                        start=0 if last is None else last + 1,
                    )
                ]
            )
    return new


def _redrawn(house: House, rollout_id: RolloutId) -> bool:
    """Whether a rollout draws its units anew at each stage; not, as far as is known, if nobody knows it."""
    try:
        return house.control.rollout(rollout_id).policy.unit is UnitKind.USER
    except NotFoundError:
        return False
