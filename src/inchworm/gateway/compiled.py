"""A configuration made ready for the hot path: parsed once, compared with stable once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.lifting import Template
from inchworm.domain.rendering import seen_in

# What of a layer a gateway can bring into a request; of parameters and prompt it is everything.
_APPLIED: Mapping[Layer, frozenset[str]] = {
    Layer.INFRASTRUCTURE: frozenset({"base_url", "timeout_s", "max_concurrency", "retries"}),
    Layer.MODEL: frozenset({"name"}),
    Layer.CONTEXT: frozenset({"documents", "document_order", "history_turns"}),
    Layer.TOOLS: frozenset({"schemas"}),
}
# What says more of something that is applied: a change of it alone reaches no request.
_DESCRIBED: Mapping[Layer, frozenset[str]] = {
    Layer.INFRASTRUCTURE: frozenset({"upstream", "hardware", "batch_size", "api_key"}),
    Layer.MODEL: frozenset({"provider", "quantization"}),
}
_ACCOUNTING = frozenset({"price"})  # changes what is written down, not what happens
_OF_DOCUMENTS = ("documents", "document_order")
# Written by hand, for they depend on what else the caller's body has.
_APART = frozenset({"max_tokens", "tool_choice"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptPlan:
    """A prompt layer, parsed.

    Attributes:
        system: the system template, if there is one.
        user: the template of the user's message, if there is one.
        examples: the few-shot messages, rendered; they depend on nothing in the request.
        broken: why its templates cannot be used, if they cannot.
    """

    system: Template | None = None
    user: Template | None = None
    examples: tuple[Mapping[str, str], ...] = ()
    broken: str | None = None

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return self.system is None and self.user is None and not self.examples and self.broken is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A configuration as requests need it. Its values are shared between requests: nobody changes them.

    Attributes:
        configuration: what was compiled.
        model: the model's name, if the model layer says one.
        parameters: the parameters layer, without ``max_tokens`` and ``tool_choice``.
        max_tokens: tokens of an answer at most, if the layer says so.
        tool_choice: as the parameters layer says it.
        released: parameters that stable names and this configuration leaves out.
        schemas: the tools' schemas, if the tools layer has them.
        releases_schemas: whether stable has schemas and this configuration has none.
        infrastructure: the infrastructure layer.
        deadline_s: seconds after which an answer comes too late.
        documents: what the context layer says of documents.
        moves_documents: whether it treats documents otherwise than stable does.
        history_turns: earlier turns of a conversation that the model sees; ``None`` for all.
        prompt: its prompt layer.
        sources: the prompt layers by which callers' messages are read: stable's, then its own.
        reads_messages: whether the caller's messages matter at all.
        left_to_app: layers of which only the calling program can follow what differs from stable.
        calls: the same for the calls that have values of their own, by their names.
        named: whether this is what such a call gets.
    """

    configuration: Configuration
    model: str | None
    parameters: Mapping[str, Any]
    max_tokens: Any
    tool_choice: Any
    released: frozenset[str]
    schemas: list[Any] | None
    releases_schemas: bool
    infrastructure: Mapping[str, Any]
    deadline_s: float | None
    documents: Mapping[str, Any]
    moves_documents: bool
    history_turns: int | None
    prompt: PromptPlan
    sources: tuple[PromptPlan, ...]
    reads_messages: bool
    left_to_app: tuple[Layer, ...]
    calls: Mapping[str, Compiled] = field(default_factory=dict)
    named: bool = False

    def of(self, call: str | None) -> Compiled:
        """What a call of this name gets; the common values if the name is not known."""
        return self.calls.get(call, self) if call is not None and self.calls else self


def compiled(configuration: Configuration, stable: Configuration) -> Compiled:
    """Make ``configuration`` ready, beside what is ``stable`` (which may be the same), call by call."""
    names = {*call_names(configuration), *call_names(stable)}
    common = _compiled(for_call(configuration, None), for_call(stable, None))
    if not names:
        return common
    calls = {
        name: replace(
            _compiled(for_call(configuration, name), for_call(stable, name)),
            configuration=configuration,
            named=True,
        )
        for name in sorted(names)
    }
    return replace(common, configuration=configuration, calls=calls)


def _compiled(configuration: Configuration, stable: Configuration) -> Compiled:
    mine = {layer: configuration.layer(layer) for layer in LAYERS}
    theirs = {layer: stable.layer(layer) for layer in LAYERS}
    name, parameters = mine[Layer.MODEL].get("name"), mine[Layer.PARAMETERS]
    schemas = mine[Layer.TOOLS].get("schemas")
    timeout = mine[Layer.INFRASTRUCTURE].get("timeout_s")
    context, before = mine[Layer.CONTEXT], theirs[Layer.CONTEXT]
    turns = context.get("history_turns")
    prompt, stable_prompt = (
        prompt_plan(mine[Layer.PROMPT], context),
        prompt_plan(theirs[Layer.PROMPT], before),
    )
    return Compiled(
        configuration=configuration,
        model=name if isinstance(name, str) and name else None,
        parameters={key: value for key, value in parameters.items() if key not in _APART},
        max_tokens=parameters.get("max_tokens"),
        tool_choice=parameters.get("tool_choice"),
        released=frozenset(theirs[Layer.PARAMETERS].keys() - parameters.keys()),
        schemas=schemas,
        releases_schemas=schemas is None and theirs[Layer.TOOLS].get("schemas") is not None,
        infrastructure=mine[Layer.INFRASTRUCTURE],
        deadline_s=None if timeout is None else float(timeout),
        documents={key: context[key] for key in _OF_DOCUMENTS if key in context},
        moves_documents=any(context.get(key) != before.get(key) for key in _OF_DOCUMENTS),
        history_turns=turns if isinstance(turns, int) else None,
        prompt=prompt,
        sources=(prompt,) if prompt == stable_prompt else (stable_prompt, prompt),
        reads_messages=not (prompt.empty and stable_prompt.empty) or isinstance(turns, int),
        left_to_app=tuple(layer for layer in _APPLIED if _is_left(layer, mine[layer], theirs[layer])),
    )


def prompt_plan(prompt: Mapping[str, Any], context: Mapping[str, Any]) -> PromptPlan:
    """Parse a prompt layer; a template that cannot be used makes it ``broken``, and is no error here."""
    try:
        system, user = (Template.of(prompt[name]) if name in prompt else None for name in ("system", "user"))
        examples: list[Mapping[str, str]] = []
        for one in prompt.get("few_shot", ()):
            asked = one["inputs"]
            said = (
                str(asked.get("question", "")) if user is None else user.fill(seen_in(context, asked))
            )  # as inchworm.domain.rendering.render
            examples.append({"role": "user", "content": said})
            examples.append({"role": "assistant", "content": str(one["answer"])})
    except (TemplateError, KeyError, TypeError, AttributeError) as error:
        return PromptPlan(broken=str(error) or type(error).__name__)
    return PromptPlan(system=system, user=user, examples=tuple(examples))


def _is_left(layer: Layer, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    moved = {key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)} - _ACCOUNTING
    rest = moved - _APPLIED[layer]
    if not rest:
        return False
    return bool(rest - _DESCRIBED.get(layer, frozenset())) or not moved & _APPLIED[layer]
