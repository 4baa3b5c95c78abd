"""Models: what the catalogue knows of them, beside what the other layers ask of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import render
from inchworm.providers.catalogue import HOSTS, ModelFacts, host_of
from inchworm.rollout.validate.known import Known, Problem
from inchworm.rollout.validate.sizes import answer_tokens, longest_tokens

_RECORDED = "recorded"


def model_limits(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Window and answer are within what the model takes, and the longest recorded input fits into it."""
    facts = known.catalogue.facts_of(configuration)
    if facts is None:
        return ()
    found: list[Problem] = []
    window = configuration.layer(Layer.CONTEXT).get("window_tokens")
    limit = answer_tokens(configuration)
    if window is not None and facts.context_tokens is not None and window > facts.context_tokens:
        found.append(
            Problem(
                layers=(Layer.MODEL, Layer.CONTEXT),
                message=f"context.window_tokens is {window:,}, and {facts.name} takes "
                f"{facts.context_tokens:,} at most",
            )
        )
    if limit is not None and facts.output_tokens is not None and limit[1] > facts.output_tokens:
        found.append(
            Problem(
                layers=(Layer.MODEL, Layer.PARAMETERS),
                message=f"parameters.{limit[0]} is {limit[1]:,}, and {facts.name} writes "
                f"{facts.output_tokens:,} at most",
            )
        )
    longest = longest_tokens(configuration, known)
    answer = 0 if limit is None else limit[1]
    if (
        not found
        and longest is not None
        and facts.context_tokens is not None
        and longest + answer > facts.context_tokens
    ):
        found.append(
            Problem(
                layers=(Layer.MODEL, Layer.CONTEXT, Layer.PROMPT),
                message=f"the longest recorded input renders to about {longest:,} tokens; with an answer of "
                f"{answer:,} that is more than the {facts.context_tokens:,} that {facts.name} takes",
            )
        )
    return found


def model_parameters(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """The model takes the parameters that it is sent, with these values."""
    facts = known.catalogue.facts_of(configuration)
    if facts is None:
        return ()
    layers = (Layer.MODEL, Layer.PARAMETERS)
    return [
        Problem(layers=layers, message=message)
        for message in _refused(facts, configuration.layer(Layer.PARAMETERS))
    ]


def _refused(facts: ModelFacts, parameters: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(parameters.keys() & facts.refuses):
        other = facts.instead.get(name)
        yield f"{facts.name} refuses {name}" + (f": name {other} instead" if other else ": leave it out")
    for name, value in sorted(facts.only.items()):
        if name in parameters and parameters[name] != value:
            yield f"{facts.name} takes {name} {value:g} alone, not {parameters[name]}: leave it out"
    for name, most in sorted(facts.at_most.items()):
        if isinstance(parameters.get(name), int | float) and parameters[name] > most:
            yield f"{facts.name} takes {name} up to {most:g}, not {parameters[name]}"
    for group in facts.one_of:
        both = sorted(group & parameters.keys())
        if len(both) > 1:
            yield f"{facts.name} takes one of {' and '.join(both)}, not both"


def endpoint(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Where calls go, the model is served; a recording has answers of it."""
    infrastructure = configuration.layer(Layer.INFRASTRUCTURE)
    if infrastructure.get("upstream") == _RECORDED:
        return _recorded(configuration, known)
    facts = known.catalogue.facts_of(configuration)
    host = host_of(infrastructure)
    serves = HOSTS.get(host or "")
    if facts is None or serves is None or serves == facts.provider:
        return ()
    message = (
        f"calls go to {host}, which serves models of {serves}, and {facts.name} is one of {facts.provider}"
    )
    return (Problem(layers=(Layer.INFRASTRUCTURE, Layer.MODEL), message=message),)


def _recorded(configuration: Configuration, known: Known) -> Sequence[Problem]:
    asked: list[str] = []
    for inputs in known.longest:
        try:
            asked.append(render(configuration, inputs).digest())
        except TemplateError:
            continue  # said by the templates' own validator
    if known.recorded is None or not asked or any(digest in known.recorded for digest in asked):
        return ()
    name = configuration.layer(Layer.MODEL).get("name")
    message = f"the recording has no answer of {name} to the longest inputs ({len(asked)} looked at)"
    return (Problem(layers=(Layer.INFRASTRUCTURE, Layer.MODEL), message=message, certain=False),)
