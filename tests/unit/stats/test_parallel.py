"""Many runs in step are the same processes as one run by itself, and so are pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.stats import eprocess, pairs, parallel, parallel_pairs, power
from inchworm.stats.eprocess import Design

DESIGN = Design(delta_harm=0.015, margins=(0.08, 0.03), stages=3)
APART = Design(delta_harm=0.0, margins=(0.08, 0.08), stages=3, spans=((0, 0), (1, 2)))
RUNS = 5


def followed(design, *, y, a, pi, stage, binary):
    """Log evidence after every unit by ``parallel``, in blocks as long as may be; and the last state."""
    rows = np.arange(y.shape[0])
    runs = parallel.start(design, rows.size)
    harm, expand, done = [], [], 0
    while done < y.shape[1]:
        stop = done + parallel.block_length(done, y.shape[1] - done)
        block = parallel.Block(
            y=y[:, done:stop],
            a=a[:, done:stop],
            pi=np.full(rows.size, pi[done]),
            stage=np.full(rows.size, stage[done]),
            binary=binary,
        )
        played = parallel.step(design, runs, block)
        harm.append(parallel.harm_path(design, played, rows))
        expand.append([parallel.expand_path(design, played, i, rows) for i in range(len(design.margins))])
        # The bound that lets most runs be skipped really is one.
        assert np.all(np.log(harm[-1]).max(axis=1) <= played.reach_harm + 1e-9)
        for place, path in enumerate(expand[-1]):
            first, past = design.spans[place] if design.spans else (0, 2)
            assert not first <= stage[done] <= past or np.all(
                np.log(path).max(axis=1) <= played.reach_expand[place] + 1e-9
            )
        runs, done = played.after, stop
    return np.log(np.concatenate(harm, axis=1)), np.log(np.concatenate(expand, axis=2)), runs


@given(
    seed=st.integers(0, 10_000),
    binary=st.booleans(),
    size=st.integers(1, 500),
    design=st.sampled_from([DESIGN, APART]),
)
@settings(max_examples=50, deadline=None)
def test_every_unit_of_every_run_has_the_evidence_of_the_process_itself(seed, binary, size, design):
    rng = np.random.default_rng(seed)
    # A stage begins with a block, and lasts three of them.
    stage = np.minimum(np.arange(size) // 192, 2)
    pi = np.array([0.05, 0.25, 0.5])[stage]
    a = rng.random((RUNS, size)) < pi
    mean = 0.85 - 0.1 * a
    y = (rng.random((RUNS, size)) < mean).astype(float) if binary else rng.beta(4 * mean, 4 * (1 - mean))
    harm, expand, last = followed(design, y=y, a=a, pi=pi, stage=stage, binary=binary)
    for run in range(RUNS):
        state, harm_path, expand_paths = eprocess.trajectory(
            design, eprocess.init(design), y=y[run], a=a[run], pi=pi, stage=stage
        )
        assert np.allclose(harm[run], harm_path, rtol=0, atol=1e-9)
        for place, (first, past) in enumerate(design.spans or ((0, 2),) * 2):
            # Elsewhere nobody asks, and the wealth stays what it was.
            asked = (first <= stage) & (stage <= past)
            assert np.allclose(expand[place, run, asked], expand_paths[place, asked], rtol=0, atol=1e-9)
        ends = [np.logaddexp.reduce(rows) for rows in last.log_expand[:, :, run]]
        assert np.allclose(ends, expand_paths[:, -1], rtol=0, atol=1e-9)
        assert last.sum_y[run] == state.past.sum_y
        assert last.sum_sq[run] == pytest.approx(state.past.sum_sq, abs=1e-9)


def test_runs_that_ended_can_be_left_out():
    rng = np.random.default_rng(1)
    a = rng.random((4, 64)) < 0.3
    block = parallel.Block(
        y=a.astype(np.float64), a=a, pi=np.full(4, 0.3), stage=np.zeros(4, dtype=np.int64), binary=True
    )
    after = parallel.step(DESIGN, parallel.start(DESIGN, 4), block).after
    some = parallel.kept(after, np.array([True, False, False, True]))
    assert some.consumed == 64
    assert np.array_equal(some.sum_y, after.sum_y[[0, 3]])
    assert np.array_equal(some.log_harm, after.log_harm[:, :, [0, 3]])


def test_pairs_in_step_decide_where_the_process_does():
    design = pairs.Design(delta_harm=0.01, margins=(0.05,))
    rng = np.random.default_rng(4)
    drawn = parallel_pairs.ternary(rng, discordance=0.3, effect=-0.06)(20, 700)
    taken = iter(range(0, 700, 64))
    left = np.arange(20)
    found: dict[int, float] = {}

    def draw(runs, size):
        # The same pairs, of the runs that still go on.
        nonlocal left
        start = next(taken)
        left = np.array([i for i in left if found.get(int(i), math.inf) > start])
        assert runs == left.size
        return drawn[left, start : start + size]

    for i, d in enumerate(drawn):
        _, harm, expand = pairs.trajectory(design, pairs.init(design), d=d)
        hits = np.flatnonzero((harm >= math.log(20)) | (expand[0] >= math.log(20)))
        if hits.size:
            found[i] = hits[0] + 1
    result = parallel_pairs.decisions(
        design, draw, runs=20, max_pairs=700, alpha_harm=0.05, alpha_expand=0.05
    )
    times = np.minimum(result.harm, result.expand)
    assert times.tolist() == [found.get(i, math.inf) for i in range(20)]
    assert np.all(np.isinf(result.harm) | np.isinf(result.expand))


def test_a_shadow_stage_is_forecast_as_published():
    # STATISTICS: -8 points at discordance .20 in a median of 181 pairs, expansion at margin .05 in 466.
    given_: dict[str, Any] = {"margin": 0.05, "delta_harm": 0.0, "discordance": 0.2}
    worse = power.expected_pairs(**given_, effect=-0.08, runs=1_000)
    equal = power.expected_pairs(**given_, effect=0.0, runs=1_000)
    assert worse.roll_back.median == pytest.approx(181, rel=0.12)
    assert equal.expand.median == pytest.approx(466, rel=0.12)
    assert worse.expand.share <= 0.05
    assert worse.roll_back.share + worse.expand.share + worse.undecided == pytest.approx(1.0)


def test_impossible_pairs_are_refused():
    with pytest.raises(ValueError, match="discordance"):
        power.expected_pairs(margin=0.05, delta_harm=0.0, discordance=0.05, effect=-0.08)
    with pytest.raises(ValueError, match="max_pairs"):
        power.expected_pairs(margin=0.05, delta_harm=0.0, discordance=0.2, effect=0.0, max_pairs=0)
    with pytest.raises(ValueError, match="one margin"):
        parallel_pairs.decisions(
            pairs.Design(delta_harm=0.0, margins=(0.1, 0.2)),
            parallel_pairs.ternary(np.random.default_rng(0), discordance=0.2, effect=0.0),
            runs=1,
            max_pairs=1,
            alpha_harm=0.05,
            alpha_expand=0.05,
        )
