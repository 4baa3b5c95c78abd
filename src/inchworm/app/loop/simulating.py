"""What a policy would do before anyone is exposed: from what a person asks to the question of the room."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inchworm.domain.errors import InputError, UsageError
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy
from inchworm.rollout.simulate import (
    INCHWORM,
    METHODS,
    Judged,
    Question,
    Rates,
    Shadow,
    Simulated,
    Span,
    Tables,
    bounded,
    declared,
    simulate,
)

__all__ = ["ALL", "Asked", "answer", "question", "told", "values"]

ALL = "all"
"""The method that means every method."""
SEED = 1
ALPHA = 0.05
_LONGEST_DELAY_H = 8_760.0
_DRAWN = 8
"""An outcome that is drawn from values costs as much as so many that are yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person says; what is left out is ``None``.

    Attributes:
        baseline_rate: of yes/no outcomes.
        candidate_rate: the same.
        baseline_mean: of outcomes in [0, 1].
        candidate_mean: the same.
        sd: their standard deviation in either arm.
        baseline_values: outcomes to resample.
        candidate_values: the same.
        metrics: ``NAME:BASE:CANDIDATE[:MARGIN]``, several at once.
        weights: the candidate's share by stage.
        margin: of the last stage; without it nothing expands.
        harm_margin: tolerated loss.
        units_per_hour: traffic.
        icc: correlation within a user.
        units_per_user: units of one user.
        label_delay_h: hours until an outcome is in.
        missing: share of outcomes that never come, ``S`` or ``BASE:CANDIDATE``.
        drift: change of both arms' rates by the end.
        runs: simulated rollouts.
        max_units: where a run ends.
        seed: of the generator.
        alpha: false-rollback budget.
        methods: whose rules; several are put beside each other.
        planned: candidate observations planned for O'Brien and Fleming's boundary.
        shadow: whether both arms answer the same input, unseen.
        discordance: share of the inputs on which they differ.
        policy: the declared policy with its metrics, instead of weights and margins.
    """

    baseline_rate: float | None = None
    candidate_rate: float | None = None
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    sd: float | None = None
    baseline_values: tuple[float, ...] | None = None
    candidate_values: tuple[float, ...] | None = None
    metrics: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    margin: float | None = None
    harm_margin: float = 0.0
    units_per_hour: float | None = None
    icc: float = 0.0
    units_per_user: int = 1
    label_delay_h: float = 0.0
    missing: str = "0"
    drift: float = 0.0
    runs: int = 1_000
    max_units: int = 100_000
    seed: int = SEED
    alpha: float = ALPHA
    methods: tuple[str, ...] = (INCHWORM,)
    planned: int = 300
    shadow: bool = False
    discordance: float | None = None
    policy: tuple[Policy, tuple[Metric, ...]] | None = None


def values(path: Path, field: str | None) -> tuple[float, ...]:
    """Outcomes from a file of JSON lines: numbers in [0, 1], true or false, or objects with ``field``.

    Raises:
        InputError: for the first line that is none of these, or a file without any.
    """
    found: list[float] = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            said = json.loads(line)
        except ValueError as error:
            raise InputError(f"{where}: this is no JSON") from error
        if isinstance(said, dict):
            said = _member(said, field, where)
        if not isinstance(said, bool | int | float) or not 0.0 <= said <= 1.0:
            raise InputError(
                f"{where}: an outcome is true, false or a number from 0 to 1, not {json.dumps(said)[:60]}",
                hint="scale it first, so that 1 is best",
            )
        found.append(float(said))
    if not found:
        raise InputError(f"{path} holds no outcome")
    return tuple(found)


def _member(said: dict[str, Any], field: str | None, where: str) -> Any:
    if field is None:
        names = ", ".join(sorted(said)[:8])
        raise InputError(f"{where}: this is an object", hint=f"say which member: --field NAME (of {names})")
    if field not in said:
        raise InputError(f'{where}: it has no "{field}"')
    return said[field]


def question(asked: Asked) -> Question:
    """What is asked, in the terms of the room.

    Raises:
        UsageError: for what does not go together.
        InputError: for what cannot be simulated.
    """
    if asked.discordance is not None and not asked.shadow:
        raise UsageError("pairs differ, units do not", hint="--discordance goes with --shadow")
    if asked.sd is not None and asked.baseline_mean is None:
        raise UsageError("a standard deviation goes with means", hint="give --baseline-mean too")
    outcomes = _outcomes(asked)
    if asked.policy is not None:
        return _declared(asked, *asked.policy, outcomes)
    weights = asked.weights or (0.5,)
    margins = {name: _margins(margin, len(weights)) for name, (_, margin) in outcomes.items()}
    return Question(
        metrics=tuple(
            Judged(
                name=name,
                outcomes=given,
                harm_margin=asked.harm_margin,
                margins=margins[name],
                weight=1.0 / len(outcomes),
            )
            for name, (given, _) in outcomes.items()
        ),
        stages=tuple(Span(weight=weight) for weight in weights),
        alphas=((Clock.FAST, asked.alpha),),
        shadow=_shadow(asked) if asked.shadow else None,
        **_common(asked),
    )


def _common(asked: Asked) -> dict[str, Any]:
    """What every question has, whatever asks it."""
    if not 0.0 <= asked.label_delay_h <= _LONGEST_DELAY_H:
        raise UsageError(f"--label-delay lies between 0 and {_LONGEST_DELAY_H:,g} hours")
    if asked.label_delay_h and asked.units_per_hour is None:
        raise UsageError(
            "a delay of labels is a time, and says nothing without traffic", hint="give --units-per-hour too"
        )
    if asked.icc and asked.units_per_user == 1:
        raise UsageError(
            "outcomes are alike within a user, and each user brings one unit",
            hint="say how many one brings: --units-per-user goes with --icc",
        )
    return {
        "max_units": asked.max_units,
        "runs": asked.runs,
        "seed": asked.seed,
        "units_per_hour": asked.units_per_hour,
        "icc": asked.icc,
        "units_per_user": asked.units_per_user,
        "delay_units": math.ceil(asked.label_delay_h * (asked.units_per_hour or 0.0)),
        "missing": _missing(asked.missing),
        "drift": asked.drift,
        "planned": asked.planned,
    }


def _declared(
    asked: Asked,
    policy: Policy,
    metrics: tuple[Metric, ...],
    outcomes: dict[str, tuple[Rates | Tables, float | None]],
) -> Question:
    said = asked.weights or asked.margin is not None or asked.shadow or asked.harm_margin
    if said or asked.alpha != ALPHA or any(margin is not None for _, margin in outcomes.values()):
        raise UsageError(
            "the policy says its stages, margins and budget itself",
            hint="leave out --weight, --margin, --harm-margin, --alpha and --shadow",
        )
    given = {name: outcome for name, (outcome, _) in outcomes.items()}
    if list(given) == [_ONLY]:
        gating = [metric.name for metric in metrics if metric.role is not Role.SIGNAL]
        if len(gating) == 1:
            given = {gating[0]: given[_ONLY]}
    common = _common(asked)
    base = declared(
        policy,
        metrics,
        given,
        max_units=common.pop("max_units"),
        runs=common.pop("runs"),
        seed=common.pop("seed"),
        units_per_hour=common.pop("units_per_hour"),
    )
    return replace(base, **common)


_ONLY = "outcome"
"""The name of a metric that was given none."""


def _outcomes(asked: Asked) -> dict[str, tuple[Rates | Tables, float | None]]:
    """Outcomes and margin by metric."""
    ways = {
        "--baseline-rate and --candidate-rate": (asked.baseline_rate, asked.candidate_rate),
        "--baseline-mean and --candidate-mean": (asked.baseline_mean, asked.candidate_mean),
        "--baseline and --candidate": (asked.baseline_values, asked.candidate_values),
    }
    used = [way for way, pair in ways.items() if any(each is not None for each in pair)]
    if len(used) + bool(asked.metrics) != 1:
        every = ", ".join([*ways, "--metric"])
        raise UsageError("say once what the outcomes of both arms are", hint=f"with one of: {every}")
    if asked.metrics:
        found: dict[str, tuple[Rates | Tables, float | None]] = {}
        found.update(_metric(text, asked.margin) for text in asked.metrics)
        if len(found) < len(asked.metrics):
            raise UsageError("two metrics have one name")
        return found
    if any(each is None for each in ways[used[0]]):
        raise UsageError(f"both arms are needed: {used[0]}")
    return {_ONLY: (_single(asked), asked.margin)}


def _single(asked: Asked) -> Rates | Tables:
    if asked.baseline_rate is not None and asked.candidate_rate is not None:
        return Rates(baseline=asked.baseline_rate, candidate=asked.candidate_rate)
    if asked.baseline_mean is not None and asked.candidate_mean is not None:
        if asked.sd is None:
            raise UsageError("means need their standard deviation", hint="give --sd")
        return Tables(
            baseline=bounded(asked.baseline_mean, asked.sd), candidate=bounded(asked.candidate_mean, asked.sd)
        )
    # In the order of the file where the i-th lines belong together; ascending otherwise.
    arms = [
        _array(each, ordered=not asked.shadow) for each in (asked.baseline_values, asked.candidate_values)
    ]
    return Tables(baseline=arms[0], candidate=arms[1])


def _array(given: tuple[float, ...] | None, *, ordered: bool) -> NDArray[np.float64]:
    array = np.array(given, dtype=np.float64)
    return np.sort(array) if ordered else array


def _metric(text: str, margin: float | None) -> tuple[str, tuple[Rates, float | None]]:
    name, *numbers = text.split(":")
    try:
        said = [float(number) for number in numbers]
    except ValueError:
        said = []
    if not name or len(said) not in {2, 3}:
        raise UsageError(
            f'"{text}" is no metric', hint="NAME:BASE:CANDIDATE[:MARGIN], for example solved:0.85:0.77:0.03"
        )
    return name, (Rates(baseline=said[0], candidate=said[1]), said[2] if len(said) > 2 else margin)


def _margins(margin: float | None, stages: int) -> tuple[float | None, ...]:
    """By stage; wider at first, as the default policy has them."""
    if margin is None:
        return (None,) * stages
    factors = (1.0,) if stages == 1 else (2.7, 1.7, *(1.0,) * stages)[:stages]
    if stages > 1:
        factors = (*factors[:-1], 1.0)
    return tuple(min(margin * factor, 1.0) for factor in factors)


def _missing(text: str) -> tuple[float, float]:
    try:
        shares = [float(part) for part in text.split(":")]
    except ValueError:
        shares = []
    if len(shares) not in {1, 2}:
        raise UsageError(f'"{text}" is no share', hint="--missing 0.1, or --missing BASE:CANDIDATE")
    return shares[0], shares[-1]


def _shadow(asked: Asked) -> Shadow:
    if asked.weights:
        raise UsageError("a shadow stage exposes nobody", hint="leave --weight out")
    together = asked.baseline_values is not None
    if together and len(asked.baseline_values or ()) != len(asked.candidate_values or ()):
        raise InputError(
            "pairs need as many lines in both files", hint="line i answers the same input in both"
        )
    return Shadow(discordance=asked.discordance, together=together)


def answer(asked: Asked, *, most_work: int | None = None) -> tuple[Simulated, ...]:
    """Simulate, one result per method.

    Args:
        asked: what a person says.
        most_work: runs times units times metrics times methods that are allowed; the room's own limit counts
            in any case.

    Raises:
        UsageError: for what does not go together.
        InputError: for what cannot be simulated, or costs too much.
    """
    made = question(asked)
    methods = _methods(asked.methods, made)
    each = sum(1 if isinstance(one.outcomes, Rates) else _DRAWN for one in made.metrics)
    work = made.runs * made.max_units * each * len(methods)
    if most_work is not None and work > most_work:
        raise InputError(
            f"this takes {work:,} simulated outcomes, and {most_work:,} are allowed here",
            hint="ask for fewer runs, units or methods, or use the command: inchworm rollout simulate",
        )
    return tuple(simulate(made, method) for method in methods)


def _methods(names: Sequence[str], made: Question) -> tuple[str, ...]:
    if ALL not in names:
        return tuple(dict.fromkeys(names))
    binary = all(isinstance(metric.outcomes, Rates) for metric in made.metrics)
    if made.shadow is not None:
        return (INCHWORM,)
    left_out = set() if binary else {"oracle", "safestats"}
    if len(made.stages) > 1:
        left_out.add("oracle")
    return tuple(method for method in METHODS if method not in left_out)


def told(results: Sequence[Simulated]) -> dict[str, Any]:
    """As JSON has it: one method's members at the top, several as a list."""
    if len(results) == 1:
        return results[0].plain()
    return {"methods": [one.plain() for one in results]}
