"""Which configuration answers now, and when that changed. A state machine over fingerprints in order.

One odd request is no change, and neither is a code path that is taken now and then. A fingerprint counts
once it makes up :data:`ENOUGH` of the last :data:`WINDOW` requests. If the one before is still about by then,
two configurations answer side by side (a canary, a deploy that is rolling, a second code path): that is said
once, and again when the older one is gone for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

WINDOW, ENOUGH = 20, 5
_STILL_ABOUT = 2
_GONE = 100
_MOST_PRESENT = 8
_MOST_SAID = 6
_MOST_REMEMBERED = 256


class Happened(StrEnum):
    """What is announced."""

    FIRST = "first"
    """What answers is known for the first time."""
    CHANGED = "changed"
    """Another configuration answers."""
    RETURNED = "returned"
    """One answers that answered before."""
    APPEARED = "appeared"
    """One more answers, beside what answered before."""
    ALONE = "alone"
    """Of several one is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something changed.

    Attributes:
        happened: what.
        to: the fingerprint that answers.
        before: the one that answered before; ``None`` if none did.
        at: the time of the first request of the new state, seconds since the epoch.
    """

    happened: Happened
    to: str
    before: str | None
    at: float


@dataclass(slots=True)
class _Pair:
    """Two fingerprints that followed each other.

    Attributes:
        open: whether they take turns at present, so that one after the other is no news.
        said: how often something was said of them; what goes on for ever is not said for ever.
    """

    open: bool = False
    said: int = 0

    def told(self, event: Event) -> Event | None:
        """The event, unless enough was said."""
        self.said += 1
        return event if self.said <= _MOST_SAID else None


@dataclass(slots=True)
class Watch:
    """What answers one call.

    Attributes:
        present: fingerprints that answer now, the one that has for longest first.
    """

    present: list[str] = field(default_factory=list)
    _window: list[tuple[str, float]] = field(default_factory=list)
    _number: int = 0
    _last: dict[str, int] = field(default_factory=dict)
    _pairs: dict[tuple[str, str], _Pair] = field(default_factory=dict)
    _before: dict[str, None] = field(default_factory=dict)

    def step(self, key: str, at: float, *, is_settled: Callable[[str], bool]) -> Event | None:
        """One request.

        Args:
            key: its fingerprint.
            at: when it was, seconds since the epoch.
            is_settled: whether a fingerprint is known well enough to be spoken of.
        """
        self._number += 1
        self._window.append((key, at))
        del self._window[:-WINDOW]
        _remember(self._last, key, self._number)
        if key in self.present:
            return self._left()
        times = [when for one, when in self._window if one == key]
        if len(times) < ENOUGH or not is_settled(key):
            return None
        return self._joins(key, min(times))

    def _joins(self, key: str, at: float) -> Event | None:
        started = next(place for place, (one, _) in enumerate(self._window) if one == key)
        others = [one for one, _ in self._window[started:] if one in self.present]
        known = key in self._before
        _remember(self._before, key, None)
        if not self.present:
            self.present = [key]
            return Event(happened=Happened.FIRST, to=key, before=None, at=at)
        before = self.present[0]
        if len(others) >= _STILL_ABOUT:
            self.present = [*self.present, key][-_MOST_PRESENT:]
            pair = self._pair(before, key)
            if pair.open:
                return None
            pair.open = True
            return pair.told(Event(happened=Happened.APPEARED, to=key, before=before, at=at))
        if any(self._pair(one, key).open for one in self.present):  # they take turns
            self.present = [*self.present, key][-_MOST_PRESENT:]
            return None
        self.present = [key]
        happened = Happened.RETURNED if known else Happened.CHANGED
        return self._pair(before, key).told(Event(happened=happened, to=key, before=before, at=at))

    def _left(self) -> Event | None:
        """Whether the oldest of several is gone, and one is left."""
        if len(self.present) == 1:
            return None
        gone = [one for one in self.present if self._number - self._last.get(one, 0) >= _GONE]
        before = self.present[0]
        self.present = [one for one in self.present if one not in gone]
        if before not in gone or len(self.present) > 1:
            return None
        (key,) = self.present
        pair = self._pair(before, key)
        pair.open = False
        at = next(when for one, when in self._window if one == key)
        return pair.told(Event(happened=Happened.ALONE, to=key, before=before, at=at))

    def _pair(self, one: str, other: str) -> _Pair:
        name = (one, other) if one < other else (other, one)
        found = self._pairs.get(name, _Pair())
        _remember(self._pairs, name, found)
        return found

    def renamed(self, names: Mapping[str, str]) -> None:
        """Fingerprints turned out to be others."""

        def new(key: str) -> str:
            return names.get(key, key)

        self.present = list(dict.fromkeys(map(new, self.present)))
        self._window = [(new(key), at) for key, at in self._window]
        last: dict[str, int] = {}
        for key, number in self._last.items():
            last[new(key)] = max(number, last.get(new(key), 0))
        self._last = dict(sorted(last.items(), key=lambda pair: pair[1]))
        self._before = {new(key): None for key in self._before}
        before, self._pairs = self._pairs, {}
        for (one, other), said in before.items():
            if new(one) != new(other):
                pair = self._pair(new(one), new(other))
                pair.open, pair.said = pair.open or said.open, max(pair.said, said.said)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "present": self.present,
            "window": [list(one) for one in self._window],
            "number": self._number,
            "last": self._last,
            "pairs": [[*pair, said.open, said.said] for pair, said in self._pairs.items()],
            "before": list(self._before),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Watch:
        """The inverse of :meth:`state`."""
        return cls(
            present=list(state["present"]),
            _window=[(key, at) for key, at in state["window"]],
            _number=state["number"],
            _last=dict(state["last"]),
            _pairs={(one, other): _Pair(is_open, said) for one, other, is_open, said in state["pairs"]},
            _before=dict.fromkeys(state["before"]),
        )


K = TypeVar("K")
V = TypeVar("V")


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """Keep a value as the latest, and not too many."""
    known.pop(key, None)
    known[key] = value
    if len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]
