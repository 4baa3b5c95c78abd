"""The catalogue: what comes with Inchworm is sourced, and what users say counts before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from urllib.parse import urlsplit

import pytest

from inchworm.domain.configuration import Configuration
from inchworm.providers.catalogue import NOTE_DAYS, Catalogue, ModelFacts, host_of

PACKAGED = Catalogue.load()


def test_every_fact_that_comes_with_us_names_public_pages_and_the_day_they_were_read() -> None:
    assert len(PACKAGED.models) > 30
    for facts in PACKAGED.models:
        assert facts.sources, facts.name
        for page in facts.sources:
            parts = urlsplit(page)
            assert (parts.scheme, bool(parts.hostname)) == ("https", True), page
        assert facts.checked is not None
        assert not facts.own


def test_no_name_means_two_models_of_one_provider() -> None:
    names = [
        (facts.provider, name.lower()) for facts in PACKAGED.models for name in (facts.name, *facts.also)
    ]
    assert len(names) == len(set(names))


def test_what_is_said_of_a_model_makes_sense() -> None:
    for facts in PACKAGED.models:
        for tokens in (facts.context_tokens, facts.output_tokens):
            assert tokens is None or tokens > 0
        if facts.context_tokens is not None and facts.output_tokens is not None:
            assert facts.output_tokens <= facts.context_tokens, facts.name
        assert set(facts.instead) <= facts.refuses
        assert not facts.refuses & set(facts.only)
        assert not facts.earliest or facts.retires_on is not None


@pytest.mark.parametrize(
    ("name", "provider", "found"),
    [
        ("gpt-4o", None, "gpt-4o"),
        ("GPT-4o-2024-08-06", None, "gpt-4o"),
        ("openai/gpt-4o", None, "gpt-4o"),
        ("gpt-4o", "openai", "gpt-4o"),
        ("gpt-4o", "anthropic", None),
        ("gpt-4o", "our-own-azure", "gpt-4o"),
        ("anthropic/gpt-4o", None, None),
        ("meta-llama/Llama-3.1-8B-Instruct", None, "Llama-3.1-8B-Instruct"),
        ("gpt-4o-2099-01-01", None, None),
        ("", None, None),
    ],
)
def test_a_model_is_found_by_any_of_its_names_and_no_other(
    name: str, provider: str | None, found: str | None
) -> None:
    facts = PACKAGED.find(name, provider)
    assert (None if facts is None else facts.name) == found


def test_what_users_say_takes_the_place_of_ours() -> None:
    mine = ModelFacts(name="gpt-4o", provider="openai", context_tokens=7, own=True)
    found = Catalogue.load([mine, ModelFacts(name="house-1", provider="ours", own=True)])
    assert found.find("gpt-4o") == mine
    assert found.find("house-1") is not None
    assert len(found.models) == len(PACKAGED.models) + 1


# --- retirement

DAY = date(2027, 2, 1)
KNOWN = Catalogue(
    models=(
        ModelFacts(name="old", provider="p", also=("old-1",), retires_on=DAY),
        ModelFacts(name="new", provider="p"),
    )
)


def named(name: str, **calls: str) -> Configuration:
    keyed = {call: {"name": other} for call, other in calls.items()}
    return Configuration.of({"model": {"name": name, **({"calls": keyed} if keyed else {})}})


@pytest.mark.parametrize(
    ("days", "spoken_of"), [(NOTE_DAYS + 1, False), (NOTE_DAYS, True), (1, True), (0, True), (-400, True)]
)
def test_a_retirement_is_spoken_of_from_ninety_days_before_and_ever_after(days: int, spoken_of: bool) -> None:
    found = KNOWN.retirements(named("old-1"), DAY - timedelta(days=days))
    assert [(one.name, one.days) for one in found] == [("old-1", days)] * spoken_of


def test_models_of_single_calls_are_looked_at_too_and_each_model_once() -> None:
    found = KNOWN.retirements(named("new", rerank="old", plan="old-1"), DAY)
    assert [(one.name, one.call) for one in found] == [("old-1", "plan")]
    assert [one.call for one in KNOWN.retirements(named("old", rerank="old"), DAY)] == [None]


def test_a_model_that_nobody_knows_is_never_retired() -> None:
    assert KNOWN.retirements(named("other"), DAY) == ()
    assert Catalogue(models=(replace(KNOWN.models[1]),)).retirements(named("new"), DAY) == ()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (None, "api.openai.com"),
        ("https://api.anthropic.com/v1", "api.anthropic.com"),
        ("http://127.0.0.1:8080/v1", "127.0.0.1"),
        ("http://[", None),
    ],
)
def test_the_host_that_calls_go_to(address: str | None, host: str | None) -> None:
    assert host_of({} if address is None else {"base_url": address}) == host
