"""Attributes that are a flattened tree: ``llm.input_messages.0.message.content`` and their like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 4_096
"""Entries of one list; what is beyond is no list any more."""


def tree(given: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list that stands flattened under a prefix (``llm.input_messages.``), in the order of its numbers.

    Numbers may start anywhere and have gaps. Inner lists are lists too.
    """
    root: dict[str, Any] = {}
    length = len(prefix)
    for name, value in given.items():
        if not name.startswith(prefix):
            continue
        path = name[length:].split(".")
        if len(path) > 24 or not path[0].isdecimal():
            continue
        node = root
        for part in path[:-1]:
            inner = node.get(part)
            if not isinstance(inner, dict):
                inner = node[part] = {}
            node = inner
        if not isinstance(node.get(path[-1]), dict):
            node[path[-1]] = value
    found = _listed(root)
    return found if isinstance(found, list) else []


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if (
        node
        and len(node) <= MOST
        and all(name.isdecimal() and name.isascii() and len(name) < 10 for name in node)
    ):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(one) for name, one in node.items()}
