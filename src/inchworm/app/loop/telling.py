"""What prompts' variables took in conversations that were recorded before anybody declared templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from inchworm.app.house import House
from inchworm.domain.calls import merged
from inchworm.domain.layers import Layer
from inchworm.domain.lifting import Template
from inchworm.domain.rendering import MESSAGES
from inchworm.domain.trace import Trace

_SYSTEM = frozenset({"system", "developer"})


class Telling:
    """Reads inputs back from conversations by the templates of what is stable, as a gateway does.

    Conversations of more than one turn stay as they are: variables cannot say what was said before.
    """

    def __init__(self, house: House) -> None:
        lineage = house.control.lineage(house.app)
        self._prompt: dict[str, Any] = {}
        if lineage is not None:
            self._prompt = house.control.configuration(lineage.stable).layer(Layer.PROMPT)
        self._templates: dict[str | None, dict[str, Template]] = {}

    def inputs(self, inputs: Mapping[str, Any], call: str | None = None) -> dict[str, Any] | None:
        """The inputs by name; ``None`` if they cannot be told from a conversation.

        Args:
            inputs: of an interaction; returned as they are if they hold more than a conversation.
            call: the name of its call, where prompts are keyed by call.
        """
        templates = self._of(call)
        if set(inputs) != {MESSAGES} or "user" not in templates:
            return dict(inputs)
        found: dict[str, Any] = {}
        roles: list[str] = []
        for message in inputs[MESSAGES]:
            role = "system" if message["role"] in _SYSTEM else str(message["role"])
            roles.append(role)
            template = templates.get(role)
            values = {} if template is None else template.match(message["content"])
            if values is None or any(found.get(name, value) != value for name, value in values.items()):
                return None
            found |= values
        return found if roles in (["user"], ["system", "user"]) else None

    def traces(self, traces: Iterable[Trace]) -> Iterator[Trace]:
        """The same interactions, with inputs by name where they can be told."""
        for trace in traces:
            told = self.inputs(trace.inputs, trace.call) if trace.has_content else None
            yield trace if told is None else replace(trace, inputs=told)

    def _of(self, call: str | None) -> dict[str, Template]:
        """The templates of a call, parsed once."""
        found = self._templates.get(call)
        if found is None:
            prompt = merged(self._prompt, call)
            texts = {role: prompt[role] for role in ("system", "user") if role in prompt}
            found = self._templates[call] = {role: Template.of(text) for role, text in texts.items()}
        return found
