"""Keys of providers, by what a configuration says of them: where they are, never what they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT, FILE = "env:", "file:"
"""How references begin: to an environment variable, and to a file by its absolute path."""
_LOOKED_EVERY_S = 1.0
_LONGEST = 16 << 10


@dataclass(frozen=True, slots=True)
class _Read:
    looked_at: float
    changed_at: int
    value: str | None


class Secrets:
    """Looks keys up. A file is looked at again at most once a second, and read again when it changed.

    Args:
        environment: where names of variables are looked up.
        now: seconds of a clock that does not jump.
    """

    def __init__(self, environment: Mapping[str, str], *, now: Callable[[], float] = time.monotonic) -> None:
        self._environment, self._now = environment, now
        self._files: dict[str, _Read] = {}

    def __call__(self, reference: object) -> str | None:
        """The key that ``env:NAME`` or ``file:/PATH`` refers to.

        Returns:
            ``None`` if it is no reference, nothing is there, or what is there can be in no header.
        """
        if not isinstance(reference, str):
            return None
        if reference.startswith(ENVIRONMENT):
            return _usable(self._environment.get(reference.removeprefix(ENVIRONMENT), ""))
        if reference.startswith(FILE):
            return self._of_file(reference.removeprefix(FILE))
        return None

    def _of_file(self, path: str) -> str | None:
        known, now = self._files.get(path), self._now()
        if known is not None and now - known.looked_at < _LOOKED_EVERY_S:
            return known.value
        try:
            place = Path(path)
            changed_at = place.stat().st_mtime_ns if place.is_absolute() else 0
            same = known is not None and known.changed_at == changed_at
            value = known.value if known is not None and same else read_file(place)
        except OSError:  # it is being replaced, perhaps: what was there last holds
            changed_at, value = (0, None) if known is None else (known.changed_at, known.value)
        self._files[path] = _Read(now, changed_at, value)
        return value


def read_file(path: Path) -> str | None:
    """The key in a file: its first line; ``None`` if that can be no key, or the path is relative.

    Raises:
        OSError: if it cannot be read.
    """
    if not path.is_absolute():
        return None
    with path.open("rb") as file:
        first = file.readline(_LONGEST)
    try:
        return _usable(first.decode())
    except UnicodeDecodeError:
        return None


def _usable(text: str) -> str | None:
    key = text.strip()
    return key if key and key.isascii() and key.isprintable() else None
