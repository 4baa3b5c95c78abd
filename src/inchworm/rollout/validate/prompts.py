"""Prompts: templates, the variables they name, and their examples."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import TemplateError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import DOCUMENTS, MESSAGES, variables
from inchworm.providers.catalogue import DEFAULT_HOST, host_of
from inchworm.rollout.validate.known import Known, Problem

_JSON_OBJECT = "json_object"


def templates(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Templates are well formed and name only variables that every recorded input has."""
    prompt = configuration.layer(Layer.PROMPT)
    found: list[Problem] = []
    for key in ("system", "user"):
        if key not in prompt:
            continue
        try:
            named = variables(prompt[key])
        except TemplateError as error:
            found.append(Problem(layers=(Layer.PROMPT,), message=f"prompt.{key}: {error.message}"))
            continue
        if known.inputs is None:
            continue
        found.extend(
            Problem(
                layers=(Layer.PROMPT,),
                message=f'prompt.{key} names "{{{name}}}", which the recorded inputs do not have '
                f"(they have: {', '.join(sorted(known.inputs)) or 'none'})",
            )
            for name in sorted(named - known.inputs)
        )
    if "user" not in prompt and known.inputs is not None and MESSAGES not in known.inputs:
        found.append(
            Problem(
                layers=(Layer.PROMPT,),
                message='prompt has no "user" template and the recorded inputs are no conversations',
            )
        )
    return found


def few_shot(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Every example has what the user template names."""
    del known
    prompt = configuration.layer(Layer.PROMPT)
    try:
        needed = variables(prompt["user"]) if "user" in prompt else frozenset()
    except TemplateError:
        return ()  # said by the templates' own validator
    found: list[Problem] = []
    for number, example in enumerate(prompt.get("few_shot", ()), start=1):
        missing = sorted(needed - set(example["inputs"]))
        if missing:
            found.append(
                Problem(
                    layers=(Layer.PROMPT,),
                    message=f"few-shot example {number} has no {', '.join(missing)}, which prompt.user names",
                )
            )
    return found


def documents_shown(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """A prompt that names ``{documents}`` is given some, and documents that are kept are shown."""
    kept = configuration.layer(Layer.CONTEXT).get(DOCUMENTS)
    prompt = configuration.layer(Layer.PROMPT)
    try:
        named = {name for key in ("system", "user") if key in prompt for name in variables(prompt[key])}
    except TemplateError:
        return ()  # said by the templates' own validator
    layers = (Layer.CONTEXT, Layer.PROMPT)
    if kept == 0 and DOCUMENTS in named:
        return (
            Problem(
                layers=layers,
                message="the prompt names {documents}, and context.documents is 0: it is shown none",
                certain=False,
            ),
        )
    retrieved = known.inputs is not None and DOCUMENTS in known.inputs
    if isinstance(kept, int) and kept > 0 and retrieved and "user" in prompt and DOCUMENTS not in named:
        return (
            Problem(
                layers=layers,
                message=f"context.documents is {kept}, and no template names {{documents}}: nobody sees them",
                certain=False,
            ),
        )
    return ()


def json_wanted(configuration: Configuration, known: Known) -> Sequence[Problem]:
    """Who asks OpenAI for JSON says so in the prompt; requests that do not are refused.

    Source: OpenAI's API reference, chat completions, ``response_format``.
    """
    del known
    infrastructure = configuration.layer(Layer.INFRASTRUCTURE)
    if infrastructure.get("upstream") == "recorded" or host_of(infrastructure) != DEFAULT_HOST:
        return ()
    wanted = configuration.layer(Layer.PARAMETERS).get("response_format")
    prompt = configuration.layer(Layer.PROMPT)
    if not isinstance(wanted, dict) or wanted.get("type") != _JSON_OBJECT:
        return ()
    if "user" not in prompt:
        return ()  # the conversation may say it
    texts = [str(prompt.get(key, "")) for key in ("system", "user")]
    texts += [str(example.get("answer", "")) for example in prompt.get("few_shot", ())]
    if any("json" in text.lower() for text in texts):
        return ()
    message = (
        f'parameters.response_format is {_JSON_OBJECT}, and the prompt never says "JSON": '
        f"{DEFAULT_HOST} refuses requests without the word"
    )
    return (Problem(layers=(Layer.PARAMETERS, Layer.PROMPT), message=message),)
