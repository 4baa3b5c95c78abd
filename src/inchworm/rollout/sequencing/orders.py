"""Ways from one configuration to another: which layers move when, over combinations that are allowed. Pure.

A way is a sequence of blocks. A block of one layer is a step like any other; a larger one moves its layers
together and is only chosen where no way of single layers exists. There are at most 2^6 combinations, so the
best way is found exactly, by dynamic programming over them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from inchworm.domain.layers import LAYERS, Layer

Moved = frozenset[Layer]
Way = tuple[tuple[Layer, ...], ...]
"""Blocks in order; the layers of a block in the default order."""
_Cost = tuple[int, int, tuple[int, ...]]


def best_way(
    layers: Collection[Layer],
    *,
    allowed: Callable[[Moved], bool],
    unsure: Callable[[Moved], bool],
    needs: Mapping[Layer, Collection[Layer]],
    single: bool = False,
) -> Way | None:
    """The best way from nothing moved to everything moved, or ``None`` if there is none.

    Best is, in this order: the fewest pairs of layers that move together (which nobody can tell apart in
    production), the fewest combinations in between that are unsure, the closest to the default order (the
    first in lexicographic order of the default positions).

    Args:
        layers: what moves.
        allowed: whether a combination in between may be stable for a while; not asked of none and of all.
        unsure: whether it is worse than one that is known to be good.
        needs: for a layer, those that must have moved before it, or move with it.
        single: only blocks of one layer.
    """
    everything = frozenset(layers)
    best: dict[Moved, tuple[_Cost, Way]] = {frozenset(): ((0, 0, ()), ())}
    for here in combinations(everything):
        if here not in best or (here and here != everything and not allowed(here)):
            continue
        (together, doubts, places), way = best[here]
        for block in combinations(everything - here):
            if not block or (single and len(block) > 1):
                continue
            there = here | block
            if any(not set(needs.get(layer, ())) & everything <= there for layer in block):
                continue
            ordered = in_order(block)
            cost = (
                together + len(block) * (len(block) - 1) // 2,
                doubts + (there != everything and unsure(there)),
                places + tuple(LAYERS.index(layer) for layer in ordered),
            )
            if there not in best or cost < best[there][0]:
                best[there] = cost, (*way, ordered)
    return best[everything][1] if everything in best else None


def combinations(layers: Collection[Layer]) -> Iterator[Moved]:
    """All sub-sets, so that each comes after those that it contains; the order is always the same."""
    ordered = in_order(layers)
    masks = sorted(range(1 << len(ordered)), key=lambda mask: (mask.bit_count(), mask))
    for mask in masks:
        yield frozenset(layer for bit, layer in enumerate(ordered) if mask >> bit & 1)


def in_order(layers: Collection[Layer]) -> tuple[Layer, ...]:
    """The layers in the default order."""
    return tuple(layer for layer in LAYERS if layer in layers)


def circle(needs: Mapping[Layer, Collection[Layer]]) -> tuple[Layer, ...]:
    """Layers that need one another, directly or around; none if the needs can be met in some order."""
    left = {layer: set(needed) & needs.keys() for layer, needed in needs.items()}
    while free := [layer for layer, needed in left.items() if not needed & left.keys()]:
        for layer in free:
            del left[layer]
    return in_order(left)


def reconciled(
    layers: Sequence[Layer],
    declared: Mapping[Layer, Collection[Layer]],
    detected: Mapping[Layer, Collection[Layer]],
) -> dict[Layer, frozenset[Layer]]:
    """What each layer needs, declared and detected. A detected need gives way to a declared one.

    Args:
        layers: what moves; others are left out.
        declared: as a person wrote it, without circles.
        detected: as it was read off the configurations.
    """
    within = set(layers)
    said = {layer: frozenset(declared.get(layer, ())) & within for layer in layers}
    return {
        layer: said[layer]
        | {
            other
            for other in detected.get(layer, ())
            if other in within and layer not in _before(other, said)
        }
        for layer in layers
    }


def _before(layer: Layer, needs: Mapping[Layer, frozenset[Layer]]) -> set[Layer]:
    """All that has to move before it, around any number of corners."""
    found: set[Layer] = set()
    left = [layer]
    while left:
        for other in needs[left.pop()] - found:
            found.add(other)
            left.append(other)
    return found
