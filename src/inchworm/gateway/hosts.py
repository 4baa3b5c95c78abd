"""Whether a gateway goes by the name that it was called by; see :mod:`inchworm.domain.hosts`. Pure."""

from __future__ import annotations

import socket
from collections.abc import Collection

from inchworm.domain.hosts import LOCAL, host_name

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # compared with, not listened at
_REMEMBERED = 64


class Hosts:
    """The names of one gateway.

    Args:
        bound: where it listens. If that is everywhere, any address will do: only names can be made to point
            elsewhere.
        more: further names.
    """

    __slots__ = ("_everywhere", "_names", "_seen")

    def __init__(self, bound: str, more: Collection[str] = ()) -> None:
        self._names = LOCAL | {bound.lower(), *more}
        self._everywhere = bound in _EVERYWHERE
        self._seen: set[str] = set()

    def knows(self, host: str | None) -> bool:
        """Whether a ``Host`` header names this gateway; the ports of others do no harm."""
        if host in self._seen:
            return True
        if not host:
            return False
        name = host_name(host)
        known = bool(name) and (name in self._names or (self._everywhere and _is_address(name)))
        if known and len(self._seen) < _REMEMBERED:
            self._seen.add(host)
        return known


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, name)
        except (OSError, ValueError):
            continue
        return True
    return False
