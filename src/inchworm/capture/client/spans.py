"""The steps of an interaction: a search, a re-ranking, a call of a tool; shipped with it, as its spans."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from itertools import count
from types import TracebackType
from typing import Any, Protocol, Self

from inchworm.capture.client.core import OPEN, Core
from inchworm.capture.client.plain import named, text_of, written
from inchworm.capture.client.work import Work
from inchworm.domain.errors import UsageError

MOST = 500
"""Steps of one interaction that are recorded."""
ROOM = 4 << 20
"""Characters of all of them together; beyond it a step is recorded without its content."""
KINDS = (
    *("llm", "embedding", "tool", "retriever", "reranker", "agent", "chain", "guardrail", "evaluator"),
    *("event", "trace", "other"),
)
"""What a step may be, as :class:`inchworm.domain.span.SpanKind` has it, which is not loaded for it."""
LEFT_OUT, EMPTIED = "inchworm.spans_left_out", "inchworm.spans_emptied"
"""Attributes of an interaction with more steps than there is room for."""
_CONTENT = ("inputs", "output", "attributes")
_LONGEST_NAME = 200


class Whole(Protocol):
    """The interaction that a step belongs to."""

    client: Core
    steps: Steps


class Steps:
    """The steps of one interaction, each written down when it ends.

    Threads may share it. It has no lock, which a fork would copy as it is: what must not go wrong is done by
    single operations of lists and dictionaries.
    """

    __slots__ = ("_client", "_closed", "_number", "_open", "_room", "_used", "_written", "cut")

    def __init__(self, client: Core) -> None:
        self._client = client
        self._number = count(1)
        self._open: dict[str, Spanning] = {}
        self._written: list[str] = []
        self._used: list[dict[str, float]] = []
        self._room, self._closed = ROOM, False
        self.cut: dict[str, int] = {}
        """How many there was no room for, by the attribute that says so."""

    @property
    def usage(self) -> dict[str, float]:
        """Tokens and cost of those that ended."""
        found: dict[str, float] = {}
        for used in self._used:
            for name, value in used.items():
                found[name] = found.get(name, 0) + value
        return found

    def begin(self, one: Spanning) -> None:
        """A step begins, and is recorded if there is room."""
        if self._closed or next(self._number) > MOST:
            self._cut(LEFT_OUT)
        else:
            self._open[one.id] = one

    def end(self, one: Spanning, ended_after_ms: float | None) -> None:
        """It ended, or the interaction did before it."""
        if self._open.pop(one.id, None) is None:
            return
        members = one.said(ended_after_ms)
        text = written(members)
        if len(text) > self._room:
            self._cut(EMPTIED)
            text = written({name: value for name, value in members.items() if name not in _CONTENT})
        self._room -= len(text)
        self._written.append(text)
        self._used.append(members.get("usage", {}))

    def close(self) -> list[str]:
        """All of them, as JSON; what is open yet is recorded without an end."""
        self._closed = True
        for one in list(self._open.values()):
            self.end(one, None)
        return self._written.copy()

    def _cut(self, how: str) -> None:
        self.cut[how] = self.cut.get(how, 0) + 1
        self._client.went_short()


class Spanning(Work):
    """A step of an interaction: a context manager, plain or asynchronous.

    It belongs to the trace that is open when it begins, and to the step that is open in it. Outside of a
    trace nothing is recorded. An exception is recorded as errored and goes on its way.
    """

    __slots__ = ("_asked", "_at", "_began", "_parent", "_token", "_whole", "id", "kind", "model", "name")

    def __init__(self, whole: Whole | None, name: str, kind: str, inputs: Any) -> None:
        super().__init__(inputs)
        if type(kind) is not str or kind not in KINDS:
            said = f'"{kind}"' if type(kind) is str else f"a {type(kind).__name__}"
            raise UsageError(f"the kind of a step is {said}", hint=f"it is one of {', '.join(KINDS)}")
        self._asked = self._whole = whole
        self.name = text_of(name)[:_LONGEST_NAME]
        """What it is called."""
        self.kind = kind
        """What is done: ``retriever``, ``tool``, ``llm``, ..."""
        self.model: str | None = None
        """The model that answered, if one did."""
        self.id = ""
        """Its id, unique within the trace; from the moment that it begins."""
        self._parent: str | None = None
        self._at = self._began = 0.0
        self._token: Token[Spanning | None] | None = None

    @property
    def trace(self) -> Whole | None:
        """The trace that it belongs to, once it has begun."""
        return self._whole

    def __enter__(self) -> Self:
        one: Any = OPEN.get() if self._asked is None else self._asked
        self._whole = one
        self.id = os.urandom(8).hex()
        outer = SPAN.get()
        self._parent = outer.id if outer is not None and outer.trace is one else None
        self._at, self._began = time.time(), time.perf_counter()
        self._token = SPAN.set(self)
        if self._whole is not None:
            self._whole.steps.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took_ms = (time.perf_counter() - self._began) * 1000
        if self._token is not None:
            if SPAN.get() is self:
                SPAN.set(self._token.old_value if self._token.old_value is not Token.MISSING else None)
            self._token = None
        one = self._whole
        if one is not None:
            with one.client.quietly:
                self._raised(kind, error)
                one.steps.end(self, took_ms)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def said(self, ended_after_ms: float | None) -> dict[str, Any]:
        """What is recorded of it, plain; without an end, nothing is known of what became of it."""
        found: dict[str, Any] = {
            "id": self.id,
            "parent": self._parent,
            "name": self.name,
            "kind": self.kind,
            "at": self._at,
            "latency_ms": ended_after_ms,
            "model": None if self.model is None else text_of(self.model),
            **self._content(),
            "attributes": named(self._attributes),
        }
        if ended_after_ms is None and self._outcome["is"] == "ok":
            found["outcome"] = None
        return {name: value for name, value in found.items() if value is not None}


SPAN: ContextVar[Spanning | None] = ContextVar("inchworm.span", default=None)
"""The innermost step that is open."""


def span(name: str, *, kind: str = "other", inputs: Mapping[str, Any] | None = None) -> Spanning:
    """A step of the trace that is open: ``with inchworm.span("search", kind="retriever") as s: ...``.

    Outside of a trace nothing is recorded.

    Args:
        name: what it is called.
        kind: what is done: ``llm``, ``embedding``, ``tool``, ``retriever``, ``reranker``, ``agent``,
            ``chain``, ``guardrail``, ``evaluator``, ``event`` or ``other``.
        inputs: what went in, by names.

    Raises:
        UsageError: for another kind, and for inputs that are no mapping.
    """
    return Spanning(None, name, kind, inputs)
