"""The control plane's store: SQLite, safe with several processes, one transaction per act.

Configurations, lineages, plans, rollouts with their decisions and their evidence over time, ledger and
audit, eval sets, benchmarks, trials, attributions, work items, blobs, imports and API keys.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from inchworm.store.control.access import AccessStore
from inchworm.store.control.approvals import ApprovalStore
from inchworm.store.control.audit import AuditStore
from inchworm.store.control.benchmarks import BenchmarkStore
from inchworm.store.control.database import Database
from inchworm.store.control.forgetting import Emptied, ForgettingStore
from inchworm.store.control.lineage import LineageStore
from inchworm.store.control.points import PointStore
from inchworm.store.control.records import (
    ApiKey,
    AuditBreak,
    AuditCheck,
    AuditEntry,
    AuditFilter,
    AuditHead,
    EvalSetSummary,
    ImportRecord,
    StoredConfiguration,
)
from inchworm.store.control.rollouts import RolloutStore
from inchworm.store.control.work import WorkStore

__all__ = [
    "ApiKey",
    "AuditBreak",
    "AuditCheck",
    "AuditEntry",
    "AuditFilter",
    "AuditHead",
    "ControlStore",
    "Emptied",
    "EvalSetSummary",
    "ImportRecord",
    "StoredConfiguration",
]


class ControlStore(
    AuditStore,
    LineageStore,
    RolloutStore,
    ApprovalStore,
    PointStore,
    BenchmarkStore,
    WorkStore,
    AccessStore,
    ForgettingStore,
):
    """Everything that the control plane must not forget. Threads and processes may share the file."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, which is made if it is not there, and bring it to this version's revision.

        Raises:
            StoreError: if it cannot be opened or written, is no database of ours, is damaged, or was
                written by a newer version.
        """
        return cls(Database(path))

    @property
    def changed(self) -> bool:
        """Whether anything was written through this object."""
        return self._db.changed

    def close(self) -> None:
        """Close every connection. The file stays usable by others."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
