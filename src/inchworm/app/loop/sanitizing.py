"""Sanitizing many contents at once: in this process, or in others where there are enough to pay for the way.

It is pure work for the processor, and in a server it must not hold up the pages and the gateways that ask.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait

from inchworm.sanitize import CustomPattern, Json, Kind, Report, Sanitizer, UnsanitizableError

_LOG = logging.getLogger(__name__)
_WORTH_THE_WAY = 48
"""Contents from which on the pool is asked; fewer are quicker done than sent."""
_CHUNK = 24
_TRIES = 2
_own: list[Sanitizer] = []
"""In a process of the pool: its sanitizer."""


@dataclass(frozen=True, slots=True)
class Clean:
    """A content without personal data, and what was found in it."""

    value: Json
    report: Report


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a content cannot be sanitized; without a raw value."""

    reason: str


_Packed = tuple[Json, dict[tuple[str, str], int], int, int] | str
"""A result on its way between processes: reports hold what cannot be sent."""
Sanitize = Callable[[Sequence[Json]], list[Clean | Refusal]]
"""One result per content, in their order."""


def one_by_one(sanitizer: Sanitizer) -> Sanitize:
    """Sanitize in this process; each content is a unit of its own."""

    def sanitize(contents: Sequence[Json]) -> list[Clean | Refusal]:
        return [_one(sanitizer, content) for content in contents]

    return sanitize


def _one(sanitizer: Sanitizer, content: Json) -> Clean | Refusal:
    try:
        (unit,) = sanitizer.sanitize_unit([content])
    except UnsanitizableError as error:
        return Refusal(error.message)
    return Clean(unit.value, replace(unit.report, units=1))


class SanitizerPool:
    """Sanitizes in other processes when there is much to do. One thread may use it.

    A process that is killed at its work is replaced, and the work is done again. A content that no process
    survives is refused.

    Args:
        kinds: built-in kinds to look for.
        custom: kinds of the user's own.
        workers: how many processes; they are started when they are first needed.
    """

    def __init__(self, kinds: Sequence[Kind], custom: Sequence[CustomPattern], *, workers: int) -> None:
        self._settings = (tuple(kinds), tuple(custom))
        self._here = one_by_one(Sanitizer(kinds=kinds, custom=custom))
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, contents: Sequence[Json]) -> list[Clean | Refusal]:
        """One result per content, in their order."""
        if len(contents) < _WORTH_THE_WAY:
            return self._here(contents)
        chunks = [contents[start : start + _CHUNK] for start in range(0, len(contents), _CHUNK)]
        for _ in range(_TRIES):
            try:
                return [_unpack(one) for done in self._sent(chunks) for one in done.result()]
            except BrokenProcessPool:
                _LOG.warning("a process that sanitizes ended at its work; its work is done again")
                self._drop()
        # One of them may be what kills: each goes alone, so that it takes no other with it.
        return [self._alone(content) for content in contents]

    def _alone(self, content: Json) -> Clean | Refusal:
        for _ in range(_TRIES):
            try:
                (done,) = self._sent([[content]])
                return _unpack(done.result()[0])
            except BrokenProcessPool:
                self._drop()
        return Refusal(f"The process that sanitized it ended {_TRIES} times.")

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _sent(self, chunks: Sequence[Sequence[Json]]) -> list[Future[list[_Packed]]]:
        if self._pool is None:
            # Spawned, not forked: this process has threads, and a fork would copy their locks as they are.
            self._pool = ProcessPoolExecutor(
                self._workers, get_context("spawn"), initializer=_begin, initargs=self._settings
            )
        return [self._pool.submit(_chunk, chunk) for chunk in chunks]

    def _drop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _begin(kinds: tuple[Kind, ...], custom: tuple[CustomPattern, ...]) -> None:
    _own[:] = [Sanitizer(kinds=kinds, custom=custom)]
    # A process of a pool does not notice by itself that nobody will ever ask it again.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


def _chunk(contents: Sequence[Json]) -> list[_Packed]:
    return [_pack(_one(_own[0], content)) for content in contents]


def _pack(result: Clean | Refusal) -> _Packed:
    if isinstance(result, Refusal):
        return result.reason
    report = result.report
    return result.value, dict(report.found), report.texts, report.units


def _unpack(packed: _Packed) -> Clean | Refusal:
    if isinstance(packed, str):
        return Refusal(packed)
    value, found, texts, units = packed
    return Clean(value, Report(found=found, texts=texts, units=units))
