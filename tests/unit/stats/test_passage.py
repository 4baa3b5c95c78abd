"""The extrapolation of a log e-value: right on average, honest about what it does not know."""

import numpy as np
import pytest

from inchworm.stats.passage import FEWEST, passage


def walk(rng, looks, drift, spread, every=50.0):
    steps = np.full(looks, every)
    gains = drift * steps + spread * np.sqrt(steps) * rng.standard_normal(looks)
    return np.concatenate(([0.0], np.cumsum(steps))), np.concatenate(([0.0], np.cumsum(gains)))


def test_four_of_five_paths_arrive_within_the_range():
    """Walks that go on as they began: the 80 % range holds 80 % of their arrivals."""
    rng = np.random.default_rng(4)
    inside, total = 0, 400
    for _ in range(total):
        units, log_e = walk(rng, 400, 0.01, 0.12)
        seen = 12
        found = passage(units[: seen + 1], log_e[: seen + 1], log_e[seen] + 4.0)
        assert found is not None
        later = np.flatnonzero(log_e[seen:] >= log_e[seen] + 4.0)
        came = float(units[seen + later[0]] - units[seen]) if later.size else np.inf
        low = 0.0 if found.low is None else found.low
        high = np.inf if found.high is None else found.high
        inside += low - 50 <= came <= high + 50
    assert 0.74 * total <= inside <= 0.9 * total


def test_a_steady_path_is_simply_continued():
    units, log_e = [0.0, 10, 20, 30, 40, 50], [0.0, 1, 2, 3, 4, 5]
    found = passage(units, log_e, 8.0)
    assert found is not None
    assert (found.low, found.median, found.high) == (30.0, 30.0, 30.0)


def test_what_has_arrived_needs_nothing():
    units, log_e = walk(np.random.default_rng(1), 20, 0.02, 0.05)
    found = passage(units, log_e, log_e[-1] - 0.1)
    assert found is not None
    assert (found.low, found.median, found.high) == (0.0, 0.0, 0.0)


def test_a_path_that_falls_does_not_get_there():
    units, log_e = walk(np.random.default_rng(2), 60, -0.02, 0.05)
    found = passage(units, log_e, 3.0)
    assert found is not None
    assert found.median is None
    assert found.high is None


def test_a_flat_path_without_any_spread_never_arrives():
    found = passage([0.0, 1, 2, 3, 4, 5], [0.0] * 6, 3.0)
    assert found is not None
    assert found.low is None


def test_too_few_looks_say_nothing():
    units, log_e = walk(np.random.default_rng(3), FEWEST - 1, 0.02, 0.05)
    assert passage(units, log_e, 3.0) is None


def test_the_quantiles_are_in_order():
    rng = np.random.default_rng(5)
    for _ in range(30):
        units, log_e = walk(rng, 15, 0.01, 0.1)
        found = passage(units, log_e, 5.0)
        assert found is not None
        known = [one for one in (found.low, found.median, found.high) if one is not None]
        assert known == sorted(known)


def test_looks_that_do_not_grow_are_refused():
    with pytest.raises(ValueError, match="grow"):
        passage([0.0, 1, 1], [0.0, 1, 2], 3.0)
    with pytest.raises(ValueError, match="as many"):
        passage([0.0, 1], [0.0], 3.0)
