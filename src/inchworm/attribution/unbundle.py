"""Taking a bundle apart by experiment: the full factorial of its layers, and who is named.

The mathematics is :func:`inchworm.stats.factorial.unbundle`; here it meets configurations and cases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inchworm.attribution.corners import Cell, corners
from inchworm.attribution.ports import RunTrials
from inchworm.domain.attribution import Attribution, Contribution, Corner
from inchworm.domain.benchmark import Interval, Trial
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotIdentifiableError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, ConfigurationId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Errored, Scored
from inchworm.stats.factorial import BestSubset, TermEffect, Unbundling, best_subset
from inchworm.stats.factorial import unbundle as unbundle_cells

_PASS = 0.5
"""A case passes where its mean over the repetitions is above a half."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def unbundle(
    eval_set: EvalSet,
    base: Configuration,
    candidate: Configuration,
    metric: str,
    run: RunTrials,
    *,
    repetitions: int = 1,
    seed: int = 0,
) -> Attribution:
    """Measure every combination of the layers that moved, and name those that did it.

    Args:
        eval_set: cases, weighted to production.
        base: the configuration before.
        candidate: the configuration with everything moved.
        metric: the metric in question.
        run: answers the cases.
        repetitions: samples per case and cell.
        seed: of the simultaneous intervals.

    Raises:
        UsageError: if nothing moved.
        NotIdentifiableError: if too many layers moved, or too few cases have a score in every cell.
    """
    cells = corners(base, candidate)
    trials = run(eval_set.cases, [cell.configuration for cell in cells], repetitions)
    return attribute(eval_set, cells, metric, trials, seed=seed)


def attribute(
    eval_set: EvalSet, cells: Sequence[Cell], metric: str, trials: Sequence[Trial], *, seed: int
) -> Attribution:
    """The pure half of :func:`unbundle`: from trials to the answer."""
    table, present = cell_table(eval_set.cases, cells, metric, trials)
    weight = np.array([case.weight for case in eval_set.cases], dtype=np.float64)
    groups = np.unique([case.group for case in eval_set.cases], return_inverse=True)[1].astype(np.int64)
    try:
        found = unbundle_cells(table, present=present, weight=weight, group=groups, seed=seed)
        best = best_subset(table, present=present, weight=weight, group=groups, seed=seed)
    except ValueError as error:
        raise NotIdentifiableError(
            f"{metric} cannot be attributed on {eval_set.id}: {error}",
            hint="draw a larger eval set, or choose a metric that its cases can be scored on",
        ) from error
    layers = cells[-1].moved
    corner_list = _corners(cells, found, best)
    shipped = tuple(layers[position] for position in best.best.layers)
    return Attribution(
        app=eval_set.app,
        metric=metric,
        base=cells[0].configuration.id,
        candidate=cells[-1].configuration.id,
        eval_set=eval_set.id,
        layers=layers,
        cases=found.n,
        trials=len(trials),
        errored=sum(isinstance(trial.outcome, Errored) for trial in trials),
        total=_interval(found.total),
        contributions=_contributions(eval_set.cases, layers, found, table, present),
        shapley={layers[term.layers[0]]: _interval(term) for term in found.shapley},
        corners=corner_list,
        ship=next(corner for corner in corner_list if corner.moved == shipped),
    )


def cell_table(
    cases: Sequence[Case], cells: Sequence[Cell], metric: str, trials: Sequence[Trial]
) -> tuple[FloatArray, BoolArray]:
    """Mean score per case and cell, and where there is one; both of shape (cases, cells)."""
    rows = {case.id: position for position, case in enumerate(cases)}
    columns = {cell.configuration.id: position for position, cell in enumerate(cells)}
    scores: defaultdict[tuple[CaseId, ConfigurationId], list[float]] = defaultdict(list)
    for trial in trials:
        result = trial.results.get(metric)
        if isinstance(result, Scored):
            scores[trial.case_id, trial.configuration_id].append(result.value)
    table = np.zeros((len(cases), len(cells)))
    present = np.zeros(table.shape, dtype=np.bool_)
    for (case_id, configuration_id), values in scores.items():
        place = rows[case_id], columns[configuration_id]
        table[place] = sum(values) / len(values)
        present[place] = True
    return table, present


def _contributions(
    cases: Sequence[Case],
    layers: tuple[Layer, ...],
    found: Unbundling,
    table: FloatArray,
    present: BoolArray,
) -> tuple[Contribution, ...]:
    named: Mapping[tuple[int, ...], Interval] = {
        term.layers: Interval(estimate=term.effect, low=term.low, high=term.high) for term in found.named
    }
    listed: list[Contribution] = []
    for term in sorted(found.moebius, key=lambda term: (len(term.layers), term.layers)):
        effect = named.get(term.layers)
        listed.append(
            Contribution(
                layers=tuple(layers[position] for position in term.layers),
                effect=effect if effect is not None else _interval(term),
                named=effect is not None,
                cases=_broken(cases, term, table, present) if effect is not None else (),
            )
        )
    return tuple(listed)


def _broken(
    cases: Sequence[Case], term: TermEffect, table: FloatArray, present: BoolArray
) -> tuple[CaseId, ...]:
    """Cases that pass in every corner below this term and fail in the corner with exactly its layers."""
    mask = sum(1 << position for position in term.layers)
    below = [corner for corner in range(mask) if corner & mask == corner]
    seen = present[:, [*below, mask]].all(axis=1)
    broken = seen & (table[:, below] > _PASS).all(axis=1) & (table[:, mask] <= _PASS)
    return tuple(case.id for case, chosen in zip(cases, broken, strict=True) if chosen)


def _corners(cells: Sequence[Cell], found: Unbundling, best: BestSubset) -> tuple[Corner, ...]:
    layers = cells[-1].moved
    effects = {tuple(layers[position] for position in term.layers): _interval(term) for term in best.corners}
    nothing = Interval(estimate=0.0, low=0.0, high=0.0)
    return tuple(
        Corner(
            moved=cell.moved,
            configuration_id=cell.configuration.id,
            mean=mean,
            effect=effects.get(cell.moved, nothing),
        )
        for cell, mean in zip(cells, found.cell_means, strict=True)
    )


def _interval(term: TermEffect) -> Interval:
    return Interval(estimate=term.effect, low=term.low, high=term.high)
