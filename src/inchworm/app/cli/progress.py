"""How far an import is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from inchworm.app.cli.output import note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_EVERY_S = 10.0


class Bar(AbstractContextManager["Bar"]):
    """Shows how far something is, how fast it goes, and what came of it so far.

    Args:
        what: what is read, as a person calls it.
        silent: show nothing.
    """

    def __init__(self, what: str, *, silent: bool = False) -> None:
        self._what = what
        self._terminal = not silent and sys.stderr.isatty()
        self._silent = silent
        self._began = self._said = time.monotonic()
        self._from: int | None = None
        self._drawn: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        if self._terminal:
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._drawn.stop()

    def __call__(self, count: int, unit: str, *, done: int | None, total: int | None, said: str) -> None:
        """Show it.

        Args:
            count: read so far, in units; the rate is of these.
            unit: what is counted.
            done: of the total; ``None`` if that is not known.
            total: all there is, in whatever unit.
            said: what came of it so far.
        """
        if self._silent:
            return
        now = time.monotonic()
        if self._from is None:  # the rate is of what is read now, and not of what was read before
            self._began, self._from = now, count
        rate = (count - self._from) / max(now - self._began, 0.001)
        words = f"{count:,} {unit}, {rate:,.0f}/s; {said}"
        if self._drawn is not None and self._task is not None:
            known = done is not None and total is not None
            self._drawn.update(
                self._task, completed=done if known else count, total=total if known else None, words=words
            )
        elif now - self._said >= _LINE_EVERY_S:
            self._said = now
            share = f" {done / total:.0%}" if done is not None and total else ""
            note(f"{self._what}{share}: {words}")

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._drawn = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._drawn.add_task(self._what, total=None, words="")
        self._drawn.start()
