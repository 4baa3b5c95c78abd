"""How much has matured, for many rollouts in one question: who has nothing new need not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from inchworm.domain.ids import RolloutId
from inchworm.store.traces.database import Concern


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is asked of one rollout.

    Attributes:
        rollout_id: which.
        units_until: for each clock, the moment up to which units that were assigned have matured.
        pairs_until: the same for pairs; ``None`` if the rollout mirrors nothing.
    """

    rollout_id: RolloutId
    units_until: tuple[float, ...]
    pairs_until: float | None = None


class Matured(Concern):
    """Exposures and pairs, counted by their time."""

    def matured(self, asked: Sequence[Due]) -> dict[RolloutId, int]:
        """Units whose time has come, counted once per clock, and pairs; rollouts without any are left out."""
        units = [(one.rollout_id, until) for one in asked for until in one.units_until]
        pairs = [(one.rollout_id, one.pairs_until) for one in asked if one.pairs_until is not None]
        found: dict[RolloutId, int] = {}
        with self._db.read() as run:
            for table, rows in (("exposures", units), ("mirrored", pairs)):
                if not rows:
                    continue
                batch = pa.table(
                    {
                        "rollout_id": pa.array([name for name, _ in rows], pa.string()),
                        "until_s": pa.array([until for _, until in rows], pa.float64()),
                    }
                )
                counted = run.rows(
                    f"SELECT rollout_id, count(*) FROM {table} JOIN asked USING (rollout_id) "  # noqa: S608  # our own names
                    "WHERE at_s <= until_s GROUP BY rollout_id",
                    asked=batch,
                )
                for name, count in counted:
                    found[RolloutId(name)] = found.get(RolloutId(name), 0) + count
        return found
