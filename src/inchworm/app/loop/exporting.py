"""Stored interactions as a file, with one batch of them in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from inchworm.app.house import House
from inchworm.capture.exporters import written
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import TraceId
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace
from inchworm.store.traces import TraceFilter

_BATCH: Final = 500


class Exporting(Iterator[bytes]):
    """The pieces of a file; to be read once.

    Args:
        house: whose interactions.
        filters: which.
        form: one of :data:`~inchworm.capture.exporters.EXPORTS`.

    Raises:
        UsageError: for answers to mirrored calls: no form can say that nobody saw them.
    """

    def __init__(self, house: House, filters: TraceFilter, form: str) -> None:
        if filters.shadow:
            raise UsageError(
                "answers to mirrored calls are not exported: imported again, they would count as traffic",
                hint="inchworm traces list --shadow --json",
            )
        self.count = 0
        """Interactions that were read so far."""
        self.left: Counter[str] = Counter()
        """What is left out, in words, and of how many."""
        self._house, self._filters = house, filters
        self._pieces = written(form, self._batches(), self.left, self._spans)

    def __next__(self) -> bytes:
        """The next piece.

        Raises:
            StoreError: if the store cannot be read.
        """
        return next(self._pieces)

    def _spans(self, batch: Sequence[Trace]) -> dict[TraceId, tuple[Span, ...]]:
        return self._house.traces.spans(self._house.app, [trace.id for trace in batch])

    def _batches(self) -> Iterator[list[Trace]]:
        for batch in self._house.traces.iterate(self._house.app, batch=_BATCH, filters=self._filters):
            self.count += len(batch)
            yield batch
