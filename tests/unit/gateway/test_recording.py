"""Records reach the spool, also where many come at once."""

import asyncio
import io
from pathlib import Path

from inchworm.capture.records import Called
from inchworm.capture.spool import Spool
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.recording import Recorder
from inchworm.gateway.sessions import Sessions


def called(number: int) -> Called:
    return Called(
        id=f"t{number}",
        app="shop/production",
        at=1.0,
        unit="u",
        unit_from="stated",
        dialect="openai-chat",
        request=b"{}",
        response=b"x" * 600,
    )


def recorded(folder: Path, *, memory: int, limit: int, count: int) -> tuple[list[bool], float]:
    """What came of so many records at once; and how often trouble was counted."""

    async def run() -> tuple[list[bool], float]:
        spool = Spool.open(
            folder / "spool", b"k" * 32, clock=lambda: 1.0, memory_bytes=memory, limit_bytes=limit
        )
        sessions = Sessions(folder / "gateway", b"u" * 32)
        metrics = Metrics()
        recorder = Recorder(spool, sessions, clock=lambda: 1.0, metrics=metrics, log=Log(io.StringIO()))
        done = await asyncio.gather(*(recorder.record(called(number)) for number in range(count)))
        sessions.close()
        await spool.close()
        return done, sum(metrics.capture_troubles.values.values())

    return asyncio.run(run())


def test_records_that_come_all_at_once_wait_for_room(tmp_path: Path) -> None:
    done, troubles = recorded(tmp_path, memory=2_000, limit=1 << 20, count=40)
    assert all(done)
    assert troubles == 0


def test_where_there_will_be_no_room_nobody_waits(tmp_path: Path) -> None:
    done, troubles = recorded(tmp_path, memory=1 << 20, limit=3_000, count=40)
    assert True in done
    assert troubles == done.count(False) > 30
