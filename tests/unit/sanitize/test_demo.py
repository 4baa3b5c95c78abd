"""Every personal value that the demo's customers write is found, and nothing else in their messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import inchworm
from inchworm.sanitize import Sanitizer

SHOP = Path(inchworm.__file__).parent / "app" / "demo" / "fernhill"
PEOPLE: dict[str, Any] = yaml.safe_load((SHOP / "people.yaml").read_text(encoding="utf-8"))
FACTS: list[dict[str, Any]] = yaml.safe_load((SHOP / "facts.yaml").read_text(encoding="utf-8"))["facts"]
ASKS: list[str] = [ask for fact in FACTS for ask in fact["asks"]]


def _values(round_: int) -> dict[str, str]:
    def take(of: str) -> Any:
        return PEOPLE[of][round_ % len(PEOPLE[of])]

    return {
        **take("people"),
        "card": take("cards"),
        "iban": take("ibans"),
        "ip": take("ips"),
        "password": take("passwords"),
        "key": "".join(take("keys")),
    }


@pytest.mark.parametrize("template", PEOPLE["personal"])
def test_every_personal_value_is_found(template: str) -> None:
    for round_ in range(65):  # 13 people and 5 cards share no divisor: each meets each
        values = _values(round_)
        message = template.format(ask=ASKS[round_ * 7 % len(ASKS)], **values)
        clean = Sanitizer().unit().text(message)
        expected = sorted(value for name, value in values.items() if f"{{{name}}}" in template)
        assert sorted(message[found.start : found.end] for found in clean.findings) == expected


def test_every_value_of_the_file_is_found_at_least_once() -> None:
    wanted = {value for person in PEOPLE["people"] for value in person.values()}
    wanted |= {
        *PEOPLE["cards"],
        *PEOPLE["ibans"],
        *PEOPLE["ips"],
        *PEOPLE["passwords"],
        *map("".join, PEOPLE["keys"]),
    }
    for template in PEOPLE["personal"]:
        for round_ in range(65):
            message = template.format(ask=ASKS[0], **_values(round_))
            wanted -= {
                message[found.start : found.end] for found in Sanitizer().unit().text(message).findings
            }
    assert wanted == set()


@pytest.mark.parametrize("before", [*PEOPLE["chatty"]["before"], ""])
def test_messages_without_personal_data_stay_as_they_are(before: str) -> None:
    ends = [*PEOPLE["chatty"]["after"], ""]
    for index, ask in enumerate(ASKS):
        message = f"{before} {ask} {ends[index % len(ends)]}"
        assert Sanitizer().unit().text(message).text == message


def test_what_the_shop_knows_stays_as_it_is() -> None:
    for fact in FACTS:
        assert Sanitizer().unit().text(fact["text"]).text == fact["text"]
