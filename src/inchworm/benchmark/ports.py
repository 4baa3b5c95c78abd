"""What this room needs of others; wired in ``app``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from inchworm.domain.benchmark import Trial
from inchworm.domain.ids import CaseId, ConfigurationId

TrialKey = tuple[CaseId, ConfigurationId, int]
"""Case, configuration and repetition: what identifies a trial."""


class TrialCache(Protocol):
    """Trials that were made before. Errored trials are never cached."""

    def trials(
        self, case_ids: Collection[CaseId], configuration_ids: Collection[ConfigurationId]
    ) -> Mapping[TrialKey, Trial]:
        """All cached trials of these cases under these configurations."""
        ...

    def put_trials(self, trials: Sequence[Trial]) -> None:
        """Keep trials; one that is there already stays or is replaced by its equal."""
        ...
