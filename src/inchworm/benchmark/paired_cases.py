"""One metric of two configurations as arrays: the bridge from trials to ``inchworm.stats``. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from inchworm.benchmark.ports import TrialKey
from inchworm.domain.benchmark import Trial
from inchworm.domain.evalset import Case
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.outcome import Errored, Scored, Unscored
from inchworm.stats.paired import PairedEstimate, compare

_Side: TypeAlias = tuple[NDArray[Any], NDArray[np.bool_]]
"""Values and where there are any."""
RESAMPLES = 10_000
_OWN_STRATUM = 8
"""A cluster with fewer independent cases of one weight has no variance of its own worth using."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedCases:
    """One metric, case by case. Rows are cases, columns are repetitions.

    Attributes:
        cases: the cases that were tried, ordered by id.
        new: values of the candidate, 0 where there is none.
        old: the same for the base.
        new_present: where the candidate has a value.
        old_present: the same for the base.
        trials: trials that were made, both configurations.
        errored: trials without a value because the harness or a judge failed.
        errored_share: the same as a share of a side's trials, of the side where it is larger.
        unscored: cases without a value on one side or both.
        reasons: why trials have no value, most frequent first.
    """

    cases: tuple[Case, ...]
    new: NDArray[np.float64]
    old: NDArray[np.float64]
    new_present: NDArray[np.bool_]
    old_present: NDArray[np.bool_]
    trials: int
    errored: int
    errored_share: float
    unscored: int
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls,
        metric: str,
        cases: Sequence[Case],
        trials: Mapping[TrialKey, Trial],
        *,
        base: ConfigurationId,
        candidate: ConfigurationId,
        repetitions: int,
    ) -> PairedCases:
        """Line the trials up; cases without any trial are left out."""
        sides = (candidate, base)
        tried = sorted(
            (
                case
                for case in cases
                if any((case.id, side, r) in trials for side in sides for r in range(repetitions))
            ),
            key=lambda case: case.id,
        )
        values = np.zeros((2, len(tried), repetitions))
        present = np.zeros(values.shape, dtype=np.bool_)
        made, errored = [0, 0], [0, 0]
        reasons: Counter[str] = Counter()
        for row, case in enumerate(tried):
            for side, configuration in enumerate(sides):
                for repetition in range(repetitions):
                    trial = trials.get((case.id, configuration, repetition))
                    if trial is None:
                        continue
                    made[side] += 1
                    match trial.results.get(metric, Unscored(reason="never scored")):
                        case Scored(value=value):
                            values[side, row, repetition] = value
                            present[side, row, repetition] = True
                        case Unscored(reason=reason):
                            reasons[reason] += 1
                        case Errored(reason=reason):
                            errored[side] += 1
                            reasons[reason] += 1
                        case other:
                            assert_never(other)
        usable = present.any(axis=2).all(axis=0)
        return cls(
            cases=tuple(tried),
            new=values[0],
            old=values[1],
            new_present=present[0],
            old_present=present[1],
            trials=sum(made),
            errored=sum(errored),
            errored_share=max(bad / max(all_, 1) for bad, all_ in zip(errored, made, strict=True)),
            unscored=int((~usable).sum()),
            reasons=tuple(sorted(reasons, key=lambda reason: (-reasons[reason], reason))),
        )

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which cases have a value on both sides."""
        both = self.new_present.any(axis=1) & self.old_present.any(axis=1)
        return np.asarray(both, dtype=np.bool_)

    def difference(self) -> NDArray[np.float64]:
        """Candidate minus base per case, mean over repetitions; meaningful where :attr:`usable`."""
        sides = [
            np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
            for values, present in ((self.new, self.new_present), (self.old, self.old_present))
        ]
        return np.asarray(np.round(sides[0] - sides[1], 12), dtype=np.float64)

    def weights(self) -> NDArray[np.float64]:
        """How many interactions each case stands for."""
        return np.array([case.weight for case in self.cases], dtype=np.float64)

    def only(self, rows: Iterable[int]) -> PairedCases:
        """Some of the cases; the counts of trials stay those of all."""
        kept = list(rows)
        return PairedCases(
            cases=tuple(self.cases[row] for row in kept),
            new=self.new[kept],
            old=self.old[kept],
            new_present=self.new_present[kept],
            old_present=self.old_present[kept],
            trials=self.trials,
            errored=self.errored,
            errored_share=self.errored_share,
            unscored=self.unscored,
            reasons=self.reasons,
        )

    def clusters(self) -> dict[str, list[int]]:
        """Rows of the usable cases by cluster."""
        rows: dict[str, list[int]] = {}
        for row in np.flatnonzero(self.usable):
            rows.setdefault(self.cases[row].cluster, []).append(int(row))
        return rows

    def groups(self) -> int:
        """Independent groups among the usable cases."""
        return len({self.cases[row].group for row in np.flatnonzero(self.usable)})

    def estimate(self, *, confidence: float = 0.95, seed: int = 0) -> PairedEstimate | None:
        """The weighted difference with its interval; ``None`` with fewer than two independent cases."""
        if self.groups() < 2:
            return None
        return self._compare(
            (self.new, self.new_present), (self.old, self.old_present), confidence=confidence, seed=seed
        )

    def coverage(self, *, seed: int = 0) -> PairedEstimate | None:
        """The difference in how many trials have a value; ``None`` if there is none at all to see."""
        new = self.new_present.mean(axis=1)
        old = self.old_present.mean(axis=1)
        if len({case.group for case in self.cases}) < 2 or np.array_equal(new, old):
            return None
        every = np.ones(new.shape, dtype=np.bool_)
        return self._compare((new, every), (old, every), confidence=0.95, seed=seed)

    def _compare(self, new: _Side, old: _Side, *, confidence: float, seed: int) -> PairedEstimate:
        stratum, weight = self._strata()
        if weight is not None:
            # Observed twice, so that the exact methods for equally weighted binary cases, which know no
            # weights, are not taken; means and standard errors are the same.
            new, old = _twice(new), _twice(old)
        codes = {name: code for code, name in enumerate(sorted({case.group for case in self.cases}))}
        return compare(
            new[0],
            old[0],
            new_present=new[1],
            old_present=old[1],
            stratum=stratum,
            weight=weight,
            group=np.array([codes[case.group] for case in self.cases], dtype=np.int64),
            confidence=confidence,
            resamples=max(RESAMPLES, math.ceil(20 / (1 - confidence))),
            seed=seed,
        )

    def _strata(self) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
        """Strata such that the estimate is Σ w·d / Σ w; ``None`` if all cases weigh the same.

        Cases of one cluster and one weight are a stratum if they are many enough. Every other case is a
        stratum of its own; ``compare`` joins such strata into one and keeps their weights.
        """
        weights = self.weights()
        if np.allclose(weights, weights[0], rtol=1e-9):
            return None, None
        kinds: dict[tuple[str, str], list[int]] = {}
        for row, case in enumerate(self.cases):
            kinds.setdefault((case.cluster, f"{case.weight:.9g}"), []).append(row)
        usable = self.usable
        stratum = np.empty(len(self.cases), dtype=np.int64)
        shares: list[float] = []
        for _, rows in sorted(kinds.items()):
            groups = {self.cases[row].group for row in rows if usable[row]}
            for part in [rows] if len(groups) >= _OWN_STRATUM else [[row] for row in rows]:
                stratum[part] = len(shares)
                shares.append(float(weights[part].sum()))
        return stratum, np.array(shares)


def _twice(side: _Side) -> _Side:
    values, present = (part[:, None] if part.ndim == 1 else part for part in side)
    if values.shape[1] > 1:
        return values, present
    return np.repeat(values, 2, axis=1), np.repeat(present, 2, axis=1)
