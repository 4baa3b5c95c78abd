"""Can this configuration run at all? Every intermediate configuration of a plan must.

A validator is a pure function from a configuration and what is known of the app to problems; the
table :data:`VALIDATORS` lists them all, each with what it looks at, so that a plan can say how it
was validated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import DOCUMENTS, MESSAGES, render, variables

CHARACTERS_PER_TOKEN = 4
"""A token of English is about four characters; the estimate is said to be one wherever it decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What validation may use of the app's traffic. Nothing known means nothing is checked against it.

    Attributes:
        inputs: names of the variables that every recorded input has.
        longest: the inputs that render longest, a few of them.
    """

    inputs: frozenset[str] | None = None
    longest: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a configuration cannot run.

    Attributes:
        layers: the layers that contradict each other, or the one that is wrong by itself.
        message: one sentence with the values.
    """

    layers: tuple[Layer, ...]
    message: str


Validator = Callable[[Configuration, Known], Sequence[Problem]]


def validate(configuration: Configuration, known: Known) -> tuple[Problem, ...]:
    """Every problem of ``configuration``, in the order of :data:`VALIDATORS`."""
    return tuple(problem for _, validator in VALIDATORS for problem in validator(configuration, known))


def _templates(configuration: Configuration, known: Known) -> Sequence[Problem]:
    prompt = configuration.layer(Layer.PROMPT)
    found: list[Problem] = []
    for key in ("system", "user"):
        if key not in prompt:
            continue
        try:
            named = variables(prompt[key])
        except TemplateError as error:
            found.append(Problem(layers=(Layer.PROMPT,), message=f"prompt.{key}: {error.message}"))
            continue
        if known.inputs is None:
            continue
        found.extend(
            Problem(
                layers=(Layer.PROMPT,),
                message=f'prompt.{key} names "{{{name}}}", which the recorded inputs do not have '
                f"(they have: {', '.join(sorted(known.inputs)) or 'none'})",
            )
            for name in sorted(named - known.inputs)
        )
    if "user" not in prompt and known.inputs is not None and MESSAGES not in known.inputs:
        found.append(
            Problem(
                layers=(Layer.PROMPT,),
                message='prompt has no "user" template and the recorded inputs are no conversations',
            )
        )
    return found


def _few_shot(configuration: Configuration, known: Known) -> Sequence[Problem]:
    del known
    prompt = configuration.layer(Layer.PROMPT)
    try:
        needed = variables(prompt["user"]) if "user" in prompt else frozenset()
    except TemplateError:
        return ()  # said by the templates' own validator
    found: list[Problem] = []
    for number, example in enumerate(prompt.get("few_shot", ()), start=1):
        missing = sorted(needed - set(example["inputs"]))
        if missing:
            found.append(
                Problem(
                    layers=(Layer.PROMPT,),
                    message=f"few-shot example {number} has no {', '.join(missing)}, which prompt.user names",
                )
            )
    return found


_RANGES: tuple[tuple[Layer, str, float, float], ...] = (
    (Layer.INFRASTRUCTURE, "timeout_s", 0.001, 86_400),
    (Layer.INFRASTRUCTURE, "max_concurrency", 1, 100_000),
    (Layer.INFRASTRUCTURE, "retries", 0, 100),
    (Layer.PARAMETERS, "temperature", 0, 2),
    (Layer.PARAMETERS, "top_p", 0, 1),
    (Layer.PARAMETERS, "max_tokens", 1, 10_000_000),
    (Layer.PARAMETERS, "presence_penalty", -2, 2),
    (Layer.PARAMETERS, "frequency_penalty", -2, 2),
    (Layer.CONTEXT, "window_tokens", 1, 100_000_000),
    (Layer.CONTEXT, "documents", 0, 100_000),
    (Layer.CONTEXT, "history_turns", 0, 100_000),
)


