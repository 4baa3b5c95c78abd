"""What makes searching fast changes nothing of what is found."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.sanitize import DETECTORS, Kind, Memo, Sanitizer, credentials, detect, patterns, phones
from inchworm.sanitize.checksums import IBAN_LENGTHS
from inchworm.sanitize.name_cues import CUES
from inchworm.sanitize.searching import Places, found, lowered

LOWERED: list[tuple[re.Pattern[str], Places]] = [
    *((cue.before, cue.places) for cue in CUES if not cue.cased),
    (credentials._SCHEME, credentials._SCHEME_PLACES),
    (credentials._SPOKEN, credentials._NOUN_PLACES),
    (credentials._PIN, credentials._PIN_PLACES),
]
AS_THEY_ARE: list[tuple[re.Pattern[str], Places]] = [
    *((cue.before, cue.places) for cue in CUES if cue.cased),
]
NEEDED: list[tuple[re.Pattern[str], re.Pattern[str]]] = [
    (patterns._SPELLED, patterns._SPELLED_AT),
    (patterns._V4, patterns._DOTTED),
]
"""Expressions, and what has to be there for them to match."""
FORMS = [
    *(pattern for pattern, _ in (*LOWERED, *AS_THEY_ARE, *NEEDED)),
    *(form for *_, form in credentials.KEY_FORMS),
    patterns._IBAN_HEAD,
    patterns._DIGIT_RUN,
    patterns._V6_RUN,
    phones._RUN,
]
ODD = [
    "\u0130",
    "\u0131",
    "\u017f",
    "\u212a",
    "\u1e9e",
    "K",
    "S",
    " Maria",
    " Tom Barker, ",
    "\n",
    ". ",
    "://a:b@c",
]


def cases(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.lower(), text.title()])


TEXTS = st.lists(
    st.one_of(st.sampled_from(FORMS).flatmap(st.from_regex).flatmap(cases), st.sampled_from(ODD)), max_size=4
).map("".join)


def spans(matches: Iterator[re.Match[str]]) -> list[tuple[int, int]]:
    return [match.span() for match in matches]


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_looking_at_places_finds_what_looking_everywhere_finds(text: str) -> None:
    for pattern, places in LOWERED:
        assert spans(found(pattern, text, lowered(text), places)) == spans(pattern.finditer(text))
    for pattern, places in AS_THEY_ARE:
        assert spans(found(pattern, text, text, places)) == spans(pattern.finditer(text))
    heads = [head for head in patterns._IBAN_HEAD.finditer(text) if head[0][:2].upper() in IBAN_LENGTHS]
    assert {head.start() for head in heads} <= set(patterns._after_letters(text))


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_what_is_asked_first_never_hides_anything(text: str) -> None:
    for pattern, needed in NEEDED:
        assert needed.search(text) is not None or pattern.search(text) is None
    for _, begins, form in credentials.KEY_FORMS:
        assert all(match.group().startswith(begins) for match in form.finditer(text))
        assert all(len(match.group()) >= credentials._SHORTEST_KEY for match in form.finditer(text))
    if credentials._NOUN_ENDS(lowered(text) or "key") == ():
        assert credentials._SPOKEN.search(text) is None
    numbers = [m.group() for form in (patterns._DIGIT_RUN, phones._RUN) for m in form.finditer(text)]
    if any(sum(c in "0123456789" for c in one.split("x")[0].split("e")[0]) >= 7 for one in numbers):
        assert patterns.many_digits(text)
    if any(run.group().count(":") > 1 for run in patterns._V6_RUN.finditer(text) if len(run.group()) < 47):
        assert patterns._COLONS.search(text) is not None


@settings(max_examples=50, deadline=None)
@given(st.from_regex(credentials._SECRET_KEY, fullmatch=True).flatmap(cases))
def test_a_field_is_named_like_a_secret_whatever_letters_it_is_written_in(field: str) -> None:
    expected = len(field) <= 80 and credentials._SECRET_KEY.fullmatch(field) is not None
    assert credentials.names_secret(field) is expected


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_what_is_remembered_is_what_is_found_anew(unit: list[str]) -> None:
    remembering = Sanitizer(memo=Memo(b"a key", most=8))
    fresh = [one.value for one in Sanitizer().sanitize_unit(unit)]
    for _ in range(2):
        assert [one.value for one in remembering.sanitize_unit(unit)] == fresh


def test_a_memo_keeps_no_text_and_forgets_what_was_not_asked_for_longest() -> None:
    memo = Memo(b"a key", most=2)
    digests = [memo.digest(text) for text in ("one", "two", "three", "four", "five")]
    assert len(set(digests)) == 5
    assert memo.digest("\ud800") is None
    assert Memo(b"another").digest("one") != digests[0]
    for digest in digests:
        assert digest is not None
        memo.put(digest, ())
        assert memo.get(digests[0] or b"") == (), "it is asked for again and again"
    kept = [memo.get(digest or b"") for digest in digests]
    assert kept[1] is None
    assert kept[-1] == ()
    held = [memo._now, memo._before]
    assert "one" not in repr(held)


def test_texts_in_which_much_is_found_fill_a_memo_sooner() -> None:
    memo = Memo(b"a key", most=100)
    found = Sanitizer().unit().text(", ".join(f"a{number}@mailhost.net" for number in range(50))).findings
    for number in range(200):
        memo.put(number.to_bytes(16), found)
    kept = sum(1 + len(memo.get(number.to_bytes(16)) or found) for number in range(200))
    assert len(found) == 50
    assert kept == 200 * 51
    assert sum(len(some) for held in (memo._now, memo._before) for some in held.values()) <= 4 * 100


@pytest.mark.parametrize("text", ["My name is Maria. Will it rain? Will", "maria", "MARIA's", "Marias"])
def test_a_name_that_is_known_is_found_in_texts_that_are_remembered(text: str) -> None:
    remembering = Sanitizer(memo=Memo(b"a key"))
    remembering.sanitize_unit([text])
    unit = ["I am called Maria Lindqvist, hello", text]
    assert [one.value for one in remembering.sanitize_unit(unit)] == [
        one.value for one in Sanitizer().sanitize_unit(unit)
    ]


def test_every_kind_is_still_searched_for() -> None:
    told = (
        "My name is Maria Lindqvist, mail maria@example.com, call +44 20 7946 0112, from 203.0.113.7 and "
        "2001:db8::1, card 4111 1111 1111 1111, account DE89 3704 0044 0532 0130 00, password: blue-Kettle-77"
    )
    detectors = [one for some in DETECTORS.values() for one in some]
    assert {one.kind for one in detect(told, detectors)} == set(Kind)
