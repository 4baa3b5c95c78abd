"""One handled interaction, from the inside of the program that handles it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Self

from inchworm.capture.attributes import to_header
from inchworm.capture.client.core import LAST, OPEN, Core, Open
from inchworm.capture.client.plain import named, text_of
from inchworm.capture.client.resolved import Resolved, whose
from inchworm.capture.client.scoring import checked_score
from inchworm.capture.client.spans import Spanning, Steps
from inchworm.capture.client.work import Work
from inchworm.capture.headers import APP, APPLICATION, OBSERVED, UNIT
from inchworm.capture.stated import OBSERVED_SAID, observed_of
from inchworm.domain.errors import UsageError
from inchworm.domain.trace import CALL


class Tracing(Work):
    """An interaction that is being recorded: a context manager, plain or asynchronous.

    What ``resolve`` answers inside of it (or right before, for the same app and unit) is what it is recorded
    under. An exception is recorded as errored and goes on its way.
    """

    __slots__ = (
        *("_asked", "_at", "_began", "_calls", "_observed", "_scores", "_token"),
        *("app", "client", "id", "resolved", "steps", "unit"),
    )

    def __init__(
        self,
        client: Core,
        app: str | None,
        unit: Any,
        inputs: Any,
        resolved: Resolved | None,
    ) -> None:
        super().__init__(inputs)
        if unit is not None:
            unit = whose(unit)
        if resolved is not None and type(resolved) is not Resolved:
            raise UsageError(f"resolved is what resolve() gave, not {type(resolved).__name__}")
        if resolved is None:
            resolved = _resolved_before(client, app, unit)
        self.client = client
        self._asked = app if app is not None else resolved.app if resolved is not None else client.app
        self.app: str | None = client.app_name(self._asked)
        """``NAME/ENVIRONMENT``."""
        self.unit: str | None = resolved.unit if unit is None and resolved is not None else unit
        """The session or user; ``None`` if nobody said, then the interaction is a unit of its own."""
        self.resolved: Resolved | None = resolved
        """What was resolved for it."""
        self.id: str = os.urandom(16).hex()
        """The trace's id, for :func:`inchworm.feedback`."""
        self._scores: list[dict[str, Any]] = []
        self._observed: dict[str, str] = {}
        self._calls: set[str | None] = set() if resolved is None else {resolved.call}
        self.steps = Steps(client)
        """What was done for it, step by step."""
        self._at = self._began = 0.0
        self._token: Token[Open | None] | None = None

    def span(self, name: str, *, kind: str = "other", inputs: Mapping[str, Any] | None = None) -> Spanning:
        """A step of this interaction, also from another thread; see :func:`inchworm.span`.

        Raises:
            UsageError: for another kind, and for inputs that are no mapping.
        """
        return Spanning(self, name, kind, inputs)

    def score(self, metric: str, value: float, *, source: str = "app") -> None:
        """A score in [0, 1] that the program itself gives; ``True`` and ``False`` are 1 and 0.

        Raises:
            UsageError: if it is no such score.
        """
        self._scores.append(
            {"metric": text_of(metric), "value": checked_score(metric, value), "source": text_of(source)}
        )

    def observed(self, name: str, value: str) -> None:
        """What a floating reference stands for now, e.g. ``observed("index", "faq-2026-11-02")``.

        It is kept with the interaction, and a change of it is entered in the ledger.

        Raises:
            UsageError: if the name is no plain one, or the value no printable text.
        """
        if not (read := observed_of({text_of(name): text_of(value)})):
            raise UsageError(
                f"{text_of(name)!r} and {text_of(value)!r} are no reference and its value",
                hint='e.g. observed("index", "faq-2026-11-02")',
            )
        self._observed |= read

    def resolve(self, *, kept: str | None = None, call: str | None = None) -> Resolved:
        """What this interaction's unit gets; see :meth:`inchworm.Client.resolve`."""
        self.resolved = self.client.resolve(self._asked, self.unit or self.id, kept=kept, call=call)
        self._calls.add(call)
        return self.resolved

    def note(self, resolved: Resolved) -> None:
        """What was resolved inside of it, if it is for this app and unit."""
        name = self._asked or ""
        if resolved.app != self.app and ("/" in name or not resolved.app.startswith(f"{name}/")):
            return
        if self.unit is None or resolved.unit in {self.unit, self.id}:
            self.resolved, self.app = resolved, resolved.app
            self._calls.add(resolved.call)

    @property
    def headers(self) -> dict[str, str]:
        """Headers that say whose interaction it is."""
        found = {APP: self.app or "", UNIT: self.unit or self.id}
        if self.resolved is not None:
            found = self.resolved.headers
        if self.client.application is not None:
            found[APPLICATION] = self.client.application
        if self._observed:
            found[OBSERVED] = to_header(self._observed)
        return {name: value for name, value in found.items() if value.isascii() and value.isprintable()}

    def __enter__(self) -> Self:
        self._at, self._began = time.time(), time.perf_counter()
        self._token = OPEN.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        latency_ms = (time.perf_counter() - self._began) * 1000
        if self._token is not None:
            if OPEN.get() is self:
                OPEN.set(self._token.old_value if self._token.old_value is not Token.MISSING else None)
            self._token = None
        with self.client.quietly:
            self._raised(kind, error)
            self._ship(latency_ms)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _said(self) -> dict[str, Any]:
        """The attributes, with the call if all that was resolved inside of it was for one."""
        found = dict(self._attributes) | self.steps.cut
        (call,) = self._calls if len(self._calls) == 1 else (None,)
        if call is not None:
            found.setdefault(CALL, call)
        if self._observed:
            found[OBSERVED_SAID] = self._observed
        return found

    def _ship(self, latency_ms: float) -> None:
        one, spans = self.resolved, self.steps.close()
        assignment = None if one is None else one.assignment
        members: dict[str, Any] = {
            "schema": "trace/1",
            "id": self.id,
            "app": self.client.app_name(self._asked) if one is None else one.app,
            "at": self._at,
            "unit": self.unit or (self.id if one is None else one.unit),
            "configuration": None if one is None else one.configuration_id,
            "latency_ms": latency_ms,
            "usage": self.steps.usage or None,
            **self._content(),
            "scores": self._scores or None,
            "application": self.client.application,
            "attributes": named(self._said()),
        }
        if assignment is not None:
            members |= {
                "unit": None if one is None else one.unit,
                "rollout": assignment.rollout_id,
                "stage": assignment.stage,
                "arm": assignment.arm.value,
                "probability": assignment.probability,
            }
        self.client.ship("trace", members, spans)


def _resolved_before(client: Core, app: str | None, unit: str | None) -> Resolved | None:
    """What was resolved right before, if it is meant; it serves one trace."""
    last = LAST.get()
    if last is None:
        return None
    LAST.set(None)
    stated = app is not None or client.app is not None
    if stated and client.app_name(app) != client.app_name(last.app):
        return None
    return last if unit is None or unit == last.unit else None
