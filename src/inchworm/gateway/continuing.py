"""Whose conversation goes on, where the provider holds it and the request names only the answer before.

A request with ``previous_response_id`` says neither who is talking nor what was said first. This gateway
gave the answer before, so it knows; another one does not, and after a restart neither does this one: such a
request is a unit of its own (docs/gateway.md).
"""

from __future__ import annotations

from collections import OrderedDict

from inchworm.capture.fields import UnitFrom
from inchworm.domain.ids import UnitId

_REMEMBERED = 100_000


class Continued:
    """Remembers whose answers were given.

    Args:
        limit: answers that are remembered; the one that was asked for longest ago is forgotten first.
    """

    __slots__ = ("_answers", "_limit")

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._answers: OrderedDict[tuple[str, str], tuple[UnitId, UnitFrom]] = OrderedDict()
        self._limit = limit

    def remember(self, app: str, answer: str, unit: UnitId, unit_from: UnitFrom) -> None:
        """An answer was given to a unit."""
        self._answers[app, answer] = unit, unit_from
        self._answers.move_to_end((app, answer))
        if len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def unit(self, app: str, answer: str | None) -> tuple[UnitId, UnitFrom] | None:
        """To whom the answer was given, and where that was known from; ``None`` if that is not known."""
        if answer is None or (found := self._answers.get((app, answer))) is None:
            return None
        self._answers.move_to_end((app, answer))
        return found
