"""Which clusters of an app's traffic a rollout watches on their own. Fixed at its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from inchworm.domain.rollout import WatchedCluster

MOST: Final = 20
"""Clusters that are watched: each has a part of the budget, and more would leave none enough."""
LEAST_SHARE: Final = 0.02
"""A smaller cluster gathers evidence too slowly to be worth its part."""
WHOLE_SHARE: Final = 0.9
"""A cluster that is nearly everything says what the whole says."""


def choose(seen: Mapping[str | None, int]) -> tuple[WatchedCluster, ...]:
    """The largest clusters of the traffic, largest first.

    Args:
        seen: interactions per cluster, those without one under ``None``.
    """
    total = sum(seen.values())
    named = sorted(((count, name) for name, count in seen.items() if name is not None), key=_largest)
    return tuple(
        WatchedCluster(id=name, name=name, share=count / total)
        for count, name in named
        if LEAST_SHARE <= count / total <= WHOLE_SHARE
    )[:MOST]


def _largest(one: tuple[int, str]) -> tuple[int, str]:
    count, name = one
    return -count, name
