"""Sizes: ranges of single values, and what has to fit into what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import DOCUMENTS, MESSAGES, render
from inchworm.rollout.validate.known import CHARACTERS_PER_TOKEN, Known, Problem

_RANGES: tuple[tuple[Layer, str, float, float], ...] = (
    (Layer.INFRASTRUCTURE, "timeout_s", 0.001, 86_400),
    (Layer.INFRASTRUCTURE, "max_concurrency", 1, 100_000),
    (Layer.INFRASTRUCTURE, "retries", 0, 100),
    (Layer.PARAMETERS, "temperature", 0, 2),
    (Layer.PARAMETERS, "top_p", 0, 1),
    (Layer.PARAMETERS, "max_tokens", 1, 10_000_000),
    (Layer.PARAMETERS, "max_completion_tokens", 1, 10_000_000),
    (Layer.PARAMETERS, "presence_penalty", -2, 2),
    (Layer.PARAMETERS, "frequency_penalty", -2, 2),
    (Layer.CONTEXT, "window_tokens", 1, 100_000_000),
    (Layer.CONTEXT, "documents", 0, 100_000),
    (Layer.CONTEXT, "history_turns", 0, 100_000),
)
LIMITS = ("max_tokens", "max_completion_tokens")
"""Names of the limit of an answer; one of them at most."""


def answer_tokens(configuration: Configuration) -> tuple[str, int] | None:
    """The limit of an answer: under which name, and how many tokens; ``None`` if none is set."""
    parameters = configuration.layer(Layer.PARAMETERS)
    return next(((name, int(parameters[name])) for name in LIMITS if _is_number(parameters.get(name))), None)


def ranges(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Single values lie where they make sense, and the limit of an answer has one name."""
    del known
    found: list[Problem] = []
    for layer, key, low, high in _RANGES:
        value = configuration.layer(layer).get(key)
        if isinstance(value, int | float) and not low <= value <= high:
            found.append(
                Problem(layers=(layer,), message=f"{layer}.{key} lies in [{low}, {high}], not {value}")
            )
    parameters = configuration.layer(Layer.PARAMETERS)
    if all(name in parameters for name in LIMITS):
        found.append(
            Problem(
                layers=(Layer.PARAMETERS,),
                message="parameters name both max_tokens and max_completion_tokens: providers take one",
            )
        )
    return found


def window(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """The longest recorded input and the answer fit the window."""
    size = configuration.layer(Layer.CONTEXT).get("window_tokens")
    if size is None:
        return ()
    name, answer = answer_tokens(configuration) or ("max_tokens", 0)
    if answer >= size:
        message = f"{name} {answer:,} leave no room for a question in a window of {size:,} tokens"
        return (Problem(layers=(Layer.PARAMETERS, Layer.CONTEXT), message=message),)
    longest = longest_tokens(configuration, known)
    if longest is None:
        return _pieces(configuration, size, answer)
    if longest + answer <= size:
        return ()
    turns = configuration.layer(Layer.CONTEXT).get("history_turns")
    has_history = any(isinstance(inputs.get(MESSAGES), list) for inputs in known.longest)
    kept = f" with history_turns {turns}" if has_history and turns is not None else ""
    message = (
        f"the longest recorded input renders to about {longest:,} tokens{kept}; with {name} {answer:,} "
        f"that is more than the window of {size:,}"
    )
    return (Problem(layers=(Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT), message=message),)


def _pieces(configuration: Configuration, size: int, answer: int) -> Sequence[Problem]:
    """Where nothing was recorded: documents of their declared size and the answer fit the window."""
    context = configuration.layer(Layer.CONTEXT)
    count, each = context.get(DOCUMENTS, 0), context.get("chunk_tokens", 0)
    if not (_is_number(count) and _is_number(each)) or count * each + answer <= size:
        return ()
    message = (
        f"{count} documents of {each:,} tokens and an answer of {answer:,} are more than the window of "
        f"{size:,} tokens"
    )
    return (Problem(layers=(Layer.CONTEXT, Layer.PARAMETERS), message=message),)


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


def retrieval(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """As many documents were retrieved as are to be shown."""
    documents = configuration.layer(Layer.CONTEXT).get(DOCUMENTS)
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


def deadline(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """An answer of full length can come in time, at the fastest that this model was seen to write."""
    timeout = configuration.layer(Layer.INFRASTRUCTURE).get("timeout_s")
    limit = answer_tokens(configuration)
    each = known.seconds_per_token.get(str(configuration.layer(Layer.MODEL).get("name")))
    if timeout is None or limit is None or each is None or limit[1] * each <= timeout:
        return ()
    name, tokens = limit
    message = (
        f"an answer of {name} {tokens:,} takes {tokens * each:,.0f} s even at the fastest that was recorded "
        f"({1 / each:,.0f} tokens a second), and timeout_s is {timeout:g}: long answers come too late"
    )
    return (Problem(layers=(Layer.INFRASTRUCTURE, Layer.PARAMETERS), message=message, certain=False),)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
