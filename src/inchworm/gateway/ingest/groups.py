"""Items of a JSON list in groups, so that no record of the spool is large. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def grouped(items: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Items in order, together at most ``most`` bytes; a larger one is alone."""
    group: list[bytes] = []
    size = 0
    for one in items:
        if group and size + len(one) > most:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one) + 1
    if group:
        yield group
