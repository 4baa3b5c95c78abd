"""Mirrored calls: their places in the order of mirroring, given out where they are drained."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.app.house import House
from inchworm.app.loop.incoming import Mirroring
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.rollout import StageKind
from inchworm.domain.shadow import MirroredCall


def record_mirrored(house: House, came: Sequence[Mirroring]) -> tuple[int, list[tuple[bytes, str]]]:
    """Store mirrored calls; how many were new, and the records that cannot be any, with the reason.

    Places are given out by time and then by arrival among all that are handed in together. A call that is
    known keeps its place, so what was drained before a crash may be drained again.

    Args:
        house: the app.
        came: with ids as they came, in order of arrival.
    """
    refused: list[tuple[bytes, str]] = []
    shadows: dict[RolloutId, frozenset[int] | None] = {}
    by_rollout: dict[RolloutId, dict[TraceId, Mirroring]] = {}
    for one in sorted(came, key=lambda one: one.at):
        if one.rollout_id not in shadows:
            shadows[one.rollout_id] = _shadow_stages(house, one.rollout_id)
        stages = shadows[one.rollout_id]
        if stages is None:
            refused.append((one.raw, f"It is of {one.rollout_id}, which nobody knows here."))
        elif one.stage not in stages:
            refused.append((one.raw, f"Its stage is no shadow stage of {one.rollout_id}."))
        else:
            id_ = TraceId(house.pseudonym(UnitId(one.shadow_id)))
            by_rollout.setdefault(one.rollout_id, {}).setdefault(id_, one)
    store, now, new = house.traces, house.now(), 0
    with house.ordering:
        for rollout_id, calls in by_rollout.items():
            known = store.known_mirrored(rollout_id, list(calls))
            last = store.last_mirrored(rollout_id)
            new += store.add_mirrored(
                [
                    MirroredCall(
                        rollout_id=rollout_id,
                        order=order,
                        trace_id=TraceId(house.pseudonym(UnitId(one.trace_id))),
                        shadow_id=id_,
                        unit_id=house.pseudonym(one.unit_id),
                        stage=one.stage,
                        at=min(one.at, now),  # as for exposures: a clock that is ahead holds nobody up
                    )
                    for order, (id_, one) in enumerate(
                        ((id_, one) for id_, one in calls.items() if id_ not in known),
                        start=0 if last is None else last + 1,
                    )
                ]
            )
    return new, refused


def _shadow_stages(house: House, rollout_id: RolloutId) -> frozenset[int] | None:
    try:
        policy = house.control.rollout(rollout_id).policy
    except NotFoundError:
        return None
    return frozenset(place for place, stage in enumerate(policy.stages) if stage.kind is StageKind.SHADOW)
