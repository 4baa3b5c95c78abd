"""What a running server leaves in its data directory: where it is, and that nobody else may start."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from inchworm.domain.errors import ConflictError, StoreError

FILE, LOCK = "serve.json", "serve.lock"
FORMAT = "serve/1"
PORT = 4140
"""Where pages and API listen if nobody says another."""
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeFile:
    """``serve.json``: how to reach the server that owns a data directory. Readable by its owner only.

    Attributes:
        pid: the process to stop: ``inchworm serve`` itself.
        url: the pages and the API, e.g. ``http://127.0.0.1:4140``.
        gateway_url: the gateway, e.g. ``http://127.0.0.1:4141``.
        token: the key of this run, for the same user on the same machine; has every scope.
        started_at: seconds since the epoch.
    """

    pid: int
    url: str
    gateway_url: str
    token: str
    started_at: float

    def write(self, data: Path) -> None:
        """Put it into the data directory, whole or not at all, with mode 0600.

        Raises:
            StoreError: if it cannot be written.
        """
        try:
            handle, name = tempfile.mkstemp(prefix=f"{FILE}.", dir=data)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"format": FORMAT, **asdict(self)}, file)
            Path(name).replace(data / FILE)
        except OSError as error:
            raise StoreError(
                f"{data / FILE} cannot be written: {error.strerror}",
                hint="make the data directory writable for this user",
            ) from error

    @classmethod
    def read(cls, data: Path) -> ServeFile | None:
        """What the file says; ``None`` if there is none, or none that this version reads."""
        try:
            said = json.loads((data / FILE).read_text("utf-8"))
            if said.pop("format") != FORMAT:
                return None
            return cls(**said)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @staticmethod
    def remove(data: Path) -> None:
        """Take it away."""
        with suppress(FileNotFoundError):
            (data / FILE).unlink()


def running(data: Path) -> ServeFile | None:
    """How to reach the server of a data directory; ``None`` if none runs there.

    What a server that was killed has left behind is told from one that runs by its lock.
    """
    said = ServeFile.read(data)
    if said is None or not _alive(said.pid) or not _locked(data):
        return None
    return said


@contextmanager
def sole(data: Path, *, wait_s: float, waiting: Callable[[], None]) -> Iterator[int]:
    """Be the only server of a data directory for the length of the block.

    The parts that the server starts inherit the lock: one that outlives a killed server, because it still
    finishes its work, keeps the next one waiting.

    Args:
        data: the data directory, which is there.
        wait_s: how long to wait for the parts of a server that was killed.
        waiting: called once when that begins.

    Yields:
        The lock's descriptor, for the parts to inherit.

    Raises:
        ConflictError: if a server runs there; it says which.
        StoreError: if the lock cannot be made.
    """
    try:
        handle = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{data / LOCK} cannot be made: {error.strerror}",
            hint="make the data directory writable for this user",
        ) from error
    try:
        _take(handle, data, wait_s, waiting)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, data: Path, wait_s: float, waiting: Callable[[], None]) -> None:
    end, said = time.monotonic() + wait_s, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            holder = _holder(handle)
            # Our own id is one from before: in a container every server has the same.
            if holder is not None and holder != os.getpid() and _alive(holder):
                raise _taken(data, holder) from error
            if time.monotonic() > end:
                raise ConflictError(
                    f"parts of a server that has ended still use {data}",
                    hint=f"see which: fuser {data / LOCK}",
                ) from error
        if not said:
            waiting()
            said = True
        time.sleep(_LOOK_S)


def _taken(data: Path, holder: int) -> ConflictError:
    said = ServeFile.read(data)
    where = f", and is at {said.url}" if said is not None and said.pid == holder else ""
    return ConflictError(
        f"a server of {data} runs already: it is process {holder}{where}",
        hint=f"use that one, or stop it first: kill {holder}",
    )


def _holder(handle: int) -> int | None:
    text = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _locked(data: Path) -> bool:
    try:
        handle = os.open(data / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
