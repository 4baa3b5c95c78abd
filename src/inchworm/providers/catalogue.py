"""What is known of widely used models: limits, parameters they refuse, and the day they are switched off.

Facts with their source, read by people from what providers publish, and kept in ``models.yaml`` beside this
module. What nobody could source is left out: no fact is better than a wrong one. Users add models and correct
facts in a file of their own (``models:`` in ``inchworm.yaml``). Everything here is a value; nothing is asked
over a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import yaml

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer

FILE = "models.yaml"
"""The facts that come with Inchworm, beside this module."""
NOTE_DAYS = 90
"""Days before a model's retirement from which on it is spoken of."""
DEFAULT_HOST = "api.openai.com"
"""Where calls go if no address is named."""
HOSTS: Mapping[str, str] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "api.mistral.ai": "mistral",
}
"""Hosts that serve the models of one provider and no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What is known of one model. What is ``None`` or empty is not known, which is not the same as none.

    Attributes:
        name: as its provider calls it.
        provider: who makes and serves it, e.g. ``openai``.
        also: other names of exactly this model.
        context_tokens: question and answer together, at most.
        output_tokens: an answer, at most.
        refuses: parameters with which a request is refused.
        only: parameters that may have this value alone.
        at_most: parameters with their highest value.
        one_of: groups of parameters of which a request may have one.
        instead: for a refused parameter, the one to use in its place.
        retires_on: the day from which on requests fail, or another model answers them.
        earliest: whether the provider calls that day the earliest possible one.
        replaced_by: what the provider recommends in its place.
        sources: public pages that say so.
        checked: when somebody last read them.
        own: whether it is from the user's own file.
    """

    name: str
    provider: str
    also: tuple[str, ...] = ()
    context_tokens: int | None = None
    output_tokens: int | None = None
    refuses: frozenset[str] = frozenset()
    only: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, float] = field(default_factory=dict)
    one_of: tuple[frozenset[str], ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)
    retires_on: date | None = None
    earliest: bool = False
    replaced_by: str | None = None
    sources: tuple[str, ...] = ()
    checked: date | None = None
    own: bool = False

    @classmethod
    def of(cls, entry: Mapping[str, Any], *, own: bool = False) -> ModelFacts:
        """Facts from an entry of a file, whose members have the right types.

        Args:
            entry: the members, named as the attributes; ``source`` for the pages, one or several.
            own: whether it is from the user's own file.
        """
        source = entry.get("source", ())
        return cls(
            name=entry["name"],
            provider=entry["provider"],
            also=tuple(entry.get("also", ())),
            context_tokens=entry.get("context_tokens"),
            output_tokens=entry.get("output_tokens"),
            refuses=frozenset(entry.get("refuses", ())),
            only=dict(entry.get("only", {})),
            at_most=dict(entry.get("at_most", {})),
            one_of=tuple(frozenset(group) for group in entry.get("one_of", ())),
            instead=dict(entry.get("instead", {})),
            retires_on=entry.get("retires_on"),
            earliest=bool(entry.get("earliest", False)),
            replaced_by=entry.get("replaced_by"),
            sources=(source,) if isinstance(source, str) else tuple(source),
            checked=entry.get("checked"),
            own=own,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """A configured model is, or will be, switched off.

    Attributes:
        facts: of the model.
        name: the model as the configuration names it.
        call: the call that names it; ``None`` for all that have no model of their own.
        days: until then; 0 on the day itself, negative after it.
    """

    facts: ModelFacts
    name: str
    call: str | None
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All models that are known.

    Attributes:
        models: in the order of the files; a later one takes the place of an earlier one of its name.
    """

    models: tuple[ModelFacts, ...] = ()

    @classmethod
    def load(cls, extra: Iterable[ModelFacts] = ()) -> Catalogue:
        """The facts that come with Inchworm, and ``extra`` in place of those of the same names."""
        mine = tuple(extra)
        taken = {(facts.provider, facts.name) for facts in mine}
        kept = tuple(facts for facts in _packaged() if (facts.provider, facts.name) not in taken)
        return cls(models=(*mine, *kept))

    def find(self, name: str, provider: str | None = None) -> ModelFacts | None:
        """The facts of a model by one of its names, written in any case.

        A provider in front (``openai/gpt-4o``), as routers write it, is understood.

        Args:
            name: as a configuration names it.
            provider: who serves it, if the configuration says so and it is a provider that is known here;
                then models of others do not count.
        """
        wanted = name.lower()
        known = {facts.provider for facts in self.models}
        before, slash, rest = wanted.partition("/")
        if slash and before in known:
            wanted, provider = rest, before
        whose = None if provider is None or provider.lower() not in known else provider.lower()
        return next(
            (
                facts
                for facts in self.models
                if whose in {None, facts.provider}
                and wanted in {facts.name.lower(), *(other.lower() for other in facts.also)}
            ),
            None,
        )

    def facts_of(self, configuration: Configuration, call: str | None = None) -> ModelFacts | None:
        """The facts of the model that a configuration names; ``None`` if nothing is known of it."""
        model = for_call(configuration, call).layer(Layer.MODEL)
        name, provider = model.get("name"), model.get("provider")
        if not isinstance(name, str):
            return None
        return self.find(name, provider if isinstance(provider, str) else None)

    def retirements(self, configuration: Configuration, today: date) -> tuple[Retirement, ...]:
        """The models of a configuration that are retired within :data:`NOTE_DAYS` days, or were.

        Args:
            configuration: whose models, the common one first, then those of single calls.
            today: counted from.
        """
        found: list[Retirement] = []
        for call in (None, *call_names(configuration)):
            facts = self.facts_of(configuration, call)
            if facts is None or facts.retires_on is None:
                continue
            days = (facts.retires_on - today).days
            if days <= NOTE_DAYS and all(one.facts != facts for one in found):
                name = str(for_call(configuration, call).layer(Layer.MODEL).get("name"))
                found.append(Retirement(facts=facts, name=name, call=call, days=days))
        return tuple(found)


def host_of(infrastructure: Mapping[str, Any]) -> str | None:
    """The host that an infrastructure layer sends calls to; ``None`` for what is no address."""
    address = infrastructure.get("base_url")
    if address is None:
        return DEFAULT_HOST
    try:
        return urlsplit(str(address)).hostname
    except ValueError:
        return None


@cache
def _packaged() -> tuple[ModelFacts, ...]:
    text = (files("inchworm.providers") / FILE).read_text("utf-8")
    return tuple(ModelFacts.of(entry) for entry in yaml.safe_load(text)["models"])
