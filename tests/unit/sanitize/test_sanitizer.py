"""The sanitizer's promises: consistent, idempotent, never failing open, never telling."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.domain.errors import ConfigError, InchwormError
from inchworm.sanitize import (
    CustomPattern,
    Finding,
    Json,
    Kind,
    Report,
    Sanitizer,
    UnsanitizableError,
    detect,
    resolve,
)
from inchworm.sanitize.detect import DETECTORS
from inchworm.sanitize.surrogate import NameTable, SurrogateTable, normalise
from inchworm.sanitize.values import Leaf

PIECES = [
    "maria@example.com",
    "MARIA@example.com",
    "x@y.example.org",
    "+44 20 7946 0112",
    "(202) 555-0143",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "203.0.113.7",
    "2001:db8::1",
    "sk-" + "Zq4nQ8vT2mX6kR1bW9cY3hL7",
    "password is blue-Kettle-77",
    "password: ",
    "my name is Maria Lindqvist",
    "Maria",
    "Regards, Tom Barker",
    "Dear Mr ",
    "I am ",
    "EMAIL_1",
    "NAME_2",
    "SECRET_1",
    "://a:b@",
    "call me at ",
    "Bearer ",
    " ",
    "\n",
    ",",
    ".",
    "@",
    "-",
    "\\n",
    '"',
    "x",
    "_",
    "7",
    "=",
    "(",
    "<",
]
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=8).map(" ".join),
)
fields = st.one_of(
    st.sampled_from(["password", "to", "api_key", "a@b.example.com", "text"]), st.text(max_size=8)
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(fields, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(texts)
def test_sanitizing_twice_changes_nothing(text: str) -> None:
    once = Sanitizer().unit().text(text)
    twice = Sanitizer().unit().text(once.text)
    assert twice.findings == ()
    assert twice.text == once.text


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, max_size=4))
def test_sanitizing_a_unit_twice_changes_nothing(unit: list[str]) -> None:
    once = [clean.value for clean in Sanitizer().sanitize_unit(unit)]
    again = Sanitizer().sanitize_unit(once)
    assert [clean.value for clean in again] == once
    assert all(clean.report.total == 0 for clean in again)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_offsets_are_valid_and_what_is_between_stays(text: str) -> None:
    clean = Sanitizer().unit().text(text)
    rest, at = clean.text, 0
    for finding in clean.findings:
        assert at <= finding.start < finding.end <= len(text)
        assert finding.start > at or at == 0
        between = text[at : finding.start]
        assert rest.startswith(between)
        rest = rest[len(between) :]
        head, _, _ = rest.partition("_")
        assert head == finding.kind
        rest = rest[len(head) + 1 :].lstrip("0123456789")
        at = finding.end
    assert rest == text[at:]


@settings(max_examples=200, deadline=None)
@given(values)
def test_the_shape_of_a_value_stays(value: Any) -> None:
    before = copy.deepcopy(value)
    clean = Sanitizer().unit().value(value)
    assert value == before
    assert _shape(clean.value) == _shape(value)
    assert Sanitizer().unit().value(clean.value).value == clean.value


def _shape(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, dict):
        return [_shape(held, secret=key in {"password", "api_key"}) for key, held in value.items()]
    if isinstance(value, list):
        return [_shape(held, secret=secret) for held in value]
    if isinstance(value, str):
        return "text"
    return "text" if secret and value is not None and not isinstance(value, bool) else value


@given(texts, texts)
def test_what_is_found_is_covered_by_what_is_settled(text: str, other: str) -> None:
    whole = f"{text} {other}"
    raw = [finding for each in DETECTORS.values() for detector in each for finding in detector(whole)]
    settled = resolve(whole, raw)
    assert all(any(s.start <= f.start and f.end <= s.end for s in settled) for f in raw)
    assert all(a.end < b.start for a, b in pairwise(settled))


def test_one_value_has_one_surrogate_throughout_a_unit() -> None:
    unit = Sanitizer().unit()
    assert unit.text("a@example.com, b@example.com").text == "EMAIL_1, EMAIL_2"
    assert unit.text("B@Example.com then A@EXAMPLE.COM").text == "EMAIL_2 then EMAIL_1"
    assert unit.text("+44 20 7946 0112, 0044 20 79460112").text == "PHONE_1, PHONE_1"
    assert unit.text("4242-4242-4242-4242 4242424242424242").text == "CARD_1 CARD_1"
    assert unit.text("c@example.com").text == "EMAIL_3"
    assert Sanitizer().unit().text("c@example.com").text == "EMAIL_1"


def test_a_first_name_alone_is_the_same_person() -> None:
    unit = Sanitizer().unit()
    assert unit.text("My name is Maria Lindqvist.").text == "My name is NAME_1."
    assert unit.text("Is Maria there? Mrs Lindqvist's parcel").text == "Is NAME_1 there? Mrs NAME_1's parcel"
    assert unit.text("Marianne and Mariachi stay").text == "Marianne and Mariachi stay"
    assert unit.text("I am Tom Barker.").text == "I am NAME_2."
    assert unit.text("Will the barker bark?").text == "Will the NAME_2 bark?"


def test_a_fuller_name_found_later_is_the_same_person() -> None:
    unit = Sanitizer().unit()
    assert unit.text("Hi Maria,").text == "Hi NAME_1,"
    assert unit.text("my name is Maria Lindqvist").text == "my name is NAME_1"
    assert unit.text("my name is Maria Olsen").text == "my name is NAME_2"


def test_an_ordinary_word_is_not_the_name_in_small_letters() -> None:
    unit = Sanitizer().unit()
    unit.text("My name is Will Rose.")
    assert unit.text("Will it come? I will wait for a rose, Will.").text == (
        "Will it come? I will wait for a rose, NAME_1."
    )


def test_a_name_found_late_masks_what_came_before() -> None:
    clean = Sanitizer().sanitize_unit(["Ask Maria about it", {"from": "bot"}, "My name is Maria Lindqvist"])
    assert [each.value for each in clean] == ["Ask NAME_1 about it", {"from": "bot"}, "My name is NAME_1"]


def test_surrogates_in_the_input_keep_their_numbers_to_themselves() -> None:
    unit = Sanitizer().unit()
    assert unit.text("EMAIL_1 and a@example.com and EMAIL_3").text == "EMAIL_1 and EMAIL_2 and EMAIL_3"
    assert unit.text("b@example.com").text == "EMAIL_4"


def test_a_long_number_behind_a_kind_is_no_surrogate() -> None:
    assert Sanitizer().unit().text("password: SECRET_12345678").text == "password: SECRET_1"


def test_values_are_walked_keys_and_all() -> None:
    value: Json = {
        "messages": [{"role": "user", "content": "I am Tom Barker, tom@example.com"}],
        "tom@example.com": 1,
        "TOM@example.com": 2,
        "n": 4111111111111111,
        "ok": True,
        "none": None,
    }
    clean = Sanitizer().unit().value(value)
    assert clean.value == {
        "messages": [{"role": "user", "content": "I am NAME_1, EMAIL_1"}],
        "EMAIL_1": 1,
        "EMAIL_1 (2)": 2,
        "n": 4111111111111111,
        "ok": True,
        "none": None,
    }
    assert clean.report.by_kind == {"EMAIL": 3, "NAME": 1}
    assert clean.report.units == 0


def test_fields_named_like_secrets_are_masked_whole() -> None:
    value: Json = {
        "password": "open sesame",
        "api_key": "env:SHOP_KEY",
        "headers": {"Authorization": ["Bearer x"], "cookie": ""},
        "client_secret": 1234,
        "properties": {"password": {"type": "string"}},
        "max_tokens": 12,
        "secret": True,
    }
    clean = Sanitizer().unit().value(value)
    assert clean.value == {
        "password": "SECRET_1",
        "api_key": "env:SHOP_KEY",
        "headers": {"Authorization": ["SECRET_2"], "cookie": ""},
        "client_secret": "SECRET_3",
        "properties": {"password": {"type": "string"}},
        "max_tokens": 12,
        "secret": True,
    }
    assert clean.report.by_detector == {"secret_field": 3}
    only_mail = Sanitizer(kinds=[Kind.EMAIL]).unit().value({"password": "open sesame", "pin_secret": 5})
    assert only_mail.value == {"password": "open sesame", "pin_secret": 5}


@pytest.mark.parametrize(
    "bad", [b"maria@example.com", {1: "x"}, [{"a": {b"x"}}], object(), {"a": bytearray(b"x")}]
)
def test_what_cannot_be_read_is_refused(bad: Any) -> None:
    unit = Sanitizer().unit()
    with pytest.raises(UnsanitizableError) as caught:
        unit.batch(["fine", bad])
    assert isinstance(caught.value, InchwormError)
    assert caught.value.hint
    assert "maria" not in str(caught.value)
    assert unit.report == Report(units=1)


def test_a_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnsanitizableError, match="bytes"):
        Sanitizer().unit().text(b"x")  # type: ignore[arg-type]  # the mistake under test


def test_a_value_that_is_nested_too_deep_is_refused() -> None:
    value: Any = "x"
    for _ in range(300):
        value = [value]
    with pytest.raises(UnsanitizableError, match="200 levels"):
        Sanitizer().unit().value(value)


def test_kinds_can_be_switched_off() -> None:
    text = "I am Tom Barker, tom@example.com, 203.0.113.7"
    assert Sanitizer(kinds=[Kind.IP]).unit().text(text).text == "I am Tom Barker, tom@example.com, IP_1"
    assert Sanitizer(kinds=[]).unit().text(text).text == text


def test_custom_patterns_have_kinds_of_their_own() -> None:
    sanitizer = Sanitizer(custom=[CustomPattern(kind="MEMBER_NO", expression=r"FH-\d{4}")])
    clean = sanitizer.unit().text("FH-1234, FH-99999x, FH-1234")
    assert clean.text == "MEMBER_NO_1, MEMBER_NO_2, MEMBER_NO_1"
    assert sanitizer.unit().text(clean.text).text == clean.text


def test_further_detectors_take_part() -> None:
    def shouting(text: str, /) -> list[Finding]:
        at = text.find("SECRETSHIP")
        return [] if at < 0 else [Finding(kind="SHIP", start=at, end=at + 10, detector="shouting")]

    assert Sanitizer(detectors=[shouting]).unit().text("the SECRETSHIP sails").text == "the SHIP_1 sails"


def test_a_detector_that_never_rests_is_refused_not_followed() -> None:
    def everything(text: str, /) -> list[Finding]:
        return [Finding(kind="X", start=0, end=len(text) - 1, detector="everything")]

    clean = Sanitizer(detectors=[everything]).unit()
    with pytest.raises(UnsanitizableError, match="passes"):
        clean.text("abc")


@pytest.mark.parametrize(
    ("kind", "expression", "why"),
    [
        ("member", "x", "capitals"),
        ("M__N", "x", "capitals"),
        ("M", "(", "not a regular"),
        ("M", "x*", "empty"),
    ],
)
def test_wrong_custom_patterns_are_refused(kind: str, expression: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        CustomPattern(kind=kind, expression=expression)
    assert caught.value.hint


def test_no_repr_tells_a_value() -> None:
    unit = Sanitizer().unit()
    value = "I am Tom Barker, tom@example.com"
    clean = unit.text(value)
    table = SurrogateTable()
    table.surrogate(Kind.NAME, "Tom Barker")
    table.surrogate(Kind.EMAIL, "tom@example.com")
    shown = "".join(
        map(repr, (unit, clean, table, table.names, unit.report, clean.findings, Leaf(text=value)))
    )
    assert "Barker" not in shown
    assert "barker" not in shown
    assert "tom@" not in shown


def test_a_unit_of_too_many_values_is_refused() -> None:
    table = SurrogateTable()
    table.reserve(("CARD", number) for number in range(1, 1_000_000))
    with pytest.raises(UnsanitizableError, match="CARD"):
        table.surrogate("CARD", "4111111111111111")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.EMAIL, "A@Example.com", "a@example.COM"),
        (Kind.PHONE, "+44 (0)20 7946 0112", "0044 20 79460112"),
        (Kind.CARD, "4111 1111 1111 1111", "4111-1111-1111-1111"),
        (Kind.IBAN, "gb82 west 1234 5698 7654 32", "GB82WEST12345698765432"),
        (Kind.IP, "2001:DB8:0::1", "2001:db8::1"),
        (Kind.IP, "010.0.0.1", "10.0.0.1"),
    ],
)
def test_spellings_of_one_value_are_one(kind: Kind, one: str, other: str) -> None:
    assert normalise(kind, one) == normalise(kind, other)


def test_secrets_and_wrong_addresses_stand_as_they_are() -> None:
    assert normalise(Kind.SECRET, "aB") == "aB"
    assert normalise(Kind.IP, "300.0.0.1") == "300.0.0.1"


def test_people_are_told_apart_by_their_words() -> None:
    table = NameTable()
    assert table.person("Maria Lindqvist") == 0
    assert table.person("Dr. M. Lindqvist") == 0
    assert table.person("lindqvist MARIA") == 0
    assert table.person("Maria Olsen") == 1
    assert table.person("Maria") == 0
    assert table.person("Olsen") == 1
    assert table.person("J.") == 2
    assert table.words == {"maria", "lindqvist", "olsen"}


def test_reports_add() -> None:
    sanitizer = Sanitizer()
    total = Report()
    for text in ("a@example.com", "b@example.com and 203.0.113.7"):
        unit = sanitizer.unit()
        unit.text(text)
        total += unit.report
    assert total == Report(found={("EMAIL", "email"): 2, ("IP", "ipv4"): 1}, texts=2, units=2)
    assert total.total == 3
    assert total.by_kind == {"EMAIL": 2, "IP": 1}
    assert total.by_detector == {"email": 2, "ipv4": 1}
    assert Report() + total == total


def test_the_longest_wins_and_nothing_is_uncovered() -> None:
    found = [
        Finding(kind="PHONE", start=0, end=4, detector="p"),
        Finding(kind="NAME", start=3, end=9, detector="n"),
        Finding(kind="EMAIL", start=3, end=9, detector="e"),
        Finding(kind="X", start=12, end=12, detector="x"),
    ]
    assert resolve("0123 5678 ab", found) == (Finding(kind="EMAIL", start=0, end=9, detector="e"),)


def test_detect_takes_any_detectors() -> None:
    found = detect("a@example.com 203.0.113.7", DETECTORS[Kind.IP])
    assert [finding.kind for finding in found] == ["IP"]


@pytest.mark.parametrize(
    "piece",
    ["a@", "1 ", "1.", "+1 ", "DE89 ", "f:", "sk-", "eyJaaaaaaaaaa.", "-----BEGIN PRIVATE KEY-----",
     "password is ", "my name is ", "Hi A ", "A <", "a [at] ", "://a:", " ", "A'", "call 1"],
)  # fmt: skip
def test_made_up_texts_are_read_in_one_go(piece: str) -> None:
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    clean = Sanitizer().unit().text(text)
    assert all(finding.end <= len(text) for finding in clean.findings)
