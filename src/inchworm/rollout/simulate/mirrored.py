"""What a shadow stage would do: paired evidence, and nobody exposed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inchworm.domain.errors import InputError
from inchworm.rollout.simulate.question import Question, Rates, Shadow, Tables
from inchworm.rollout.simulate.result import EXPANDED, HELD, ROLLED_BACK, Ends
from inchworm.stats.pairs import Design
from inchworm.stats.parallel_pairs import Draw, decisions, ternary

__all__ = ["play"]

FloatArray = NDArray[np.float64]


def play(question: Question) -> Ends:
    """Simulate all runs of a shadow stage of one metric; units are pairs.

    Raises:
        InputError: with several metrics or stages, or differences that cannot be.
    """
    shadow = question.shadow if question.shadow is not None else Shadow()
    if len(question.metrics) > 1 or len(question.stages) > 1:
        raise InputError("a shadow stage is simulated for one metric and one stage")
    if question.icc or any(question.missing) or question.drift:
        raise InputError("pairs are simulated independent, complete and without drift")
    metric = question.metrics[0]
    rng = np.random.default_rng(question.seed)
    margins = tuple(margin for margin in metric.margins if margin is not None)
    found = decisions(
        Design(delta_harm=metric.harm_margin, margins=margins),
        _draw(metric.outcomes, shadow, rng),
        runs=question.runs,
        max_pairs=question.max_units,
        alpha_harm=question.alpha,
        alpha_expand=question.alpha_expand,
    )
    units = np.minimum(np.minimum(found.harm, found.expand), float(question.max_units))
    kind = np.where(np.isfinite(found.harm), ROLLED_BACK, np.where(np.isfinite(found.expand), EXPANDED, HELD))
    return Ends(
        kind=kind.astype(np.int64),
        units=units,
        candidates=np.zeros(question.runs),
        stage=np.zeros(question.runs, dtype=np.int64),
    )


def _draw(outcomes: Rates | Tables, shadow: Shadow, rng: np.random.Generator) -> Draw:
    match outcomes:
        case Rates(baseline=before, candidate=after):
            independent = before * (1.0 - after) + after * (1.0 - before)
            share = independent if shadow.discordance is None else shadow.discordance
            lowest = abs(after - before)
            if not lowest - 1e-12 <= share <= min(before + after, 2.0 - before - after) + 1e-12:
                msg = f"with these rates between {lowest:.3g} and "
                msg += f"{min(before + after, 2.0 - before - after):.3g} of the inputs differ, not {share:g}"
                raise InputError(msg, hint="see: --discordance")
            return ternary(rng, discordance=max(share, lowest), effect=after - before)
        case Tables(baseline=old, candidate=new):

            def draw(runs: int, pairs: int) -> FloatArray:
                first = rng.integers(0, old.size, (runs, pairs))
                second = first if shadow.together else rng.integers(0, new.size, (runs, pairs))
                drawn: FloatArray = new[second] - old[first]
                return drawn

            return draw
