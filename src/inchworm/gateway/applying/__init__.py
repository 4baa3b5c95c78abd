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

That is how OpenAI's chat completions have it; where other protocols have it is said by their wires
(:mod:`inchworm.gateway.wires`).

Templates need inputs. They are what the caller states as ``inchworm.inputs`` in the body, and what the
caller's own messages tell: a message that stable's template would give is read back
(:mod:`inchworm.domain.lifting`), so that a canary of the prompt needs no change in the calling program.

A prompt is applied whole or not at all, with one exception. What cannot be applied is named in ``unapplied``,
never left out in silence; so is a layer in which the configuration differs from stable by what only the
calling program can do. The exception: where the provider holds the turns before (``previous_response_id``),
examples stand before the first of them if they stand anywhere. They are not put in again, and the prompt is
named if they are not stable's, for then nobody can tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from inchworm.domain.errors import InputError
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.rendering import DOCUMENTS, MESSAGES
from inchworm.gateway.applying.parts import Parts
from inchworm.gateway.compiled import Compiled, PromptPlan
from inchworm.gateway.units import MEMBER
from inchworm.gateway.wires import OPENAI_CHAT, Wire

SYMBOLIC = "app:"
"""What a model's name begins with that stands for an app: ``app:NAME/call``."""
_DEPLOYMENT = re.compile(r"(?<=/openai/deployments/)[^/?]+(?=[/?]|$)")


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
    body: Mapping[str, Any],
    chosen: Compiled | None,
    *,
    wire: Wire = OPENAI_CHAT,
    path: str = "",
    followed: bool = False,
) -> Applied:
    """Put ``chosen`` into a request.

    Args:
        body: the caller's JSON object; not changed.
        chosen: the configuration; ``None`` for an app that is only observed.
        wire: the protocol of the request.
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
    symbolic = isinstance(name, str) and name.startswith(SYMBOLIC)
    if symbolic and (chosen is None or chosen.model is None):
        raise InputError(
            f'the model is "{name}", and no configuration says which model that is',
            hint="name a model in the request, or set layers.model.name in inchworm.yaml and make it stable",
        )
    if chosen is None:
        return Applied(body=out, path=path, changed=MEMBER in body, inputs=stated)
    if not wire.takes(chosen, meant=symbolic or chosen.named):
        return Applied(
            body=out,
            path=path,
            changed=MEMBER in body,
            inputs=stated,
            unapplied=() if followed else _all_of(chosen),
            deadline_s=chosen.deadline_s,
        )
    if chosen.model is not None:
        if path and (at := _DEPLOYMENT.search(path)):
            path = path[: at.start()] + quote(chosen.model, safe="") + path[at.end() :]
            if "model" in out:
                out["model"] = chosen.model
        else:
            out["model"] = chosen.model
    unapplied = set() if followed else set(chosen.left_to_app)
    if not wire.put_tools(out, chosen):
        unapplied.add(Layer.TOOLS)
    if not wire.put_parameters(out, chosen):
        unapplied.add(Layer.PARAMETERS)
    if stated is not None and isinstance(stated.get(MESSAGES), list):
        wire.put_stated(out, stated[MESSAGES])
    inputs, placed = stated, False
    if chosen.reads_messages and (opened := wire.opened(out)) is not None:
        parts = Parts(opened, stated, chosen, wire, followed=followed)
        inputs, rendered = parts.inputs, parts.render(chosen)
        placed = rendered is not None and parts.lists_documents and _names(chosen.prompt, DOCUMENTS)
        if (rendered is None or parts.doubtful) and not followed:
            unapplied.add(Layer.PROMPT)
        if opened.held and chosen.history_turns is not None and not followed:
            unapplied.add(Layer.CONTEXT)
        system, messages = parts.as_they_came() if rendered is None else rendered
        wire.put(out, system, messages)
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


def _all_of(chosen: Compiled) -> tuple[str, ...]:
    """The layers that say something that a request could hold."""
    said = {
        Layer.MODEL: chosen.model is not None,
        Layer.PARAMETERS: bool(chosen.parameters) or chosen.max_tokens is not None,
        Layer.CONTEXT: chosen.history_turns is not None or chosen.moves_documents,
        Layer.PROMPT: not chosen.prompt.empty,
        Layer.TOOLS: bool(chosen.schemas),
    }
    return tuple(layer.value for layer in LAYERS if said.get(layer) or layer in chosen.left_to_app)


def _names(plan: PromptPlan, name: str) -> bool:
    return any(template is not None and name in template.names for template in (plan.system, plan.user))
