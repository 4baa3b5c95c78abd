"""Retention: what is older than it may be goes, some at a time. What a rollout still needs stays.

Of an interaction whose content is deleted the numbers stay, with an attribute that says so, and the name of
its call.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import RolloutId
from inchworm.domain.trace import CALL, CONTENT, EXPIRED
from inchworm.store.traces import numbers, rollups
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.rows import table

_WHICH = pa.schema([("number", pa.int64()), ("key", pa.uint64())])

_OLD: Final = (
    "t.app = $app AND t.at_s < $before "
    "AND (t.rollout_id IS NULL OR NOT list_contains($needed::VARCHAR[], t.rollout_id))"
)
_BEGINS: Final = f'{{"{CONTENT}":"{EXPIRED}"'
_KEPT: Final = f"NOT starts_with(p.attributes, '{_BEGINS}')"
_EMPTIED: Final = (
    "inputs = '{}', output = NULL, reference = NULL, attributes = '"
    + _BEGINS
    + f"""' || coalesce(',"{CALL}":' || to_json(t.call)::VARCHAR, '') || '}}'"""
)
# Up to the last one that is old: what came later is not looked at, and what is emptied says little.
_CONTENT: Final = (
    "SELECT t.number, t.key FROM traces t JOIN payloads p USING (number) "  # noqa: S608  # our own terms
    "WHERE t.app = $app AND t.at_s < $before AND p.number <= "
    "(SELECT max(number) FROM traces WHERE app = $app AND at_s < $before) AND " + _KEPT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What is too old, or was deleted for it.

    Attributes:
        payloads: interactions whose content is.
        traces: interactions that are as a whole, with their scores and spans.
        needed: interactions that are old enough, and stay because a rollout needs them.
    """

    payloads: int = 0
    traces: int = 0
    needed: int = 0

    @property
    def total(self) -> int:
        """Interactions of which something goes."""
        return self.payloads + self.traces


class Retiring(Concern):
    """What is older than it may be."""

    def retirable(
        self,
        app: AppRef,
        *,
        payloads_before: float | None,
        traces_before: float | None,
        needed: Collection[RolloutId],
    ) -> Retired:
        """How many interactions are too old; nothing is deleted.

        Args:
            app: whose.
            payloads_before: content of interactions before this time, seconds since the epoch, if any.
            traces_before: whole interactions before this time.
            needed: rollouts whose interactions stay as a whole.
        """
        with self._db.read() as run:
            whole = _count(run, "SELECT count(*) FROM traces t WHERE " + _OLD, app, traces_before, needed)  # noqa: S608  # our own terms
            every = _count(
                run,
                "SELECT count(*) FROM traces t WHERE t.app = $app AND t.at_s < $before",
                app,
                traces_before,
            )
            content = _count(run, f"SELECT count(*) FROM ({_CONTENT})", app, payloads_before)  # noqa: S608  # our own terms
            both = _count(
                run,
                f"SELECT count(*) FROM traces t JOIN payloads p USING (number) WHERE {_OLD} AND {_KEPT}",  # noqa: S608  # our own terms
                app,
                None
                if payloads_before is None or traces_before is None
                else min(payloads_before, traces_before),
                needed,
            )
        return Retired(payloads=content - both, traces=whole, needed=every - whole)

    def retire(
        self,
        app: AppRef,
        *,
        payloads_before: float | None,
        traces_before: float | None,
        needed: Collection[RolloutId],
        limit: int = 20_000,
    ) -> Retired:
        """Delete what is too old, the oldest first, at most ``limit`` interactions of each kind.

        Exposures stay, and scores with the interactions that they are of. See :meth:`retirable`.
        """
        with self._db.write() as run:
            whole = _select(
                run,
                f"SELECT t.number, t.key FROM traces t WHERE {_OLD} ORDER BY t.at_s LIMIT {int(limit)}",  # noqa: S608  # our own terms
                app,
                traces_before,
                needed,
            )
            if whole:
                gone = [number for number, _ in whole]
                numbers.keep(run)
                with rollups.changing(run, gone):
                    batch = _batch(whole)
                    run(
                        "DELETE FROM span_payloads WHERE number IN "
                        "(SELECT number FROM spans SEMI JOIN gone ON trace_key = key)",
                        gone=batch,
                    )
                    run("DELETE FROM spans WHERE trace_key IN (SELECT key FROM gone)", gone=batch)
                    for name in ("payloads", "scores", "traces"):
                        run(f"DELETE FROM {name} WHERE number IN (SELECT number FROM gone)", gone=batch)  # noqa: S608  # our own names
            content = _select(run, f"{_CONTENT} ORDER BY t.at_s LIMIT {int(limit)}", app, payloads_before, ())
            _empty(run, content)
        return Retired(payloads=len(content), traces=len(whole))


def _empty(run: Run, which: list[Any]) -> None:
    if not which:
        return
    run(
        f"UPDATE payloads SET {_EMPTIED} FROM traces t SEMI JOIN old USING (number) "  # noqa: S608  # our own terms
        "WHERE payloads.number = t.number",
        old=_batch(which),
    )
    run(
        f"UPDATE span_payloads SET {_EMPTIED.replace('t.call', 'NULL')} WHERE number IN "  # noqa: S608  # our own terms
        "(SELECT number FROM spans SEMI JOIN old ON trace_key = key)",
        old=_batch(which),
    )
    run(
        "UPDATE scores SET comment = NULL WHERE comment IS NOT NULL AND number IN (SELECT number FROM old)",
        old=_batch(which),
    )


def _batch(which: list[Any]) -> pa.Table:
    return table(_WHICH, which)


def _values(query: str, app: AppRef, before: float, needed: Collection[RolloutId]) -> dict[str, Any]:
    values: dict[str, Any] = {"app": str(app), "before": before}
    return values | ({"needed": sorted(needed)} if "$needed" in query else {})


def _count(
    run: Run, query: str, app: AppRef, before: float | None, needed: Collection[RolloutId] = ()
) -> int:
    if before is None:
        return 0
    found: int = run.one(query, _values(query, app, before, needed))[0]
    return found


def _select(
    run: Run, query: str, app: AppRef, before: float | None, needed: Collection[RolloutId]
) -> list[Any]:
    if before is None:
        return []
    found = run.named(query, _values(query, app, before, needed))
    return list(zip(found["number"].tolist(), found["key"].tolist(), strict=True))