def _ranges(configuration: Configuration, known: Known) -> Sequence[Problem]:
    del known
    found: list[Problem] = []
    for layer, key, low, high in _RANGES:
        value = configuration.layer(layer).get(key)
        if isinstance(value, int | float) and not low <= value <= high:
            found.append(
                Problem(layers=(layer,), message=f"{layer}.{key} lies in [{low}, {high}], not {value}")
            )
    return found


def _window(configuration: Configuration, known: Known) -> Sequence[Problem]:
    window = configuration.layer(Layer.CONTEXT).get("window_tokens")
    if window is None:
        return ()
    answer = int(configuration.layer(Layer.PARAMETERS).get("max_tokens", 0))
    if answer >= window:
        message = f"max_tokens {answer:,} leave no room for a question in a window of {window:,} tokens"
        return (Problem(layers=(Layer.PARAMETERS, Layer.CONTEXT), message=message),)
    longest = longest_tokens(configuration, known)
    if longest is None or longest + answer <= window:
        return ()
    message = (
        f"the longest recorded input renders to about {longest:,} tokens; with max_tokens {answer:,} "
        f"that is more than the window of {window:,}"
    )
    return (Problem(layers=(Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT), message=message),)


def longest_tokens(configuration: Configuration, known: Known) -> int | None:
    """About how many tokens the longest recorded input renders to; ``None`` if that cannot be said."""
    sizes: list[int] = []
    for inputs in known.longest:
        try:
            request = render(configuration, inputs)
        except TemplateError:
            continue  # said by the templates' own validator
        sizes.append(sum(len(message.content) for message in request.messages))
    return -(-max(sizes) // CHARACTERS_PER_TOKEN) if sizes else None


def _retrieval(configuration: Configuration, known: Known) -> Sequence[Problem]:
    documents = configuration.layer(Layer.CONTEXT).get("documents")
    if documents is None or not known.longest:
        return ()
    found = [len(inputs[DOCUMENTS]) for inputs in known.longest if isinstance(inputs.get(DOCUMENTS), list)]
    if not found or max(found) >= documents:
        return ()
    message = (
        f"context.documents is {documents}, but at most {max(found)} retrieved documents were recorded: "
        f"record more before you benchmark it"
    )
    return (Problem(layers=(Layer.CONTEXT, Layer.TOOLS), message=message),)


def _tools(configuration: Configuration, known: Known) -> Sequence[Problem]:
    del known
    schemas = configuration.layer(Layer.TOOLS).get("schemas")
    choice = configuration.layer(Layer.PARAMETERS).get("tool_choice")
    names = [_tool_name(schema) for schema in schemas] if isinstance(schemas, list) else []
    found: list[Problem] = []
    if None in names:
        found.append(
            Problem(
                layers=(Layer.TOOLS,),
                message=f"tool schema {names.index(None) + 1} has no name",
            )
        )
    chosen = _tool_name(choice)
    if chosen is not None and chosen not in names:
        known_names = ", ".join(name for name in names if name) or "none"
        found.append(
            Problem(
                layers=(Layer.PARAMETERS, Layer.TOOLS),
                message=f'parameters.tool_choice names "{chosen}", and there is no such tool (there is: '
                f"{known_names})",
            )
        )
    return found


def _tool_name(schema: Any) -> str | None:
    if not isinstance(schema, dict):
        return None
    inner = schema.get("function", schema)
    name = inner.get("name") if isinstance(inner, dict) else None
    return name if isinstance(name, str) and name else None


VALIDATORS: tuple[tuple[str, Validator], ...] = (
    ("values lie in their ranges", _ranges),
    ("templates are well formed and name only recorded variables", _templates),
    ("few-shot examples fill the template", _few_shot),
    ("the longest recorded input and the answer fit the window", _window),
    ("enough retrieved documents were recorded", _retrieval),
    ("tools have names and the chosen one exists", _tools),
)
"""What is looked at, and the function that looks."""
