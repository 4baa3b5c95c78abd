"""Writing and reading the spool, on a real disk and a real event loop."""

import asyncio
import errno
import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inchworm.capture.spool import (
    Spool,
    SpoolFullError,
    adopt_orphans,
    closed_segments,
    destroy,
    folders,
    oldest_at,
    read_segment,
    room,
    spool_size,
    writer,
)
from inchworm.domain.errors import ConflictError, NotFoundError, StoreError, UsageError

KEY = bytes(range(32))
NOW = 1_800_000_000.0
NEVER = 3600.0  # seconds until a segment is closed for its age


@asynccontextmanager
async def opened(root: Path, name: str = "g", **options):
    spool = Spool.open(root / name, KEY, **{"clock": lambda: NOW, "rotate_s": NEVER, **options})
    try:
        yield spool
    finally:
        await spool.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # a thread and a folder set no event
            await asyncio.sleep(0.005)


def records(root: Path) -> list[bytes]:
    """Everything that waits for the drain, in its order."""
    found: list[bytes] = []
    for path in closed_segments(root):
        read = read_segment(path, KEY)
        assert (read.torn, read.damage) == (False, None)
        found.extend(read.records)
    return found


def test_what_is_added_is_on_the_disk_when_its_future_is_done(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            for number in range(3):
                await spool.add(b"%d" % number)
                (path,) = (tmp_path / "g").glob("*.open")
                read = read_segment(path, KEY)
                assert read.records == tuple(b"%d" % n for n in range(number + 1))
                assert (read.torn, read.damage) == (True, None), "it is still being written"
            assert closed_segments(tmp_path) == []

    asyncio.run(run())
    assert records(tmp_path) == [b"0", b"1", b"2"]


def test_what_comes_during_an_fsync_is_one_commit(tmp_path, monkeypatch):
    under_way, go_on = multiprocessing.Event(), multiprocessing.Event()
    real = os.fdatasync

    def slow(handle: int) -> None:
        under_way.set()
        assert go_on.wait(20)
        real(handle)

    async def run():
        monkeypatch.setattr(os, "fdatasync", slow)
        async with opened(tmp_path) as spool:
            first = spool.add(b"first")
            await until(under_way.is_set)
            rest = [spool.add(b"%d" % number) for number in range(50)]
            assert (first.done(), spool.stats().pending) == (False, 51)
            go_on.set()
            await asyncio.gather(first, *rest)
            stats = spool.stats()
            assert (stats.records, stats.commits, stats.pending, stats.failed) == (51, 2, 0, 0)
            assert stats.bytes == 5 + 10 + 80
            assert stats.segments_bytes == spool_size(tmp_path)

    asyncio.run(run())
    assert records(tmp_path) == [b"first", *(b"%d" % number for number in range(50))]


def test_a_segment_is_closed_when_it_is_large(tmp_path):
    async def run():
        async with opened(tmp_path, rotate_bytes=1000) as spool:
            for number in range(10):
                await spool.add(bytes([number]) * 400)
            assert len(closed_segments(tmp_path)) == 3

    asyncio.run(run())
    assert records(tmp_path) == [bytes([number]) * 400 for number in range(10)]


def test_a_segment_is_closed_when_it_is_old_though_nothing_more_comes(tmp_path):
    async def run():
        async with opened(tmp_path, rotate_s=0.02) as spool:
            await spool.add(b"only")
            await until(lambda: records(tmp_path) == [b"only"])
            await spool.add(b"next")
            await until(lambda: records(tmp_path) == [b"only", b"next"])

    asyncio.run(run())


def test_a_segment_is_closed_when_somebody_asks(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            spool.rotate_now()  # there is none yet
            spool.add(b"one")
            spool.rotate_now()
            await spool.add(b"two")
            assert records(tmp_path) == [b"one"]

    asyncio.run(run())
    assert records(tmp_path) == [b"one", b"two"]


def test_closing_writes_what_was_added_and_takes_no_more(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            futures = [spool.add(b"%d" % number) for number in range(100)]
            await spool.close()
            await asyncio.gather(*futures)
            with pytest.raises(StoreError, match="is closed"):
                spool.add(b"late")
            await spool.close()

    asyncio.run(run())
    assert records(tmp_path) == [b"%d" % number for number in range(100)]


def test_a_spool_in_which_nothing_was_written_leaves_no_segment(tmp_path):
    async def run():
        async with opened(tmp_path):
            pass

    asyncio.run(run())
    assert (closed_segments(tmp_path), spool_size(tmp_path), oldest_at(tmp_path)) == ([], 0, None)


def test_files_are_their_owners_alone(tmp_path):
    async def run():
        async with opened(tmp_path / "data" / "spool") as spool:
            await spool.add(b"x")

    asyncio.run(run())
    for path in (tmp_path / "data").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_waiter_that_gives_up_takes_nothing_with_it(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            futures = [spool.add(b"%d" % number) for number in range(3)]
            futures[1].cancel()
            await futures[0]
            await futures[2]

    asyncio.run(run())
    assert records(tmp_path) == [b"0", b"1", b"2"]


def test_a_loop_that_ends_before_its_records_are_written_loses_none(tmp_path):
    spool = Spool.open(tmp_path / "g", KEY, clock=lambda: NOW, rotate_s=NEVER)

    async def run():
        spool.add(b"nobody waits for it")

    asyncio.run(run())
    asyncio.run(spool.close())
    assert records(tmp_path) == [b"nobody waits for it"]


def test_two_event_loops_cannot_share_a_spool(tmp_path):
    spool = Spool.open(tmp_path / "g", KEY, clock=lambda: NOW)

    async def run():
        await spool.add(b"x")

    asyncio.run(run())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(run())
    asyncio.run(spool.close())


def test_a_full_folder_refuses_until_the_drain_has_made_room(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_EVERY_S", 0.0)

    async def run():
        async with opened(tmp_path, limit_bytes=3000, rotate_bytes=100) as spool:
            for _ in range(3):
                await spool.add(bytes(900))
            with pytest.raises(SpoolFullError, match="is full"):
                spool.add(bytes(900))
            await until(lambda: len(closed_segments(tmp_path)) == 3)
            for path in closed_segments(tmp_path):
                destroy(path)

            def accepted() -> bool:
                try:
                    spool.add(bytes(900))
                except SpoolFullError:
                    return False
                return True

            await until(accepted)

    asyncio.run(run())
    assert records(tmp_path) == [bytes(900)]


def test_what_waits_for_the_disk_is_bounded(tmp_path, monkeypatch):
    go_on = multiprocessing.Event()
    real = os.fdatasync

    def slow(handle: int) -> None:
        assert go_on.wait(20)
        real(handle)

    async def run():
        monkeypatch.setattr(os, "fdatasync", slow)
        async with opened(tmp_path, memory_bytes=1000) as spool:
            futures = [spool.add(bytes(300)) for _ in range(3)]
            with pytest.raises(SpoolFullError):
                spool.add(bytes(300))
            go_on.set()
            await asyncio.gather(*futures)
            await spool.add(bytes(300))

    asyncio.run(run())
    assert len(records(tmp_path)) == 4


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_an_error_of_the_disk_fails_those_records_and_the_spool_goes_on(tmp_path, monkeypatch, fails_at):
    real, count = os.fdatasync, 0

    def failing(handle: int) -> None:
        nonlocal count
        count += 1
        if count == fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    async def run():
        monkeypatch.setattr(os, "fdatasync", failing)
        async with opened(tmp_path) as spool:
            failed = []
            for number in range(1, 5):
                try:
                    await spool.add(b"%d" % number)
                except StoreError as error:
                    failed.append((number, error.message.partition(": ")[2]))
            stats = spool.stats()
        assert (stats.failed, stats.records, stats.pending) == (1, 3, 0)
        assert failed == [(fails_at, "No space left on device")]

    asyncio.run(run())
    found = [read_segment(path, KEY) for path in closed_segments(tmp_path)]
    assert [one.damage for one in found] == [None] * len(found)
    kept = [record for one in found for record in one.records]
    assert kept == [b"%d" % number for number in range(1, 5) if number != fails_at]
    assert list((tmp_path / "g").glob("*.open")) == []


def test_a_folder_that_went_away_fails_records_and_no_more(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            (tmp_path / "g").rename(tmp_path / "away")
            with pytest.raises(StoreError, match="cannot be read or written"):
                await spool.add(b"lost")
            (tmp_path / "away").rename(tmp_path / "g")
            await spool.add(b"kept")

    asyncio.run(run())
    assert records(tmp_path) == [b"kept"]


def test_a_thread_that_dies_leaves_nobody_waiting(tmp_path, monkeypatch):
    class StrangeError(Exception):
        pass

    def strange(_: int) -> None:
        raise StrangeError

    async def run():
        spool = Spool.open(tmp_path / "g", KEY, clock=lambda: NOW)
        monkeypatch.setattr(os, "fdatasync", strange)
        monkeypatch.setattr("threading.excepthook", lambda _: None)
        first = spool.add(b"in the commit")
        second = spool.add(b"behind it")
        async with asyncio.timeout(20):
            for future in (first, second):
                with pytest.raises(StoreError):
                    await future
        with pytest.raises(StoreError, match="is closed"):
            spool.add(b"later")
        await spool.close()

    asyncio.run(run())


def test_one_writer_per_folder(tmp_path):
    async def run():
        async with opened(tmp_path):
            with pytest.raises(ConflictError, match="another process writes to the spool"):
                Spool.open(tmp_path / "g", KEY, clock=lambda: NOW)
            async with opened(tmp_path, "h"):
                pass
        async with opened(tmp_path):
            pass

    asyncio.run(run())
    with pytest.raises(UsageError, match="cannot be called quarantine"):
        Spool.open(tmp_path / "quarantine", KEY, clock=lambda: NOW)


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot be read or written: (Not a directory|File exists)"):
        Spool.open(tmp_path / "spool" / "g", KEY, clock=lambda: NOW)


def _die_while_writing(root: str, said: "multiprocessing.Queue[str]") -> None:
    async def run():
        spool = Spool.open(Path(root) / "g", KEY, clock=lambda: NOW, rotate_s=NEVER)
        await spool.add(b"acknowledged")
        said.put("written")
        said.close()
        said.join_thread()
        os._exit(9)

    asyncio.run(run())


def left_open(root: Path) -> None:
    """A writer that died without closing its segment."""
    spawn = multiprocessing.get_context("spawn")
    said = spawn.Queue()
    process = spawn.Process(target=_die_while_writing, args=(str(root), said))
    process.start()
    assert said.get(timeout=30) == "written"
    process.join(30)
    said.close()
    assert process.exitcode == 9
    assert len(list((root / "g").glob("*.open"))) == 1


def test_a_successor_closes_what_was_left_open_and_comes_after_it(tmp_path):
    left_open(tmp_path)

    async def run():
        # The clock went back: the order of the names holds all the same.
        async with opened(tmp_path, clock=lambda: NOW - 60) as spool:
            (path,) = closed_segments(tmp_path)
            assert read_segment(path, KEY).torn
            await spool.add(b"next")

    asyncio.run(run())
    assert [read_segment(path, KEY).records for path in closed_segments(tmp_path)] == [
        (b"acknowledged",),
        (b"next",),
    ]


def test_orphans_are_adopted_unless_their_writer_lives(tmp_path):
    left_open(tmp_path)

    async def run():
        async with opened(tmp_path, "alive") as spool:
            await spool.add(b"being written")
            assert adopt_orphans(tmp_path) == 1
            assert adopt_orphans(tmp_path) == 0
            (path,) = closed_segments(tmp_path)
            assert read_segment(path, KEY).records == (b"acknowledged",)

    asyncio.run(run())
    assert adopt_orphans(tmp_path / "nowhere") == 0


def test_a_writer_that_opens_while_its_orphans_are_adopted_waits_and_gets_its_folder(tmp_path, monkeypatch):
    left_open(tmp_path)
    held: list[int | ConflictError] = []

    def become_writer() -> None:
        try:
            held.append(folders.hold(tmp_path / "g"))
        except ConflictError as error:
            held.append(error)

    opener = threading.Thread(target=become_writer)
    close = folders.close_left_open

    def slowly(folder: Path) -> int:
        opener.start()
        opener.join(0.2)  # it cannot end before we do, unless it takes us for another writer
        return close(folder)

    monkeypatch.setattr(folders, "close_left_open", slowly)
    assert adopt_orphans(tmp_path) == 1
    opener.join(20)
    (lock,) = held
    assert isinstance(lock, int), lock
    os.close(lock)


def test_the_name_of_a_segment_is_durable_before_its_first_record_is_acknowledged(tmp_path, monkeypatch):
    synced: list[str] = []
    sync, data_sync = os.fsync, os.fdatasync

    def noting(real: Callable[[int], None]) -> Callable[[int], None]:
        def note(handle: int) -> None:
            real(handle)
            synced.append(Path(f"/proc/self/fd/{handle}").readlink().suffix or "folder")

        return note

    async def run():
        async with opened(tmp_path) as spool:
            monkeypatch.setattr(os, "fsync", noting(sync))
            monkeypatch.setattr(os, "fdatasync", noting(data_sync))
            await spool.add(b"first")
            assert synced == [".open", "folder"]
            await spool.add(b"second")
            assert synced == [".open", "folder", ".open"]

    asyncio.run(run())


def test_segments_of_all_writers_come_oldest_first(tmp_path):
    times = iter([NOW + 2, NOW + 1, NOW + 3])

    async def run():
        for name in ("a", "b", "a"):
            async with opened(tmp_path, name, clock=lambda: next(times)) as spool:
                await spool.add(name.encode())
        assert oldest_at(tmp_path) == NOW + 1

    asyncio.run(run())
    assert [path.parent.name for path in closed_segments(tmp_path)] == ["b", "a", "a"]
    assert [read_segment(path, KEY).at for path in closed_segments(tmp_path)] == [NOW + 1, NOW + 2, NOW + 3]


def test_a_destroyed_segment_is_gone(tmp_path):
    async def run():
        async with opened(tmp_path) as spool:
            await spool.add(b"x")

    asyncio.run(run())
    (path,) = closed_segments(tmp_path)
    destroy(path)
    destroy(path)
    with pytest.raises(NotFoundError, match="there is no segment"):
        read_segment(path, KEY)
    assert closed_segments(tmp_path) == []


def test_with_nobody_draining_segments_become_larger_and_fewer(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_EVERY_S", 0.0)
    monkeypatch.setattr(room, "_SHARE", 0)
    monkeypatch.setattr(writer, "_LONG_BACKLOG", 2)
    monkeypatch.setattr(writer, "_SLOWEST_S", 10 * NEVER)

    async def run():
        async with opened(tmp_path) as spool:
            for number in range(4):
                await spool.add(b"%d" % number)
                spool.rotate_now()
            await until(lambda: len(closed_segments(tmp_path)) == 4)
            await spool.add(b"x")
            patience = spool._patience()
            assert patience is not None
            assert NEVER < patience <= 2 * NEVER

    asyncio.run(run())
