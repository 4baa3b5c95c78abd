"""A spool leaves room on its disk for others."""

import asyncio
import os
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from inchworm.capture.spool import Spool, SpoolFullError
from inchworm.capture.spool import room as measuring
from inchworm.capture.spool.room import Room

KEY = bytes(32)


class Disk(NamedTuple):
    """What statvfs says, as far as it is looked at."""

    f_bavail: int
    f_frsize: int


def test_its_ceiling_is_the_limit_or_what_the_disk_has_beyond_the_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    room = Room(tmp_path / "x", limit=10_000, spare=4_096)
    for blocks, fits in ((1_000, 10_000), (3, 8_192), (1, 0), (0, 0)):
        monkeypatch.setattr(os, "statvfs", lambda _, blocks=blocks: Disk(blocks, 4_096))
        room.measure()
        assert room.free == blocks * 4_096
        assert room.has(fits)
        assert not room.has(fits + 1)


def test_records_are_refused_before_the_disk_is_full_and_taken_again_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_EVERY_S", 0.0)
    free = [0]
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(free[0], 4_096))

    async def run() -> None:
        spool = Spool.open(tmp_path / "g", KEY, clock=time.time, spare_bytes=1 << 20)
        try:
            with pytest.raises(SpoolFullError, match="nearly full") as refused:
                spool.add(b"record")
            assert refused.value.hint is not None
            assert "1 MB" in refused.value.hint
            assert spool.stats().records == 0
            free[0] = 1_000
            async with asyncio.timeout(20):
                while True:  # a refusal has the folder measured again, or the first one is
                    try:
                        await spool.add(b"record")
                    except SpoolFullError:
                        await asyncio.sleep(0.05)
                    else:
                        break
            stats = spool.stats()
            assert (stats.records, stats.failed, stats.free_bytes) == (1, 0, 1_000 * 4_096)
        finally:
            await spool.close()

    asyncio.run(run())
