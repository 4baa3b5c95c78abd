"""What is forwarded: the caller's request with a configuration's layers in it (DESIGN.md, section 7). Pure.

Who wins. What the configuration names wins over what the caller sent. What stable names and the
configuration leaves out belongs to the configurations too, and is taken out. Everything else passes as it
came: images, tool messages, ``stream``, members that nobody here knows.

- *model*: ``model.name`` becomes ``model`` (on Azure's paths the deployment too).
- *parameters*: each becomes the member of its name. ``max_tokens`` is written as ``max_completion_tokens`` if
  the caller says it that way. ``tool_choice`` needs tools in the request.
- *tools*: ``tools.schemas`` becomes ``tools``.
- *context*: ``history_turns`` cuts the caller's messages; ``documents`` and ``document_order`` apply where
  the inputs have their documents as a list and a template puts them in.
- *prompt*: ``system`` takes the place of the caller's first system (or developer) message, or stands first;
  ``few_shot`` follows it, in place of stable's own examples; the last user message is rendered from the
  ``user`` template, with earlier turns, tool messages and images left where they are.

Templates need inputs. They are what the caller states as ``inchworm.inputs`` in the body, and what the
caller's own messages tell: a message that stable's template would give is read back
(:mod:`inchworm.domain.lifting`), so that a canary of the prompt needs no change in the calling program.

A prompt is applied whole or not at all. What cannot be applied is named in ``unapplied``, never left out in
silence; so is a layer in which the configuration differs from stable by what only the calling program can do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from inchworm.domain.errors import InputError, TemplateError
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.lifting import Template
from inchworm.domain.rendering import DOCUMENTS, MESSAGES, seen_in
from inchworm.gateway.compiled import Compiled, PromptPlan
from inchworm.gateway.units import MEMBER, text_of

SYMBOLIC = "app:"
"""What a model's name begins with that stands for an app: ``app:NAME/call``."""
_SYSTEM = frozenset({"system", "developer"})
_DEPLOYMENT = re.compile(r"(?<=/openai/deployments/)[^/?]+(?=[/?]|$)")
_TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A request as it is forwarded.

    Attributes:
        body: its JSON object; shares parts with the caller's and with the configuration, so only to be read.
        path: its path; another deployment's on Azure's paths.
        changed: whether the body differs from the caller's.
        inputs: what the prompt's variables took, if the caller said so or a template told.
        unapplied: layers of the configuration that are not in the request, in the order of the layers.
        deadline_s: seconds after which the answer comes too late; ``None`` for no deadline.
    """

    body: dict[str, Any]
    path: str
    changed: bool
    inputs: dict[str, Any] | None = None
    unapplied: tuple[str, ...] = ()
    deadline_s: float | None = None


def apply(
    body: Mapping[str, Any], chosen: Compiled | None, *, path: str = "", followed: bool = False
) -> Applied:
    """Put ``chosen`` into a request.

    Args:
        body: the caller's JSON object; not changed.
        chosen: the configuration; ``None`` for an app that is only observed.
        path: the caller's path.
        followed: whether the caller says that it followed this configuration itself: then its messages are
            taken for what the configuration's own prompt gives, and nothing counts as unapplied.

    Raises:
        InputError: if the caller's model is ``app:...`` and the configuration names no model.
    """
    out = dict(body)
    ours = out.pop(MEMBER, None)
    said = ours.get("inputs") if isinstance(ours, dict) else None
    stated: dict[str, Any] | None = said if isinstance(said, dict) else None
    name = body.get("model")
    if isinstance(name, str) and name.startswith(SYMBOLIC) and (chosen is None or chosen.model is None):
        raise InputError(
            f'the model is "{name}", and no configuration says which model that is',
            hint="name a model in the request, or set layers.model.name in inchworm.yaml and make it stable",
        )
    if chosen is None:
        return Applied(body=out, path=path, changed=MEMBER in body, inputs=stated)
    if chosen.model is not None:
        if path and (at := _DEPLOYMENT.search(path)):
            path = path[: at.start()] + quote(chosen.model, safe="") + path[at.end() :]
            if "model" in out:
                out["model"] = chosen.model
        else:
            out["model"] = chosen.model
    unapplied = set() if followed else set(chosen.left_to_app)
    _apply_tools(out, chosen)
    if not _apply_parameters(out, chosen):
        unapplied.add(Layer.PARAMETERS)
    if "messages" not in out and stated is not None and isinstance(stated.get(MESSAGES), list):
        out["messages"] = stated[MESSAGES]
    inputs, placed = stated, False
    if chosen.reads_messages and _readable(out.get("messages")):
        parts = _Parts(out.get("messages") or [], stated, chosen, followed=followed)
        inputs, rendered = parts.inputs, parts.render(chosen)
        placed = rendered is not None and parts.lists_documents and _names(chosen.prompt, DOCUMENTS)
        if rendered is None and not followed:
            unapplied.add(Layer.PROMPT)
        messages = parts.as_they_came() if rendered is None else rendered
        if messages:
            out["messages"] = messages
    elif not chosen.prompt.empty and not followed:
        unapplied.add(Layer.PROMPT)
    if chosen.moves_documents and not placed and not followed:
        unapplied.add(Layer.CONTEXT)
    return Applied(
        body=out,
        path=path,
        changed=out != body,
        inputs=inputs,
        unapplied=tuple(layer.value for layer in LAYERS if layer in unapplied) if unapplied else (),
        deadline_s=chosen.deadline_s,
    )


def _apply_tools(out: dict[str, Any], chosen: Compiled) -> None:
    if chosen.schemas:
        out["tools"] = chosen.schemas
    elif chosen.schemas is not None or chosen.releases_schemas:
        # Providers refuse an empty list of tools, and a choice among none.
        out.pop("tools", None)
        out.pop("tool_choice", None)


def _apply_parameters(out: dict[str, Any], chosen: Compiled) -> bool:
    for name in chosen.released:
        out.pop(name, None)
    if "max_tokens" in chosen.released:
        out.pop("max_completion_tokens", None)
    out.update(chosen.parameters)
    if "max_completion_tokens" in chosen.parameters:
        out.pop("max_tokens", None)  # providers take one of the two
    if chosen.max_tokens is not None:
        out[next((name for name in _TOKEN_LIMITS if name in out), "max_tokens")] = chosen.max_tokens
    if chosen.tool_choice is not None:
        if not out.get("tools"):
            return False
        out["tool_choice"] = chosen.tool_choice
    return True


def _readable(messages: Any) -> bool:
    """Whether they are messages; if not, the provider may say what it thinks of them."""
    return messages is None or (
        isinstance(messages, list) and all(isinstance(message, dict) for message in messages)
    )


def _names(plan: PromptPlan, name: str) -> bool:
    return any(template is not None and name in template.names for template in (plan.system, plan.user))


class _Parts:
    """The caller's messages taken apart: system, examples, conversation, and the inputs they tell."""

    __slots__ = (
        *("conversation", "examples", "inputs", "lists_documents", "stated"),
        *("system", "system_as", "user", "user_as"),
    )

    def __init__(
        self, messages: Sequence[Any], stated: dict[str, Any] | None, chosen: Compiled, *, followed: bool
    ) -> None:
        sources = (chosen.prompt,) if followed else chosen.sources
        rest = list(messages)
        at = next((place for place, one in enumerate(rest) if one.get("role") in _SYSTEM), None)
        self.system: dict[str, Any] | None = None if at is None else rest.pop(at)
        self.stated = stated
        # Examples stand where the system message stood, or first. They are no turns of the conversation.
        count = next((len(plan.examples) for plan in sources if _stand_at(plan, rest, at or 0)), 0)
        start = at or 0
        self.examples = rest[start : start + count]
        rest = rest[:start] + rest[start + count :]
        self.conversation = _last_turns(rest, chosen.history_turns)
        self.user = next(
            (
                place
                for place in range(len(self.conversation) - 1, -1, -1)
                if self.conversation[place].get("role") == "user"
            ),
            None,
        )
        self.system_as, told = _read(self.system, [one.system for one in sources])
        asked = None if self.user is None else self.conversation[self.user]
        self.user_as, more = _read(asked, [one.user for one in sources])
        if any(told.get(name, value) != value for name, value in more.items()):
            told, self.system_as, self.user_as = {}, None, None  # the messages contradict each other
        else:
            told |= more
        self.inputs: dict[str, Any] | None = {**told, **stated} if stated is not None else told or None
        self.lists_documents = isinstance((stated or {}).get(DOCUMENTS), list)

    def as_they_came(self) -> list[Any]:
        """The messages under the caller's own prompt."""
        return [*([] if self.system is None else [self.system]), *self.examples, *self.conversation]

    def render(self, chosen: Compiled) -> list[Any] | None:
        """The messages under the chosen prompt; ``None`` if it cannot be applied whole."""
        plan, before = chosen.prompt, chosen.sources[0]
        if plan.broken is not None:
            return None
        if plan.empty and before.empty:
            return self.as_they_came()
        seen = seen_in(chosen.documents, self.inputs or {})
        try:
            return [
                *self._system_under(plan, before, seen),
                *plan.examples,
                *self._conversation_under(plan, before, seen),
            ]
        except TemplateError:
            return None

    def _system_under(
        self, plan: PromptPlan, before: PromptPlan, seen: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        if plan.system is not None:
            text = plan.system.fill(seen)
            if self.system is None:
                return [{"role": "system", "content": text}]
            return [_with_text(self.system, text)]
        if self.system is None:
            return []
        if before.system is not None:
            if self.system_as is before.system:
                return []
            raise TemplateError("whether the system message is stable's cannot be told")
        return [self.system]

    def _conversation_under(self, plan: PromptPlan, before: PromptPlan, seen: Mapping[str, Any]) -> list[Any]:
        if plan.user is None:
            if before.user is not None and self.user_as is before.user:
                raise TemplateError("what was asked before the template was there cannot be told")
            return self.conversation
        if self.stated is None and self.user_as is None:
            raise TemplateError("the inputs of the user template cannot be told")
        text = plan.user.fill(seen)
        if self.user is None:
            return [*self.conversation, {"role": "user", "content": text}]
        rest = list(self.conversation)
        rest[self.user] = _with_text(rest[self.user], text)
        return rest


def _last_turns(messages: list[Any], turns: int | None) -> list[Any]:
    """The present question, ``turns`` user turns before it, and what followed them; system messages stay."""
    if turns is None:
        return messages
    starts = [place for place, message in enumerate(messages) if message.get("role") == "user"]
    if len(starts) <= turns + 1:
        return messages
    first = starts[-(turns + 1)]
    return [m for place, m in enumerate(messages) if place >= first or m.get("role") in _SYSTEM]


def _stand_at(plan: PromptPlan, messages: Sequence[Any], start: int) -> bool:
    """Whether the plan's examples stand in the messages, from ``start`` on."""
    count = len(plan.examples)
    return 0 < count <= len(messages) - start and all(
        one.get("role") == example["role"] and text_of(one.get("content")) == example["content"]
        for one, example in zip(messages[start : start + count], plan.examples, strict=True)
    )


def _read(
    message: Mapping[str, Any] | None, templates: Sequence[Template | None]
) -> tuple[Template | None, dict[str, str]]:
    """The first template that gives the message's text, and the values with which it does."""
    text = None if message is None else text_of(message.get("content"))
    if text is not None:
        for template in templates:
            if template is not None and (values := template.match(text)) is not None:
                return template, values
    return None, {}


def _with_text(message: dict[str, Any], text: str) -> dict[str, Any]:
    """The message with another text; other parts, such as images, stay where they are."""
    content = message.get("content")
    if isinstance(content, list):
        parts = list(content)
        for place, part in enumerate(parts):
            if isinstance(part, dict) and part.get("type") == "text":
                parts[place] = {**part, "text": text}
                return {**message, "content": parts}
        return {**message, "content": [{"type": "text", "text": text}, *parts]}
    return {**message, "content": text}
