"""The first ``inchworm.yaml`` of an app, from what its traffic shows, which it says beside each value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inchworm.app.config.layers import ParameterKeys
from inchworm.app.config.quoting import block, flow, quoted, scalar
from inchworm.app.config.schema import DEFAULT_DATA, SCHEMA_FILE, json_schema
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.rendering import DOCUMENTS, MESSAGES

QUESTION = "question"
"""The input that holds what a person asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of an app's traffic. Counts are of traces.

    Attributes:
        app: whose traffic.
        traces: how many there are.
        models: count of each model's name.
        parameters: for each parameter, the values it took (as JSON texts) with their counts.
        inputs: names of the variables that every recorded input has.
        system: the system prompt, if it was the same everywhere.
        latency_p95_ms: 95th percentile of the latency in milliseconds, if known.
        cost_p95_usd: 95th percentile of the cost per call in US dollars, if known.
        references: how many have a reference.
        finish_reasons: how many say why the model stopped.
        complete: of those, the share in which it stopped by itself.
    """

    app: AppRef
    traces: int
    models: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    system: str | None = None
    latency_p95_ms: float | None = None
    cost_p95_usd: float | None = None
    references: int = 0
    finish_reasons: int = 0
    complete: float | None = None


def draft(seen: Seen) -> str:
    """The text of a first ``inchworm.yaml``; :func:`inchworm.app.config.load.load` reads it as it is."""
    lines = [
        f"# yaml-language-server: $schema={DEFAULT_DATA}/{SCHEMA_FILE}",
        f"# Written by inchworm init from {_count(seen.traces, 'trace')}. Every key: docs/configuration.md",
        f"app: {scalar(str(seen.app))}",
        "unit: session  # what gets one arm for good: session, user or request",
        "",
        "layers:",
        "  infrastructure:",
        "    upstream: openai  # any server that speaks OpenAI's chat completions",
        "    # base_url: https://api.openai.com/v1",
        "    # api_key: env:OPENAI_API_KEY  # where the key is, never the key itself",
        *_model(seen),
        *_parameters(seen),
        *_context(seen),
        *_prompt(seen),
        "  # tools: {index: NAME-AND-VERSION}",
        "",
        *metrics(seen),
        "",
        "rollout:",
        "  stages: [5%, 25%, 50%]  # then 100% less a holdback, through the soak",
        "  soak: 24h",
        "  maturation: 1h  # how long an interaction may take to come in; later it counts as missing",
    ]
    return "\n".join(lines) + "\n"


def write_schema(folder: Path) -> Path:
    """Write the JSON Schema into the data directory ``folder`` (made if need be), for editors."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SCHEMA_FILE
    path.write_text(json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _model(seen: Seen) -> Iterator[str]:
    ranked = _ranked(seen.models)
    if not ranked:
        yield "  model:"
        yield "    name: unknown  # no trace says which model answered: write it here"
        return
    (name, count), *others = ranked
    also = f"; also {_listed(scalar(other) for other, _ in others)}" if others else ""
    yield "  model:"
    yield f"    name: {scalar(name)}  # seen in {_of(count, seen)}{also}"


def _parameters(seen: Seen) -> Iterator[str]:
    yield "  parameters:" if _kept(seen) else "  parameters: {}"
    for name in ParameterKeys.model_fields:
        ranked = _ranked(seen.parameters.get(name, {}))
        if not ranked:
            continue
        (text, count), *others = ranked
        also = f"; also {_listed(flow(_read(other)) for other, _ in others)}" if others else ""
        said = f"{name}: {flow(_read(text))}  # seen in {_of(count, seen)}{also}"
        yield f"    {said}" if name in _kept(seen) else f"    # {said}"
    unknown = sorted(set(seen.parameters) - set(ParameterKeys.model_fields))
    if unknown:
        yield f"    # also seen, but no key of this file: {_listed(map(scalar, unknown))}"


def _kept(seen: Seen) -> list[str]:
    """The parameters whose commonest value most traces have, and that the file may say."""
    kept: list[str] = []
    for name in ParameterKeys.model_fields:
        ranked = _ranked(seen.parameters.get(name, {}))
        if ranked and 2 * ranked[0][1] >= seen.traces and _may_say(name, ranked[0][0]):
            kept.append(name)
    return kept


def _may_say(name: str, text: str) -> bool:
    value = _read(text)
    try:
        canonical(value)
        ParameterKeys.model_validate({name: value})
    except ValueError:  # pydantic's own is one
        return False
    return True


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _context(seen: Seen) -> Iterator[str]:
    if DOCUMENTS in seen.inputs:
        yield "  context: {}  # e.g. documents: 3; all that were retrieved if nothing is said"
    elif MESSAGES in seen.inputs:
        yield "  context: {}  # e.g. history_turns: 6; the whole conversation if nothing is said"
    else:
        yield "  context: {}"


def _prompt(seen: Seen) -> Iterator[str]:
    user = _user(seen)
    yield "  prompt:" if seen.system or user is not None else "  prompt: {}"
    if seen.system:
        said = "the same in all traces; a file may hold it: {file: prompts/system.md}"
        yield from block("    system:", seen.system.replace("{", "{{").replace("}", "}}"), comment=said)
    if user is not None:
        yield f"    user: {quoted(user)}  # from the recorded inputs: {_listed(_names(seen))}"
    elif MESSAGES in seen.inputs:
        yield "    # no user template: the recorded conversations are sent as they are"
    else:
        yield '    # user: "{question}"  # no input was recorded: say what is asked'


def _names(seen: Seen) -> list[str]:
    return sorted(name for name in seen.inputs if name.isidentifier() and name.isascii())


def _user(seen: Seen) -> str | None:
    names = _names(seen)
    if MESSAGES in names or not names:
        return None
    if QUESTION not in names:
        return "\n".join(f"{name}: {{{name}}}" for name in names)
    return "Question: {question}\nInformation: {documents}" if DOCUMENTS in names else "{question}"


def metrics(seen: Seen) -> Iterator[str]:
    """The metrics that are proposed: those that need no labels, with margins to look at."""
    yield "metrics:  # each with the loss (margin) that you would accept"
    if seen.references:
        yield "  # The reference stands in the answer."
        have = f"{_of(seen.references, seen)} have one"
        yield f"  answered: {{check: contains_reference, goal: true, margin: 0.03}}  # {have}"
    if seen.finish_reasons:
        share = "" if seen.complete is None else f", {seen.complete:.1%} of them complete"
        role = "guardrail" if seen.references else "goal"
        yield "  # The model stopped by itself, not at a limit." + _closest(role)
        say = f"{_of(seen.finish_reasons, seen)} say why{share}"
        yield f"  complete: {{check: complete, {role}: true, margin: 0.03}}  # {say}"
    role = "guardrail" if seen.references or seen.finish_reasons else "goal"
    yield "  # The call was answered, in time." + _closest(role)
    yield f"  success: {{builtin: success, {role}: true, margin: 0.02}}"
    if seen.latency_p95_ms is None:
        yield "  # latency: {builtin: latency_p95, guardrail: true, margin: 0.05}  # no trace says how long"
    else:
        yield "  # As many answers as before come within the time that 95% take now."
        yield (
            "  latency: {builtin: latency_p95, guardrail: true, margin: 0.05}"
            f"  # 95% took at most {seen.latency_p95_ms:,.0f} ms"
        )
    cap = 0.0 if seen.cost_p95_usd is None else float(f"{2 * seen.cost_p95_usd:.1e}")
    if cap > 0:
        yield (
            f"  cost: {{builtin: cost, signal: true, cap_usd: {flow(cap)}}}"
            f"  # the cap is twice the 95th percentile, {seen.cost_p95_usd:.2g} US dollars a call"
        )


def _closest(role: str) -> str:
    return " The closest to a goal that needs no label: a check of your own is better." * (role == "goal")


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(
        ((name, count) for name, count in counts.items() if name), key=lambda pair: (-pair[1], pair[0])
    )


def _listed(names: Iterable[str]) -> str:
    first = list(names)
    more = f" and {len(first) - 3:,} more" if len(first) > 3 else ""
    return ", ".join(first[:3]) + more


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _of(number: int, seen: Seen) -> str:
    return f"{number:,} of {_count(seen.traces, 'trace')}"
