"""The watch announces what lasts, once; rare requests and values that take turns are no news."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.observed.watch import ENOUGH, WINDOW, Happened, Watch

KEYS = st.lists(st.sampled_from("abcd"), max_size=300)


def run(keys, watch=None, *, settled=True):
    """What was announced, each with its place."""
    watching = Watch() if watch is None else watch
    found = []
    for number, key in enumerate(keys):
        event = watching.step(key, float(number), is_settled=lambda _: settled)
        if event is not None:
            found.append((number, event.happened.value, event.before, event.to, event.at))
    return found


@given(KEYS)
def test_only_what_makes_up_enough_of_the_window_is_announced(keys):
    for number, _, _, to, at in run(keys):
        window = keys[max(number - WINDOW + 1, 0) : number + 1]
        assert window.count(to) >= ENOUGH or "alone" in str(run(keys))
        assert at <= number


@given(KEYS)
def test_the_first_announcement_is_what_was_first_known_and_comes_once(keys):
    kinds = [kind for _, kind, *_ in run(keys)]
    assert kinds[:1] == ["first"] * bool(kinds)
    assert kinds.count("first") <= 1


@given(KEYS, st.integers(0, 300))
def test_going_on_from_the_kept_state_is_going_on(keys, cut):
    watch = Watch()
    before = run(keys[:cut], watch)
    again = Watch.of(json.loads(json.dumps(watch.state())))
    assert run(keys[cut:], again) == run(keys[cut:], watch)
    assert again.state() == watch.state()
    assert len(before) == len(run(keys[:cut]))


@given(KEYS)
def test_names_that_turn_out_to_be_one_are_one(keys):
    watch = Watch()
    run(keys, watch)
    watch.renamed({"b": "a", "c": "a", "d": "a"})
    before = list(watch.present)
    assert set(watch.present) <= {"a"}
    assert [one[1] for one in run(["a"] * 150, watch)] == ([] if "a" in before else ["first"])


def test_a_clean_change_is_announced_at_the_fifth_request_with_the_time_of_the_first():
    assert run("a" * 100 + "b" * 50) == [
        (4, "first", None, "a", 0.0),
        (104, "changed", "a", "b", 100.0),
    ]


def test_a_return_is_told_from_something_new():
    found = run("a" * 50 + "b" * 50 + "a" * 50 + "c" * 50)
    assert [one[1] for one in found] == ["first", "changed", "returned", "changed"]


def test_a_rare_second_code_path_is_no_change():
    dice = random.Random(1)
    assert len(run(["b" if dice.random() < 0.03 else "a" for _ in range(5_000)])) <= 2


def test_a_canary_is_said_once_and_again_when_it_is_alone():
    dice = random.Random(2)
    mixed = ["b" if dice.random() < 0.3 else "a" for _ in range(2_000)]
    found = run([*("a" * 100), *mixed, *("b" * 300)])
    assert [one[1:4] for one in found] == [
        ("first", None, "a"),
        ("appeared", "a", "b"),
        ("alone", "a", "b"),
    ]


def test_of_two_that_take_turns_the_rarer_may_pause_and_come_back_unsaid():
    dice = random.Random(3)
    keys = ["a"] * 50
    for _ in range(10):
        keys += ["b" if dice.random() < 0.4 else "a" for _ in range(300)]
        keys += ["a"] * 150
    assert [one[1] for one in run(keys)] == ["first", "appeared"]


def test_what_alternates_for_ever_is_not_announced_for_ever():
    assert len(run(("a" * 200 + "b" * 200) * 40)) <= 8


def test_after_a_change_through_a_mix_a_rollback_is_announced():
    dice = random.Random(4)
    mixed = [dice.choice("ab") for _ in range(200)]
    found = run([*("a" * 100), *mixed, *("b" * 300), *("a" * 100)])
    assert [one[1] for one in found] == ["first", "appeared", "alone", "returned"]


def test_what_is_not_settled_waits():
    assert run("a" * 50, settled=False) == []


def test_a_third_beside_two_is_said_as_well():
    dice = random.Random(5)
    found = run(
        [*("a" * 50), *(dice.choice("ab") for _ in range(200)), *(dice.choice("abc") for _ in range(200))]
    )
    assert [one[1:4] for one in found] == [
        ("first", None, "a"),
        ("appeared", "a", "b"),
        ("appeared", "a", "c"),
    ]
    assert found[-1][1] == Happened.APPEARED
