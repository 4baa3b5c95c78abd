"""Who may do what: four scopes, each with everything that the one before it may."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a key, or a session that it opened, may do."""

    VIEWER = "viewer"
    """Look at everything but keys."""
    LABELER = "labeler"
    """Also judge: scores, topics, eval sets."""
    DEPLOYER = "deployer"
    """Also change what is served: imports, benchmarks, plans, rollouts."""
    ADMIN = "admin"
    """Also hand out keys and take them back."""

    def includes(self, other: Scope) -> bool:
        """Whether whoever has this one may do what ``other`` may."""
        order = tuple(Scope)
        return order.index(self) >= order.index(other)
