"""A part of the way, and what its steps need of one another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from inchworm.domain.change import Corner, Coupling, CouplingKind
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId, EvalSetId
from inchworm.domain.layers import Layer
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import listed
from inchworm.rollout.sequencing.orders import Moved, best_way, in_order, reconciled
from inchworm.rollout.validate import Known, Problem, validate

After = Mapping[Layer, Collection[Layer]]
Needed = Mapping[Layer, Mapping[Layer, str]]
"""For a layer, those that it makes no sense before, each with the reason as half a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the gate says of combinations of the layers, each against the base of the change.

    Attributes:
        corners: those that were looked at.
        eval_set: on which cases.
        remarks: what besides was found, as sentences.
    """

    corners: tuple[Corner, ...]
    eval_set: EvalSetId
    remarks: tuple[str, ...] = ()

    def verdict(self, configuration_id: ConfigurationId) -> Verdict | None:
        """Of a configuration; ``None`` if it was not measured."""
        found = self.corner(configuration_id)
        return None if found is None else found.verdict

    def corner(self, configuration_id: ConfigurationId) -> Corner | None:
        """The corner that is this configuration, if it was looked at."""
        return next((one for one in self.corners if one.configuration == configuration_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A part of the way, between two configurations that may be stable.

    Attributes:
        base: where it begins.
        candidate: where it ends.
        known: what validation may use of the app's traffic.
        declared: for a layer, those that must move before it.
        needed: the same as detected.
        measured: what the gate says, if it was asked.
        strict: whether what fails there closes ways.
        checked: problems that were found so far, by what moved.
    """

    base: Configuration
    candidate: Configuration
    known: Known
    declared: After
    needed: Needed
    measured: Measured | None
    strict: bool
    checked: dict[Moved, tuple[Problem, ...]] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those that move on it."""
        return self.base.moved(self.candidate)

    def at(self, moved: Collection[Layer]) -> Configuration:
        """What runs once these have moved."""
        return self.base.with_layers_of(self.candidate, moved)

    def problems(self, moved: Moved) -> tuple[Problem, ...]:
        """Why that cannot run."""
        if moved not in self.checked:
            self.checked[moved] = validate(self.at(moved), self.known)
        return self.checked[moved]

    def valid(self, moved: Moved) -> bool:
        """Whether it can run."""
        return not self.problems(moved)

    def verdict(self, moved: Moved) -> Verdict | None:
        """What the gate says of it; ``None`` if it was not measured."""
        return None if self.measured is None else self.measured.verdict(self.at(moved).id)

    def fails(self, moved: Moved) -> bool:
        """Only a verdict closes a way: what is inconclusive or has no data has not failed."""
        return self.strict and self.verdict(moved) is Verdict.FAIL

    def allowed(self, moved: Moved) -> bool:
        """Whether it may be stable for a while."""
        return self.valid(moved) and not self.fails(moved)

    def unsure(self, moved: Moved) -> bool:
        """Whether it was measured, or tried to be, and did not pass."""
        return self.measured is not None and self.verdict(moved) is not Verdict.PASS

    def needs(self) -> dict[Layer, frozenset[Layer]]:
        """For each layer that moves, those that move before it or with it."""
        return reconciled(self.layers, self.declared, self.needed)

    def coupling(self, block: tuple[Layer, ...], done: Moved) -> Coupling:
        """Why these layers cannot move one at a time."""
        layers, nothing = self.layers, dict[Layer, frozenset[Layer]]()
        free = best_way(layers, allowed=self.valid, unsure=_never, needs=nothing, single=True)
        if free is None:
            return Coupling(
                layers=block, kind=CouplingKind.VALIDITY, because=self._contradiction(block, done)
            )
        ordered = best_way(layers, allowed=self.valid, unsure=_never, needs=self.needs(), single=True)
        if ordered is None:
            return Coupling(layers=block, kind=CouplingKind.NEED, because=self._circle(block))
        return Coupling(layers=block, kind=CouplingKind.QUALITY, because=self._failing(block, done))

    def _contradiction(self, block: tuple[Layer, ...], done: Moved) -> str:
        found = [problem for layer in block for problem in self.problems(done | {layer})]
        pair = next((one for one in found if len(set(one.layers) & set(block)) > 1), None)
        if pair is not None:
            return f"{listed(in_order(set(pair.layers) & set(block)))} contradict each other: {pair.message}"
        return found[0].message if found else "no order of single layers is valid"

    def _circle(self, block: tuple[Layer, ...]) -> str:
        reasons = [
            reason
            for layer in block
            for other, reason in self.needed.get(layer, {}).items()
            if other in block
        ]
        return "; ".join(dict.fromkeys(reasons)) or f"{listed(block)} need one another"

    def _failing(self, block: tuple[Layer, ...], done: Moved) -> str:
        alone = [layer for layer in block if self.fails(done | {layer})]
        if not alone:
            return f"every order of {listed(block)} leads through a combination that fails"
        return (
            f"{listed(alone)} {'fails' if len(alone) == 1 else 'fail'} alone, and all of them together pass"
        )


def _never(moved: Moved) -> bool:
    del moved
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """What a block needs of what moved before it on its leg.

    Attributes:
        block: the layers that move.
        wanted: as declared or detected.
        forced: it cannot run without them.
        failing: without them it fails on the eval set.
    """

    block: tuple[Layer, ...]
    wanted: Moved
    forced: Moved
    failing: Moved

    @property
    def every(self) -> Moved:
        """All of them."""
        return self.wanted | self.forced | self.failing


def ties_of(leg: Leg, block: tuple[Layer, ...], done: Moved, placed: Sequence[Ties]) -> Ties:
    """What a block needs of what moved before.

    Args:
        leg: where.
        block: the layers that move now.
        done: those that moved before on this leg.
        placed: the ties of these, in their order.
    """
    needs = leg.needs()
    forced, failing = set[Layer](), set[Layer]()
    for other in done:
        # If it is stopped, so is all that needs it: what is left has to bear the block, and nothing else.
        left = done - _stopped_with(other, placed)
        if leg.valid(left) and not leg.valid(left | set(block)):
            forced.add(other)
        elif leg.fails(left | set(block)) and not leg.fails(left):
            failing.add(other)
    return Ties(
        block=block,
        wanted=frozenset[Layer]().union(*(needs[layer] for layer in block)) & done,
        forced=frozenset(forced),
        failing=frozenset(failing),
    )


def _stopped_with(layer: Layer, placed: Sequence[Ties]) -> Moved:
    """All that goes if a layer that moved is taken out: what moves with it, and what needs any of that."""
    gone: Moved = frozenset()
    for one in placed:
        if layer in one.block or one.every & gone:
            gone |= set(one.block)
    return gone
