"""How the parts of a server say what happens: JSON lines for machines, short lines on a terminal.

No content of calls and no key is ever logged: messages name ids, counts, kinds and reasons. Of an exception
that nobody foresaw, place and kind are told, and its text only with ``INCHWORM_DEBUG``: it may repeat what
somebody said.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
import traceback
from typing import TextIO

_DEBUG = "INCHWORM_DEBUG"
_QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "aiohttp", "alembic")
"""Libraries that say how they are: only what is wrong with them is passed on."""


class JsonLines(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``part``, ``event`` and what else is known.

    Args:
        part: of which part the lines are.
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record, without its end."""
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "part": self._part,
            "event": record.getMessage().strip(),
        }
        known = record.__dict__.get("known")
        if isinstance(known, dict):
            line |= {name: value for name, value in known.items() if name not in line}
        if record.exc_info:
            line["traceback"] = traced(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class ShortLines(logging.Formatter):
    """``14:02:11 server: the drain failed …``, with the level where it is more than information.

    Args:
        part: of which part the lines are.
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        """The line of one record, and below it the traceback if there is one."""
        line = _short(record.created, self._part, record.levelname.lower(), record.getMessage())
        return f"{line}\n{traced(record.exc_info[1])}" if record.exc_info else line


class Readable(io.TextIOWrapper):
    """A terminal that is written JSON lines to, and shows short ones.

    Args:
        terminal: where they are shown.
        part: of which part they are.
    """

    def __init__(self, terminal: TextIO, part: str) -> None:
        super().__init__(terminal.buffer, terminal.encoding, errors="backslashreplace", line_buffering=True)
        self._part = part

    def write(self, text: str, /) -> int:
        """Write lines, those that are JSON objects in short."""
        super().write("".join(map(self._readable, text.splitlines(keepends=True))))
        return len(text)

    def _readable(self, line: str) -> str:
        try:
            said = json.loads(line)
            at, level, event = said.pop("time"), said.pop("level"), said.pop("event")
            said.pop("part", None)
            rest = "".join(f" {name}={value}" for name, value in said.items())
            return _short(float(at), self._part, str(level), f"{event}{rest}") + "\n"
        except (ValueError, KeyError, TypeError, AttributeError):
            return line


def traced(error: BaseException | None) -> str:
    """Where an exception was raised, of which kind it is, and what led to it."""
    if error is None:
        return ""
    text = f": {error}" if os.environ.get(_DEBUG) else ""
    said = "".join([*traceback.format_tb(error.__traceback__), f"{type(error).__qualname__}{text}"])
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said if before is None else f"{traced(before)}\n\nand because of that\n\n{said}"


def _short(at: float, part: str, level: str, what: str) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(at))
    return f"{moment} {part}: {'' if level == 'info' else f'{level}: '}{what}"


def configure(part: str, stream: TextIO | None = None) -> None:
    """Let this process log to ``stream`` (stderr): JSON lines, or short lines if it is a terminal."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(ShortLines(part) if target.isatty() else JsonLines(part))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
