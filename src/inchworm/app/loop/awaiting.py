"""Feedback whose interaction is not known yet: set aside, durable, and looked for as more comes in."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from inchworm.app.loop.incoming import Rating, Unreadable, read_record
from inchworm.capture.spool import destroy, quarantine, read_segment, set_aside, set_aside_segments
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, StoreError

_LOG = logging.getLogger(__name__)
PATIENCE_S: Final = 3_600.0
"""For how long feedback waits for its interaction: agents that work for long tell when they are done."""
MOST: Final = 100_000
"""How much of it waits at most; who sends in scores of nothing must not fill the memory."""
LOOK_S: Final = 10.0
"""How often it is looked for where nothing was drained: interactions come by other ways too."""
UNKNOWN: Final = (
    f"No interaction by its id came within {PATIENCE_S / 3600:g} h, so that the score belongs to nothing."
)
TOO_MANY: Final = f"More than {MOST:,} scores wait for interactions, and this is one of the oldest."


class Awaiting:
    """What waits. For one thread.

    Args:
        root: ``DATA/spool``.
        key: the spool's key.
    """

    def __init__(self, root: Path, key: bytes) -> None:
        self._root, self._key = root, key
        self._held: dict[Path, list[Rating]] = {}
        self._since: dict[Path, float] = {}
        self._loaded = False
        self._looked_at = float("-inf")

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    @property
    def paths(self) -> frozenset[Path]:
        """The segments that hold it."""
        return frozenset(self._held)

    def forget(self) -> None:
        """Forget what is remembered; it is read again."""
        self._held, self._since, self._loaded = {}, {}, False

    def load(self, apps: Collection[AppRef], now: float) -> list[Unreadable]:
        """Read what waits, if that was not done yet: a drain before this one set it aside.

        Args:
            apps: apps that are taken in.
            now: seconds since the epoch.

        Returns:
            What is no feedback that is taken in, any more. It stays where it is until :meth:`settle`.

        Raises:
            StoreError: if the spool cannot be listed or written.
        """
        if self._loaded:
            return []
        refused: list[Unreadable] = []
        for path in set_aside_segments(self._root):
            try:
                contents = read_segment(path, self._key)
            except NotFoundError:
                continue
            except StoreError as error:
                _LOG.error("feedback that waits cannot be read for now: %s", error.message)
                continue
            came = [read_record(raw, path, apps) for raw in contents.records]
            ratings = [one for one in came if isinstance(one, Rating)]
            refused += [one for one in came if isinstance(one, Unreadable)]
            if contents.damage is not None:
                self.keep(ratings, now)
                quarantine(self._root, path, reason=contents.damage, at=now, records=len(contents.records))
                continue
            self._held[path] = ratings
            self._since[path] = now if contents.at is None else contents.at
        self._loaded = True
        return refused

    def keep(self, ratings: Sequence[Rating], now: float) -> None:
        """Set ratings aside; durable on return, so that the segments in which they came can be destroyed.

        Raises:
            StoreError: if they cannot be written.
        """
        by_path: dict[Path, list[Rating]] = {}
        for one in ratings:
            by_path.setdefault(one.path, []).append(one)
        for came_in, some in by_path.items():
            raws = [one.raw for one in some]
            path = set_aside(self._root, self._key, raws, came_in=came_in, at=now)
            self._held[path] = [replace(one, path=path) for one in some]
            self._since[path] = now

    def due(self, now: float, *, news: bool) -> list[Rating]:
        """What is to be looked for now, the oldest first: all of it, where something came or now and then."""
        if not self._held:
            return []
        is_over = now - min(self._since.values()) >= PATIENCE_S
        if not (news or is_over or not 0 <= now - self._looked_at < LOOK_S):
            return []
        self._looked_at = now
        return [one for path in sorted(self._held, key=self._since.__getitem__) for one in self._held[path]]

    def given_up(self, waiting: Sequence[Rating], now: float) -> list[tuple[Rating, str]]:
        """Which of these are not waited for any longer, and why.

        Args:
            waiting: what is not known still, the oldest first.
            now: seconds since the epoch.
        """
        more = len(self) - MOST
        gone: list[tuple[Rating, str]] = []
        for place, one in enumerate(waiting):
            if now - self._since[one.path] >= PATIENCE_S:
                gone.append((one, UNKNOWN))
            elif place < more:
                gone.append((one, TOO_MANY))
        return gone

    @property
    def ratings(self) -> list[Rating]:
        """All that waits."""
        return [one for some in self._held.values() for one in some]

    def settle(self, left: Sequence[Rating]) -> None:
        """Wait for these only; the rest is stored by now, or lies in quarantine.

        Args:
            left: what is waited for.

        Raises:
            StoreError: if a segment cannot be removed.
        """
        by_path: dict[Path, list[Rating]] = {}
        for one in left:
            by_path.setdefault(one.path, []).append(one)
        for path in self._held.keys() - by_path.keys():
            destroy(path)
            self._since.pop(path, None)
        self._held = by_path
