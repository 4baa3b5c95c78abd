"""From a configuration and a case's inputs to the request that a model gets. Pure.

The context layer decides how much of the inputs the prompt sees, the prompt layer how it is said,
model and parameters how it is answered, infrastructure how long one waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from inchworm.domain.calls import for_call
from inchworm.domain.canonical import digest
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer

_FORMATTER = Formatter()
DOCUMENTS = "documents"
"""The input that the context layer's ``documents`` and ``document_order`` cut and order."""
MESSAGES = "messages"
"""The input that holds a conversation in chat form; the context layer's ``history_turns`` cuts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat message. Roles are ``system``, ``user`` and ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What is asked of a model.

    Attributes:
        target: the model layer's values.
        parameters: the parameters layer's values.
        messages: the rendered conversation.
        deadline_s: seconds after which the answer comes too late; ``None`` for no deadline.
    """

    target: dict[str, Any]
    parameters: dict[str, Any]
    messages: tuple[Message, ...]
    deadline_s: float | None

    def digest(self) -> str:
        """SHA-256 of what the model sees: everything but the deadline."""
        return digest(
            {
                "model": self.target,
                "parameters": self.parameters,
                "messages": [[message.role, message.content] for message in self.messages],
            }
        )


def variables(template: str) -> frozenset[str]:
    """Names of the ``{variables}`` in a template.

    Raises:
        TemplateError: for unbalanced braces and for anything but plain names between them.
    """
    return frozenset(name for _, name in parts(template) if name is not None)


def parts(template: str) -> Iterator[tuple[str, str | None]]:
    """A template taken apart: literal texts, each with the name of the variable after it, if one follows.

    Raises:
        TemplateError: for unbalanced braces and for anything but plain names between them.
    """
    try:
        parsed = list(_FORMATTER.parse(template))
    except ValueError as error:
        msg = f"the template has unbalanced braces ({error}): write a literal brace twice, {{{{ or }}}}"
        raise TemplateError(msg) from error
    for text, name, spec, conversion in parsed:
        if name is not None and (not name.isidentifier() or spec or conversion):
            msg = f'"{{{name}}}" is no variable: use plain names such as {{question}}'
            raise TemplateError(msg)
        yield text, name


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Put ``values`` in a template. Lists are joined by a space, other values are written as text.

    Raises:
        TemplateError: if the template is malformed or names a variable that has no value.
    """
    out: list[str] = []
    for text, name in parts(template):
        out.append(text)
        if name is None:
            continue
        if name not in values:
            known = ", ".join(sorted(values)) or "none"
            msg = f'the template names "{{{name}}}", which this input does not have (it has: {known})'
            raise TemplateError(msg)
        out.append(written(values[name]))
    return "".join(out)


def written(value: Any) -> str:
    """A variable's value as it stands in a prompt: lists are joined by a space, the rest is text."""
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def visible(configuration: Configuration, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as the context layer lets the prompt see them.

    ``documents`` keeps the first n (they come best first), ``document_order: best_last`` turns
    them round, ``history_turns`` keeps that many user turns of a conversation with what followed.
    """
    return seen_in(configuration.layer(Layer.CONTEXT), inputs)


def seen_in(context: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`visible`, under the values of a context layer."""
    seen = dict(inputs)
    documents = seen.get(DOCUMENTS)
    if isinstance(documents, list | tuple):
        kept = list(documents)[: context.get("documents", len(documents))]
        seen[DOCUMENTS] = kept[::-1] if context.get("document_order") == "best_last" else kept
    conversation = seen.get(MESSAGES)
    if isinstance(conversation, list | tuple) and "history_turns" in context:
        seen[MESSAGES] = _last_turns(list(conversation), int(context["history_turns"]))
    return seen


def _last_turns(conversation: list[Any], turns: int) -> list[Any]:
    system = [message for message in conversation if message["role"] == "system"]
    rest = [message for message in conversation if message["role"] != "system"]
    starts = [position for position, message in enumerate(rest) if message["role"] == "user"]
    # the present question always stays; `turns` counts what came before it
    keep_from = starts[-(turns + 1)] if len(starts) > turns else 0
    return system + rest[keep_from:]


def render(
    configuration: Configuration, inputs: Mapping[str, Any], *, call: str | None = None
) -> ModelRequest:
    """The request that ``configuration`` makes of one case's inputs.

    Args:
        configuration: whose layers; where they are keyed by call, those of ``call``.
        inputs: values of the variables.
        call: the name of the call, if it has one.

    Raises:
        TemplateError: if a template names a variable that the inputs do not have, or if there is
            neither a ``user`` template nor a recorded conversation to send.
    """
    configuration = for_call(configuration, call)
    prompt = configuration.layer(Layer.PROMPT)
    infrastructure = configuration.layer(Layer.INFRASTRUCTURE)
    seen = visible(configuration, inputs)
    messages: list[Message] = []
    if "system" in prompt:
        messages.append(Message(role="system", content=fill(prompt["system"], seen)))
    user = prompt.get("user")
    for example in prompt.get("few_shot", ()):
        asked = example["inputs"]
        text = (
            fill(user, visible(configuration, asked)) if user is not None else str(asked.get("question", ""))
        )
        messages.append(Message(role="user", content=text))
        messages.append(Message(role="assistant", content=str(example["answer"])))
    if user is not None:
        messages.append(Message(role="user", content=fill(user, seen)))
    elif MESSAGES in seen:
        messages.extend(
            Message(role=str(message["role"]), content=str(message["content"]))
            for message in seen[MESSAGES]
            if not (message["role"] == "system" and "system" in prompt)
        )
    else:
        msg = 'nothing to ask: the prompt layer has no "user" template and the input no "messages"'
        raise TemplateError(msg, hint='add e.g. layers.prompt.user: "{question}" to inchworm.yaml')
    timeout = infrastructure.get("timeout_s")
    return ModelRequest(
        target=configuration.layer(Layer.MODEL),
        parameters=configuration.layer(Layer.PARAMETERS),
        messages=tuple(messages),
        deadline_s=None if timeout is None else float(timeout),
    )
