from hypothesis import given
from hypothesis import strategies as st

from inchworm.label.terms import ASIDE_WEIGHT, stem, terms


def stems(text):
    return [term.stem for term in terms(text)]


def test_surrogates_addresses_numbers_and_courtesies_carry_no_topic():
    assert stems("Hello NAME_1, dear team! Thanks, EMAIL_1 CREDIT_CARD_12 me@here.example 4111") == []


def test_words_of_a_topic_stay_in_their_order():
    assert stems("Dear team, how long is the warranty on boots?") == ["warranty", "boot"]


def test_a_sentence_with_a_surrogate_counts_less_beside_one_without():
    weights = {term.stem: term.weight for term in terms("Where is my parcel? My password is PASSWORD_1.")}
    assert weights == {"parcel": 1.0, "password": ASIDE_WEIGHT}


def test_a_sentence_with_a_surrogate_counts_in_full_when_it_is_all_there_is():
    assert [(term.stem, term.weight) for term in terms("The parcel ORDER_3 is broken")] == [
        ("parcel", 1.0),
        ("broken", 1.0),
    ]


def test_words_of_different_sentences_are_not_neighbours():
    first, second = terms("Cancel. Order!")
    assert second.position > first.position + 1


def test_one_stem_for_the_forms_of_a_word():
    groups = [
        ("cards", "card"),
        ("deliveries", "delivery"),
        ("cancelled", "cancelled"),
        ("planning", "planned"),
        ("boxes", "box"),
        ("changed", "change", "changes", "changing"),
    ]
    for forms in groups:
        assert len({stem(form) for form in forms}) == 1, forms


def test_short_words_are_left_alone():
    assert [stem(word) for word in ("bus", "glass", "ring", "bed", "us")] == [
        "bus",
        "glass",
        "ring",
        "bed",
        "us",
    ]


@given(st.text())
def test_any_text_can_be_read(text):
    positions = [term.position for term in terms(text)]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'", min_size=1))
def test_a_stem_begins_its_word_or_turns_ies_to_y(word):
    base = stem(word)
    assert word.startswith((base, base[:-1]))
    assert len(base) >= min(len(word), 1)
