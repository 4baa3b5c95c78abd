"""Which layers of a change make no sense before others of it. Pure.

A validator says what cannot run. This says what would run and be worth nothing: a prompt that asks for
documents while none are retrieved, a prompt that names a tool which is not there yet. Both are read off base
and candidate, so nobody has to declare them with ``after:``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import DOCUMENTS, variables
from inchworm.rollout.validate.tools import named_choice, named_in_prompt, tool_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One layer of a change makes no sense before another one of it.

    Attributes:
        layer: the one that comes later.
        after: the one that comes first.
        because: why, as half a sentence, e.g. ``the prompt names the tool search_orders, which is new``.
    """

    layer: Layer
    after: Layer
    because: str


def needs(base: Configuration, candidate: Configuration) -> Mapping[Layer, Mapping[Layer, str]]:
    """For each layer that moves, the moved layers that it needs first, each with the reason.

    They may go in a circle: a tool that is replaced, together with the prompt that names it, is coupled, and
    no order of single layers serves it.

    Args:
        base: what the change starts from.
        candidate: what it leads to.
    """
    moved = set(base.moved(candidate))
    found: dict[Layer, dict[Layer, str]] = {}
    for call in (None, *sorted({*call_names(base), *call_names(candidate)})):
        here = f" (call {call})" if call is not None else ""
        old, new = for_call(base, call), for_call(candidate, call)
        for rule in _RULES:
            for need in rule(old, new):
                if {need.layer, need.after} <= moved:
                    found.setdefault(need.layer, {}).setdefault(need.after, need.because + here)
    return found


def _documents(base: Configuration, candidate: Configuration) -> Iterator[Need]:
    """Documents that a prompt shows must be retrieved, and are no use to one that shows none."""
    had, has = (one.layer(Layer.CONTEXT).get(DOCUMENTS) == 0 for one in (base, candidate))
    before, after = _names_documents(base), _names_documents(candidate)
    if had and not has and after:
        yield Need(
            layer=Layer.PROMPT,
            after=Layer.CONTEXT,
            because="the prompt names {documents}, and context.documents is 0 before",
        )
    if has and not had and before and not after:
        yield Need(
            layer=Layer.CONTEXT,
            after=Layer.PROMPT,
            because="the prompt names {documents} before, and context.documents becomes 0",
        )


def _names_documents(configuration: Configuration) -> bool:
    prompt = configuration.layer(Layer.PROMPT)
    try:
        return any(DOCUMENTS in variables(prompt[key]) for key in ("system", "user") if key in prompt)
    except TemplateError:
        return False  # said by the validator of templates


def _tools_in_prompt(base: Configuration, candidate: Configuration) -> Iterator[Need]:
    old, new = tool_names(base), tool_names(candidate)
    fresh = named_in_prompt(candidate, new - old)
    if fresh:
        yield Need(layer=Layer.PROMPT, after=Layer.TOOLS, because=f"the prompt names {_tool(fresh)} new")
    gone = named_in_prompt(base, old - new) - named_in_prompt(candidate, old - new)
    if gone:
        yield Need(
            layer=Layer.TOOLS, after=Layer.PROMPT, because=f"the prompt names {_tool(gone)} taken away"
        )


def _chosen_tool(base: Configuration, candidate: Configuration) -> Iterator[Need]:
    old, new = tool_names(base), tool_names(candidate)
    wanted, before = named_choice(candidate), named_choice(base)
    if wanted in new - old:
        yield Need(
            layer=Layer.PARAMETERS, after=Layer.TOOLS, because=f"tool_choice names {wanted}, which is new"
        )
    if before in old - new and wanted != before:
        yield Need(
            layer=Layer.TOOLS,
            after=Layer.PARAMETERS,
            because=f"tool_choice names {before}, which is taken away",
        )


def _tool(names: frozenset[str]) -> str:
    listed = ", ".join(sorted(names))
    return f"the tool {listed}, which is" if len(names) == 1 else f"the tools {listed}, which are"


_RULES: tuple[Callable[[Configuration, Configuration], Iterator[Need]], ...] = (
    _documents,
    _tools_in_prompt,
    _chosen_tool,
)
