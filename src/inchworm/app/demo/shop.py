"""Fernhill Outdoor, the fictional shop of the demo: its help centre and what its customers write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from inchworm.app.demo.retrieval import Index

RETRIEVED = 5
"""Documents that the shop's retriever hands on with each message, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One snippet of the help centre.

    Attributes:
        id: e.g. ``refund-time``.
        kind: the kind of request it answers, e.g. ``refunds``.
        title: as the help centre shows it.
        text: the snippet.
        accept: strings of which one stands in a right answer.
        asks: ways to ask for it.
    """

    id: str
    kind: str
    title: str
    text: str
    accept: tuple[str, ...]
    asks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMessage:
    """One message of a customer.

    Attributes:
        text: as it was written, personal data included.
        fact: what it asks for; ``None`` for a message that belongs to no kind.
        documents: what the shop's retriever found, best first.
    """

    text: str
    fact: Fact | None
    documents: tuple[str, ...]


def _load(name: str) -> Any:
    return yaml.safe_load(
        files("inchworm.app.demo").joinpath("fernhill").joinpath(name).read_text(encoding="utf-8")
    )


@cache
def facts() -> tuple[Fact, ...]:
    """The help centre."""
    return tuple(
        Fact(**{**row, "accept": tuple(row["accept"]), "asks": tuple(row["asks"])})
        for row in _load("facts.yaml")["facts"]
    )


@cache
def messages() -> tuple[CustomerMessage, ...]:
    """Everything that customers write, in a fixed order: each question plain, chatty and personal."""
    index = Index([f"{fact.title} {fact.text}" for fact in facts()])
    return tuple(
        CustomerMessage(
            text=text,
            fact=fact,
            documents=tuple(facts()[position].text for position in index.rank(text)[:RETRIEVED]),
        )
        for text, fact in _written()
    )


def _written() -> Iterator[tuple[str, Fact | None]]:
    people = _load("people.yaml")
    before, after = people["chatty"]["before"], people["chatty"]["after"]
    asked = [(fact, ask) for fact in facts() for ask in fact.asks]
    for turn, (fact, ask) in enumerate(asked):
        yield ask, fact
        opening, closing = before[turn % len(before)], after[turn % len(after)]
        yield (f"{opening} {ask} {closing}", f"{opening} {ask}", f"{ask} {closing}")[turn % 3], fact
        yield (
            people["personal"][turn % len(people["personal"])].format(ask=ask, **_person(people, turn)),
            fact,
        )
    for text in _load("facts.yaml")["stray"]:
        yield text, None


def _person(people: dict[str, Any], turn: int) -> dict[str, str]:
    def pick(values: list[Any]) -> Any:
        return values[turn % len(values)]

    return {
        **pick(people["people"]),
        "card": pick(people["cards"]),
        "iban": pick(people["ibans"]),
        "ip": pick(people["ips"]),
        "password": pick(people["passwords"]),
        "key": "".join(pick(people["keys"])),
    }
