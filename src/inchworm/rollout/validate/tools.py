"""Tools: their schemas, the one that is chosen, and those that a prompt names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.rollout.validate.known import Known, Problem
from inchworm.rollout.validate.toolschema import wrong_in

_CODE_LIKE = re.compile(r"[a-z][A-Z]|[_.0-9]|[A-Za-z]-[A-Za-z]")


def tool_names(configuration: Configuration) -> frozenset[str]:
    """The names of the tools that a configuration has."""
    schemas = configuration.layer(Layer.TOOLS).get("schemas")
    names = [_name(schema) for schema in schemas] if isinstance(schemas, list) else []
    return frozenset(name for name in names if name is not None)


def named_choice(configuration: Configuration) -> str | None:
    """The tool that must be called, if ``tool_choice`` names one."""
    return _name(configuration.layer(Layer.PARAMETERS).get("tool_choice"))


def named_in_prompt(configuration: Configuration, names: frozenset[str]) -> frozenset[str]:
    """Those of ``names`` that the prompt's templates and examples name as tools.

    A name that reads like code (``search_orders``, ``searchOrders``) counts wherever it stands as a word; a
    plain word (``search``) only where it stands as code: in backticks, or with a bracket behind it.
    """
    if not names:
        return frozenset()
    text = "\n".join(_texts(configuration.layer(Layer.PROMPT)))
    return frozenset(name for name in names if _stands_in(name, text))


def schemas(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Tools have names of their own, their parameters are JSON Schema, and the chosen one exists."""
    del known
    tools = configuration.layer(Layer.TOOLS).get("schemas")
    listed = tools if isinstance(tools, list) else []
    names = [_name(schema) for schema in listed]
    found: list[str] = []
    if None in names:
        found.append(f"tool schema {names.index(None) + 1} has no name")
    twice = sorted({name for name in names if name is not None and names.count(name) > 1})
    found += [f'two tools are named "{name}"' for name in twice]
    for number, (name, schema) in enumerate(zip(names, listed, strict=True), start=1):
        what = f'the tool "{name}"' if name is not None else f"tool schema {number}"
        wrong = next(wrong_in(_parameters(schema), "its parameters"), None)
        if wrong is not None:
            found.append(f"{what} is no JSON Schema: {wrong}")
    problems = [Problem(layers=(Layer.TOOLS,), message=message) for message in found]
    chosen = named_choice(configuration)
    if chosen is not None and chosen not in names:
        known_names = ", ".join(name for name in names if name) or "none"
        problems.append(
            Problem(
                layers=(Layer.PARAMETERS, Layer.TOOLS),
                message=f'parameters.tool_choice names "{chosen}", and there is no such tool (there is: '
                f"{known_names})",
            )
        )
    return problems


def prompt_tools(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """The prompt names no tool of base or candidate that this configuration does not have."""
    missing = named_in_prompt(configuration, known.tools - tool_names(configuration))
    has = ", ".join(sorted(tool_names(configuration))) or "none"
    return [
        Problem(
            layers=(Layer.PROMPT, Layer.TOOLS),
            message=f'the prompt names the tool "{name}", and there is no such tool (there is: {has})',
        )
        for name in sorted(missing)
    ]


def _name(schema: Any) -> str | None:
    if not isinstance(schema, dict):
        return None
    inner = schema.get("function", schema)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) and name else None


def _parameters(schema: Any) -> Any:
    inner = schema.get("function", schema) if isinstance(schema, dict) else {}
    if not isinstance(inner, dict):
        return {}
    return inner.get("parameters", inner.get("input_schema", {}))


def _texts(prompt: Mapping[str, Any]) -> Iterator[str]:
    for key in ("system", "user"):
        if isinstance(prompt.get(key), str):
            yield prompt[key]
    for example in prompt.get("few_shot", ()):
        if isinstance(example, Mapping):
            yield str(example.get("answer", ""))


def _stands_in(name: str, text: str) -> bool:
    word = re.escape(name)
    if _CODE_LIKE.search(name) and re.search(rf"(?<![\w.-]){word}(?![\w-])", text):
        return True
    # As code: `search`, search(...), or the name of a call that an example shows.
    return re.search(rf"`{word}`|(?<![\w.-]){word}\(|\"name\"\s*:\s*\"{word}\"", text) is not None
