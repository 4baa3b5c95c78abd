"""Taking a change apart: one layer per step, in an order in which every intermediate can run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import permutations

from inchworm.domain.canonical import digest
from inchworm.domain.change import Change, Plan, Step, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import PlanId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.rollout.validate import VALIDATORS, Known, Problem, validate

Check = Callable[[Configuration], Sequence[Problem]]
After = Mapping[Layer, Collection[Layer]]


def take_apart(change: Change, known: Known, after: After | None = None) -> Plan:
    """The plan for ``change``: its layers as steps, in the default order where nothing forbids it.

    Of all orders in which every intermediate configuration is valid and each layer comes after
    those it is declared to need, the one closest to the default order is taken (the first in
    lexicographic order of the default positions).

    Args:
        change: base and candidate, which must differ.
        known: what validation may use of the app's traffic.
        after: for a layer, the layers that must move before it.

    Raises:
        UsageError: if nothing differs, the candidate itself cannot run, ``after`` goes in circles,
            or no one-layer order exists.
    """
    moved = change.layers
    if not moved:
        raise UsageError(
            "nothing to plan: inchworm.yaml says exactly what is stable",
            hint="change a layer, then run: inchworm plan",
        )
    declared = {layer: frozenset((after or {}).get(layer, ())) & set(moved) for layer in moved}
    _refuse_circles(declared)
    checked: dict[frozenset[Layer], tuple[Problem, ...]] = {}

    def problems(layers: Collection[Layer]) -> tuple[Problem, ...]:
        key = frozenset(layers)
        if key not in checked:
            checked[key] = validate(change.base.with_layers_of(change.candidate, key), known)
        return checked[key]

    _refuse_broken(problems(moved), "the configuration that is asked for cannot run")
    order = _first_valid(moved, declared, lambda layers: not problems(layers))
    if order is None:
        raise UsageError(_coupled(moved, problems))
    steps = _steps(change, order, declared, lambda layers: not problems(layers))
    return Plan(
        id=_identify(change, steps),
        change=change,
        steps=steps,
        diffs=diff(change.base, change.candidate),
        notes=_notes(len(steps)),
    )


def _first_valid(
    moved: Sequence[Layer],
    declared: Mapping[Layer, frozenset[Layer]],
    valid: Callable[[Collection[Layer]], bool],
) -> tuple[Layer, ...] | None:
    for order in permutations(moved):
        if all(declared[layer] <= set(order[:place]) for place, layer in enumerate(order)) and all(
            valid(order[:place]) for place in range(1, len(order))
        ):
            return order
    return None


def _steps(
    change: Change,
    order: tuple[Layer, ...],
    declared: Mapping[Layer, frozenset[Layer]],
    valid: Callable[[Collection[Layer]], bool],
) -> tuple[Step, ...]:
    steps: list[Step] = []
    before = change.base
    for place, layer in enumerate(order):
        earlier = set(order[:place])
        forced = frozenset(other for other in earlier if not valid(frozenset(earlier - {other}) | {layer}))
        needs = tuple(other for other in LAYERS if other in declared[layer] | forced)
        candidate = before.with_layers_of(change.candidate, (layer,))
        steps.append(
            Step(
                number=place + 1,
                layer=layer,
                base=before.id,
                candidate=candidate,
                because=_because(needs, declared[layer]),
                after=needs,
            )
        )
        before = candidate
    return tuple(steps)


def _because(needs: tuple[Layer, ...], declared: frozenset[Layer]) -> str:
    if not needs:
        return "default order"
    forced = [layer for layer in needs if layer not in declared]
    said = [f"after: {', '.join(layer for layer in needs if layer in declared)}"] if declared else []
    return "; ".join([*said, *(f"cannot run without {layer}" for layer in forced)])


def _refuse_circles(declared: Mapping[Layer, frozenset[Layer]]) -> None:
    left = dict(declared)
    while left:
        free = [layer for layer, needs in left.items() if not needs & left.keys()]
        if not free:
            raise UsageError(
                f"after: goes in circles between {' and '.join(left)}",
                hint="remove one of these lines from rollout.after in inchworm.yaml",
            )
        for layer in free:
            del left[layer]


def _refuse_broken(found: Sequence[Problem], what: str) -> None:
    if found:
        raise UsageError(f"{what}: {'; '.join(problem.message for problem in found)}")


def _coupled(moved: Sequence[Layer], problems: Callable[[Collection[Layer]], Sequence[Problem]]) -> str:
    first = next(problem for layer in moved for problem in problems((layer,)))
    return (
        f"no order of {', '.join(moved)} keeps every intermediate configuration valid: "
        f"{first.message}. Change the base first so that each layer can move alone"
    )


def _identify(change: Change, steps: Sequence[Step]) -> PlanId:
    content = {
        "app": str(change.app),
        "base": change.base.id,
        "candidate": change.candidate.id,
        "steps": [[step.layer, step.candidate.id, list(step.after)] for step in steps],
    }
    return PlanId(f"plan-{digest(content)[:8]}")


def _notes(count: int) -> tuple[str, ...]:
    between = count - 1
    ran = (
        f"{between} of {between} intermediate configurations run"
        if between
        else "nothing in between to check"
    )
    return (f"Validated: {ran}.", *(f"Checked: {what}." for what, _ in VALIDATORS))
