"""What this room needs from another step's orchestration, in domain types. Wired in ``app``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inchworm.domain.benchmark import Trial
from inchworm.domain.configuration import Configuration
from inchworm.domain.evalset import Case


class RunTrials(Protocol):
    """Answers every case under every configuration; ``benchmark.replay`` does it."""

    def __call__(
        self, cases: Sequence[Case], configurations: Sequence[Configuration], repetitions: int, /
    ) -> Sequence[Trial]:
        """One trial per case, configuration and repetition, from a cache where there is one."""
        ...
