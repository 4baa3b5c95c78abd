"""Structured logs: one JSON object per line, as the server writes them; no content of calls, no keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec


class _Sink(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class Log:
    """Writes lines.

    Args:
        sink: where to, usually stderr.
        clock: what time it is, seconds since the epoch.
    """

    def __init__(self, sink: _Sink, clock: Callable[[], float] = time.time) -> None:
        self._sink, self._clock = sink, clock

    def info(self, event: str, **fields: Any) -> None:
        """Something happened as it should."""
        self._write("info", event, fields)

    def warn(self, event: str, **fields: Any) -> None:
        """Something went wrong, and the gateway goes on."""
        self._write("warning", event, fields)

    def alarm(self, event: str, **fields: Any) -> None:
        """Something went wrong, and somebody should look."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        head = {"time": round(self._clock(), 3), "level": level, "part": "gateway", "event": event}
        line = {**head, **{name: value for name, value in fields.items() if name not in head}}
        self._sink.write(msgspec.json.encode(line).decode() + "\n")
        self._sink.flush()
