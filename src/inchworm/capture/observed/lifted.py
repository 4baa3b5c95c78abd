"""From skeletons to templates as ``inchworm.yaml`` writes them: gaps get names, braces are written twice."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inchworm.capture.observed.template import Gap, Piece, Template
from inchworm.domain.configuration import Configuration

_LABEL = re.compile(r"([A-Za-z][A-Za-z _-]{0,30}?)\s*(?::|=|>|\bis)\s*[\"'`(\[]?\s*\Z")
_WORD = re.compile(r"[A-Za-z]+")
QUESTION = "question"
_DATED = frozenset({"today", "date", "now", "time"})
_ARTICLES = frozenset({"the", "a", "an", "your", "our", "my", "is", "this"})
_LONGEST = 24
_MOST_EXACT = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What answers a call, as a configuration that can be declared.

    Attributes:
        call: the call's name; empty if its callers name none.
        configuration: model, parameters, prompt templates and tools.
        seen: requests that had this fingerprint.
        first: the time of the first of them, seconds since the epoch.
        systems: how many system messages its requests begin with; a template can say one.
        stand_ins: variables that stand where personal data was taken out.
        varying: parameters that were left out, because they change from request to request.
    """

    call: str
    configuration: Configuration
    seen: int
    first: float
    systems: int
    stand_ins: tuple[str, ...]
    varying: tuple[str, ...]


Written = tuple[str | None, str | None, tuple[str, ...]]
"""System and user template, and the names of the variables that stand for personal data."""


def templates(system: Template | None, user: Template | None) -> Written:
    """Both prompts as texts with ``{names}``, and the names that stand for personal data.

    Every gap has a name of its own, so that each can be read back from a rendering.
    """
    taken: set[str] = set()
    stand_ins: list[str] = []
    said = [
        None if one is None else _written(one.pieces, taken, stand_ins, is_user=place == 1)
        for place, one in enumerate((system, user))
    ]
    return said[0], said[1], tuple(stand_ins)


def _written(pieces: Sequence[Piece], taken: set[str], stand_ins: list[str], *, is_user: bool) -> str:
    gaps = sum(isinstance(piece, Gap) for piece in pieces)
    out: list[str] = []
    for place, piece in enumerate(pieces):
        if not isinstance(piece, Gap):
            out.append(piece.replace("{", "{{").replace("}", "}}"))
            continue
        before = pieces[place - 1] if place else ""
        name = _name(piece, before if isinstance(before, str) else "")
        if not name and is_user and gaps == 1:
            name = QUESTION
        name = _free(name, taken)
        if piece.hint not in {"", "date", "id"}:
            stand_ins.append(name)
        out.append("{" + name + "}")
    return "".join(out)


def _name(gap: Gap, before: str) -> str:
    """What the gap is called: the label in front of it, else what it looks like."""
    label = _LABEL.search(before[-64:].rpartition("\n\n")[2])
    said = [word for word in _WORD.findall(label[1]) if word.lower() not in _ARTICLES][-2:] if label else []
    if gap.hint == "date" or (said and said[-1].lower() in _DATED):
        return "date"
    if gap.hint not in {"", "id"}:
        return _safe(gap.hint)
    return _safe("_".join(said).lower()) if said else _safe(gap.hint)


def _safe(name: str) -> str:
    return name[:_LONGEST].strip("_") if name.isidentifier() and not keyword.iskeyword(name) else ""


def _free(name: str, taken: set[str]) -> str:
    """A name that is not taken yet: ``date``, ``date_2``; ``v1`` where there is none."""
    number = 1
    found = name or "v1"
    while found in taken:
        number += 1
        found = f"{name}_{number}" if name else f"v{number}"
    taken.add(found)
    return found


def layers(
    *,
    model: str,
    parameters: dict[str, Any],
    prompt: tuple[str | None, str | None],
    tools: list[Any],
    infrastructure: dict[str, Any],
) -> Configuration:
    """A configuration of what was seen; the context is not seen from outside."""
    system, user = prompt
    said = {name: text for name, text in (("system", system), ("user", user)) if text is not None}
    return Configuration.of(
        {
            "infrastructure": infrastructure,
            "model": {"name": model} if model else {},
            "parameters": _exact(parameters),
            "prompt": said,
            "tools": {"schemas": _exact(tools)} if tools else {},
        }
    )


def _exact(value: Any) -> Any:
    """A JSON value in which integers that no double equals, and that have no canonical form, are texts."""
    if isinstance(value, dict):
        return {name: _exact(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_exact(one) for one in value]
    return str(value) if isinstance(value, int) and abs(value) > _MOST_EXACT else value
