"""What is wrong with a file, collected, so that one run says several things at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.errors import ConfigError
from inchworm.sanitize import DETECTORS, Kind

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a file down."""

_OTHERS = 5
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        message: what is wrong, as a sentence without its place.
        file: the file as the user named it.
        line: 1-based line in it, if known.
        hint: what to do about it.
    """

    message: str
    file: str
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.message}"
            if self.line is None
            else f"{self.file}:{self.line}: {self.message}"
        )


@dataclass(slots=True)
class Problems:
    """A collection of them, in the order in which they were found."""

    found: list[Problem] = field(default_factory=list)

    def add(self, message: str, *, file: str, line: int | None = None, hint: str | None = None) -> None:
        """Note one; the same sentence about the same place is noted once."""
        problem = Problem(message=message, file=file, line=line, hint=hint)
        if problem not in self.found:
            self.found.append(problem)

    def stop(self) -> None:
        """Go on only if nothing is wrong.

        Raises:
            ConfigError: as :meth:`error` makes it.
        """
        if self.found:
            raise self.error()

    def error(self) -> ConfigError:
        """The error for the first problem (in the order of the lines); its hint lists up to five others.

        There must be one.
        """
        names = list(dict.fromkeys(problem.file for problem in self.found))
        first, *others = sorted(self.found, key=lambda p: (names.index(p.file), p.line or 0))
        hints = [] if first.hint is None else [first.hint]
        if others:
            hints += ["also wrong:", *(f"  {problem}" for problem in others[:_OTHERS])]
        if len(others) > _OTHERS:
            hints.append(f"  and {len(others) - _OTHERS} more")
        return ConfigError(first.message, file=first.file, line=first.line, hint="\n".join(hints) or None)


def dotted(path: KeyPath) -> str:
    """``rollout.stages[1].weight``; empty for the top of the file."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += f".{part}" if out else part
    return out


def shown(value: Any) -> str:
    """What a value is, for an error message: never a text that looks like a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            if any(True for detect in DETECTORS[Kind.SECRET] for _ in detect(value)):
                return "a text that looks like a secret"
            text = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
            return f"the text {json.dumps(text, ensure_ascii=False)}"
        case list():
            return "a list"
        case _:
            return "a mapping"
