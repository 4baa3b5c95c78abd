"""One handled interaction, from the inside of the program that handles it."""

from __future__ import annotations

import functools
import inspect
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Token
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from inchworm.capture.attributes import to_header
from inchworm.capture.client.core import LAST, OPEN, Core, Open
from inchworm.capture.client.plain import plain, written
from inchworm.capture.client.resolved import Resolved
from inchworm.capture.headers import APP, APPLICATION, OBSERVED, UNIT
from inchworm.capture.stated import OBSERVED_SAID, observed_of
from inchworm.domain.errors import UsageError
from inchworm.domain.trace import CALL

P = ParamSpec("P")
R = TypeVar("R")
_REASON = 500
_SELF = frozenset({"self", "cls"})


class Tracing:
    """An interaction that is being recorded: a context manager, plain or asynchronous.

    What ``resolve`` answers inside of it (or right before, for the same app and unit) is what it is recorded
    under. An exception is recorded as errored and goes on its way.
    """

    __slots__ = (
        *("_asked", "_at", "_attributes", "_began", "_calls", "_observed", "_outcome", "_output", "_scores"),
        *("_token", "_usage"),
        *("app", "client", "finish_reason", "id", "inputs", "resolved", "unit"),
    )

    def __init__(
        self,
        client: Core,
        app: str | None,
        unit: Any,
        inputs: Any,
        resolved: Resolved | None,
    ) -> None:
        if unit is not None and not isinstance(unit, str):
            raise UsageError(f"a unit is a text, not {type(unit).__name__}", hint="e.g. unit=str(session_id)")
        if inputs is not None and not isinstance(inputs, Mapping):
            raise UsageError(f"inputs are a mapping of names to values, not {type(inputs).__name__}")
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
        self.id: str = uuid.uuid4().hex
        """The trace's id, for :func:`inchworm.feedback`."""
        self.inputs: dict[str, Any] = dict(inputs or {})
        """What was asked; add to it as it becomes known: ``t.inputs["documents"] = [...]``."""
        self.finish_reason: str | None = None
        """The provider's word for why the answer ended."""
        self._output: str | None = None
        self._usage: dict[str, float] = {}
        self._scores: list[dict[str, Any]] = []
        self._attributes: dict[str, Any] = {}
        self._observed: dict[str, str] = {}
        self._calls: set[str | None] = set() if resolved is None else {resolved.call}
        self._outcome: dict[str, str] = {"is": "ok"}
        self._at = self._began = 0.0
        self._token: Token[Open | None] | None = None

    def output(self, value: object) -> None:
        """What was answered: a text, or anything that JSON can say."""
        self._output = _text(value)

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Tokens and US dollars; several calls add up."""
        for name, value in (
            ("input_tokens", input_tokens),
            ("output_tokens", output_tokens),
            ("cost_usd", cost_usd),
        ):
            if value is not None:
                if not math.isfinite(value) or value < 0:
                    raise UsageError(f"{name} is {value!r}; it is a number from 0 on")
                self._usage[name] = self._usage.get(name, 0) + value

    def score(self, metric: str, value: float, *, source: str = "app") -> None:
        """A score in [0, 1] that the program itself gives; ``True`` and ``False`` are 1 and 0.

        Raises:
            UsageError: if it is no such score.
        """
        self._scores.append({"metric": metric, "value": checked_score(metric, value), "source": source})

    def attribute(self, name: str, value: object) -> None:
        """Something else that is worth knowing."""
        self._attributes[name] = value

    def observed(self, name: str, value: str) -> None:
        """What a floating reference stands for now, e.g. ``observed("index", "faq-2026-11-02")``.

        It is kept with the interaction, and a change of it is entered in the ledger.

        Raises:
            UsageError: if the name is no plain one, or the value no printable text.
        """
        if not (read := observed_of({name: value})):
            raise UsageError(
                f"{name!r} and {value!r} are no reference and its value",
                hint='e.g. observed("index", "faq-2026-11-02")',
            )
        self._observed |= read

    def failed(self, reason: str) -> None:
        """The answer is no use, and the configuration is to blame (a deadline, a refusal): it counts as 0."""
        self._outcome = {"is": "failed", "reason": str(reason)[:_REASON]}

    def errored(self, reason: str) -> None:
        """Something went wrong that says nothing of the configuration."""
        self._outcome = {"is": "errored", "reason": str(reason)[:_REASON]}

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
        if kind is not None and self._outcome["is"] == "ok" and not issubclass(kind, GeneratorExit):
            self.errored(_reason(kind, error))
        self._ship(latency_ms)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _said(self) -> dict[str, Any]:
        """The attributes, with the call if all that was resolved inside of it was for one."""
        found = dict(self._attributes)
        (call,) = self._calls if len(self._calls) == 1 else (None,)
        if call is not None:
            found.setdefault(CALL, call)
        if self._observed:
            found[OBSERVED_SAID] = self._observed
        return found

    def _ship(self, latency_ms: float) -> None:
        one = self.resolved
        assignment = None if one is None else one.assignment
        members: dict[str, Any] = {
            "schema": "trace/1",
            "id": self.id,
            "app": self.client.app_name(self._asked) if one is None else one.app,
            "at": self._at,
            "unit": self.unit or (self.id if one is None else one.unit),
            "configuration": None if one is None else one.configuration_id,
            "inputs": self.inputs or None,
            "output": self._output,
            "outcome": self._outcome,
            "finish_reason": self.finish_reason,
            "latency_ms": latency_ms,
            "usage": self._usage or None,
            "scores": self._scores or None,
            "application": self.client.application,
            "attributes": self._said() or None,
        }
        if assignment is not None:
            members |= {
                "unit": None if one is None else one.unit,
                "rollout": assignment.rollout_id,
                "stage": assignment.stage,
                "arm": assignment.arm.value,
                "probability": assignment.probability,
            }
        self.client.ship("trace", members)


def traced(
    client: Callable[[], Core], app: str | None = None, *, unit: str | None = None, ignore: Sequence[str] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """See :meth:`inchworm.Client.traced`.

    Args:
        client: gives who ships it, at each call.
        app: as for :meth:`inchworm.Client.trace`.
        unit: name of the argument that is the session or user; it is no input.
        ignore: names of arguments that are not recorded.

    Raises:
        UsageError: for a generator, and for arguments that the function does not have.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"{function.__qualname__} is a generator, which ends when its reader likes",
                hint="record it from inside: with inchworm.trace(...) as t",
            )
        signature = inspect.signature(function)
        unknown = [name for name in (*ignore, *([unit] if unit else [])) if name not in signature.parameters]
        if unknown:
            raise UsageError(f"{function.__qualname__} has no argument {unknown[0]!r}")

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tracing:
            try:
                given = dict(signature.bind(*args, **kwargs).arguments)
            except TypeError:  # the call itself will say it better
                given = {}
            whose = given.pop(unit, None) if unit else None
            inputs = {n: v for n, v in given.items() if n not in ignore and n not in _SELF}
            return Tracing(client(), app, None if whose is None else _text(whose), inputs, None)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def around(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin(args, kwargs) as one:
                    answer = await _awaitable(function(*args, **kwargs))
                    _say(one, answer)
                    return answer

            return around  # type: ignore[return-value]  # a coroutine function stays one

        @functools.wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> R:
            with begin(args, kwargs) as one:
                answer = function(*args, **kwargs)
                _say(one, answer)
                return answer

        return within

    return decorate


def feedback(
    client: Core,
    trace: Any,
    name: str,
    value: float,
    *,
    source: str = "user",
    app: str | None = None,
) -> None:
    """See :meth:`inchworm.Client.feedback`.

    Raises:
        UsageError: if no app is named, or the value is no score.
    """
    if not isinstance(trace, Tracing) and not (isinstance(trace, str) and trace):
        raise UsageError(f"feedback names a trace or its id, not {trace!r}")
    known = trace.app if isinstance(trace, Tracing) else None
    client.ship(
        "score",
        {
            "app": client.app_name(known if app is None else app),
            "trace": trace.id if isinstance(trace, Tracing) else trace,
            "metric": name,
            "value": checked_score(name, value),
            "source": source,
            "at": time.time(),
        },
    )


def checked_score(name: object, value: object) -> float:
    """A score's value.

    Raises:
        UsageError: if it is no number in [0, 1], or the metric has no name.
    """
    if not isinstance(name, str) or not name:
        raise UsageError(f"a metric is named by a text, not {name!r}")
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(f"a score lies in [0, 1], and {name} is {value!r}")
    return float(value)


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


def _say(one: Tracing, answer: object) -> None:
    if one._output is None and answer is not None:  # noqa: SLF001  # the same module
        one.output(answer)


def _awaitable(value: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = value
    return found


def _reason(kind: type[BaseException], error: BaseException | None) -> str:
    if kind.__name__ == "CancelledError":  # asyncio's, or a task group's of another library
        return "cancelled"
    # Only texts: str() of a foreign exception may do anything.
    said = "; ".join(one for one in (() if error is None else error.args) if isinstance(one, str))
    return f"{kind.__name__}: {said}" if said else kind.__name__


def _text(value: object) -> str:
    said = plain(value)
    return said if isinstance(said, str) else written(said)
