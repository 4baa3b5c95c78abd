"""Stable's prompt layer as a prompt of Langfuse's, for programs that fetch theirs there. Pure.

Variables stand in single braces here and in double ones there. What is published now is version N, the
generation of the serving table; older versions are not kept here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.domain.calls import call_names, for_call
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError, TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.lifting import Template
from inchworm.domain.rendering import seen_in
from inchworm.gateway.resolving import ServedApp

STABLE_LABELS = ("production", "latest", "stable")
"""Labels under which stable is asked for."""
CANDIDATE_LABEL = "candidate"
"""The label of what is being exposed, while something is."""


def langfuse_prompt(app: ServedApp, name: str, *, label: str | None, version: str | None) -> dict[str, Any]:
    """A prompt in the form of ``GET /api/public/v2/prompts/{name}``.

    Args:
        app: whose prompt.
        name: the app's name (``NAME`` or ``NAME/ENVIRONMENT``), or that of one of its calls, perhaps behind
            the app's (``NAME/CALL``).
        label: ``production``, ``latest``, ``stable`` or ``candidate``; stable if left out.
        version: the generation that is meant, if one is.

    Raises:
        NotFoundError: if there is none by that name, label and version.
    """
    table = app.table
    if table is None:
        raise NotFoundError(f"{app.app} is only observed, so that nothing is published for it")
    labels: list[str] = []
    if label is None or label in STABLE_LABELS:
        configuration, labels = app.configurations[table.stable].configuration, [*STABLE_LABELS]
    elif label == CANDIDATE_LABEL and table.candidate is not None:
        configuration = app.configurations[table.candidate.configuration_id].configuration
        labels = [CANDIDATE_LABEL]
    else:
        raise NotFoundError(f'no prompt is published under the label "{label[:100]}"')
    if version is not None and version != str(table.generation):
        raise NotFoundError(f"version {version[:20]} is not published any more; {table.generation} is")
    call = _call(app, configuration, name)
    values = for_call(configuration, call)
    kind, prompt = _messages(values.layer(Layer.PROMPT), values.layer(Layer.CONTEXT), name)
    return {
        "id": f"{configuration.id[:16]}-{call or 'default'}",
        "name": name,
        "version": table.generation,
        "type": kind,
        "prompt": prompt,
        "labels": labels,
        "tags": [],
        "config": {
            **values.layer(Layer.PARAMETERS),
            **({"model": model} if (model := values.layer(Layer.MODEL).get("name")) else {}),
            "inchworm": {"app": str(app.app), "configuration": configuration.id},
        },
        "commitMessage": None,
        "resolutionGraph": None,
    }


def _call(app: ServedApp, configuration: Configuration, name: str) -> str | None:
    """The call whose prompt is meant; ``None`` for the common one."""
    if name in {app.app.app, str(app.app)}:
        return None
    calls = call_names(configuration)
    own = name.removeprefix(f"{app.app}/").removeprefix(f"{app.app.app}/")
    if own in calls:
        return own
    known = ", ".join((app.app.app, *calls))
    raise NotFoundError(f'no prompt "{name[:100]}" is published; there are: {known}')


def _messages(
    prompt: Mapping[str, Any], context: Mapping[str, Any], name: str
) -> tuple[str, str | list[dict[str, str]]]:
    try:
        user = Template.of(prompt["user"]) if "user" in prompt else None
        system = Template.of(prompt["system"]) if "system" in prompt else None
        shown: list[dict[str, str]] = []
        for one in prompt.get("few_shot", ()):
            asked = one["inputs"]
            said = str(asked.get("question", "")) if user is None else user.fill(seen_in(context, asked))
            shown += [{"role": "user", "content": said}, {"role": "assistant", "content": str(one["answer"])}]
    except (TemplateError, KeyError, TypeError, AttributeError) as error:
        raise NotFoundError(f'the prompt "{name[:100]}" cannot be used: {error}') from error
    if system is None and user is None and not shown:
        raise NotFoundError(f'the prompt layer of "{name[:100]}" is empty')
    if system is None and user is not None and not shown:
        return "text", _doubled(user)
    return "chat", [
        *([] if system is None else [{"role": "system", "content": _doubled(system)}]),
        *shown,
        *([] if user is None else [{"role": "user", "content": _doubled(user)}]),
    ]


def _doubled(template: Template) -> str:
    """The template with its variables in double braces."""
    out = [template.literals[0]]
    for name, literal in zip(template.names, template.literals[1:], strict=True):
        out += ["{{", name, "}}", literal]
    return "".join(out)
