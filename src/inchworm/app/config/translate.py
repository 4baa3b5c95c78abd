"""What pydantic finds, as sentences about the user's file."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from inchworm.app.config.problems import KeyPath, Problems, dotted, shown
from inchworm.app.config.scalars import EITHER, EXPECTED, REFUSED
from inchworm.app.config.schema import keys_at
from inchworm.app.config.yamltree import Document
from inchworm.evaluators.nearest import did_you_mean

_KINDS = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "a text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def translate(
    error: ValidationError,
    document: Document,
    problems: Problems,
    *,
    note: str = "",
    schema: KeyPath = (),
) -> None:
    """Add every error to ``problems``.

    Args:
        error: what pydantic found in ``document``.
        document: where lines are looked up.
        problems: where the sentences go.
        note: what is added to every sentence.
        schema: the path in ``inchworm.yaml`` at which the document would stand.
    """
    details = error.errors(include_url=False)
    unknown = [_path(detail) for detail in details if detail["type"] == "extra_forbidden"]
    for detail in details:
        path = _path(detail)
        if detail["type"] == "missing" and any(_meant(key, path) for key in unknown):
            continue
        message, place = _sentence(detail, path, schema)
        quote = detail["type"] == "string_type" and not isinstance(detail["input"], dict | list)
        problems.add(
            message + note,
            file=document.file,
            line=document.line(place),
            hint="put it in quotes" if quote else None,
        )


def _path(detail: ErrorDetails) -> KeyPath:
    """The place in the file: without the branch of a union, and without pydantic's mark for a key."""
    return tuple(p for p in detail["loc"] if not ((isinstance(p, str) and p.startswith("<")) or p == "[key]"))


def _meant(unknown: KeyPath, missing: KeyPath) -> bool:
    """Whether an unknown key is probably the missing one, misspelt: then once is enough."""
    near = did_you_mean(str(unknown[-1]), [str(missing[-1])])
    return unknown[:-1] == missing[:-1] and near.startswith(" Did")


def _sentence(detail: ErrorDetails, path: KeyPath, schema: KeyPath) -> tuple[str, KeyPath]:
    """The message, and the path whose line it belongs to."""
    kind, context = detail["type"], detail.get("ctx", {})
    name = dotted(path) or "the file"
    if detail["loc"] and detail["loc"][-1] == "[key]":
        name = f'the key "{path[-1]}"{_inside(path[:-1])}'
    if kind == "extra_forbidden":
        key, above = str(path[-1]), path[:-1]
        near = did_you_mean(key, keys_at((*schema, *above)))
        return f'unknown key "{key}"{_inside(above)}.{near}', path
    if kind == "missing":
        return f'the key "{path[-1]}" is missing{_inside(path[:-1])}', path[:-1]
    if kind == REFUSED:
        return f"{name} {context['what']}", path
    if kind in {"too_short", "too_long"}:
        few = kind == "too_short"
        limit = context["min_length"] if few else context["max_length"]
        most = "at least" if few else "at most"
        return f"{name} needs {most} {limit} of them, not {context['actual_length']}", path
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        what = f"{word} {context[key]:,.12g}"
    elif kind == EXPECTED:
        what = context["what"]
    else:
        what = detail["msg"] if kind == EITHER else _KINDS.get(kind, detail["msg"])
    return f"{name} must be {what}, not {shown(detail['input'])}", path


def _inside(path: KeyPath) -> str:
    return f" in {dotted(path)}" if path else ""
