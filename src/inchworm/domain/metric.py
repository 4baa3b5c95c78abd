"""Metrics: what is measured, how much loss is acceptable, and what absence means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a metric decides."""

    GOAL = "goal"
    """What the feature is for. Gates like a guardrail; named first."""
    GUARDRAIL = "guardrail"
    """Harm rolls back; expansion waits for it."""
    SIGNAL = "signal"
    """Harm pauses; expansion does not wait for it."""


class Clock(StrEnum):
    """How soon an outcome is known; each clock spends its own share of the error budget."""

    FAST = "fast"
    """Known with the answer: errors, latency, format, cost, code checks."""
    JUDGED = "judged"
    """Known later: judges, people, delayed outcomes."""


class Absence(StrEnum):
    """What a missing outcome means after the maturation window."""

    FAILURE = "failure"
    """It counts as 0, in both arms."""
    VOID = "void"
    """It is no failure; a difference in coverage between the arms voids the metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One entry of an app's registry. Values lie in [0, 1], higher is better.

    Attributes:
        name: as the user calls it.
        source: what computes it: ``{"check": "contains_reference"}``, ``{"builtin": "latency_p95"}``.
        role: what it decides.
        clock: how soon it is known.
        margin: the final non-inferiority margin m > 0, in units of the metric.
        harm_margin: δ_h, the loss beyond which evidence of harm is collected; m/2 unless said otherwise.
        group: what makes units dependent (``unit`` if nothing does).
        absence: what a missing outcome means.
    """

    name: str
    source: dict[str, Any]
    role: Role
    clock: Clock
    margin: float
    harm_margin: float
    group: str = "unit"
    absence: Absence = Absence.FAILURE

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 1:
            msg = f"the margin of {self.name} lies in (0, 1], not {self.margin}"
            raise ValueError(msg)
        if not 0 <= self.harm_margin <= self.margin:
            msg = f"the harm margin of {self.name} lies in [0, {self.margin}], not {self.harm_margin}"
            raise ValueError(msg)
