"""Looks into the stores of an app, wherever they are opened; reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from inchworm.app.doctor import seen
from inchworm.app.house import House
from inchworm.app.notify.sending import resolved
from inchworm.app.notify.signing import secret_of
from inchworm.capture.calls import UNAPPLIED
from inchworm.capture.fields import DERIVED
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import RolloutId
from inchworm.domain.notice import NoticeState
from inchworm.domain.outcome import Errored, Failed
from inchworm.domain.rollout import RolloutState, UnitKind
from inchworm.domain.trace import Trace
from inchworm.domain.work import WorkState
from inchworm.rollout.controller import verify_served

SAMPLE = 500
"""The latest so many interactions are looked at."""
_RECENT_S = 7 * 86_400.0
_LATE_S = 3_600.0
_WAITING = (RolloutState.HOLDING, RolloutState.PAUSED)


def traffic(house: House) -> seen.Traffic:
    """Stored interactions.

    Raises:
        StoreError: if a store cannot be read.
    """
    period = house.traces.period(house.app)
    if period is None:
        return seen.Traffic(stored=0, last_at=None)
    lineage, now = house.control.lineage(house.app), house.now()
    flying = None if lineage is None else lineage.in_flight
    page = house.traces.traces(house.app, limit=SAMPLE)
    names = [metric.name for metric in house.spec.metrics if "check" in metric.source]
    rows = house.traces.summary(
        house.app, by="configuration", metrics=names, since=now - _RECENT_S, until=now + _RECENT_S
    )
    scored: Counter[str] = Counter()
    for row in rows:
        scored.update({name: mean.scored for name, mean in row.metrics.items()})
    assigned = [one for one in page.traces if flying is not None and _of(one, flying)]
    unapplied = Counter(layer for one in assigned for layer in one.attributes.get(UNAPPLIED, ()))
    return seen.Traffic(
        stored=page.total,
        last_at=period[1],
        sampled=len(page.traces),
        without_content=sum(not one.has_content for one in page.traces),
        failed=sum(isinstance(one.outcome, Failed) for one in page.traces),
        errored=sum(isinstance(one.outcome, Errored) for one in page.traces),
        derived=sum(_derived(one) for one in page.traces),
        by_request=house.spec.policy.unit is UnitKind.REQUEST,
        assigned=len(assigned),
        unapplied={str(layer): count for layer, count in unapplied.most_common()},
        unscored=tuple(name for name in names if not scored[name]),
        recent=sum(row.n for row in rows),
    )


def _of(trace: Trace, rollout_id: RolloutId) -> bool:
    return trace.assignment is not None and trace.assignment.rollout_id == rollout_id


def _derived(trace: Trace) -> bool:
    said = trace.attributes.get(DERIVED)
    return isinstance(said, Mapping) and "unit" in said


def rollouts(house: House) -> seen.Rollouts:
    """Where changes stand.

    Raises:
        StoreError: if the control store cannot be read.
    """
    control = house.control
    return seen.Rollouts(
        stable=control.lineage(house.app) is not None,
        waiting=tuple(
            seen.Waiting(id=one.id, state=one.state.value, because=one.because, since=one.entered_at)
            for one in control.rollouts(house.app, _WAITING)
        ),
        unlike=verify_served(control, house.app),
        failed=tuple(
            (one.id, one.error or "it ended without a result")
            for one in control.work(house.app, {WorkState.FAILED})
        ),
    )


def api_keys(house: House) -> tuple[seen.ApiKey, ...]:
    """Keys to the API that were not revoked.

    Raises:
        StoreError: if the control store cannot be read.
    """
    return tuple(
        seen.ApiKey(id=one.id, name=one.name, expires_at=one.expires_at, used_at=one.used_at)
        for one in house.control.api_keys()
        if one.revoked_at is None
    )


def audit(house: House) -> seen.Audit:
    """The audit trail, walked from its beginning.

    Raises:
        StoreError: if the control store cannot be read.
    """
    check = house.control.verify_audit()
    breaks = tuple(f"{one.because}." for one in check.breaks)
    return seen.Audit(entries=check.entries, breaks=breaks)


def notifications(house: House, environ: Mapping[str, str]) -> seen.Notifications:
    """Who is told of decisions, and whether they were. Nothing is sent.

    Raises:
        StoreError: if the control store cannot be read.
    """
    wrong: list[str] = []
    for one in house.spec.notify:
        try:
            resolved(one.url, environ)
            if one.secret is not None:
                secret_of(resolved(one.secret, environ))
        except UsageError as error:
            wrong.append(f"{one.key}: {error.message}.")
    waiting = house.control.notices(house.app, {NoticeState.WAITING})
    return seen.Notifications(
        targets=len(house.spec.notify),
        wrong=tuple(wrong),
        failed=house.control.notice_counts(house.app)[NoticeState.FAILED],
        late=sum(house.now() - one.at > _LATE_S for one in waiting),
    )
