"""What a dialect tells of a span, and how several tell together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import Said, as_text, conversation, tool_schemas
from inchworm.capture.telemetry.plain import amount_of, count_of, json_of, said, written
from inchworm.domain.configuration import AppRef
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Assignment

READ = "inchworm.read"
"""Attribute: names of attributes that are not kept, for all that they say stands in inputs, output or others.

A name that ends with a dot stands for the flattened list under it.
"""
_PEOPLE = frozenset({"user", "safety_identifier"})
_IN_METADATA = (
    *("session_id", "sessionId", "langfuse_session_id", "thread_id", "threadId"),
    *("conversation_id", "conversationId"),
)
_BODY = ("messages", "input", "prompt", "contents")


@dataclass(slots=True)
class Told:
    """What is told of a span; what is not stays empty. Of several, the first that tells something wins.

    Attributes:
        kind: what was done.
        model: the model that answered.
        asked: the model that was asked for.
        messages: the conversation that went in.
        inputs: what went in, by names.
        output: what came out.
        finish_reason: the provider's word.
        input_tokens: tokens read, cached ones included.
        output_tokens: tokens written.
        cost_usd: US dollars.
        people: ``unit``, ``session``, ``user``.
        attributes: what is told under OpenTelemetry's names, over the raw ones.
        read: raw attributes of which nothing is left to tell; one that ends with a dot is a flattened list.
        cut: raw attributes that are no content and too large to be kept, and their sizes.
        trouble: why it failed, if the dialect has a word of its own for that.
        app: the app that it names.
        configuration: id of the configuration that answered.
        assignment: its assignment.
        reference: a right answer.
    """

    kind: SpanKind | None = None
    model: str | None = None
    asked: str | None = None
    messages: Said | None = None
    inputs: dict[str, Any] | None = None
    output: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    people: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    trouble: str | None = None
    app: AppRef | None = None
    configuration: str | None = None
    assignment: Assignment | None = None
    reference: Any = None

    def person(self, kind: str, value: Any) -> None:
        """Note who it belongs to, unless that is known."""
        if kind not in self.people and (text := said(value)) is not None:
            self.people[kind] = text

    def tokens(self, name: str, value: Any) -> None:
        """Note a count of tokens under its present name, unless that is known."""
        count = count_of(value)
        if count is None or name in self.attributes:
            return
        self.attributes[name] = count
        if name == names.INPUT_TOKENS:
            self.input_tokens = count
        elif name == names.OUTPUT_TOKENS:
            self.output_tokens = count

    def cost(self, value: Any) -> None:
        """Note what it cost in US dollars, unless that is known."""
        if self.cost_usd is None:
            self.cost_usd = amount_of(value)

    def first_at(self, at: float | None, started: float | None) -> None:
        """Note when the first of a stream came, both in seconds since the epoch."""
        if at is not None and started is not None and at >= started:
            self.attributes.setdefault(names.TTFT, round(at - started, 6))

    def parameter(self, name: str, value: Any) -> None:
        """Note a parameter of the request, by its name in a body."""
        if value is None or value in ("Infinity", "NOT_GIVEN", "not_given"):
            return
        kept = names.REQUEST.get(name)
        if name in _PEOPLE:
            self.person("user", value)
        elif name == "metadata" and isinstance(value, dict):
            self.metadata(value)
            self.attributes.setdefault(names.OTHERS + name, value)
        elif kept == names.REQUEST_MODEL:
            self.asked = self.asked or said(value)
        elif name in {"tools", "functions"}:
            if names.TOOLS not in self.attributes and (schemas := tool_schemas(value)):
                self.attributes[names.TOOLS] = schemas
        elif kept == names.STOP:
            self.attributes.setdefault(kept, value if isinstance(value, list) else [value])
        elif kept is not None:
            self.attributes.setdefault(kept, value)
        else:
            self.attributes.setdefault(names.OTHERS + name, value)

    def metadata(self, about: Mapping[str, Any]) -> None:
        """Note the people that metadata name."""
        for name in _IN_METADATA:
            self.person("session", about.get(name))
        for name in ("user_id", "userId", "langfuse_user_id"):
            self.person("user", about.get(name))

    def parameters(self, value: Any) -> bool:
        """Note parameters of the request, from an object or its JSON; whether it was one."""
        found = json_of(value)
        if not isinstance(found, dict):
            return False
        for name, one in found.items():
            self.parameter(name, one)
        return True

    def went_in(self, value: Any, *, chat: bool) -> None:
        """Note what went in: a request's body, a conversation, an object, else a text.

        Args:
            value: any of these, or JSON text.
            chat: whether it is a model's input, so that what stands beside messages is its request.
        """
        found = json_of(value)
        if found is None:
            found = value
        if isinstance(found, dict):
            self._object_in(found, chat=chat)
        elif found is None or (isinstance(found, list | str) and not found):
            return
        elif (messages := conversation(found) if isinstance(found, list) else None) is not None:
            self.messages = self.messages or messages
        elif chat and isinstance(found, str):
            self.messages = self.messages or Said(messages=[{"role": "user", "content": found}])
        elif self.inputs is None:
            self.inputs = {"input": found}

    def _object_in(self, found: dict[str, Any], *, chat: bool) -> None:
        held = next((name for name in _BODY if found.get(name) is not None), None)
        if chat and held is not None and self.messages is not None:  # they are told already
            for name, one in found.items():
                if name not in {held, "instructions", "system"}:
                    self.parameter(name, one)
            return
        messages = None
        if held is not None and (chat or held == "messages"):
            messages = conversation(found[held], role="user" if chat else None)
            if messages is None and chat and isinstance(found[held], str):
                messages = Said(messages=[{"role": "user", "content": found[held]}])
        if messages is not None:
            first = found.get("instructions", found.get("system"))
            if isinstance(first, str) and first:
                messages = Said(
                    messages=[{"role": "system", "content": first}, *messages.messages],
                    parts=[{**part, "message": part["message"] + 1} for part in messages.parts],
                )
            self.messages = self.messages or messages
            rest = {
                n: v for n, v in found.items() if n not in {held, "instructions", "system"} and v is not None
            }
            if chat:
                for name, one in rest.items():
                    self.parameter(name, one)
            elif rest and self.inputs is None:
                self.inputs = rest
        elif chat and "role" in found and (messages := conversation(found)) is not None:
            self.messages = self.messages or messages
        elif found and self.inputs is None:
            self.inputs = found

    def came_out(self, value: Any, *, chat: bool) -> None:
        """Note what came out: a completion's body, a message, several, an object, else a text.

        Args:
            value: any of these, or JSON text.
            chat: whether it is a model's output.
        """
        if self.output is not None and not chat:
            return
        found = json_of(value)
        if found is None:
            if self.output is None and isinstance(value, str) and value:
                self.output = value
            elif self.output is None and type(value) in {int, float, bool}:
                self.output = as_text(value)
            return
        if chat and isinstance(found, dict):
            if self._completion(found):
                return
            found = next((found[n] for n in ("messages", "generations") if found.get(n)), found)
        answer = conversation(found, role="assistant" if chat and isinstance(found, list) else None)
        if answer is not None:
            self.answered(answer)
        elif (last := _last_of(found)) is not None:
            self.answered(last)
        elif self.output is None:
            text = as_text(found)
            self.output = value if isinstance(value, str) and text == written(found) else text

    def _completion(self, found: Mapping[str, Any]) -> bool:
        """Note a completion as providers write it; whether it is one."""
        self.model = self.model or said(found.get("model"))
        if "choices" in found or found.get("object") == "response":
            if (id_ := said(found.get("id"))) is not None:
                self.attributes.setdefault(names.RESPONSE_ID, id_)
            self.usage(found.get("usage"))
        choices = found.get("choices")
        if isinstance(choices, list) and choices:
            if self.output is not None:
                return True
            answer = conversation(choices)
            if answer is not None:
                self.finish_reason = self.finish_reason or said(
                    choices[0].get("finish_reason") if isinstance(choices[0], dict) else None
                )
                self.answered(answer)
                return True
        output = found.get("output")
        if found.get("object") == "response" and isinstance(output, list):
            items = [one for one in output if isinstance(one, dict) and one.get("type") != "reasoning"]
            answer = conversation(items)
            if answer is not None:
                self.answered(joined(answer))
                self.finish_reason = self.finish_reason or said(found.get("status"))
            return True
        return False

    def usage(self, value: Any) -> None:
        """Note tokens and cost, from an object as providers and tracing clients write it, or its JSON."""
        found = json_of(value)
        if not isinstance(found, dict):
            return
        for name, others in _COUNTS.items():
            for other in others:
                if found.get(other) is not None:
                    self.tokens(name, found[other])
                    break
        for group, name, kept in _DETAILS:
            details = found.get(group)
            if isinstance(details, dict):
                self.tokens(kept, details.get(name))
        for name in ("total_cost", "cost", "totalCost"):
            self.cost(found.get(name))

    def answered(self, answer: Said) -> None:
        """Note an answer: the text of its first message, and its calls of tools."""
        if self.output is not None or "openai.response.tool_calls" in self.attributes:
            return
        first = answer.messages[0]
        self.finish_reason = self.finish_reason or answer.finish_reason
        content = first.get("content")
        if isinstance(content, str) and (content or not first.get("tool_calls")):
            self.output = content
        for name, value in first.items():
            if name not in {"role", "content", "id", "type", "status"}:
                self.attributes.setdefault(f"openai.response.{name}", value)
        if len(answer.messages) > 1:
            self.attributes.setdefault("openai.response.other_choices", answer.messages[1:])
        if answer.parts:
            self.attributes.setdefault(
                "openai.response.parts", [{"type": part["type"]} for part in answer.parts]
            )


_COUNTS = {
    names.INPUT_TOKENS: ("input_tokens", "prompt_tokens", "promptTokens", "inputTokens", "input"),
    names.OUTPUT_TOKENS: ("output_tokens", "completion_tokens", "completionTokens", "outputTokens", "output"),
}
_DETAILS = (
    ("prompt_tokens_details", "cached_tokens", names.CACHE_READ),
    ("input_tokens_details", "cached_tokens", names.CACHE_READ),
    ("input_token_details", "cache_read", names.CACHE_READ),
    ("input_token_details", "cache_creation", names.CACHE_WRITE),
    ("completion_tokens_details", "reasoning_tokens", names.REASONING),
    ("output_tokens_details", "reasoning_tokens", names.REASONING),
    ("output_token_details", "reasoning", names.REASONING),
)


def joined(answer: Said) -> Said:
    """Several messages of one answer as one: Responses writes each call of a tool as an item of its own."""
    if len(answer.messages) == 1:
        return answer
    first = dict(answer.messages[0])
    first["content"] = "\n".join(text for one in answer.messages if (text := one["content"]))
    if calls := [call for one in answer.messages for call in one.get("tool_calls", ())]:
        first["tool_calls"] = calls
    return Said(messages=[first], parts=answer.parts, finish_reason=answer.finish_reason)


def _last_of(found: Any) -> Said | None:
    """The last word of an assistant in a state that holds a conversation, as graphs of agents end with."""
    whole = conversation(found["messages"]) if isinstance(found, dict) and found.get("messages") else None
    if whole is None:
        return None
    last = next((one for one in reversed(whole.messages) if one["role"] == "assistant"), None)
    return None if last is None else Said(messages=[last])


_FIELDS = tuple(
    name for name in Told.__dataclass_fields__ if name not in {"people", "attributes", "read", "cut"}
)


def together(all_told: Sequence[Told]) -> Told:
    """What several tell; where more than one does, the first."""
    if len(all_told) == 1:
        return all_told[0]
    first, *others = all_told
    for other in others:
        for name in _FIELDS:
            if getattr(first, name) is None and (value := getattr(other, name)) is not None:
                setattr(first, name, value)
        first.people = {**other.people, **first.people}
        first.attributes = {**other.attributes, **first.attributes}
        first.read += other.read
        first.cut.update(other.cut)
    return first
