"""Thinning: few points, evenly spread over a life of any length, the newest always among them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.points import MOST, superfluous


def grown(times, stages, most):
    """What is left when the points come one by one."""
    kept: list[tuple[float, int]] = []
    for point in zip(times, stages, strict=True):
        kept.append(point)
        place = superfluous([at for at, _ in kept], [stage for _, stage in kept], most)
        if place is not None:
            del kept[place]
        yield list(kept)


def test_nothing_goes_while_there_is_room():
    assert superfluous([1.0, 2.0, 3.0], [0, 0, 0], 3) is None


def test_the_one_between_the_closest_neighbours_goes():
    assert superfluous([0.0, 10.0, 11.0, 12.0, 30.0], [0] * 5, 4) == 2


def test_both_sides_of_a_change_of_stage_stay():
    assert superfluous([0.0, 10.0, 11.0, 12.0, 13.0, 30.0], [0, 0, 0, 1, 1, 1], 5) == 1
    # 11 and 12 stand closest, but there the stage changes
    assert superfluous([0.0, 10.0, 11.0, 12.0, 22.0, 30.0], [0, 0, 0, 1, 1, 1], 5) == 1


def test_where_every_point_is_a_change_of_stage_an_inner_one_goes_all_the_same():
    assert superfluous([0.0, 5.0, 6.0, 20.0], [0, 1, 2, 3], 3) == 1
    assert superfluous([0.0, 5.0], [0, 0], 1) == 0


@given(
    gaps=st.lists(st.floats(0, 1e6), min_size=1, max_size=60),
    most=st.integers(1, 12),
    stages=st.lists(st.integers(0, 4), min_size=60, max_size=60),
)
def test_however_they_come_there_are_never_too_many_and_the_newest_is_kept(gaps, most, stages):
    times = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    steps = sorted(stages)[: len(times)]
    for number, kept in enumerate(grown(times, steps, most)):
        assert len(kept) == min(number + 1, most)
        assert kept[-1] == (times[number], steps[number])
        if most > 1:
            assert kept[0] == (times[0], steps[0])


def test_steady_points_stay_about_evenly_spread_however_many_come():
    *_, kept = grown([float(n) for n in range(5_000)], [0] * 5_000, MOST)
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(kept)]
    assert len(kept) == MOST
    # the last gaps are those that were not halved yet
    assert max(gaps) <= 4 * 5_000 / MOST
