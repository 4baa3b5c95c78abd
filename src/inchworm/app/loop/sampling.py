"""What is measured on, and how often: said here without the mathematics of measuring."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer

MAIN = "main"
"""The eval set that gates use unless told otherwise."""
_SAMPLES = 3
"""Repetitions where sampling makes answers differ."""


def repetitions(configurations: Sequence[Configuration]) -> int:
    """One sample where answers are deterministic, several where a temperature makes them differ."""
    sampled = any(
        for_call(configuration, call).layer(Layer.PARAMETERS).get("temperature", 1)
        for configuration in configurations
        for call in (None, *call_names(configuration))
    )
    return _SAMPLES if sampled else 1
