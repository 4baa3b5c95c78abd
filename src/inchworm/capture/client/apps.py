"""The apps of a publication as a client needs them: read once, and with the units that are known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from inchworm.capture.client.resolved import UNKNOWN, Resolved, View
from inchworm.domain.attributes import chosen
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.published import Published, PublishedApp
from inchworm.domain.serving import NO_ATTRIBUTES, Candidate, Resolver, ServingTable
from inchworm.domain.trace import Assignment
from inchworm.domain.unitkind import UnitKind

REMEMBERED = 100_000
"""Units of one rollout that a client remembers; beyond it the oldest are forgotten."""
_FORGOTTEN_AT_ONCE = 64  # one part in that many
_MEANT = "production"


class App:
    """One app: what is served, and who got what in the rollout in flight."""

    __slots__ = (
        "_resolver",
        "asked",
        "candidate",
        "exposes",
        "infrastructure",
        "kind",
        "name",
        "rollout",
        "seen",
        "settled",
        "stable",
        "table",
        "views",
    )

    def __init__(
        self, published: PublishedApp, seen: dict[str, Resolved], application: str | None = None
    ) -> None:
        self.name = str(published.app)
        self.kind = published.unit
        self.table: ServingTable | None = published.table
        self.views: Mapping[ConfigurationId, View] = {
            id_: View(one, application=application) for id_, one in published.configurations.items()
        }
        self.stable = UNKNOWN if self.table is None else self.views.get(self.table.stable, UNKNOWN)
        self.infrastructure: Mapping[str, Any] = published.infrastructure
        self._resolver = None if self.table is None else Resolver(self.table)
        self.candidate: Candidate | None = None if self.table is None else self.table.candidate
        self.rollout: RolloutId | None = None if self.candidate is None else self.candidate.rollout_id
        self.asked: frozenset[str] = (
            frozenset()
            if self.candidate is None
            else frozenset(one.attribute for one in self.candidate.audience)
        )
        """The attributes that the candidate's audience is chosen by."""
        self.exposes = self.candidate is not None and not self.candidate.shadow
        """Whether anybody gets the candidate; if its answers are for nobody to see, everybody gets stable."""
        self.settled = self.table is not None and not self.exposes and self.kind is not UnitKind.REQUEST
        """Whether everybody gets stable, whoever it is."""
        self.seen = seen
        """Units of the rollout in flight with what they got; empty outside of one."""

    def follows(self, before: App) -> bool:
        """Whether what units got from ``before`` still counts: the same rollout, and the same draw."""
        one, other = self.candidate, before.candidate
        if one is None or other is None or one.rollout_id != other.rollout_id or not self.exposes:
            return False
        return not one.per_stage or one.stage == other.stage

    def draw(
        self, unit: str, kept: Assignment | None, attributes: Mapping[str, Any] = NO_ATTRIBUTES
    ) -> Resolved:
        """What a unit gets under the table; ``kept`` counts for the same rollout and draw only.

        Of the attributes, those that the audience is chosen by are read.
        """
        if self._resolver is None:
            return Resolved(UNKNOWN, self.name, unit, None)
        read = chosen(self.asked, attributes) if self.asked else NO_ATTRIBUTES
        got = self._resolver(UnitId(unit), kept, read)
        return Resolved(self.views.get(got.configuration_id, UNKNOWN), self.name, unit, got.assignment, read)

    def unexposed(self, unit: str) -> Resolved:
        """Stable, without an assignment."""
        return Resolved(self.stable, self.name, unit, None)

    def remember(self, resolved: Resolved) -> Resolved:
        """Keep what a unit got; what it got before, if another thread was first.

        Who does not take part is asked again where that is a matter of attributes: they may be others then.
        """
        if self.kind is UnitKind.REQUEST or (resolved.assignment is None and self.asked):
            return resolved
        seen = self.seen
        if len(seen) >= REMEMBERED:
            for unit in list(islice(seen, REMEMBERED // _FORGOTTEN_AT_ONCE)):
                seen.pop(unit, None)
        return seen.setdefault(resolved.unit, resolved)


def apps_of(
    published: Published, before: Mapping[str, App], application: str | None = None
) -> dict[str, App]:
    """All apps by ``NAME/ENVIRONMENT`` and by ``NAME``; a rollout that goes on keeps its units."""
    found: dict[str, App] = {}
    for one in published.apps:
        app = App(one, {}, application)
        old = before.get(app.name)
        if old is not None and app.follows(old):
            app.seen = old.seen
        found[app.name] = app
        if one.app.app not in found or one.app.environment == _MEANT:
            found[one.app.app] = app
    return found
