"""What is observed beside configurations, and the ledger when it changes; the drain tells of batches."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from inchworm.app.house import House
from inchworm.capture.observed import Noticed, Noticer
from inchworm.domain.calls import merged
from inchworm.domain.errors import NotFoundError
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.trace import Trace

STATE = "noticed/1"
"""The name under which what was seen is kept in the control store: JSON, compressed."""
KIND = "observed"
_ACTOR = "inchworm"
_SAVED_EVERY_S = 5.0
_LOOKED_BACK = 200
_REMEMBERED = 1_000


class Noticing:
    """Watches what interactions say of the application, aliases and floating references, for one app."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._noticer: Noticer | None = None
        self._kept_at: float | None = None
        self._saved_at = float("-inf")
        self._unsaved = False
        self._references: dict[tuple[str, str | None], Mapping[str, str]] = {}

    def __call__(self, traces: Sequence[Trace]) -> None:
        """Enter in the ledger what changed with these interactions, before this returns.

        Taken in again after a crash, a batch announces nothing twice.

        Args:
            traces: sanitized ones, with their configurations where they are known.
        """
        if not traces:
            return
        found = self._seen().take(list(traces), self._named)
        for noticed in found:
            self._announce(noticed)
        self._unsaved = True
        self.finish(at_once=bool(found))

    def finish(self, *, at_once: bool = True) -> None:
        """Keep what was seen since it was kept last.

        Args:
            at_once: now; else only if that was a few seconds ago.
        """
        now = self._house.now()
        is_due = at_once or now - self._saved_at >= _SAVED_EVERY_S
        if self._noticer is None or not self._unsaved or not is_due:
            return
        control, app = self._house.control, self._house.app
        control.put_blob(app, STATE, zlib.compress(self._noticer.state()), at=now)
        self._kept_at = control.blob_at(app, STATE)
        self._saved_at, self._unsaved = now, False

    def _seen(self) -> Noticer:
        """What was seen by now; read anew if somebody else has seen more meanwhile."""
        control, app = self._house.control, self._house.app
        kept_at = control.blob_at(app, STATE)
        if self._noticer is None or kept_at != self._kept_at:
            state = control.blob(app, STATE)
            self._noticer = Noticer() if state is None else Noticer.of(zlib.decompress(state))
            self._kept_at = kept_at
        return self._noticer

    def _announce(self, noticed: Noticed) -> None:
        control, app, data = self._house.control, self._house.app, noticed.data
        same = ("what", "call", "of")
        last = next(
            (
                entry.data
                for entry in control.ledger(app, limit=_LOOKED_BACK)
                if entry.kind == KIND
                and "what" in entry.data
                and all(entry.data.get(name) == data[name] for name in same)
            ),
            None,
        )
        if last is not None and (last.get("from"), last.get("to")) == (noticed.before, noticed.to):
            return
        control.append_ledger(
            LedgerEntry(
                app=app,
                at=min(noticed.at, self._house.now()),
                kind=KIND,
                actor=_ACTOR,
                what=noticed.sentence,
                data=data,
            )
        )

    def _named(self, trace: Trace) -> Mapping[str, str]:
        """The floating references of what answered: ``{"index": "faq-live"}``."""
        configuration_id = trace.configuration_id
        if configuration_id is None:
            return {}
        key = (str(configuration_id), trace.call)
        found = self._references.get(key)
        if found is None:
            try:
                tools = self._house.control.configuration(configuration_id).layer(Layer.TOOLS)
            except NotFoundError:
                tools = {}
            found = {
                name: value["observed"]
                for name, value in merged(tools, trace.call).items()
                if isinstance(value, dict) and isinstance(value.get("observed"), str)
            }
            if len(self._references) >= _REMEMBERED:
                self._references.clear()
            self._references[key] = found
        return found
