"""How long what was captured is kept, as ``inchworm.yaml`` writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from inchworm.app.config.layers import Keys
from inchworm.app.config.problems import KeyPath
from inchworm.app.config.scalars import Duration

_LEAST_S: Final = 3_600.0
"""It is looked once an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what was captured is kept, in seconds; ``None`` is for ever.

    Attributes:
        payloads_s: what was asked and answered; the numbers of an interaction stay.
        traces_s: whole interactions, with their scores and spans.
        quarantine_s: what could not be taken in.
    """

    payloads_s: float | None = None
    traces_s: float | None = None
    quarantine_s: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether anything is ever deleted for its age."""
        return any(age is not None for age in (self.payloads_s, self.traces_s, self.quarantine_s))


class RetentionEntry(Keys):
    """How long what was captured is kept."""

    payloads: Duration | None = Field(
        default=None,
        description="What was asked and answered, as in 30d; the numbers of an interaction stay. For ever if "
        "left out.",
    )
    traces: Duration | None = Field(
        default=None,
        description="Whole interactions with their scores, as in 400d; those that a rollout needs stay as "
        "long as it does. For ever if left out.",
    )
    quarantine: Duration | None = Field(
        default=None, description="What could not be taken in, as in 14d. For ever if left out."
    )

    def value(self, wrong: Callable[[KeyPath, str], None]) -> Retention:
        """The value that the rest of Inchworm works with; what is wrong is told."""
        for name, age in (
            ("payloads", self.payloads),
            ("traces", self.traces),
            ("quarantine", self.quarantine),
        ):
            if age is not None and age < _LEAST_S:
                wrong(("retention", name), "is less than 1h, and nothing is deleted more often")
        if self.payloads is not None and self.traces is not None and self.payloads > self.traces:
            wrong(("retention", "payloads"), "is longer than traces, which go with what they hold")
        return Retention(payloads_s=self.payloads, traces_s=self.traces, quarantine_s=self.quarantine)
