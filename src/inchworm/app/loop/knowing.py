"""What validation may use: an app's recorded inputs, its tools, the catalogue, and installed validators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from inchworm.app.house import House
from inchworm.app.loop.plugins import validators
from inchworm.app.loop.telling import Telling
from inchworm.app.loop.upstreams import RECORDED, load_recording
from inchworm.domain.calls import call_names, for_call
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.layers import Layer
from inchworm.domain.trace import Trace
from inchworm.evaluators.nearest import did_you_mean
from inchworm.providers.catalogue import Catalogue, ModelFacts
from inchworm.providers.recorded import Recording
from inchworm.rollout.validate import Known, Recorded, lived_with
from inchworm.rollout.validate.tools import tool_names

_LONGEST = 8
_LATEST = 1_000
_ENOUGH_TOKENS, _ENOUGH_ANSWERS = 20, 20
_MODEL = "gen_ai.request.model"


def catalogue(house: House) -> Catalogue:
    """What is known of models: what comes with Inchworm, and what ``inchworm.yaml`` says of them."""
    return Catalogue.load(house.spec.models)


def model(house: House, name: str) -> ModelFacts:
    """The facts of a model by one of its names.

    Raises:
        NotFoundError: if nothing is known of it.
    """
    every = catalogue(house)
    found = every.find(name)
    if found is None:
        names = [other for facts in every.models for other in (facts.name, *facts.also)]
        near = did_you_mean(name, names)
        raise NotFoundError(
            f"nothing is known of a model {name}.{near if near.startswith(' Did') else ''}",
            hint="add it under models: in inchworm.yaml, or list what is known: inchworm models",
        )
    return found


def known(house: House, *wanted: Configuration) -> Known:
    """What the latest stored interactions say, and all else that validation may use.

    Args:
        house: whose.
        wanted: configurations that are asked for, beside what is stable and what is declared.

    Raises:
        UsageError: if an installed validator cannot be used.
    """
    lineage = house.control.lineage(house.app)
    stable = None if lineage is None else house.control.configuration(lineage.stable)
    about = [house.spec.configuration, *wanted, *([] if stable is None else [stable])]
    names = {name for one in about for name in call_names(one)}
    page = house.traces.traces(house.app, limit=_LATEST)
    common = _recorded([one for one in page.traces if one.call not in names], Telling(house), None)
    found = Known(
        inputs=common.inputs,
        longest=common.longest,
        seconds_per_token=common.seconds_per_token,
        calls={
            name: _recorded([one for one in page.traces if one.call == name], Telling(house), name)
            for name in sorted(names)
        },
        catalogue=catalogue(house),
        tools=frozenset(
            tool
            for one in about
            for call in (None, *call_names(one))
            for tool in tool_names(for_call(one, call))
        ),
        recorded=_answered(house, about),
        also=validators(),
    )
    if stable is None:
        return found
    return replace(found, accepted=lived_with(stable, found))


def _recorded(traces: Sequence[Trace], telling: Telling, call: str | None) -> Recorded:
    contents = [trace.inputs for trace in traces if trace.has_content]
    # Of conversations from before the templates were known, those that they fit.
    told = [one for inputs in contents if (one := telling.inputs(inputs, call)) is not None]
    inputs: list[dict[str, Any]] = told or contents
    return Recorded(
        inputs=frozenset.intersection(*map(frozenset, inputs)) if inputs else None,
        longest=tuple(sorted(inputs, key=lambda one: -len(canonical(one)))[:_LONGEST]),
        seconds_per_token=_fastest(traces),
    )


def _fastest(traces: Sequence[Trace]) -> dict[str, float]:
    """Seconds per token of the fastest twentieth of the answers, by the model that was asked."""
    seen: dict[str, list[float]] = {}
    for trace in traces:
        model, tokens, latency = trace.attributes.get(_MODEL), trace.usage.output_tokens, trace.latency_ms
        if isinstance(model, str) and tokens is not None and tokens >= _ENOUGH_TOKENS and latency:
            seen.setdefault(model, []).append(latency / 1_000 / tokens)
    return {
        model: sorted(each)[len(each) // 20] for model, each in seen.items() if len(each) >= _ENOUGH_ANSWERS
    }


def _answered(house: House, about: Sequence[Configuration]) -> Collection[str] | None:
    """Digests of the requests that the recording answers; ``None`` if nobody asks a recording."""
    asked = any(one.layer(Layer.INFRASTRUCTURE).get("upstream") == RECORDED for one in about)
    if not asked:
        return None
    if house.answers is not None:
        return house.answers.answers.keys() if isinstance(house.answers, Recording) else None
    path = house.spec.recording
    return None if path is None or not path.exists() else load_recording(path).answers.keys()
