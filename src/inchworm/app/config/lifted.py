"""``inchworm.yaml`` and the files beside it, from a configuration that was told from traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from inchworm.app.config.layers import ParameterKeys
from inchworm.app.config.quoting import block, flow, scalar
from inchworm.app.config.schema import DEFAULT_DATA, SCHEMA_FILE
from inchworm.app.config.write import Seen, metrics
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer

_LONG = 400
_TOOLS = PurePosixPath("tools.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be written.

    Attributes:
        text: ``inchworm.yaml``; :func:`inchworm.app.config.load.load` reads it as it is.
        files: texts by their paths from its folder.
        left_out: parameters that the file has no key for.
    """

    text: str
    files: dict[PurePosixPath, str]
    left_out: tuple[str, ...]


def draft(seen: Seen, configuration: Configuration, *, told: str) -> Draft:
    """Write a configuration down.

    Args:
        seen: what traffic shows beside it, for the metrics.
        configuration: what is to be declared.
        told: what it was told from, e.g. ``412 requests``.
    """
    files: dict[PurePosixPath, str] = {}
    parameters = configuration.layer(Layer.PARAMETERS)
    left_out = sorted(name for name in parameters if not _may_say(name, parameters[name]))
    lines = [
        f"# yaml-language-server: $schema={DEFAULT_DATA}/{SCHEMA_FILE}",
        f"# Written by inchworm adopt, told from {told}. Every key: docs/configuration.md",
        f"app: {scalar(str(seen.app))}",
        "unit: session  # what gets one arm for good: session, user or request",
        "",
        "layers:",
        *_mapping("infrastructure", configuration.layer(Layer.INFRASTRUCTURE)),
        f"  model: {{name: {scalar(configuration.layer(Layer.MODEL).get('name', 'unknown'))}}}",
        *_mapping("parameters", {name: parameters[name] for name in parameters if name not in left_out}),
        *(f"  # also sent, but no key of this file: {name}" for name in left_out),
        "  context: {}",
        *_prompt(configuration.layer(Layer.PROMPT), files),
        *_tools(configuration.layer(Layer.TOOLS).get("schemas"), files),
        "",
        *metrics(seen),
        "",
        "rollout:",
        "  stages: [5%, 25%, 50%]  # then 100% less a holdback, through the soak",
        "  soak: 24h",
        "  maturation: 1h  # how long an interaction may take to come in; later it counts as missing",
    ]
    return Draft(text="\n".join(lines) + "\n", files=files, left_out=tuple(left_out))


def _may_say(name: str, value: Any) -> bool:
    try:
        ParameterKeys.model_validate({name: value})
    except ValueError:  # pydantic's own is one
        return False
    return True


def _mapping(layer: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"  {layer}:" if values else f"  {layer}: {{}}"
    yield from (f"    {name}: {flow(value)}" for name, value in values.items())


def _prompt(prompt: dict[str, Any], files: dict[PurePosixPath, str]) -> Iterator[str]:
    yield "  prompt:" if prompt else "  prompt: {}"
    for name, text in prompt.items():
        if _fits_a_file(text):
            path = PurePosixPath("prompts") / f"{name}.md"
            files[path] = f"{text}\n"
            yield f"    {name}: {{file: {path}}}"
        else:
            yield from block(f"    {name}:", text, comment="what differs from call to call stands in braces")


def _fits_a_file(text: str) -> bool:
    """Long enough for one, and the same when read back: lines end by LF, and the last ends are cut off."""
    return (
        len(text) > _LONG and "\r" not in text and not text.endswith("\n") and not text.startswith("\ufeff")
    )


def _tools(schemas: Any, files: dict[PurePosixPath, str]) -> Iterator[str]:
    if schemas:
        files[_TOOLS] = json.dumps(schemas, ensure_ascii=False, indent=2) + "\n"
        yield f"  tools: {{schemas: {{file: {_TOOLS}}}}}"
