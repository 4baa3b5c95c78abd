"""All calls of an app, from interaction to announcement; and its state as JSON, format ``observed/1``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh32_hexdigest

from inchworm.capture.observed import wording
from inchworm.capture.observed.call import Call
from inchworm.capture.observed.fingerprint import model_of, prompt_of
from inchworm.capture.observed.lifted import Lifted
from inchworm.capture.observed.watch import Event, Happened
from inchworm.domain.change import Absent, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.trace import Trace

FORMAT = "observed/1"
_MOST_CALLS = 32
_MOST_IDS = 2_500
_LATE_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something changed, for the ledger.

    Attributes:
        happened: what.
        call: the call's name; empty if its callers name none.
        at: the time of the first request of the new state, seconds since the epoch.
        what: one sentence.
        to: the configuration that answers.
        before: the one that answered before, if one did.
        first_seen: when ``to`` was seen for the very first time.
        data: JSON for the ledger: the above, the layers that moved, and every value that differs.
    """

    happened: Happened
    call: str
    at: float
    what: str
    to: ConfigurationId
    before: ConfigurationId | None
    first_seen: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a batch told.

    Attributes:
        configurations: the configuration of each interaction, in order; ``None`` where it is not known (yet).
        new: configurations that were inferred for the first time.
        announcements: what changed, in order.
    """

    configurations: tuple[ConfigurationId | None, ...]
    new: tuple[Configuration, ...]
    announcements: tuple[Announcement, ...]


@dataclass(slots=True)
class Observer:
    """Learns what answers from the interactions that come in.

    Args:
        infrastructure: the layer that traffic does not show, as it is declared.
    """

    infrastructure: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    last_at: float = 0.0
    _ids: dict[str, None] = field(default_factory=dict)

    def take(self, traces: Sequence[Trace]) -> Seen:
        """Take in a batch of sanitized interactions, none of which names its configuration.

        They are looked at in the order of their time. One that was taken in lately is not counted again, and
        one that is over an hour older than the newest is told its configuration and no more.
        """
        order = sorted(range(len(traces)), key=lambda place: (traces[place].at, traces[place].id))
        places: list[tuple[Call, str] | None] = [None] * len(traces)
        events: list[tuple[Call, Event]] = []
        for call in self.calls.values():
            call.begin()
        for place in order:
            trace = traces[place]
            found = self._call(trace)
            if found is None:
                continue
            key, event = found.saw(trace, watched=self._is_fresh(trace))
            places[place] = found, key
            events += [] if event is None else [(found, event)]
        new: list[Configuration] = []
        for call in self.calls.values():
            new += call.settle(self.infrastructure)
        announcements = [
            said for call, event in events if (said := self._announcement(call, event)) is not None
        ]
        return Seen(
            configurations=tuple(None if one is None else one[0].configuration_id(one[1]) for one in places),
            new=tuple(new),
            announcements=tuple(announcements),
        )

    def lift(self, call: str) -> Lifted | None:
        """What answers a call now, with what is known of its templates by now; ``None`` if nothing is."""
        found = self.calls.get(call)
        if found is None or (known := found.present()) is None:
            return None
        prompt = found.templates(known)
        return Lifted(
            call=found.name,
            configuration=found.configuration(known, self.infrastructure),
            seen=known.seen,
            first=known.first,
            systems=found.systems(known),
            stand_ins=prompt[2],
            varying=tuple(sorted(name.removeprefix("\0") for name in found.varying.names)),
        )

    def state(self) -> bytes:
        """Everything that is known, to go on with later."""
        content = {
            "format": FORMAT,
            "infrastructure": self.infrastructure,
            "last_at": self.last_at,
            "ids": "".join(self._ids),
            "calls": [[name, call.state()] for name, call in self.calls.items()],
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    @classmethod
    def of(cls, state: bytes, *, infrastructure: Mapping[str, Any] | None = None) -> Observer:
        """The inverse of :meth:`state`; one that knows nothing if the state has another format.

        Args:
            state: what was kept.
            infrastructure: the layer as it is declared now; as it was then if left out.
        """
        content = json.loads(state)
        if content.get("format") != FORMAT:
            return cls(infrastructure=dict(infrastructure or {}))
        ids = content["ids"]
        return cls(
            infrastructure=content["infrastructure"] if infrastructure is None else dict(infrastructure),
            calls={name: Call.of(call) for name, call in content["calls"]},
            last_at=content["last_at"],
            _ids=dict.fromkeys(ids[at : at + 8] for at in range(0, len(ids), 8)),
        )

    def _call(self, trace: Trace) -> Call | None:
        """The call that an interaction belongs to; ``None`` if it says nothing of what answered it."""
        prompt = prompt_of(trace)
        if prompt is None and not model_of(trace):
            return None
        name = trace.call or ""
        # Telemetry without content tells less: beside interactions with content it is a call of its own.
        key = name if prompt is not None else f"{name}\0"
        found = self.calls.get(key)
        if found is None:
            if len(self.calls) >= _MOST_CALLS:
                return None
            found = self.calls[key] = Call(name=name)
        return found

    def _is_fresh(self, trace: Trace) -> bool:
        name = xxh32_hexdigest(trace.id.encode("utf-8", "surrogatepass"))
        known = name in self._ids
        self._ids.pop(name, None)
        self._ids[name] = None
        if len(self._ids) > _MOST_IDS:
            del self._ids[next(iter(self._ids))]
        late = trace.at < self.last_at - _LATE_S
        self.last_at = max(self.last_at, trace.at)
        return not (known or late)

    def _announcement(self, call: Call, event: Event) -> Announcement | None:
        now = call.known(event.to)
        before = None if event.before is None else call.known(event.before)
        if now is None or now.configuration is None:
            return None
        base = None if before is None else call.configuration(before, self.infrastructure)
        present = call.configuration(now, self.infrastructure)
        told = None if before is None else before.configuration
        return Announcement(
            happened=event.happened,
            call=call.name,
            at=event.at,
            what=wording.sentence(event.happened, call.name, base, present),
            to=now.configuration,
            before=told,
            first_seen=now.first,
            data={
                "happened": event.happened.value,
                "call": call.name or None,
                "from": told,
                "to": now.configuration,
                "first_seen": now.first,
                "layers": [] if base is None else [str(layer) for layer in base.moved(present)],
                "values": _values(base, present),
            },
        )


def _values(base: Configuration | None, present: Configuration) -> list[dict[str, Any]]:
    if base is None:
        return []
    return [
        {
            "layer": str(one.layer),
            "path": list(one.path),
            **{
                side: value
                for side, value in (("old", one.old), ("new", one.new))
                if not isinstance(value, Absent)
            },
        }
        for one in diff(base, present)
    ]
