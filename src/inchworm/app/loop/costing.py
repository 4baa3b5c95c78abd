"""What recorded calls cost, at the prices that their configuration says.

A provider bills less for input that it has read before, and a candidate with a twentieth of the traffic finds
less of it there for no other reason than its share. So arms are compared as if nothing was cached: where a
price is known a call costs what its tokens cost at full price, whatever was billed. What was billed is kept
beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inchworm.app.house import House
from inchworm.domain.calls import for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.trace import Trace
from inchworm.providers.pricing import Price, cost, price_of, priced

_REMEMBERED = 10_000


BILLED = "inchworm.billed_usd"
"""The attribute that says what an interaction's source said it cost, where it said something else."""


class Costs:
    """Adds costs; looks prices up once per configuration and call.

    Args:
        house: whose configurations they are.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._prices: dict[tuple[ConfigurationId, str | None], Price | None] = {}

    def __call__(self, trace: Trace) -> Trace:
        """The interaction with its cost at full price; unchanged where no price is known."""
        if trace.configuration_id is None:
            return trace
        key = (trace.configuration_id, trace.call)
        if key not in self._prices:
            if len(self._prices) >= _REMEMBERED:  # whoever calls may name calls as they like
                self._prices.clear()
            self._prices[key] = self._look_up(*key)
        billed, usage = trace.usage.cost_usd, priced(trace.usage, self._prices[key])
        if billed is None or billed == usage.cost_usd:
            return replace(trace, usage=usage)
        return replace(trace, usage=usage, attributes={**trace.attributes, BILLED: billed})

    def _look_up(self, configuration_id: ConfigurationId, call: str | None) -> Price | None:
        try:
            return price_of(for_call(self._house.control.configuration(configuration_id), call))
        except (NotFoundError, UsageError):
            return None


def mean_cost(traces: Sequence[Trace], configuration: Configuration) -> float | None:
    """What a call of ``configuration`` costs at the lengths of these interactions, in US dollars.

    ``None`` if nobody said its price, or no interaction says its tokens.
    """
    price = price_of(configuration)
    said = [one for trace in traces if (one := cost(trace.usage, price)) is not None]
    return sum(said) / len(said) if said else None
