"""What is one skeleton and what are two; ids stay; what takes turns like values is put together."""

import json
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.capture.observed.traffic import words

from inchworm.capture.observed.edges import RUN, Edge, beginning, ending, whole
from inchworm.capture.observed.mining import MOST, Miner
from inchworm.capture.observed.template import ANY

FORM = "You are an assistant of the shop. The plan of the customer is {plan}. Be brief, be kind, be correct."


def feed(miner, texts, *, prefix="u"):
    """The ids of texts that come from a unit each."""
    return [miner.saw(text, f"{prefix}{number}") for number, text in enumerate(texts)]


def known(miner, id_):
    """A skeleton, which must be known."""
    found = miner.skeleton(id_)
    assert found is not None
    return found


def plans(*names):
    return [FORM.format(plan=name) for name in names]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text("xyz ", max_size=9)), max_size=60), st.booleans())
@settings(deadline=None)
def test_it_goes_on_from_its_state_as_if_nothing_was(said, free):
    texts = [
        f"{'Plan' if kind == 'a' else 'Write'} the next step for {name}. Be brief." for kind, name in said
    ]
    one, other = Miner(free=free, salt="s"), Miner(free=free, salt="s")
    for number, text in enumerate(texts):
        assert one.saw(text, f"u{number}") == other.saw(text, f"u{number}")
        kept = json.loads(json.dumps(other.state()))
        merged, other = other.merged, Miner(free=free, salt="s")
        other.restore(kept)
        other.merged = merged
    assert one.state() == other.state()


@given(st.lists(st.text("ab .\n", max_size=30), min_size=1, max_size=80), st.booleans())
@settings(deadline=None)
def test_every_text_fits_the_skeleton_that_it_was_told(texts, free):
    miner = Miner(free=free, salt="s")
    for number, text in enumerate(texts):
        found = miner.skeleton(miner.saw(text, f"u{number}"))
        assert found is not None
        assert found.template.match(text) is not None
        assert len(miner.known) <= MOST


def test_an_id_stays_while_more_turns_out_to_be_variable():
    miner = Miner(free=False, salt="s")
    (first,) = set(feed(miner, plans("free", "free")))
    assert len(known(miner, first).template.pieces) == 1
    assert set(feed(miner, plans("paid", "gold"))) == {first}
    assert len(known(miner, first).template.pieces) == 3
    other = [text.replace("shop", "mill") for text in plans("free", "paid")]
    assert set(feed(miner, other, prefix="v")) == {first}
    assert len(known(miner, first).template.pieces) == 5


def test_a_third_value_in_one_place_while_others_are_about_makes_it_a_variable():
    miner = Miner(free=False, salt="s")
    (first,) = set(feed(miner, plans(*["free"] * 60)))
    (second,) = {*feed(miner, plans("paid", "free", "paid", "free", "paid"))} - {first}
    assert known(miner, second).alternates
    (third,) = feed(miner, plans("gold"))
    assert third == first
    assert miner.merged == {second: first}
    assert len(miner.known) == 1
    assert set(feed(miner, plans("free", "paid", "silver"))) == {first}


def test_two_values_that_differ_early_are_a_variable_at_once():
    miner = Miner(free=False, salt="s")
    feed(miner, plans(*["free"] * 8, "paid", "free"))
    assert len(miner.known) == 1
    assert list(miner.merged.values()) == [miner.known[0].id]


def test_an_edit_is_a_skeleton_of_its_own_and_knows_where_it_comes_from():
    miner = Miner(free=False, salt="s")
    (first,) = set(feed(miner, plans(*(f"plan{n}" for n in range(60)))))
    edited = [text.replace("brief", "short") for text in plans(*(f"plan{n}" for n in range(5)))]
    (second,) = set(feed(miner, edited))
    found = known(miner, second)
    assert (found.parent, found.root) == (first, first)
    assert found.template.match(plans("other")[0].replace("brief", "short")) is not None
    assert miner.is_settled(second)
    assert not miner.is_settled("unknown")


def test_a_sentence_that_appears_beside_a_variable_is_an_edit_after_a_run():
    dice = random.Random(1)
    miner = Miner(free=True, salt="s")
    (first,) = set(feed(miner, [f"Question: {words(dice, 9)}" for _ in range(100)]))
    ids = feed(miner, [f"Question: {words(dice, 9)} Answer in one short sentence." for _ in range(RUN + 5)])
    assert set(ids[: RUN - 1]) == {first}
    (second,) = set(ids[RUN - 1 :])
    assert known(miner, second).template.pieces[-1] == " Answer in one short sentence."
    assert feed(miner, ["Question: and now"]) == [first]


def test_a_word_that_all_renderings_shared_by_chance_is_learned_away():
    miner = Miner(free=False, salt="s")
    texts = [f"You are the assistant of our shop and of nobody else. Notes: the {n} x" for n in range(20)]
    (first,) = set(feed(miner, texts))
    assert feed(miner, ["You are the assistant of our shop and of nobody else. Notes: a 3 y"]) == [first]


def test_texts_that_somebody_else_wrote_are_one_form_in_the_end():
    dice = random.Random(2)
    miner = Miner(free=False, salt="s")
    feed(miner, [words(dice, 12) for _ in range(300)])
    ids = feed(miner, [words(dice, 12) for _ in range(100)])
    assert len(set(ids)) == 1


def test_many_forms_at_once_are_nobodys_handwriting():
    miner = Miner(free=False, salt="s")
    settled = (
        "You are the assistant of our shop and of nobody else, and you are always very kind to them all."
    )
    feed(miner, [settled] * 60)
    feed(miner, [f"{settled} Rule {'abcdefghijklmnopqrstuvwxyz'[n]}{n}." for n in range(26)])
    (one,) = miner.known
    assert one.template.pieces == ANY
    assert set(miner.merged.values()) == {one.id}


def test_the_form_that_was_seen_longest_ago_makes_room():
    miner = Miner(free=False, salt="s")
    ids = []
    for form in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN":
        ids += feed(miner, [" ".join(form * size for size in range(1, 30))] * 6 + ["-"] * 100)
    assert len(miner.known) <= MOST
    assert miner.skeleton(ids[0]) is None


def test_the_empty_text_is_a_text():
    miner = Miner(free=True, salt="s")
    assert len(set(feed(miner, ["", "", "a b", ""]))) == 1


def test_an_edge_tells_nothing_while_values_always_began_so():
    edge = Edge()
    said = [edge.saw(beginning(f"Always the same beginning {n} more"), n) for n in range(100)]
    assert set(said) == {0}


def test_an_edge_tells_nothing_of_one_popular_value():
    edge = Edge()
    for n in range(60):
        edge.saw(beginning(f"{n} other words stand here {n}"), n)
    value = "Everything is late today because of snow and ice"
    assert {edge.saw(beginning(value), whole(value)) for _ in range(100)} == {0}


def test_the_ends_of_a_value_leave_a_part_of_it():
    assert beginning("a b c") == ["a", " b"]
    assert ending("a b c") == [" c", " b"]
    assert beginning("") == ending("") == []
