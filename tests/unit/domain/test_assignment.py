"""Who gets what: even draws, arms that stay, and who takes no part at all."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.assignment import (
    BUCKETS,
    arm_of,
    bucket,
    held_out,
    is_judged,
    is_mirrored,
    served_weight,
    stage_salt,
)
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.serving import Candidate, Resolver, ServingTable, resolve
from inchworm.domain.targeting import Condition, takes_part
from inchworm.domain.trace import Arm, Assignment

APP = AppRef(app="shop", environment="production")
STABLE, NEW = ConfigurationId("stable"), ConfigurationId("new")

units = st.builds(UnitId, st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
salts = st.text(st.characters(codec="utf-8"), max_size=12)
shares = st.one_of(st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0]), st.floats(0, 1))
versions = st.sampled_from([1, 2])
attributes = st.dictionaries(st.sampled_from(["tenant", "plan", "unit"]), st.sampled_from(["a", "b"]))
conditions = st.builds(
    Condition,
    attribute=st.sampled_from(["tenant", "plan"]),
    values=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2).map(tuple),
)
candidates = st.builds(
    Candidate,
    rollout_id=st.sampled_from([RolloutId("r-1"), RolloutId("r-2")]),
    configuration_id=st.just(NEW),
    stage=st.integers(0, 3),
    weight=shares,
    salt=salts,
    hash_version=versions,
    per_stage=st.booleans(),
    audience=st.lists(conditions, max_size=2).map(tuple),
    holdout=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
)
kept_ones = st.none() | st.builds(
    Assignment,
    rollout_id=st.sampled_from([RolloutId("r-1"), RolloutId("r-2")]),
    stage=st.integers(0, 3),
    arm=st.sampled_from(Arm),
    probability=shares,
)


def table(candidate: Candidate | None) -> ServingTable:
    return ServingTable(app=APP, generation=1, stable=STABLE, candidate=candidate)


# Fixed salts: the tests say the same every day. 99 degrees of freedom; a chi-square beyond 210 has p < 1e-9.
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("salt", ["", "r-1", "0d5c", "grey/3", "holdout/shop/production", "s/judged"])
@pytest.mark.parametrize("name", ["u-{}", "{:08x}-4b1c-4fd2-9d0e-b2a7d6f1c3aa", "ana+{}@example.com"])
def test_buckets_are_even_whatever_the_ids_look_like(version: int, salt: str, name: str) -> None:
    n, groups = 20_000, 100
    counts = [0] * groups
    for number in range(n):
        counts[bucket(version, salt, name.format(number)) * groups // BUCKETS] += 1
    chi_square = sum((count - n / groups) ** 2 / (n / groups) for count in counts)
    assert chi_square < 210


@pytest.mark.parametrize("version", [1, 2])
def test_draws_say_nothing_of_one_another(version: int) -> None:
    names = [f"user-{number}" for number in range(40_000)]
    drawn = {
        "arm": [arm_of(version, "salt", one, 0.5) is Arm.CANDIDATE for one in names],
        "judged": [is_judged(version, "salt", one, 0.5) for one in names],
        "mirrored": [is_mirrored(version, "salt", one, 0.5) for one in names],
        "held out": [held_out("shop/production", one, 0.5) for one in names],
        "another app's holdout": [held_out("search/production", one, 0.5) for one in names],
        "stage 0": [arm_of(version, stage_salt("salt", 0), one, 0.5) is Arm.CANDIDATE for one in names],
        "stage 1": [arm_of(version, stage_salt("salt", 1), one, 0.5) is Arm.CANDIDATE for one in names],
        "another rollout's arm": [arm_of(version, "pepper", one, 0.5) is Arm.CANDIDATE for one in names],
    }
    for (one, left), (other, right) in combinations(drawn.items(), 2):
        both = sum(a is b for a, b in zip(left, right, strict=True))
        # Six standard deviations around one half.
        assert abs(both / len(names) - 0.5) < 6 * 0.5 / len(names) ** 0.5, (one, other)


@given(versions, salts, units, shares, shares)
def test_a_growing_weight_never_takes_the_candidate_from_anybody(version, salt, unit, one, other):
    small, large = sorted((one, other))
    if arm_of(version, salt, unit, small) is Arm.CANDIDATE:
        assert arm_of(version, salt, unit, large) is Arm.CANDIDATE
    for draw in (is_judged, is_mirrored):
        assert draw(version, salt, unit, large) or not draw(version, salt, unit, small)
    assert held_out(salt, unit, large) or not held_out(salt, unit, small)


@given(versions, salts, units)
def test_nobody_is_drawn_at_nothing_and_everybody_at_all(version, salt, unit):
    assert arm_of(version, salt, unit, 0.0) is Arm.BASELINE
    assert arm_of(version, salt, unit, 1.0) is Arm.CANDIDATE
    assert not is_judged(version, salt, unit, 0.0)
    assert is_judged(version, salt, unit, 1.0)
    assert not held_out(salt, unit, 0.0)


@given(candidates, units, kept_ones, attributes)
def test_what_a_unit_gets_is_what_the_rules_say(candidate, unit, kept, said):
    got = resolve(table(candidate), unit, kept, said)
    assert not got.mirrored
    same = kept is not None and kept.rollout_id == candidate.rollout_id
    if same and not (candidate.per_stage and kept.stage != candidate.stage):
        assert got.assignment is kept
    elif held_out("shop/production", unit, candidate.holdout) or not takes_part(
        candidate.audience, {**said, "unit": unit}
    ):
        assert (got.assignment, got.configuration_id) == (None, STABLE)
        return
    else:
        salt = stage_salt(candidate.salt, candidate.stage) if candidate.per_stage else candidate.salt
        assert got.assignment == Assignment(
            rollout_id=candidate.rollout_id,
            stage=candidate.stage,
            arm=arm_of(candidate.hash_version, salt, unit, candidate.weight),
            probability=served_weight(candidate.weight),
        )
    assert got.configuration_id == (NEW if got.assignment.arm is Arm.CANDIDATE else STABLE)


@given(candidates, st.lists(units, min_size=1, max_size=8), attributes)
def test_a_resolver_says_the_same_for_each_of_many(candidate, many, said):
    one = Resolver(table(candidate))
    assert [one(unit, None, said) for unit in many] == [
        resolve(table(candidate), unit, None, said) for unit in many
    ]


@given(st.lists(candidates, min_size=1, max_size=5), units, attributes)
def test_a_unit_is_in_one_rollout_of_an_app_at_a_time_whatever_comes_after_what(many, unit, said):
    # Exclusion by construction: a table has one candidate, and what was kept of another counts for nothing.
    kept = None
    for candidate in many:
        got = resolve(table(candidate), unit, kept, said).assignment
        assert got is None or got.rollout_id == candidate.rollout_id
        kept = got or kept
    assert resolve(table(None), unit, kept, said).assignment is None


@given(candidates, units, kept_ones, attributes)
def test_while_answers_are_mirrored_everybody_gets_stable(candidate, unit, kept, said):
    shadow = replace(candidate, weight=0.0, shadow=0.5)
    got = resolve(table(shadow), unit, kept, said)
    assert (got.configuration_id, got.assignment) == (STABLE, None)
    inside = takes_part(candidate.audience, {**said, "unit": unit})
    outside = held_out("shop/production", unit, candidate.holdout)
    expected = inside and not outside and is_mirrored(candidate.hash_version, candidate.salt, unit, 0.5)
    assert got.mirrored is expected


@given(candidates, units, attributes)
def test_an_open_conversation_survives_every_later_stage(candidate, unit, said):
    first = resolve(table(replace(candidate, per_stage=False)), unit, None, said).assignment
    if first is None:
        return
    later = replace(candidate, per_stage=False, stage=candidate.stage + 1, audience=(), weight=0.0001)
    assert resolve(table(later), unit, first, {}).assignment is first
    narrower = replace(later, audience=(Condition(attribute="nobody", values=("x",)),))
    assert resolve(table(narrower), unit, first, {}).assignment is first


def test_the_unit_itself_can_be_the_audience_and_nobody_can_pretend_to_be_another() -> None:
    only = replace(
        candidate_of(1.0), audience=(Condition(attribute="unit", values=("ana", "bea")),), holdout=0.0
    )
    assert resolve(table(only), UnitId("ana")).assignment is not None
    assert resolve(table(only), UnitId("eve"), None, {"unit": "ana"}).assignment is None


def candidate_of(weight: float) -> Candidate:
    return Candidate(
        rollout_id=RolloutId("r-1"),
        configuration_id=NEW,
        stage=0,
        weight=weight,
        salt="salt",
        hash_version=1,
    )
