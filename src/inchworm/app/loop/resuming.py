"""Where imports stand that did not come to their end: kept after each batch, gone when they are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from inchworm.app.house import House
from inchworm.domain.errors import StoreError

_BLOB: Final = "imports"
_VERSION: Final = 1
_MOST: Final = 50
"""Unfinished imports that are remembered; the oldest are forgotten, and begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where an import stands: everything before it is stored.

    Attributes:
        key: what is imported: a file's digest, or a server with its period.
        place: how far it is; what it says is the importer's own.
        at: when it began, seconds since the epoch; what says no time is counted from here.
        counts: what became of it so far, as :class:`inchworm.app.loop.taking.Sums` says it.
    """

    key: str
    place: Mapping[str, Any] = field(default_factory=dict)
    at: float
    counts: Mapping[str, Any] = field(default_factory=dict)


class Resuming:
    """Keeps where one import stands.

    Args:
        house: whose import.
        key: as in :class:`Point`; ``None`` for what cannot be read again, such as standard input.
    """

    def __init__(self, house: House, key: str | None) -> None:
        self._house, self._key = house, key

    def begin(self, *, anew: bool = False) -> Point:
        """Where it stands; at its beginning, if it was never begun, came to its end, or shall begin anew.

        Raises:
            StoreError: if what is kept was written by a newer version.
        """
        fresh = Point(key=self._key or "", at=self._house.now())
        found = None if anew or self._key is None else self._every().get(self._key)
        if found is None:
            return fresh
        return replace(fresh, place=found["place"], at=found["at"], counts=found["counts"])

    def keep(self, point: Point) -> None:
        """It stands here now; durable on return."""
        if self._key is None:
            return
        every = self._every()
        every.pop(self._key, None)
        every[self._key] = {"place": dict(point.place), "at": point.at, "counts": dict(point.counts)}
        while len(every) > _MOST:
            del every[next(iter(every))]
        self._write(every)

    def done(self) -> None:
        """It came to its end."""
        every = {} if self._key is None else self._every()
        if every.pop(self._key or "", None) is not None:
            self._write(every)

    def _every(self) -> dict[str, dict[str, Any]]:
        data = self._house.control.blob(self._house.app, _BLOB)
        if data is None:
            return {}
        said = msgspec.json.decode(data)
        if said["version"] != _VERSION:
            raise StoreError("what is kept of unfinished imports was written by a newer version of Inchworm")
        every: dict[str, dict[str, Any]] = said["imports"]
        return every

    def _write(self, every: Mapping[str, Any]) -> None:
        data = msgspec.json.encode({"version": _VERSION, "imports": every})
        self._house.control.put_blob(self._house.app, _BLOB, data, at=self._house.now())
