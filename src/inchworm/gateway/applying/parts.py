"""A conversation taken apart, and put together again under a prompt layer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inchworm.domain.errors import TemplateError
from inchworm.domain.lifting import Template
from inchworm.domain.rendering import DOCUMENTS, seen_in
from inchworm.gateway.compiled import Compiled, PromptPlan
from inchworm.gateway.wires import Opened, Wire
from inchworm.gateway.wires.base import SYSTEM_ROLES

Rendered = tuple[dict[str, Any] | None, list[Any]]
"""A system message, if there is one, and the messages behind it."""


class Parts:
    """The caller's messages taken apart: system, examples, conversation, and the inputs they tell.

    Args:
        opened: the conversation as the wire found it.
        stated: the inputs that the caller states.
        chosen: what is to be applied.
        wire: the protocol.
        followed: whether the caller says that it followed that itself.
    """

    __slots__ = (
        *("conversation", "examples", "inputs", "lists_documents", "stated"),
        *("doubtful", "held", "system", "system_as", "user", "user_as", "wire"),
    )

    def __init__(
        self, opened: Opened, stated: dict[str, Any] | None, chosen: Compiled, wire: Wire, *, followed: bool
    ) -> None:
        sources = (chosen.prompt,) if followed else chosen.sources
        rest, start = opened.messages, opened.start
        self.wire, self.held, self.system, self.stated = wire, opened.held, opened.system, stated
        # Examples stand where the system message stood, or first. They are no turns of the conversation.
        count = next((len(plan.examples) for plan in sources if _stand_at(plan, rest, start, wire)), 0)
        self.examples = rest[start : start + count]
        rest = rest[:start] + rest[start + count :]
        self.doubtful = opened.held and sources[0].examples != chosen.prompt.examples
        self.conversation = rest if opened.held else _last_turns(rest, chosen.history_turns, wire)
        self.user = next(
            (
                place
                for place in range(len(self.conversation) - 1, -1, -1)
                if wire.asks(self.conversation[place])
            ),
            None,
        )
        self.system_as, told = _read(self.system, [one.system for one in sources], wire)
        asked = None if self.user is None else self.conversation[self.user]
        self.user_as, more = _read(asked, [one.user for one in sources], wire)
        if any(told.get(name, value) != value for name, value in more.items()):
            told, self.system_as, self.user_as = {}, None, None  # the messages contradict each other
        else:
            told |= more
        self.inputs: dict[str, Any] | None = {**told, **stated} if stated is not None else told or None
        self.lists_documents = isinstance((stated or {}).get(DOCUMENTS), list)

    def as_they_came(self) -> Rendered:
        """The messages under the caller's own prompt."""
        return self.system, [*self.examples, *self.conversation]

    def render(self, chosen: Compiled) -> Rendered | None:
        """The messages under the chosen prompt; ``None`` if it cannot be applied whole."""
        plan, before = chosen.prompt, chosen.sources[0]
        if plan.broken is not None:
            return None
        if plan.empty and before.empty:
            return self.as_they_came()
        seen = seen_in(chosen.documents, self.inputs or {})
        try:
            return (
                self._system_under(plan, before, seen),
                [*(() if self.held else plan.examples), *self._conversation_under(plan, before, seen)],
            )
        except TemplateError:
            return None

    def _system_under(
        self, plan: PromptPlan, before: PromptPlan, seen: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        if plan.system is not None:
            text = plan.system.fill(seen)
            return (
                self.wire.new_system(text) if self.system is None else self.wire.with_text(self.system, text)
            )
        if self.system is not None and before.system is not None:
            if self.system_as is before.system:
                return None
            raise TemplateError("whether the system message is stable's cannot be told")
        return self.system

    def _conversation_under(self, plan: PromptPlan, before: PromptPlan, seen: Mapping[str, Any]) -> list[Any]:
        if plan.user is None:
            if before.user is not None and self.user_as is before.user:
                raise TemplateError("what was asked before the template was there cannot be told")
            return self.conversation
        if self.held and self.user is None and self.conversation:
            return self.conversation  # what tools found; the question is with the provider
        if self.stated is None and self.user_as is None:
            raise TemplateError("the inputs of the user template cannot be told")
        text = plan.user.fill(seen)
        if self.user is None:
            return [*self.conversation, {"role": "user", "content": text}]
        rest = list(self.conversation)
        rest[self.user] = self.wire.with_text(rest[self.user], text)
        return rest


def _last_turns(messages: list[Any], turns: int | None, wire: Wire) -> list[Any]:
    """The present question, ``turns`` user turns before it, and what followed them; system messages stay."""
    if turns is None:
        return messages
    starts = [place for place, message in enumerate(messages) if wire.asks(message)]
    if len(starts) <= turns + 1:
        return messages
    first = starts[-(turns + 1)]
    return [m for place, m in enumerate(messages) if place >= first or m.get("role") in SYSTEM_ROLES]


def _stand_at(plan: PromptPlan, messages: Sequence[Any], start: int, wire: Wire) -> bool:
    """Whether the plan's examples stand in the messages, from ``start`` on."""
    count = len(plan.examples)
    return 0 < count <= len(messages) - start and all(
        one.get("role") == example["role"] and wire.text_of(one.get("content")) == example["content"]
        for one, example in zip(messages[start : start + count], plan.examples, strict=True)
    )


def _read(
    message: Mapping[str, Any] | None, templates: Sequence[Template | None], wire: Wire
) -> tuple[Template | None, dict[str, str]]:
    """The first template that gives the message's text, and the values with which it does."""
    text = None if message is None else wire.text_of(message.get("content"))
    if text is not None:
        for template in templates:
            if template is not None and (values := template.match(text)) is not None:
                return template, values
    return None, {}
