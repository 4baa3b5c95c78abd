"""Every combination of the layers that a bundle moved: the cells of the experiment."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotIdentifiableError, UsageError
from inchworm.domain.layers import Layer

MOST_LAYERS = 3
"""A full factorial of k layers asks every case 2^k times; beyond three that is no longer affordable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination.

    Attributes:
        moved: the layers taken from the candidate, in the order of sequencing.
        configuration: what that gives.
    """

    moved: tuple[Layer, ...]
    configuration: Configuration


def corners(base: Configuration, candidate: Configuration) -> tuple[Cell, ...]:
    """All 2^k cells; bit j of the position is set where the j-th moved layer is the candidate's.

    Raises:
        UsageError: if nothing moved.
        NotIdentifiableError: if more than :data:`MOST_LAYERS` layers moved.
    """
    layers = base.moved(candidate)
    if not layers:
        raise UsageError("nothing to attribute: the two configurations are the same")
    if len(layers) > MOST_LAYERS:
        raise NotIdentifiableError(
            f"{len(layers)} layers moved ({', '.join(layers)}); up to {MOST_LAYERS} can be told apart "
            "by measuring every combination",
            hint="attribute a part of it: choose a configuration in between as base or candidate",
        )
    cells: list[Cell] = []
    for mask in range(1 << len(layers)):
        moved = tuple(layer for bit, layer in enumerate(layers) if mask >> bit & 1)
        cells.append(Cell(moved=moved, configuration=base.with_layers_of(candidate, moved)))
    return tuple(cells)
