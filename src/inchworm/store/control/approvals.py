"""Who agreed to a rollout going on. Nobody takes their word back: rows are only added."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Approval, LedgerEntry, Rollout
from inchworm.store import codec
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit
from inchworm.store.control.database import parts
from inchworm.store.control.lineage import append_ledger
from inchworm.store.control.notices import NoticeStore, insert_notices
from inchworm.store.control.records import AuditEntry
from inchworm.store.control.rollouts import require_rollout


class ApprovalStore(NoticeStore):
    """Approvals of rollouts."""

    def put_approval(self, app: AppRef, approval: Approval, entry: LedgerEntry) -> bool:
        """Keep that somebody agrees, and say so in the ledger and the audit trail. It cannot be unsaid.

        Returns:
            ``False``, and nothing is written, if they have agreed to this stage before.

        Raises:
            NotFoundError: if there is no such rollout.
        """
        table = tables.approvals
        row = {
            "rollout_id": approval.rollout_id,
            "stage": approval.stage,
            "actor": approval.actor,
            "at": approval.at,
            "reason": approval.reason,
        }
        with self._db.write() as connection:
            require_rollout(connection, approval.rollout_id)
            kept = connection.execute(insert_or(table).values(row).on_conflict_do_nothing())
            if kept.rowcount == 0:
                return False
            (number,) = kept.inserted_primary_key or (0,)
            told = append_ledger(connection, entry)
            append_audit(
                connection,
                AuditEntry(
                    app=app,
                    at=approval.at,
                    actor=approval.actor,
                    action="rollout.approve",
                    subject=approval.rollout_id,
                    because=entry.what,
                ),
                (table, number),
                told,
            )
            if self.outbox is not None:
                rows = tables.rollouts
                query = select(rows.c.data).where(rows.c.id == approval.rollout_id)
                rollout = codec.decode(Rollout, connection.execute(query).scalar_one())
                insert_notices(connection, self.outbox.approved(approval, rollout))
        return True

    def approvals(self, rollout_ids: Collection[RolloutId]) -> list[Approval]:
        """Who agreed to these rollouts, in the order in which they did."""
        table = tables.approvals
        found: list[Approval] = []
        with self._db.read() as connection:
            for some in parts(rollout_ids):
                query = select(table).where(table.c.rollout_id.in_(some)).order_by(table.c.number)
                found += [
                    Approval(
                        rollout_id=RolloutId(row.rollout_id),
                        stage=row.stage,
                        actor=row.actor,
                        at=row.at,
                        reason=row.reason,
                    )
                    for row in connection.execute(query)
                ]
        return found
