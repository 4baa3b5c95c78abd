"""``inchworm models``: what is known of models, and where it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, heading, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line

if TYPE_CHECKING:
    from inchworm.providers.catalogue import ModelFacts


@click.command("models")
@click.argument("name", required=False)
@json_option
@pass_session
def command(session: Session, *, name: str | None, as_json: bool) -> None:
    """List what is known of models: limits, parameters they refuse, retirement; of one model, with sources.

    Add models, or correct what is said here, under models: in inchworm.yaml. Nothing is asked over a network.
    """
    from inchworm.app.loop.knowing import catalogue, model

    with session.house() as house:
        found = catalogue(house).models if name is None else (model(house, name),)
    if as_json:
        emit({"models": [asjson.model(facts) for facts in found]})
    elif name is None:
        rows = [_row(facts) for facts in found]
        heads = ["model", "provider", "window", "answer", "retired on"]
        say(*table(rows, heads=heads, right=(2, 3), indent=0))
        say("", "One of them, with its sources: inchworm models NAME")
    else:
        say(*_lines(found[0]))


def _row(facts: ModelFacts) -> list[str]:
    own = " (yours)" if facts.own else ""
    return [
        one_line(facts.name) + own,
        one_line(facts.provider),
        _count(facts.context_tokens),
        _count(facts.output_tokens),
        _retired(facts),
    ]


def _lines(facts: ModelFacts) -> list[str]:
    rows = [
        ["provider", one_line(facts.provider)],
        ["also named", one_line(", ".join(facts.also)) or "nothing else"],
        ["window", f"{_count(facts.context_tokens)} tokens" if facts.context_tokens else "not known"],
        ["answer", f"{_count(facts.output_tokens)} tokens" if facts.output_tokens else "not known"],
        ["refuses", one_line(", ".join(sorted(facts.refuses))) or "nothing that is known"],
        *(["takes", f"{one_line(key)} {value:g} alone"] for key, value in sorted(facts.only.items())),
        *(["takes", f"{one_line(key)} up to {value:g}"] for key, value in sorted(facts.at_most.items())),
        *(["takes", f"one of {one_line(' and '.join(sorted(group)))}"] for group in facts.one_of),
        ["retired on", _retired(facts) or "no day is known"],
        *([["replaced by", one_line(facts.replaced_by)]] if facts.replaced_by else []),
        *(["source", one_line(page)] for page in facts.sources),
        *([["checked", facts.checked.isoformat()]] if facts.checked else []),
        *([["from", "inchworm.yaml"]] if facts.own else []),
    ]
    return [heading(one_line(facts.name)), "", *table(rows)]


def _count(tokens: int | None) -> str:
    return "" if tokens is None else f"{tokens:,}"


def _retired(facts: ModelFacts) -> str:
    if facts.retires_on is None:
        return ""
    return f"{facts.retires_on.isoformat()}{' at the earliest' if facts.earliest else ''}"
