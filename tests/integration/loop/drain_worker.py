"""Drains a house, and is killed on the way.

``POINT`` is a method of the trace store behind which it ends, or ``destroy`` to end before a segment is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop import draining
from inchworm.app.loop.draining import Draining

KEY = bytes(range(32))


def killed(*_: Any, **__: Any) -> None:
    """End at once, as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def behind(act: Callable[..., Any]) -> Callable[..., Any]:
    """Do it, and end."""

    def done(*given: Any, **named: Any) -> None:
        act(*given, **named)
        killed()

    return done


def main(file: str, point: str) -> None:
    """Drain once."""
    with House(load(Path(file)), actor="worker") as house:
        held: Any = draining if point == "destroy" else house.traces
        setattr(held, point, killed if held is draining else behind(getattr(held, point)))
        Draining(house, KEY).round()
