"""Evidence over time, one small row per rollout and moment. Nothing is decided on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select

from inchworm.domain.ids import RolloutId
from inchworm.domain.points import EvidencePoint, MetricPoint, superfluous
from inchworm.store import codec
from inchworm.store.control import tables
from inchworm.store.control.database import Concern

_DIGITS = 6


class PointStore(Concern):
    """What a rollout's metrics said at some moments."""

    def save_point(self, point: EvidencePoint) -> bool:
        """Keep a moment, and drop an older one that is no longer needed for an even spread.

        Returns:
            ``False``, and nothing is written, unless units were consumed since the newest that is kept.

        Raises:
            InputError: if a number in it is not finite.
        """
        table = tables.evidence_points
        mine = table.c.rollout_id == point.rollout_id
        newest = select(func.max(table.c.consumed)).where(mine)
        # A look first: a round in which nothing came must not write, or every page would look again.
        with self._db.read() as connection:
            if (connection.execute(newest).scalar() or 0) >= point.consumed:
                return False
        row = {
            "rollout_id": point.rollout_id,
            "consumed": point.consumed,
            "at": point.at,
            "stage": point.stage,
            "data": codec.to_text({one.name: _numbers(one) for one in point.metrics}),
        }
        with self._db.write() as connection:
            if (connection.execute(newest).scalar() or 0) >= point.consumed:
                return False
            connection.execute(insert(table).values(row))
            kept = connection.execute(
                select(table.c.consumed, table.c.at, table.c.stage).where(mine).order_by(table.c.consumed)
            ).all()
            place = superfluous([one.at for one in kept], [one.stage for one in kept])
            if place is not None:
                connection.execute(delete(table).where(mine, table.c.consumed == kept[place].consumed))
        return True

    def points(self, rollout_id: RolloutId) -> list[EvidencePoint]:
        """The moments that are kept of a rollout, oldest first; none if there is no such rollout."""
        table = tables.evidence_points
        query = (
            select(table.c.consumed, table.c.at, table.c.stage, table.c.data)
            .where(table.c.rollout_id == rollout_id)
            .order_by(table.c.consumed)
        )
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return [
            EvidencePoint(
                rollout_id=rollout_id,
                at=row.at,
                consumed=row.consumed,
                stage=row.stage,
                metrics=tuple(_metric(name, said) for name, said in codec.from_text(row.data).items()),
            )
            for row in rows
        ]


def _numbers(one: MetricPoint) -> list[float | int | None]:
    return [
        _short(one.effect),
        _short(one.low),
        _short(one.high),
        one.baseline,
        one.candidate,
        _short(one.log_e_harm),
        _short(one.log_e_expand),
    ]


def _short(value: float | None) -> float | None:
    """Digits that a plot can show."""
    return None if value is None else round(value, _DIGITS)


def _metric(name: str, said: list[Any]) -> MetricPoint:
    effect, low, high, baseline, candidate, log_e_harm, log_e_expand = said
    return MetricPoint(
        name=name,
        effect=effect,
        low=low,
        high=high,
        baseline=baseline,
        candidate=candidate,
        log_e_harm=log_e_harm,
        log_e_expand=log_e_expand,
    )
