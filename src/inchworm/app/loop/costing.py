"""What recorded calls cost, at the prices that their configuration says."""

from __future__ import annotations

from dataclasses import replace

from inchworm.app.house import House
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.trace import Trace
from inchworm.providers.pricing import Price, price_of, priced


class Costs:
    """Adds costs; looks prices up once per configuration.

    Args:
        house: whose configurations they are.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._prices: dict[ConfigurationId, Price | None] = {}

    def __call__(self, trace: Trace) -> Trace:
        """The interaction with its cost; unchanged if it says one, or no price is known."""
        if trace.configuration_id is None or trace.usage.cost_usd is not None:
            return trace
        if trace.configuration_id not in self._prices:
            self._prices[trace.configuration_id] = self._look_up(trace.configuration_id)
        return replace(trace, usage=priced(trace.usage, self._prices[trace.configuration_id]))

    def _look_up(self, configuration_id: ConfigurationId) -> Price | None:
        try:
            return price_of(self._house.control.configuration(configuration_id))
        except (NotFoundError, UsageError):
            return None
