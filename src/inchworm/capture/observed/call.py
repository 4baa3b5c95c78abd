"""One call of an app: its prompts, its fingerprints, and what answers it now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.observed import lifted
from inchworm.capture.observed.fingerprint import (
    Fingerprint,
    Varying,
    model_of,
    parameters_of,
    prompt_of,
    tools_of,
)
from inchworm.capture.observed.mining import SETTLED, Miner
from inchworm.capture.observed.template import Template
from inchworm.capture.observed.watch import Event, Watch
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.trace import Trace

_JOINT = "\n\n"
_MOST_KNOWN = 128
_MOST_FAMILIES = 16
_MOST_TOOLS = 16
_MODEL = "\0model"


@dataclass(slots=True)
class Known:
    """A fingerprint that was seen.

    Attributes:
        fingerprint: what it is.
        first: the time of the first request that had it, seconds since the epoch.
        seen: requests that had it.
        systems: system messages that the requests begin with.
        configuration: the configuration that stands for it, once it has been seen often enough; fixed.
    """

    fingerprint: Fingerprint
    first: float
    seen: int = 0
    systems: int = 0
    configuration: ConfigurationId | None = None


@dataclass(slots=True)
class Call:
    """What is known of one call.

    Attributes:
        name: as its callers name it; empty if they do not.
        varying: parameters that change from request to request.
        watch: what answers now.
    """

    name: str
    varying: Varying = field(default_factory=Varying)
    watch: Watch = field(default_factory=Watch)
    _number: int = 0
    _system: Miner = field(default_factory=lambda: Miner(free=False, salt="system"))
    _users: dict[str, Miner] = field(default_factory=dict)
    _known: dict[str, Known] = field(default_factory=dict)
    _tools: dict[str, list[Any]] = field(default_factory=dict)
    _alias: dict[str, str] = field(default_factory=dict)
    _keys: dict[Fingerprint, str] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """How many were seen."""
        return self._number

    def begin(self) -> None:
        """A new batch: keys of earlier ones are not asked for any more."""
        self._alias = {}

    def saw(self, trace: Trace, *, watched: bool) -> tuple[str, Event | None]:
        """Take in one interaction.

        Args:
            trace: a sanitized one.
            watched: whether it tells what answers now.

        Returns:
            The key of its fingerprint, and what it changed.
        """
        self._number += 1
        found, systems, more = self._fingerprint(trace)
        merged = self._merged()
        if more or merged:
            self._rename(merged)
            found = self._reduced(found, merged)
        key = self._key(found)
        known = self._known.pop(key, None) or Known(fingerprint=found, first=trace.at)
        known.seen += 1
        known.systems = systems
        known.first = min(known.first, trace.at)
        self._known[key] = known
        if len(self._known) > _MOST_KNOWN:
            self._forget_one()
        event = self.watch.step(key, trace.at, is_settled=self._is_settled) if watched else None
        return key, event

    def settle(self, infrastructure: Mapping[str, Any]) -> Iterator[Configuration]:
        """Give configurations to fingerprints that are known well enough by now; those that are new."""
        for key, known in self._known.items():
            if known.configuration is None and self._is_settled(key):
                made = self.configuration(known, infrastructure)
                known.configuration = made.id
                yield made

    def configuration_id(self, key: str) -> ConfigurationId | None:
        """The configuration of a fingerprint, by the key that it had when it was seen."""
        known = self.known(key)
        return None if known is None else known.configuration

    def known(self, key: str) -> Known | None:
        """What is known of a fingerprint, by the key that it had when it was seen."""
        while key in self._alias:
            key = self._alias[key]
        return self._known.get(key)

    def present(self) -> Known | None:
        """What answers most requests now."""
        return max(
            (known for key in self.watch.present if (known := self.known(key)) is not None),
            key=lambda known: known.seen,
            default=None,
        )

    def templates(self, known: Known) -> lifted.Written:
        """System and user template, and the variables that stand for personal data."""
        return lifted.templates(*self._skeletons(known.fingerprint))

    def systems(self, known: Known) -> int:
        """How many system messages its requests begin with."""
        return known.systems

    def configuration(self, known: Known, infrastructure: Mapping[str, Any]) -> Configuration:
        """A fingerprint as a configuration, with what is known of its templates by now."""
        system, user, _ = self.templates(known)
        return lifted.layers(
            model=known.fingerprint.model,
            parameters=json.loads(known.fingerprint.parameters),
            prompt=(system, user),
            tools=self._tools.get(known.fingerprint.tools, []),
            infrastructure=dict(infrastructure),
        )

    def _fingerprint(self, trace: Trace) -> tuple[Fingerprint, int, bool]:
        model = model_of(trace)
        steady, more = self.varying.steady({_MODEL: model, **parameters_of(trace)}, self._number)
        kept = json.loads(steady)
        model = kept.pop(_MODEL, "")
        tools, schemas = tools_of(trace)
        if tools:
            kept_tools = self.varying.steady({"tools": tools}, self._number)
            more = more or kept_tools[1]
            tools = json.loads(kept_tools[0]).get("tools", "")
        if tools:
            self._tools.pop(tools, None)
            self._tools[tools] = schemas
            if len(self._tools) > _MOST_TOOLS:
                del self._tools[next(iter(self._tools))]
        system = user = ""
        systems = 0
        prompt = prompt_of(trace)
        if prompt is not None:
            systems = len(prompt.system)
            if prompt.system:
                system = self._system.saw(_JOINT.join(prompt.system), trace.unit_id)
            if prompt.user is not None:
                user = self._miner(system).saw(prompt.user, trace.unit_id)
        found = Fingerprint(
            model=model,
            parameters=json.dumps(kept, sort_keys=True),
            tools=tools,
            system=system,
            user=user,
        )
        return found, systems, more

    def _miner(self, system: str) -> Miner:
        """User messages are told apart per family of system prompts, so that an edit keeps what is known."""
        skeleton = self._system.skeleton(system)
        family = "" if skeleton is None else skeleton.root
        found = self._users.pop(family, None) or Miner(free=True, salt=f"user\0{family}")
        self._users[family] = found
        if len(self._users) > _MOST_FAMILIES:
            del self._users[next(iter(self._users))]
        return found

    def _skeletons(self, found: Fingerprint) -> tuple[Template | None, Template | None]:
        system = self._system.skeleton(found.system) if found.system else None
        users = (miner.skeleton(found.user) for miner in self._users.values())
        user = next((one for one in users if one is not None), None) if found.user else None
        return None if system is None else system.exact, None if user is None else user.exact

    def _is_settled(self, key: str) -> bool:
        known = self.known(key)
        if known is None or known.seen < SETTLED:
            return False
        found = known.fingerprint
        return (not found.system or self._system.is_settled(found.system)) and (
            not found.user or any(miner.is_settled(found.user) for miner in self._users.values())
        )

    def _key(self, found: Fingerprint) -> str:
        key = self._keys.get(found)
        if key is None:
            if len(self._keys) > _MOST_KNOWN:
                self._keys.clear()
            key = self._keys[found] = found.key
        return key

    def _merged(self) -> dict[str, str]:
        """Skeletons that turned out to be others just now."""
        found: dict[str, str] = {}
        for miner in (self._system, *self._users.values()):
            if miner.merged:
                found |= miner.merged
                miner.merged = {}
        return found

    def _reduced(self, found: Fingerprint, merged: Mapping[str, str]) -> Fingerprint:
        """The fingerprint without what was found to tell nothing."""

        def whole(name: str) -> str:
            while name in merged:
                name = merged[name]
            return name

        return Fingerprint(
            model="" if _MODEL in self.varying.names else found.model,
            parameters=self.varying.without(found.parameters),
            tools="" if "tools" in self.varying.names else found.tools,
            system=whole(found.system),
            user=whole(found.user),
        )

    def _rename(self, merged: Mapping[str, str]) -> None:
        """Put together what turned out to be one."""
        before, self._known = self._known, {}
        names: dict[str, str] = {}
        for key, known in before.items():
            found = self._reduced(known.fingerprint, merged)
            new = self._key(found)
            if new != key:
                names[key] = new
            same = self._known.get(new)
            if same is None:
                is_same = found == known.fingerprint
                self._known[new] = Known(
                    fingerprint=found,
                    first=known.first,
                    seen=known.seen,
                    systems=known.systems,
                    configuration=known.configuration if is_same else None,
                )
            else:
                same.first, same.seen = min(same.first, known.first), same.seen + known.seen
                if new == key:
                    same.configuration = known.configuration
        self._alias |= names
        for new in names.values():
            self._alias.pop(new, None)
        self.watch.renamed(names)

    def _forget_one(self) -> None:
        """Of what does not answer now, the one that was seen longest ago."""
        for key in self._known:
            if key not in self.watch.present:
                del self._known[key]
                return

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "number": self._number,
            "varying": self.varying.state(),
            "watch": self.watch.state(),
            "system": self._system.state(),
            "users": [[family, miner.state()] for family, miner in self._users.items()],
            "known": [
                [key, known.fingerprint.state(), known.first, known.seen, known.systems, known.configuration]
                for key, known in self._known.items()
            ],
            "tools": self._tools,
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Call:
        """The inverse of :meth:`state`."""
        made = cls(
            name=state["name"],
            varying=Varying.of(state["varying"]),
            watch=Watch.of(state["watch"]),
            _number=state["number"],
            _known={
                key: Known(
                    fingerprint=Fingerprint(**found),
                    first=first,
                    seen=seen,
                    systems=systems,
                    configuration=configuration,
                )
                for key, found, first, seen, systems, configuration in state["known"]
            },
            _tools=dict(state["tools"]),
        )
        made._system.restore(state["system"])
        for family, miner in state["users"]:
            made._users[family] = Miner(free=True, salt=f"user\0{family}")
            made._users[family].restore(miner)
        return made
