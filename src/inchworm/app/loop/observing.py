"""Observe mode: which configuration answered, told from the traffic itself, and the ledger when it changes.

Comes after sanitizing, so that neither what is kept nor what is announced holds anything raw.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inchworm.app.house import House
from inchworm.app.loop.noticing import KIND
from inchworm.capture.observed import Announcement, Lifted, Observer
from inchworm.domain.calls import merged
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.trace import Trace
from inchworm.domain.wording import counted, listed

STATE = "observed/1"
"""The name under which what was learned is kept in the control store: JSON, compressed."""
NOTE = "observed in traffic"
ACTOR = "inchworm"
_SAVED_EVERY_S = 5.0
_LOOKED_BACK = 200


class Observing:
    """Watches interactions that do not say which configuration answered them, for one app."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._app = house.app
        self._observer: Observer | None = None
        self._kept_at: float | None = None
        self._saved_at = float("-inf")
        self._unsaved = False

    def __call__(self, traces: Sequence[Trace]) -> list[Trace]:
        """The same interactions, with the configuration that answered where it can be told.

        New configurations are kept, and changes entered in the ledger, before this returns. Taken in again
        after a crash, a batch announces nothing twice.

        Args:
            traces: sanitized ones, as they are to be stored.
        """
        unknown = [place for place, trace in enumerate(traces) if trace.configuration_id is None]
        if not unknown:
            return list(traces)
        observer = self._learned()
        seen = observer.take([traces[place] for place in unknown])
        for configuration in seen.new:
            self._house.control.put_configuration(self._app, configuration, note=NOTE, at=self._house.now())
        for said in seen.announcements:
            self._announce(said)
        self._unsaved = True
        self.finish(at_once=bool(seen.new or seen.announcements))
        told = list(traces)
        for place, found in zip(unknown, seen.configurations, strict=True):
            if found is not None:
                told[place] = replace(traces[place], configuration_id=found)
        return told

    def finish(self, *, at_once: bool = True) -> None:
        """Keep what was learned since it was kept last.

        Args:
            at_once: now; else only if that was a few seconds ago.
        """
        now = self._house.now()
        is_due = at_once or now - self._saved_at >= _SAVED_EVERY_S
        if self._observer is None or not self._unsaved or not is_due:
            return
        control, app = self._house.control, self._app
        control.put_blob(app, STATE, zlib.compress(self._observer.state()), at=now)
        self._kept_at = control.blob_at(app, STATE)
        self._saved_at, self._unsaved = now, False

    def _learned(self) -> Observer:
        """What is known by now; read anew if somebody else has learned meanwhile."""
        kept_at = self._house.control.blob_at(self._app, STATE)
        if self._observer is None or kept_at != self._kept_at:
            self._observer, self._kept_at = observer(self._house, self._app), kept_at
        return self._observer

    def _announce(self, said: Announcement) -> None:
        entries = self._house.control.ledger(self._app, limit=_LOOKED_BACK)
        call = said.data["call"]
        ours = (one.data for one in entries if _is_ours(one) and one.data.get("call") == call)
        last = next(ours, None)
        if last is not None and all(last.get(key) == said.data[key] for key in ("happened", "from", "to")):
            return
        self._house.control.append_ledger(
            LedgerEntry(
                app=self._app,
                at=min(said.at, self._house.now()),
                kind=KIND,
                actor=ACTOR,
                what=said.what,
                data=said.data,
            )
        )


def _is_ours(entry: LedgerEntry) -> bool:
    """Whether an entry is of a configuration that was told from traffic, and of nothing else observed."""
    return entry.kind == KIND and "happened" in entry.data


def observer(house: House, app: AppRef | None = None) -> Observer:
    """What was learned of an app's traffic; of the declared one's if none is named."""
    infrastructure = merged(house.spec.configuration.layer(Layer.INFRASTRUCTURE), None)
    state = house.control.blob(app or house.app, STATE)
    if state is None:
        return Observer(infrastructure=infrastructure)
    # Without a file only the server knows where calls go; the shell of a command may know nothing of it.
    is_known = house.owner or house.spec.file.exists()
    return Observer.of(zlib.decompress(state), infrastructure=infrastructure if is_known else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """One call of an app, as it is seen from outside.

    Attributes:
        name: as its callers name it; empty if they do not.
        requests: how many were seen.
        configuration: what answers now, once that is known.
        others: how many more configurations answer beside it.
    """

    name: str
    requests: int
    configuration: ConfigurationId | None
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of an app from its traffic alone.

    Attributes:
        calls: busiest first.
        last: what changed last, if anything did.
    """

    calls: tuple[ObservedCall, ...]
    last: LedgerEntry | None


def look(house: House) -> Observed:
    """What is known of an app from its traffic alone."""
    found: list[ObservedCall] = []
    for call in observer(house).calls.values():
        known = call.present()
        found.append(
            ObservedCall(
                name=call.name,
                requests=call.requests,
                configuration=None if known is None else known.configuration,
                others=max(len(call.watch.present) - 1, 0),
            )
        )
    entries = house.control.ledger(house.app, limit=_LOOKED_BACK)
    return Observed(
        calls=tuple(sorted(found, key=lambda call: (-call.requests, call.name))),
        last=next((one for one in entries if one.kind == KIND), None),
    )


def lift(house: House, call: str | None = None) -> Lifted:
    """The configuration that answers now, with the templates that its prompts were made from.

    Args:
        house: whose.
        call: which call's; the only one if left out.

    Raises:
        NotFoundError: if not enough was seen to tell, or no call has that name.
        UsageError: if there are several calls and none is named.
    """
    learned = observer(house)
    known = {key: found for key in learned.calls if (found := learned.lift(key)) is not None}
    # Telemetry without content tells no prompt: it is taken only where there is nothing better.
    plain = {found.call: key for key, found in known.items() if key.endswith("\0")}
    plain |= {found.call: key for key, found in known.items() if not key.endswith("\0")}
    if not plain:
        requests = sum(found.requests for found in learned.calls.values())
        raise NotFoundError(
            f"what answers {house.app} is not known yet: {counted(requests, 'request')} of it were seen, and "
            "prompts are told from their variables after about ten conversations",
            hint="send it more traffic (inchworm serve), or import a log: inchworm import FILE.jsonl",
        )
    if call is None and len(plain) > 1:
        names = listed([name or '""' for name in sorted(plain)])
        raise UsageError(
            f"{house.app} makes several calls ({names}), and one of them can be adopted for now",
            hint=f'say which: inchworm adopt --call "{max(plain, key=lambda name: known[plain[name]].seen)}"',
        )
    name = next(iter(plain)) if call is None else call
    if name not in plain:
        raise NotFoundError(
            f'no call of {house.app} is named "{name}"',
            hint=f"there are: {', '.join(one or '(without a name)' for one in sorted(plain))}",
        )
    return known[plain[name]]
