"""What an answer costs, from prices that the user gave. An unknown price is no price: never 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.layers import Layer
from inchworm.domain.trace import Usage

_MILLION = 1_000_000
_KEYS = ("input", "output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens.

    Attributes:
        input: of tokens read.
        output: of tokens written.
    """

    input: float
    output: float

    @classmethod
    def parse(cls, value: Any) -> Price:
        """Read ``{"input": 2.5, "output": 10}``.

        Raises:
            UsageError: for other keys, and for anything but numbers >= 0.
        """
        if not isinstance(value, Mapping) or set(value) != set(_KEYS):
            msg = f"a price is {{input: .., output: ..}} in US dollars per million tokens, not {value!r}"
            raise UsageError(msg)
        numbers: list[float] = []
        for key in _KEYS:
            number = value[key]
            if isinstance(number, bool) or not isinstance(number, int | float):
                msg = f"the {key} price is a number of US dollars per million tokens, not {number!r}"
                raise UsageError(msg)
            if not (math.isfinite(number) and number >= 0):
                msg = f"the {key} price is at least 0, not {number!r}"
                raise UsageError(msg)
            numbers.append(float(number))
        return cls(input=numbers[0], output=numbers[1])


def price_of(configuration: Configuration, table: Mapping[str, Price] | None = None) -> Price | None:
    """The price that a configuration's answers have, or ``None`` if nobody said.

    Looked up in this order: ``price`` in the infrastructure layer, ``price`` in the model layer, the
    model's name in ``table``.

    Raises:
        UsageError: if a layer's ``price`` is malformed.
    """
    target = configuration.layer(Layer.MODEL)
    for values in (configuration.layer(Layer.INFRASTRUCTURE), target):
        if "price" in values:
            return Price.parse(values["price"])
    return (table or {}).get(str(target.get("name")))


def cost(usage: Usage, price: Price | None) -> float | None:
    """US dollars for ``usage``, or ``None`` if a price or a count of tokens is not known."""
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return (usage.input_tokens * price.input + usage.output_tokens * price.output) / _MILLION


def priced(usage: Usage, price: Price | None) -> Usage:
    """``usage`` with its cost at ``price``; a cost that the source said stays if there is no price."""
    value = cost(usage, price)
    return usage if value is None else replace(usage, cost_usd=value)
