"""Text to values, with the line of every key.

YAML by the core schema of version 1.2 (section 10.3): only ``true`` and ``false`` are booleans, so that
``on``, ``yes`` and Norway's ``no`` stay texts, ``1e3`` is a number and ``1:30`` is none. Aliases and tags are
refused: a configuration reads the same for everybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from inchworm.app.config.problems import KeyPath, Problems, dotted, shown
from inchworm.domain.canonical import canonical

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 50
_DIGITS = list("-+0123456789")
_CORE: tuple[tuple[str, str, list[str]], ...] = (
    ("null", r"null|Null|NULL|~|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _DIGITS),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        [*_DIGITS, "."],
    ),
)


class _Loader(yaml.SafeLoader):
    """Composes nodes only; nothing is ever constructed by it."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # the name and the kind of value are PyYAML's
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # its stub has no types
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"the alias *{event.anchor} is not supported: write the value out", event)
        if self._depth >= _DEEPEST:
            raise _refused(f"the file is nested more than {_DEEPEST} levels deep", event)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _name, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def _refused(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark = event.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark if isinstance(mark, yaml.Mark) else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says.

    Attributes:
        value: JSON value; ``None`` for an empty file.
        lines: 1-based line of every key and list item.
        file: the file as the user named it.
    """

    value: Any
    lines: dict[KeyPath, int]
    file: str

    def line(self, path: KeyPath) -> int | None:
        """The line of ``path``, or of what is nearest above it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def parse(text: str, *, file: str, problems: Problems) -> Document:
    """Read YAML; what is wrong is added to ``problems``, and the value is then of no use."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(
            f"the character {chr(_code(error.character))!a} does not belong in a text file",
            file=file,
            line=line,
        )
        return Document(value=None, lines={}, file=file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(_syntax(error), file=file, line=None if mark is None else mark.line + 1)
        return Document(value=None, lines={}, file=file)
    except (ValueError, OverflowError):  # PyYAML on escapes beyond Unicode and endless version numbers
        problems.add("not YAML: an escape or a directive names a number that is too large", file=file)
        return Document(value=None, lines={}, file=file)
    walk = _Walk(file=file, problems=problems, lines={(): 1})
    return Document(value=None if node is None else walk.value(node, ()), lines=walk.lines, file=file)


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "it cannot be read"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces"
    if error.problem is not None and problem.startswith(("the alias", "the file")):
        return problem
    if "single document" in (error.context or ""):
        return "a second document begins here: the file holds one"
    context = f" {error.context}" if error.context and error.context != problem else ""
    return f"not YAML: {problem}{context}"


@dataclass(slots=True, kw_only=True)
class _Walk:
    file: str
    problems: Problems
    lines: dict[KeyPath, int]

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, path)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                items: list[Any] = []
                for position, item in enumerate(node.value):
                    self.lines[(*path, position)] = item.start_mark.line + 1
                    items.append(self.value(item, (*path, position)))
                return items
            case yaml.ScalarNode():
                return self._scalar(node, path)
        return self._say(node, path, f"has a tag ({node.tag.removeprefix(_TAG)}), which is not supported")

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self.value(key_node, path) if isinstance(key_node, yaml.ScalarNode) else []
            place = f" in {dotted(path)}" if path else ""
            if not isinstance(key, str):
                self.problems.add(
                    f"a key{place} is {shown(key)}: keys are texts, put it in quotes",
                    file=self.file,
                    line=line,
                )
            elif key in out:
                first = self.lines[(*path, key)]
                self.problems.add(
                    f'the key "{key}" stands twice{place}, first in line {first}', file=self.file, line=line
                )
            else:
                self.lines[(*path, key)] = line
                out[key] = self.value(value_node, (*path, key))
        return out

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        try:
            value = _construct(kind, node.value)
        except KeyError:
            return self._say(node, path, f"has a tag ({kind}), which is not supported")
        except ValueError:
            return self._say(node, path, f"is not the {kind} that its tag promises, or is too long a number")
        try:
            canonical(value)
        except ValueError:
            what = "holds half of a surrogate pair" if isinstance(value, str) else f"is {node.value[:40]}"
            return self._say(node, path, f"{what}, which JSON cannot say exactly")
        return value

    def _say(self, node: yaml.Node, path: KeyPath, what: str) -> None:
        line = self.lines.get(path, node.start_mark.line + 1)
        self.problems.add(f"{dotted(path) or 'the file'} {what}", file=self.file, line=line)


def _construct(kind: str, text: str) -> Any:
    match kind:
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return {"true": True, "false": False}[text.lower()]
        case "int":
            base = {"0o": 8, "0x": 16}.get(text[:2], 10)
            return int(text if base == 10 else text[2:], base)
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    raise KeyError(kind)
