"""The files: ``inchworm.yaml`` itself, and prompts, examples and tool schemas that it names."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from inchworm.app.config.layers import Example
from inchworm.app.config.problems import KeyPath, Problems, dotted
from inchworm.app.config.translate import translate
from inchworm.app.config.yamltree import Document, parse
from inchworm.domain.canonical import canonical
from inchworm.domain.errors import TemplateError
from inchworm.domain.rendering import variables

_EXAMPLES: TypeAdapter[list[Example]] = TypeAdapter(list[Example])
_SCHEMAS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]])


class UnreadableError(Exception):
    """A file is no text that can be read.

    Args:
        why: the reason, as a sentence about "the file".
        line: 1-based line, if one is to blame.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark and with line feeds alone.

    Raises:
        UnreadableError: it is missing, no regular file, not readable or not UTF-8.
    """
    try:
        # Looked at first: reading a device or a pipe would never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("this is no file")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableError("there is no such file") from error
    except OSError as error:
        raise UnreadableError(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:  # a zero byte in it, say
        raise UnreadableError("no file can have that name") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"the file is not UTF-8 (byte 0x{data[error.start]:02x})", line) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(slots=True, kw_only=True)
class Included:
    """Puts what files say in the place where they are named.

    Attributes:
        document: the file that names them.
        folder: where their paths begin.
        problems: where it is noted what is wrong.
    """

    document: Document
    folder: Path
    problems: Problems

    def prompt(self, path: KeyPath, values: dict[str, Any]) -> None:
        """Put texts and examples into the values of a prompt layer, or of one call's part of it."""
        for key in ("system", "user"):
            if key in values:
                values[key] = self.template((*path, key), values[key])
        if "few_shot" in values:
            values["few_shot"] = self.examples((*path, "few_shot"), values["few_shot"])

    def tools(self, path: KeyPath, values: dict[str, Any]) -> None:
        """Put schemas into the values of a tools layer, or of one call's part of it."""
        if "schemas" in values:
            values["schemas"] = self.schemas((*path, "schemas"), values["schemas"])

    def template(self, path: KeyPath, said: Any) -> str:
        """A template: the text itself, or the file without the line breaks at its end."""
        if isinstance(said, str):
            text, file, line = said, self.document.file, self.document.line(path)
        else:
            text = self._text(path, said).rstrip("\n")
            file, line = self._name(said), None
        try:
            variables(text)
        except TemplateError as error:
            self.problems.add(f"{dotted(path)}: {error.message}", file=file, line=line, hint=error.hint)
        return text

    def examples(self, path: KeyPath, said: Any) -> list[Any]:
        """A list of few-shot examples."""
        if isinstance(said, list):
            return said
        return [example.model_dump() for example in self._list(path, said, _EXAMPLES.validate_python)]

    def schemas(self, path: KeyPath, said: Any) -> list[Any]:
        """A list of tool schemas."""
        return said if isinstance(said, list) else self._list(path, said, _SCHEMAS.validate_python)

    def _list(self, path: KeyPath, said: Any, validate: Callable[..., list[Any]]) -> list[Any]:
        before = len(self.problems.found)
        text = self._text(path, said)
        if len(self.problems.found) > before:
            return []
        own = Problems()
        name = self._name(said)
        document = (_json if name.endswith(".json") else parse)(text, file=name, problems=own)
        for problem in own.found:
            self.problems.add(problem.message + self._by(path), file=name, line=problem.line)
        if own.found:
            return []
        try:
            return validate(document.value, strict=True)
        except ValidationError as error:
            translate(error, document, self.problems, note=self._by(path), schema=path)
            return []

    def _text(self, path: KeyPath, said: dict[str, Any]) -> str:
        name = self._name(said)
        try:
            text = read_text(self.folder / said["file"])
        except UnreadableError as error:
            if error.line is None:
                self.problems.add(
                    f"{dotted(path)} names {said['file']!r}: {error.why}",
                    file=self.document.file,
                    line=self.document.line(path),
                    hint=f"paths begin in the folder of {self.document.file}",
                )
            else:
                self.problems.add(error.why + self._by(path), file=name, line=error.line)
            return ""
        if not text.strip():
            self.problems.add("the file is empty" + self._by(path), file=name)
        return text

    def _name(self, said: dict[str, Any]) -> str:
        return str(self.folder / said["file"])

    def _by(self, path: KeyPath) -> str:
        place = self.document.file
        line = self.document.line(path)
        return f" ({dotted(path)} in {place}{'' if line is None else f':{line}'} names it)"


def _json(text: str, *, file: str, problems: Problems) -> Document:
    value: Any = None
    try:
        value = json.loads(text)
        canonical(value)
    except json.JSONDecodeError as error:
        problems.add(f"not JSON: {error.msg}", file=file, line=error.lineno)
    except (ValueError, RecursionError):
        problems.add("not JSON that can be kept: a number or a nesting beyond all bounds", file=file)
    return Document(value=value, lines={}, file=file)
