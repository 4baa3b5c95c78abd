"""Reading many records at once: in this process, or in others where there are enough to pay for the way.

It is pure work for the processor, and in a server it must not hold up the pages and the gateways that ask.
Whole chunks of raw records go to a process; what comes back is packed there and needs only to be stored.
"""

from __future__ import annotations

import io
import logging
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from operator import attrgetter
from typing import Any

from inchworm.app.loop.reading import Parts, Reader, Refusal, Rules
from inchworm.app.loop.sanitizing import Clean
from inchworm.domain.configuration import AppRef
from inchworm.domain.outcome import Errored, Failed, Ok, Score, Scored, Unscored
from inchworm.domain.span import Span
from inchworm.domain.trace import Assignment, Trace, Usage
from inchworm.sanitize import Report

_LOG = logging.getLogger(__name__)
_WORTH_THE_WAY = 48 << 10
"""Bytes from which on the pool is asked; fewer are quicker read than sent."""
_CHUNK = 96 << 10
"""Bytes of a chunk; a record is never cut."""
_TRIES = 2
_own: list[Reader] = []
"""In a process of the pool: its reader."""


class ReaderPool:
    """Reads records in other processes when there is much to do. One thread may use it.

    A process that is killed at its work is replaced, and the work is done again. A record that no process
    survives is refused.

    Args:
        rules: by what records are read.
        workers: how many processes; they are started when they are first needed. With 0 all is read here.
    """

    def __init__(self, rules: Rules, *, workers: int) -> None:
        self._rules = rules
        self._here = Reader(rules)
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, records: Sequence[bytes]) -> list[Parts]:
        """What each record holds, in their order."""
        if not self._workers or sum(map(len, records)) < _WORTH_THE_WAY:
            return [self._here(raw) for raw in records]
        chunks = list(_chunks(records))
        for _ in range(_TRIES):
            try:
                return [one for done in self._sent(chunks) for one in unpack(done.result())]
            except BrokenProcessPool:
                _LOG.warning("a process that reads records ended at its work; its work is done again")
                self._drop()
        # One of them may be what kills: each goes alone, so that it takes no other with it.
        return [self._alone(raw) for raw in records]

    def _alone(self, raw: bytes) -> Parts:
        for _ in range(_TRIES):
            try:
                (done,) = self._sent([[raw]])
                return unpack(done.result())[0]
            except BrokenProcessPool:
                self._drop()
        return [Refusal(f"The process that sanitized it ended {_TRIES} times.")]

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _sent(self, chunks: Sequence[Sequence[bytes]]) -> list[Future[bytes]]:
        if self._pool is None:
            # Spawned, not forked: this process has threads, and a fork would copy their locks as they are.
            self._pool = ProcessPoolExecutor(
                self._workers, get_context("spawn"), initializer=_begin, initargs=(self._rules,)
            )
        return [self._pool.submit(_chunk, chunk) for chunk in chunks]

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _chunks(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for raw in records:
        if chunk and size + len(raw) > _CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(raw)
        size += len(raw)
    if chunk:
        yield chunk


def _begin(rules: Rules) -> None:
    _own[:] = [Reader(rules)]
    # A process of a pool does not notice by itself that nobody will ever ask it again.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


def _chunk(records: Sequence[bytes]) -> bytes:
    return pack([_own[0](raw) for raw in records])


def _valuer(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    names = [one.name for one in fields(kind)]
    if not names:
        return lambda _: ()
    values = attrgetter(*names)
    return values if len(names) > 1 else lambda one: (values(one),)


_REPORT = attrgetter("texts", "units")
_PLAIN = (
    AppRef, Assignment, Clean, Errored, Failed, Ok, Refusal, Score, Scored, Span, Trace, Unscored, Usage
)  # fmt: skip
_VALUES = {kind: _valuer(kind) for kind in _PLAIN}


class _Packer(pickle.Pickler):
    """Dataclasses as their values: what they do by themselves takes ten times as long."""

    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        values = _VALUES.get(kind)
        if values is not None:
            return _made, (kind, *values(value))
        if kind is Report:  # its mapping is one that cannot be changed, and not be sent either
            return _reported, (dict(value.found), *_REPORT(value))
        return NotImplemented


def _made(kind: Callable[..., Any], *values: Any) -> Any:
    return _MAKERS[kind](values)


def _maker(kind: type[Any]) -> Callable[[tuple[Any, ...]], Any]:
    names = [one.name for one in fields(kind)]
    return lambda values: kind(**dict(zip(names, values, strict=True)))


_MAKERS: dict[Any, Callable[[tuple[Any, ...]], Any]] = {kind: _maker(kind) for kind in _PLAIN}


def _reported(found: dict[tuple[str, str], int], texts: int, units: int) -> Report:
    return Report(found=found, texts=texts, units=units)


def pack(parts: Sequence[Parts]) -> bytes:
    """What was read, on its way between processes."""
    out = io.BytesIO()
    _Packer(out, protocol=5).dump(list(parts))
    return out.getvalue()


def unpack(data: bytes) -> list[Parts]:
    """The inverse of :func:`pack`. The data are of a process that this one began, and of nobody else."""
    parts: list[Parts] = pickle.loads(data)  # noqa: S301  # our own process packed it
    return parts
