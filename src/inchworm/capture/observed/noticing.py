"""What is observed beside configurations: versions of the application, what aliases and references stand for.

A value that was never seen before is news the first time it is seen: whoever states it knows. One that was
seen before is news only once the present one has been silent for :data:`GONE` requests: while a deploy is
rolling, two versions answer side by side, and every flip between them would be said otherwise. What backends
say of themselves unasked (``system_fingerprint``) is news only in the second way. All of it follows from the
interactions and their order alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.stated import APPLICATION_SAID, OBSERVED_SAID
from inchworm.domain.trace import Trace

FORMAT = "noticed/1"
APPLICATION, ALIAS, FINGERPRINT = "application", "model_alias", "system_fingerprint"
GONE = 50
"""Requests without the present value, after which another one that was seen before takes its place."""
_MOST_KNOWN, _MOST_WATCHED = 64, 256
_LATE_S = 3_600.0
_ASKED, _ANSWERED = "gen_ai.request.model", "gen_ai.response.model"
_FINGERPRINT = "openai.response.system_fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something that is observed has changed.

    Attributes:
        what: ``application``, ``model_alias``, ``system_fingerprint``, or a reference's name (``index``).
        call: the call whose reference it is, if its callers name one.
        of: what stands for it: the model that was asked for, or the reference's own name.
        before: the value until now.
        to: the value from now on.
        at: the time of the first request with it, seconds since the epoch.
    """

    what: str
    call: str | None
    of: str | None
    before: str
    to: str
    at: float

    @property
    def sentence(self) -> str:
        """For the ledger."""
        where = f" (call {self.call})" if self.call is not None else ""
        match self.what:
            case "application":
                return f"The application is {self.to} now ({self.before} before)."
            case "model_alias":
                return f"{self.of} is answered by {self.to} now ({self.before} before)."
            case "system_fingerprint":
                return f"{self.of} answers with the system fingerprint {self.to} now ({self.before} before)."
        named = self.what if self.of is None else f"{self.what} {self.of}"
        return f"{named} stands for {self.to} now ({self.before} before){where}."

    @property
    def data(self) -> dict[str, Any]:
        """For the ledger: JSON."""
        return {"what": self.what, "from": self.before, "to": self.to, "call": self.call, "of": self.of}


Key = tuple[str, str | None, str | None]
"""What is watched: what it is, of which call, and what stands for it."""
References = Callable[[Trace], Mapping[str, str]]
"""The names of the floating references of the configuration that answered, by the layer's keys."""


@dataclass(slots=True)
class _Watched:
    """One thing with its values.

    Attributes:
        present: the value that was said last to be the one.
        known: values that were seen, the latest last.
        silent: requests since the present value was seen.
        since: the time of the first of them.
    """

    present: str
    known: dict[str, None]
    silent: int = 0
    since: float = 0.0

    def step(self, value: str, at: float, *, told: bool) -> float | None:
        """One request; when the value became the present one, if that is news.

        Args:
            value: what it says.
            at: when it was, seconds since the epoch.
            told: whether a value that was never seen is news at once.
        """
        if value == self.present:
            self.silent = 0
            return None
        self.silent += 1
        if self.silent == 1:
            self.since = at
        fresh = value not in self.known
        self.known.pop(value, None)
        self.known[value] = None
        if len(self.known) > _MOST_KNOWN:
            del self.known[next(iter(self.known))]
        if not (fresh and told) and self.silent < GONE:
            return None
        since = at if fresh and told else self.since
        self.present, self.silent = value, 0
        return since


@dataclass(slots=True)
class Noticer:
    """All that is watched of one app."""

    last_at: float = 0.0
    _watched: dict[Key, _Watched] = field(default_factory=dict)

    def take(self, traces: list[Trace], references: References) -> list[Noticed]:
        """What changed with these interactions, in the order of their time.

        One that is over an hour older than the newest tells nothing of the present.

        Args:
            traces: sanitized ones.
            references: the floating references of what answered each.
        """
        found: list[Noticed] = []
        for trace in sorted(traces, key=lambda one: (one.at, one.id)):
            if trace.at < self.last_at - _LATE_S:
                continue
            self.last_at = max(self.last_at, trace.at)
            for key, value in _said(trace, references):
                noticed = self._step(key, value, trace.at)
                found += [] if noticed is None else [noticed]
        return found

    def _step(self, key: Key, value: str, at: float) -> Noticed | None:
        watched = self._watched.pop(key, None)
        if watched is None:
            watched = _Watched(value, {value: None})
        self._watched[key] = watched
        if len(self._watched) > _MOST_WATCHED:
            del self._watched[next(iter(self._watched))]
        before = watched.present
        since = watched.step(value, at, told=key[0] != FINGERPRINT)
        if since is None:
            return None
        what, call, of = key
        return Noticed(what=what, call=call, of=of, before=before, to=value, at=since)

    def state(self) -> bytes:
        """Everything that is known, to go on with later."""
        content = {
            "format": FORMAT,
            "last_at": self.last_at,
            "watched": [
                [*key, one.present, list(one.known), one.silent, one.since]
                for key, one in self._watched.items()
            ],
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def of(cls, state: bytes) -> Noticer:
        """The inverse of :meth:`state`; one that knows nothing if the state has another format."""
        content = json.loads(state)
        if content.get("format") != FORMAT:
            return cls()
        return cls(
            last_at=content["last_at"],
            _watched={
                (what, call, of): _Watched(present, dict.fromkeys(known), silent, since)
                for what, call, of, present, known, silent, since in content["watched"]
            },
        )


def _said(trace: Trace, references: References) -> Iterator[tuple[Key, str]]:
    said = trace.attributes
    application = said.get(APPLICATION_SAID)
    if isinstance(application, str):
        yield (APPLICATION, None, None), application
    asked, answered = said.get(_ASKED), said.get(_ANSWERED)
    if isinstance(asked, str) and isinstance(answered, str):
        yield (ALIAS, None, asked), answered
        if isinstance(fingerprint := said.get(_FINGERPRINT), str):
            yield (FINGERPRINT, None, answered), fingerprint
    observed = said.get(OBSERVED_SAID)
    if isinstance(observed, dict):
        named = references(trace)
        for name, value in observed.items():
            if isinstance(value, str):
                yield (name, trace.call, named.get(name)), value
