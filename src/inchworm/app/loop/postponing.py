"""Interactions of very many spans are told anew now and then, and not with each span that comes.

To tell one, all of its spans are read: an agent that works for hours and reports every second would cost the
square of what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from inchworm.app.house import House
from inchworm.domain.ids import TraceId

FEW: Final = 200
"""Spans up to which an interaction is told anew whenever one comes."""
PAUSE_S: Final = 2e-3
"""Seconds between two tellings, for each span: reading one takes about a fiftieth of that."""
NAME: Final = "telemetry/untold"
"""The blob of ids of interactions that are to be told anew, durable before their spans leave the spool."""
_decoder = msgspec.json.Decoder(list[str])


class Postponed:
    """Which interactions are to be told anew, and when. For one thread.

    Args:
        house: keeps what is postponed, so that it is not forgotten by a crash.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._told: dict[TraceId, tuple[float, float]] = {}
        kept = house.control.blob(house.app, NAME)
        # A drain before this one postponed them: what they were waiting for is over.
        self._due = {} if kept is None else dict.fromkeys(map(TraceId, _decoder.decode(kept)), float("-inf"))

    def __len__(self) -> int:
        return len(self._due)

    def postpone(self, sizes: Mapping[TraceId, int], now: float) -> frozenset[TraceId]:
        """Which of these are told later; that is durable on return.

        Args:
            sizes: how many spans each has by now.
            now: seconds since the epoch.
        """
        later: set[TraceId] = set()
        more = False
        for trace_id, size in sizes.items():
            if size <= FEW:
                continue
            told_at, _ = self._told.get(trace_id, (float("-inf"), 0.0))
            pause = size * PAUSE_S
            if trace_id in self._due or 0 <= now - told_at < pause:
                later.add(trace_id)
                more |= trace_id not in self._due
                self._due.setdefault(trace_id, told_at + pause)
            else:
                self._told[trace_id] = now, pause
        if more:
            self._keep(now)
        return frozenset(later)

    def due(self, now: float) -> list[TraceId]:
        """What is to be told by now."""
        return sorted(one for one, at in self._due.items() if now >= at)

    def told(self, sizes: Mapping[TraceId, int], now: float) -> None:
        """These were told, of so many spans.

        Args:
            sizes: how many spans each had.
            now: seconds since the epoch.
        """
        for trace_id, size in sizes.items():
            if self._due.pop(trace_id, None) is not None:
                self._told[trace_id] = now, size * PAUSE_S
        self._told = {one: (at, pause) for one, (at, pause) in self._told.items() if 0 <= now - at < pause}
        if sizes and not self._due:
            self._keep(now)

    def _keep(self, now: float) -> None:
        kept = msgspec.json.encode(sorted(self._due))
        self._house.control.put_blob(self._house.app, NAME, kept, at=now)
