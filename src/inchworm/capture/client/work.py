"""What an interaction and a step of it have in common: what went in, what came out, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.client.plain import named, number_of, text_of
from inchworm.domain.errors import UsageError

_REASON = 500
_AMOUNTS = ("input_tokens", "output_tokens", "cost_usd")


class Work:
    """Something that is done, while it is done."""

    __slots__ = ("_attributes", "_outcome", "_output", "_usage", "finish_reason", "inputs")

    def __init__(self, inputs: Any) -> None:
        if inputs is not None and not issubclass(type(inputs), Mapping):
            raise UsageError(f"inputs are a mapping of names to values, not {type(inputs).__name__}")
        self.inputs: dict[str, Any] = {} if inputs is None else _copied(inputs)
        """What was asked; add to it as it becomes known: ``t.inputs["documents"] = [...]``."""
        self.finish_reason: str | None = None
        """The provider's word for why the answer ended."""
        self._output: str | None = None
        self._usage: dict[str, float] = {}
        self._attributes: dict[Any, Any] = {}
        self._outcome: dict[str, str] = {"is": "ok"}

    def output(self, value: object) -> None:
        """What came out: a text, or anything that JSON can say."""
        self._output = text_of(value)

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Tokens and US dollars; several calls add up.

        Raises:
            UsageError: if one of them is no number from 0 on.
        """
        given = zip(_AMOUNTS, (input_tokens, output_tokens, cost_usd), strict=True)
        for name, value in [(name, _amount(name, value)) for name, value in given if value is not None]:
            self._usage[name] = self._usage.get(name, 0) + value

    def attribute(self, name: str, value: object) -> None:
        """Something else that is worth knowing."""
        self._attributes[text_of(name)] = value

    def failed(self, reason: str) -> None:
        """It is no use, and the configuration is to blame (a deadline, a refusal)."""
        self._outcome = {"is": "failed", "reason": text_of(reason)[:_REASON]}

    def errored(self, reason: str) -> None:
        """Something went wrong that says nothing of the configuration."""
        self._outcome = {"is": "errored", "reason": text_of(reason)[:_REASON]}

    def answered(self, value: object) -> None:
        """A function's answer, unless it said its output itself."""
        if self._output is None and value is not None:
            self.output(value)

    def _raised(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        """An exception left it; what was said of it before counts more."""
        if kind is not None and self._outcome["is"] == "ok" and not issubclass(kind, GeneratorExit):
            self.errored(_reason(kind, error))

    def _content(self) -> dict[str, Any]:
        """What is recorded of it, without what is ``None``."""
        said = {
            "inputs": named(self.inputs),
            "output": self._output,
            "outcome": self._outcome,
            "finish_reason": None if self.finish_reason is None else text_of(self.finish_reason),
            "usage": self._usage or None,
        }
        return {name: value for name, value in said.items() if value is not None}


def _copied(inputs: Mapping[Any, Any]) -> dict[Any, Any]:
    if type(inputs) is dict:
        return inputs.copy()
    found = named(inputs)  # a mapping of the host's own may do anything when it is read
    return {} if found is None else found


def _amount(name: str, value: object) -> float:
    number = number_of(value)
    if number is None or number < 0:
        said = f"a {type(value).__name__}" if number is None else repr(number)
        raise UsageError(f"{name} is {said}; it is a number from 0 on")
    return number


def _reason(kind: type[BaseException], error: BaseException | None) -> str:
    if kind.__name__ == "CancelledError":  # asyncio's, or a task group's of another library
        return "cancelled"
    # Only texts: str() of a foreign exception may do anything.
    args = () if error is None else BaseException.args.__get__(error)  # type: ignore[attr-defined]  # a descriptor
    said = "; ".join(str.__str__(one) for one in args if issubclass(type(one), str))
    return f"{kind.__name__}: {said}" if said else kind.__name__
