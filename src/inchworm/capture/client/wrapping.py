"""Decorators: each call of a function is an interaction, or a step of one."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from inchworm.capture.client.core import Core
from inchworm.capture.client.plain import text_of
from inchworm.capture.client.spans import Spanning
from inchworm.capture.client.tracing import Tracing
from inchworm.domain.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")
_SELF = frozenset({"self", "cls"})
_Begin = Callable[[dict[str, Any]], Tracing | Spanning]


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

    def begin(given: dict[str, Any]) -> Tracing:
        said = given.pop(unit, None) if unit else None
        inputs = {name: value for name, value in given.items() if name not in ignore}
        return Tracing(client(), app, None if said is None else text_of(said), inputs, None)

    return _decorator(lambda _: begin, "inchworm.trace", (*ignore, *([unit] if unit else [])))


def spanned(
    name: str | None = None, *, kind: str = "other", ignore: Sequence[str] = ()
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that records each call of a function as a step of the trace that is open.

    For functions, plain or ``async``: arguments in, answer out. Outside of a trace the function is called,
    and nothing is recorded.

    Args:
        name: what the step is called; by default as the function.
        kind: as for :func:`inchworm.span`.
        ignore: names of arguments that are not recorded.

    Raises:
        UsageError: for another kind, for a generator, and for arguments that the function does not have.
    """
    Spanning(None, "", kind, None)  # says at once whether the kind is one

    def of(function: Callable[..., Any]) -> _Begin:
        called = function.__name__ if name is None else name

        def begin(given: dict[str, Any]) -> Spanning:
            inputs = {name: value for name, value in given.items() if name not in ignore}
            return Spanning(None, called, kind, inputs)

        return begin

    return _decorator(of, "inchworm.span", ignore)


def _decorator(
    of: Callable[[Callable[..., Any]], _Begin], instead: str, named: Sequence[str]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Wraps functions in what begins with their arguments.

    Args:
        of: says for a function what begins it.
        instead: what to use for functions that cannot be wrapped.
        named: arguments that the function must have.
    """
    import inspect  # noqa: PLC0415  # slow to import, and wanted by decorators alone

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"{function.__qualname__} is a generator, which ends when its reader likes",
                hint=f"record it from inside: with {instead}(...)",
            )
        signature = inspect.signature(function)
        unknown = [name for name in named if name not in signature.parameters]
        if unknown:
            raise UsageError(f"{function.__qualname__} has no argument {unknown[0]!r}")
        begin = of(function)

        def begun(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tracing | Spanning:
            try:
                given = dict(signature.bind(*args, **kwargs).arguments)
            except TypeError:  # the call itself will say it better
                given = {}
            return begin({name: value for name, value in given.items() if name not in _SELF})

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def around(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begun(args, kwargs) as one:
                    answer = await _awaitable(function(*args, **kwargs))
                    one.answered(answer)
                    return answer

            return around  # type: ignore[return-value]  # a coroutine function stays one

        @functools.wraps(function)
        def within(*args: P.args, **kwargs: P.kwargs) -> R:
            with begun(args, kwargs) as one:
                answer = function(*args, **kwargs)
                one.answered(answer)
                return answer

        return within

    return decorate


def _awaitable(value: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = value
    return found
