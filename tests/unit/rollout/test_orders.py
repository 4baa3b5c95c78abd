"""Ways over combinations: the best is found exactly, and joint blocks only where nothing else goes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.layers import LAYERS, Layer
from inchworm.rollout.sequencing.orders import (
    Moved,
    Way,
    best_way,
    circle,
    combinations,
    in_order,
    reconciled,
)

FOUR = (Layer.MODEL, Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT)
SUBSETS = st.sets(st.sampled_from([one for one in combinations(FOUR) if 0 < len(one) < 4]))
NEEDS = st.dictionaries(st.sampled_from(FOUR), st.sets(st.sampled_from(FOUR), max_size=2), max_size=3)


def ways(left: Moved) -> Iterator[Way]:
    """Every way through everything that is left."""
    if not left:
        yield ()
    for block in combinations(left):
        if block:
            for rest in ways(left - block):
                yield (in_order(block), *rest)


def between(way: Way) -> list[Moved]:
    """The combinations in between."""
    done: Moved = frozenset()
    found = []
    for block in way[:-1]:
        done |= set(block)
        found.append(done)
    return found


EVERY_WAY = list(ways(frozenset(FOUR)))


def apart(way: Way) -> int:
    """Pairs of layers that nobody can tell apart."""
    return sum(len(block) * (len(block) - 1) // 2 for block in way)


def keeps(way: Way, needs: dict[Layer, set[Layer]]) -> bool:
    done: set[Layer] = set()
    for block in way:
        done |= set(block)
        if any(not needs.get(layer, set()) <= done for layer in block):
            return False
    return True


@given(SUBSETS, SUBSETS, NEEDS)
def test_the_best_of_all_ways_is_found(
    closed: set[Moved], doubtful: set[Moved], needs: dict[Layer, set[Layer]]
) -> None:
    found = best_way(
        FOUR,
        allowed=lambda moved: moved not in closed,
        unsure=lambda moved: moved in doubtful,
        needs=needs,
    )
    open_ways = [
        way for way in EVERY_WAY if keeps(way, needs) and not any(one in closed for one in between(way))
    ]
    best = min(
        open_ways,
        key=lambda way: (
            apart(way),
            sum(one in doubtful for one in between(way)),
            [LAYERS.index(layer) for block in way for layer in block],
        ),
    )
    assert found == best


@given(SUBSETS)
def test_without_joint_blocks_there_may_be_no_way(closed: set[Moved]) -> None:
    found = best_way(
        FOUR, allowed=lambda moved: moved not in closed, unsure=lambda _: False, needs={}, single=True
    )
    singles = [way for way in EVERY_WAY if apart(way) == 0 and not any(one in closed for one in between(way))]
    assert (found is None) == (not singles)
    if found is not None:
        assert found in singles


def test_a_detected_need_gives_way_to_a_declared_one() -> None:
    three = (Layer.CONTEXT, Layer.PROMPT, Layer.TOOLS)
    declared = {Layer.PROMPT: {Layer.CONTEXT}, Layer.TOOLS: {Layer.PROMPT}}
    detected = {Layer.CONTEXT: {Layer.TOOLS, Layer.MODEL}, Layer.TOOLS: {Layer.CONTEXT}}
    assert reconciled(three, declared, detected) == {
        Layer.CONTEXT: frozenset(),
        Layer.PROMPT: {Layer.CONTEXT},
        Layer.TOOLS: {Layer.PROMPT, Layer.CONTEXT},
    }


def test_circles_are_found() -> None:
    assert circle({Layer.PROMPT: {Layer.TOOLS}, Layer.TOOLS: {Layer.PROMPT}, Layer.MODEL: set()}) == (
        Layer.PROMPT,
        Layer.TOOLS,
    )
    assert circle({Layer.PROMPT: {Layer.TOOLS}, Layer.TOOLS: set()}) == ()
