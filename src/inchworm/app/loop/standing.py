"""Where the app stands, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.retiring import Retiring, notices
from inchworm.app.loop.topics import CLUSTERING
from inchworm.domain.errors import StoreError
from inchworm.domain.notice import NoticeState
from inchworm.domain.rollout import Lineage, Rollout, RolloutState
from inchworm.rollout.transitions import IN_FLIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an app stands.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        lineage: what is stable; ``None`` if nothing is yet.
        declared: id of the configuration that ``inchworm.yaml`` declares.
        in_flight: what is being exposed or benchmarked, if anything is.
        queued: what waits, in its order.
        eval_sets: id and number of cases of each version.
        traces: how many interactions are stored; ``None`` if that cannot be said now.
        period: when the first and the last of them started.
        hindrance: why that cannot be said.
        proposals: how many are open.
        labelled: whether topics were fitted.
        notices: configured models that are switched off soon, or were.
        untold: notifications that were given up.
    """

    app: str
    lineage: Lineage | None
    declared: str
    in_flight: Rollout | None
    queued: Sequence[Rollout]
    eval_sets: Sequence[tuple[str, int]]
    traces: int | None
    period: tuple[float, float] | None
    hindrance: str | None
    proposals: int
    labelled: bool
    notices: tuple[Retiring, ...] = ()
    untold: int = 0


def look(house: House) -> Standing:
    """Where the app stands."""
    control = house.control
    everything = control.rollouts(house.app)
    traces = period = hindrance = None
    try:
        traces, period = house.traces.count(house.app), house.traces.period(house.app)
    except StoreError as error:  # another process has them; everything else can be said all the same
        hindrance = error.message
    return Standing(
        app=str(house.app),
        lineage=control.lineage(house.app),
        declared=house.spec.configuration.id,
        in_flight=next((one for one in everything if one.state in IN_FLIGHT), None),
        queued=[one for one in everything if one.state is RolloutState.QUEUED],
        eval_sets=[(one.id, one.cases) for one in control.eval_sets(house.app)],
        traces=traces,
        period=period,
        hindrance=hindrance,
        proposals=len(control.proposals(house.app)),
        labelled=control.blob(house.app, CLUSTERING) is not None,
        untold=control.notice_counts(house.app)[NoticeState.FAILED],
        notices=notices(house),
    )


def following(standing: Standing) -> str:
    """What to do next, as a sentence with its command; empty if there is nothing to do."""
    flying = standing.in_flight
    if flying is not None and flying.state in {RolloutState.HOLDING, RolloutState.PAUSED}:
        return f"{flying.id} waits for you: inchworm rollout show {flying.id}"
    if flying is not None:
        return f"Next: inchworm rollout watch {flying.id}"
    if standing.queued:
        return "Next: inchworm rollout watch"
    if standing.traces == 0:
        return "Next: inchworm import FILE.jsonl"
    if standing.traces and not standing.labelled:
        return "Next: inchworm label"
    if standing.traces and not standing.eval_sets:
        return "Next: inchworm evalset build"
    if standing.lineage is None:
        return "Next: inchworm adopt"
    if standing.lineage.stable != standing.declared:
        return "inchworm.yaml says something else than what is stable. Next: inchworm plan"
    return "Next: inchworm evalset proposals" if standing.proposals else ""
