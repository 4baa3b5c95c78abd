"""What one interaction says of the configuration that answered it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from inchworm.domain.rendering import MESSAGES
from inchworm.domain.trace import Trace

MODEL, TOOLS = "gen_ai.request.model", "gen_ai.tool.definitions"
_ANSWERED_BY = "gen_ai.response.model"
_REQUEST, _OTHERS = "gen_ai.request.", "openai.request."
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop_sequences": "stop",
    "seed": "seed",
}
_FURTHER = ("tool_choice", "response_format", "reasoning_effort", "parallel_tool_calls", "verbosity")
_SURROGATE = re.compile(r"\b([A-Z][A-Z0-9]*(?:_[A-Z][A-Z0-9]*)*)_\d{1,6}\b")
_SYSTEM_ROLES = frozenset({"system", "developer"})
_VALUES = 4
_LATELY = 200
_LONGEST = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The parts of a conversation that the application wrote.

    Attributes:
        system: its leading system (or developer) messages.
        user: the first message of the user.
    """

    system: tuple[str, ...]
    user: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What tells configurations apart.

    Attributes:
        model: the model that was asked for.
        parameters: its sampling parameters as JSON text, sorted by name.
        tools: digest of the tools' schemas; empty without tools.
        system: id of the skeleton of the system prompt; empty without one.
        user: id of the skeleton of the first user message; empty without one.
    """

    model: str
    parameters: str = "{}"
    tools: str = ""
    system: str = ""
    user: str = ""

    @property
    def key(self) -> str:
        """A short name: sixteen hexadecimal characters."""
        text = f"{self.model}\0{self.parameters}\0{self.tools}\0{self.system}\0{self.user}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def state(self) -> dict[str, str]:
        """As JSON."""
        return asdict(self)


def prompt_of(trace: Trace) -> Prompt | None:
    """The parts that the application wrote; ``None`` if the conversation was not recorded."""
    messages = trace.inputs.get(MESSAGES)
    if not isinstance(messages, list) or not messages:
        return None
    system: list[str] = []
    leading = True
    for message in messages:
        if not isinstance(message, Mapping):
            return None
        role, content = message.get("role"), message.get("content")
        if not isinstance(content, str):
            continue
        if role in _SYSTEM_ROLES:
            if leading:
                system.append(content)
        elif role == "user":
            return Prompt(system=tuple(system), user=content)
        else:
            leading = False
    return Prompt(system=tuple(system), user=None)


def model_of(trace: Trace) -> str:
    """The model that was asked for, else the one that answered; empty if nothing says."""
    for name in (MODEL, _ANSWERED_BY):
        value = trace.attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def parameters_of(trace: Trace) -> dict[str, Any]:
    """How the model was told to sample, by the names of ``inchworm.yaml``."""
    said = trace.attributes
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name.startswith(_REQUEST):
            if (known := _PARAMETERS.get(name[len(_REQUEST) :])) is not None and value is not None:
                found[known] = value
        elif (plain := name.removeprefix(_OTHERS)) in _FURTHER and value is not None:
            found[plain] = value
    return found


def tools_of(trace: Trace) -> tuple[str, list[Any]]:
    """The tools' schemas and their digest; stand-ins of the sanitizer count as one."""
    schemas = trace.attributes.get(TOOLS)
    if not isinstance(schemas, list) or not schemas:
        return "", []
    text = _SURROGATE.sub(r"\1", json.dumps(schemas, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()[:16], schemas


@dataclass(slots=True)
class Varying:
    """Which values change from request to request, as a random seed does, and so tell nothing.

    Attributes:
        names: those that do.
    """

    names: set[str] = field(default_factory=set)
    _lately: dict[str, dict[str, int]] = field(default_factory=dict)

    def steady(self, values: Mapping[str, Any], number: int) -> tuple[str, bool]:
        """The values that tell something, as JSON text; and whether a name began to vary just now.

        Args:
            values: name → JSON value.
            number: counts the requests.
        """
        more = False
        kept: dict[str, Any] = {}
        for name in sorted(values):
            if name in self.names:
                continue
            text = json.dumps(values[name], sort_keys=True)
            seen = self._lately.setdefault(name, {})
            seen.pop(text[:_LONGEST], None)
            seen[text[:_LONGEST]] = number
            if len(seen) > _VALUES:
                oldest = next(iter(seen))
                if number - seen.pop(oldest) <= _LATELY:
                    self.names.add(name)
                    del self._lately[name]
                    more = True
                    continue
            kept[name] = values[name]
        return json.dumps(kept, sort_keys=True), more

    def without(self, text: str) -> str:
        """The JSON text of values without those that vary."""
        values = json.loads(text)
        return json.dumps({name: values[name] for name in values if name not in self.names}, sort_keys=True)

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"names": sorted(self.names), "lately": self._lately}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Varying:
        """The inverse of :meth:`state`."""
        return cls(
            names=set(state["names"]), _lately={name: dict(seen) for name, seen in state["lately"].items()}
        )
