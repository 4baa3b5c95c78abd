"""What a server serves: what ``inchworm.yaml`` says, as it changes, or what is assumed without it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from inchworm.app.config.load import AppSpec, load
from inchworm.app.config.observed import observed
from inchworm.app.house import House
from inchworm.app.serve.background import Health
from inchworm.domain.errors import InchwormError

_LOG = logging.getLogger(__name__)
Stamp = tuple[int, int, int] | None


def declared(file: Path, own_ports: Iterable[int] = ()) -> AppSpec:
    """What is served from a folder.

    Raises:
        ConfigError: if there is an ``inchworm.yaml`` and it is wrong.
    """
    return load(file) if file.exists() else observed(file, own_ports=own_ports)


class Following:
    """Reads ``inchworm.yaml`` again when it changes. What is wrong is said, and the last good one stays.

    Args:
        house: whose declaration it is.
        health: where problems are said.
    """

    def __init__(self, house: House, health: Health) -> None:
        self._house = house
        self._health = health
        self._seen = _stamp(house.spec.file)

    def look(self) -> bool:
        """Follow the file if it changed; whether another declaration holds now."""
        file = self._house.spec.file
        seen = _stamp(file)
        if seen == self._seen:
            return False
        self._seen = seen
        if seen is None:
            return self._wrong(f"{file} is gone; what it said last still holds.")
        try:
            spec = load(file)
            self._house.follow(spec)
        except InchwormError as error:
            return self._wrong(f"{error.message}. What it said before still holds.")
        self._health.say(file.name, None)
        _LOG.info("%s was read again: it declares %s", file.name, spec.app)
        return True

    def _wrong(self, sentence: str) -> bool:
        self._health.say(self._house.spec.file.name, sentence)
        _LOG.warning("%s", sentence)
        return False


def _stamp(file: Path) -> Stamp:
    """What changes when the file does; ``None`` if it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
