"""News of what is served, for whoever wants to hear of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inchworm.capture.client.apps import App
from inchworm.domain.mistakes import MISTAKES, where


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a client heard when it asked its gateway.

    Attributes:
        away: whether the gateway did not answer.
        changed: apps (``NAME/ENVIRONMENT``) for which something else is served than before.
    """

    away: bool
    changed: frozenset[str] = frozenset()


class Listeners:
    """Those who are told, from the thread that asks the gateway: they must be quick.

    What one of them raises is logged: it must keep the client from no rollback.
    """

    def __init__(self) -> None:
        self._all: list[Callable[[News], None]] = []

    def add(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Tell one more; what is returned ends that."""
        self._all.append(listener)

        def end() -> None:
            if listener in self._all:
                self._all.remove(listener)

        return end

    def tell(self, news: News) -> None:
        """Tell all of them."""
        for listener in tuple(self._all):
            try:
                listener(news)
            except MISTAKES as error:
                import logging  # noqa: PLC0415  # a program that never needs it does not load it

                logging.getLogger(__name__).warning("a listener failed: %s", where(error))


def moved(before: Mapping[str, App], now: Mapping[str, App]) -> frozenset[str]:
    """The apps (``NAME/ENVIRONMENT``) that have another table than before."""
    return frozenset(
        app.name for name, app in now.items() if name not in before or before[name].table != app.table
    )
