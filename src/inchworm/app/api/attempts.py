"""How often logging in failed lately, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict

MOST, WITHIN_S = 10, 300.0
_REMEMBERED = 1_024


class Attempts:
    """Failures by address. After :data:`MOST` within :data:`WITHIN_S` seconds an address has to wait.

    The keys cannot be guessed; this keeps somebody who tries from costing anything.
    """

    def __init__(self) -> None:
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until ``address`` may try again; 0 if it may now."""
        lately = self._lately(address, now)
        return lately[-MOST] + WITHIN_S - now if len(lately) >= MOST else 0.0

    def fail(self, address: str, now: float) -> None:
        """It failed once more."""
        self._failed[address] = [*self._lately(address, now), now][-MOST:]
        self._failed.move_to_end(address)
        if len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)

    def _lately(self, address: str, now: float) -> list[float]:
        return [at for at in self._failed.get(address, ()) if now - at < WITHIN_S]
