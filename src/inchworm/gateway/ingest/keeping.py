"""What was taken in becomes durable before it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from inchworm.capture.records import Record, encode
from inchworm.capture.spool import Spool
from inchworm.domain.errors import InchwormError
from inchworm.gateway.faults import FaultError, spool_full
from inchworm.gateway.recording import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Hands records to the spool, and waits for the disk.

    Attributes:
        spool: takes them.
        recorder: counts, and says, what could not be recorded.
    """

    spool: Spool
    recorder: Recorder

    async def keep(self, records: Iterable[Record]) -> None:
        """Make records durable; what is sent again after a failure counts once, by its ids.

        Raises:
            FaultError: 429 with Retry-After, if the spool is full or the disk refused.
        """
        waited: list[asyncio.Future[None]] = []
        try:
            try:
                waited += [self.spool.add(encode(record)) for record in records]
            finally:
                if waited:
                    await asyncio.wait(waited)
            for one in waited:
                one.result()
        except InchwormError as error:
            self.recorder.failed("ingest", error)
            raise FaultError(spool_full(error.message)) from error
