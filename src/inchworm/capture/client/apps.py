"""The apps of a publication as a client needs them: read once, and with the units that are known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from inchworm.capture.client.resolved import UNKNOWN, Resolved, View
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.published import Published, PublishedApp
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import ServingTable, resolve
from inchworm.domain.trace import Assignment

REMEMBERED = 100_000
"""Units of one rollout that a client remembers; beyond it the oldest are forgotten."""
_FORGOTTEN_AT_ONCE = 64  # one part in that many
_MEANT = "production"


class App:
    """One app: what is served, and who got what in the rollout in flight."""

    __slots__ = ("infrastructure", "kind", "name", "rollout", "seen", "settled", "stable", "table", "views")

    def __init__(self, published: PublishedApp, seen: dict[str, Resolved]) -> None:
        self.name = str(published.app)
        self.kind = published.unit
        self.table: ServingTable | None = published.table
        self.views: Mapping[ConfigurationId, View] = {
            id_: View(one) for id_, one in published.configurations.items()
        }
        self.stable = UNKNOWN if self.table is None else self.views.get(self.table.stable, UNKNOWN)
        self.infrastructure: Mapping[str, Any] = published.infrastructure
        self.rollout: RolloutId | None = (
            None if self.table is None or self.table.candidate is None else self.table.candidate.rollout_id
        )
        self.settled = self.table is not None and self.rollout is None and self.kind is not UnitKind.REQUEST
        """Whether everybody gets stable, whoever it is."""
        self.seen = seen
        """Units of the rollout in flight with what they got; empty outside of one."""

    def draw(self, unit: str, kept: Assignment | None) -> Resolved:
        """What a unit gets under the table; ``kept`` counts for the same rollout only."""
        if self.table is None:
            return Resolved(UNKNOWN, self.name, unit, None)
        got = resolve(self.table, UnitId(unit), kept)
        return Resolved(self.views.get(got.configuration_id, UNKNOWN), self.name, unit, got.assignment)

    def unexposed(self, unit: str) -> Resolved:
        """Stable, without an assignment."""
        return Resolved(self.stable, self.name, unit, None)

    def remember(self, resolved: Resolved) -> Resolved:
        """Keep what a unit got; what it got before, if another thread was first."""
        if self.kind is UnitKind.REQUEST:
            return resolved
        seen = self.seen
        if len(seen) >= REMEMBERED:
            for unit in list(islice(seen, REMEMBERED // _FORGOTTEN_AT_ONCE)):
                seen.pop(unit, None)
        return seen.setdefault(resolved.unit, resolved)


def apps_of(published: Published, before: Mapping[str, App]) -> dict[str, App]:
    """All apps by ``NAME/ENVIRONMENT`` and by ``NAME``; a rollout that goes on keeps its units."""
    found: dict[str, App] = {}
    for one in published.apps:
        app = App(one, {})
        old = before.get(app.name)
        if old is not None and old.rollout is not None and old.rollout == app.rollout:
            app.seen = old.seen
        found[app.name] = app
        if one.app.app not in found or one.app.environment == _MEANT:
            found[one.app.app] = app
    return found
