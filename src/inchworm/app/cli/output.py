"""How everything is said: tables without lines, JSON, progress on stderr. Nothing here knows a domain."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from inchworm.app.texts import MONTHS, columns

LEAST_WIDTH = 80
_GAP, _NARROW_GAP = 3, 2


def say(*lines: str) -> None:
    """Data, to stdout."""
    for line in lines:
        click.echo(line)


def note(*lines: str) -> None:
    """Progress and remarks, to stderr."""
    for line in lines:
        click.echo(line, err=True)


def emit(data: Mapping[str, Any]) -> None:
    """One JSON object, to stdout.

    Raises:
        ValueError: for NaN and infinities, which are no JSON.
    """
    click.echo(json.dumps({"version": 1, **data}, ensure_ascii=False, indent=2, allow_nan=False))


def width() -> int:
    """Columns to write in: the terminal's, at least 80."""
    return max(shutil.get_terminal_size((LEAST_WIDTH + 20, 24)).columns, LEAST_WIDTH)


def table(
    rows: Sequence[Sequence[str]],
    *,
    heads: Sequence[str] = (),
    right: Collection[int] = (),
    indent: int = 2,
) -> list[str]:
    """Aligned columns; the last one is wrapped if the terminal is narrower.

    Args:
        rows: cells, as many in each row.
        heads: names of the columns, if they have any.
        right: columns that are aligned to the right.
        indent: spaces before each line.
    """
    every = [list(heads), *rows] if heads else list(rows)
    if not every:
        return []
    count = len(every[0])
    sizes = [max(columns(row[column]) for row in every) for column in range(count)]
    wide = indent + sum(sizes) + _GAP * (count - 1) <= width()
    gap = _GAP if wide else _NARROW_GAP
    room = width() - indent - sum(sizes[:-1]) - gap * (count - 1)
    lines: list[str] = []
    for number, row in enumerate(every):
        cells = [_padded(cell, sizes[column], column in right) for column, cell in enumerate(row[:-1])]
        before = " " * indent + "".join(cell + " " * gap for cell in cells)
        last = _padded(row[-1], sizes[-1], (count - 1) in right)
        for part, text in enumerate(_wrapped(last, room)):
            line = ((before if part == 0 else " " * columns(before)) + text).rstrip()
            lines.append(click.style(line, bold=True) if heads and number == 0 else line)
    return lines


def _padded(text: str, size: int, to_the_right: bool) -> str:  # noqa: FBT001  # one flag
    space = " " * (size - columns(text))
    return space + text if to_the_right else text + space


def _wrapped(text: str, room: int) -> list[str]:
    if columns(text.rstrip()) <= room or room < 20:
        return [text.rstrip()]
    return textwrap.wrap(text.strip(), room, break_long_words=False, break_on_hyphens=False) or [""]


def paragraph(text: str, indent: int = 0) -> list[str]:
    """A sentence over as many lines as it needs."""
    return textwrap.wrap(
        text,
        width(),
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def heading(text: str) -> str:
    """The first line of what is shown."""
    return click.style(text, bold=True)


def when(at: float, now: float | None = None, *, seconds: bool = False) -> str:
    """A moment in local time: ``9 Nov 14:07``, with the year if it is another one."""
    then, today = time.localtime(at), time.localtime(now)
    year = "" if then.tm_year == today.tm_year else f" {then.tm_year}"
    return f"{then.tm_mday} {MONTHS[then.tm_mon - 1]}{year} {then.tm_hour:02}:{then.tm_min:02}" + (
        f":{then.tm_sec:02}" if seconds else ""
    )


@dataclass(slots=True)
class Progress:
    """How far something is, on one line of stderr; silent where stderr is no terminal.

    Attributes:
        what: what is being done.
    """

    what: str
    _shown: float = 0.0
    _drawn: bool = False

    def __call__(self, done: int, total: int | None = None, also: str = "") -> None:
        """Show it, at most ten times a second."""
        now = time.monotonic()
        finished = total is not None and done >= total
        if not sys.stderr.isatty() or (now - self._shown < 0.1 and not finished):
            return
        self._shown, self._drawn = now, True
        amount = f"{done:,}" if total is None else f"{done:,} of {total:,}{_bar(done, total)}"
        click.echo(f"\r\x1b[K{self.what} {amount}{also}", nl=False, err=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._drawn = False


def _bar(done: int, total: int) -> str:
    filled = 20 * done // total if total else 20
    return f"  {'━' * filled}{'─' * (20 - filled)}"
