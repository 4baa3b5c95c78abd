"""The store of traces, exposures and scores: DuckDB, owned by one process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from inchworm.store.traces.aggregates import Aggregates, MetricMean, SummaryRow
from inchworm.store.traces.database import Database
from inchworm.store.traces.erase import Erasing, Said, Theirs
from inchworm.store.traces.feedback import Feedback
from inchworm.store.traces.matured import Matured
from inchworm.store.traces.pairs import Answers, PairRows, Pairs
from inchworm.store.traces.quality import Quality, QualityBin, SeenConfiguration
from inchworm.store.traces.read import Arrivals, Reads
from inchworm.store.traces.replace import Replaces, TracesPut
from inchworm.store.traces.retire import Retired, Retiring
from inchworm.store.traces.search import TEXT_SCAN, Page, TraceFilter
from inchworm.store.traces.spans import Spans, SpansPut
from inchworm.store.traces.units import Measured, UnitRows, Units
from inchworm.store.traces.write import Added, Writes

__all__ = [
    "TEXT_SCAN",
    "Added",
    "Answers",
    "Arrivals",
    "Measured",
    "MetricMean",
    "Page",
    "PairRows",
    "QualityBin",
    "Retired",
    "Said",
    "SeenConfiguration",
    "SpansPut",
    "SummaryRow",
    "Theirs",
    "TraceFilter",
    "TraceStore",
    "TracesPut",
    "UnitRows",
]


class TraceStore(
    Writes, Replaces, Spans, Reads, Aggregates, Units, Matured, Pairs, Quality, Feedback, Erasing, Retiring
):
    """Everything that was seen. Threads may share it; processes may not."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Own the file, which is made if it is not there, until :meth:`close`.

        Raises:
            StoreError: if another process owns it (with its process id), if it cannot be opened or
                written, is no DuckDB file of ours, or was written by a newer version.
        """
        return cls(Database(path))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
