"""What the doctor says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    """As it should be."""
    NOTE = "note"
    """Good to know; nothing has to be done."""
    WARNING = "warning"
    """It works, and something is lost or will go wrong."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: what it is about: ``server``, ``spool``, …
        level: how bad it is.
        said: a sentence; nothing of the content of calls, and no key.
        command: what mends it, if a command does.
    """

    part: str
    level: Level
    said: str
    command: str | None = None

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"part": self.part, "level": self.level.value, "said": self.said, "command": self.command}

    @classmethod
    def read(cls, said: dict[str, Any]) -> Finding:
        """The inverse of :meth:`plain`.

        Raises:
            KeyError: if a member is missing.
            ValueError: if the level is none.
        """
        return cls(
            part=str(said["part"]),
            level=Level(said["level"]),
            said=str(said["said"]),
            command=None if said["command"] is None else str(said["command"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was found.

    Attributes:
        version: the version of Inchworm that looked.
        findings: in the order in which they were looked for.
    """

    version: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Level:
        """The worst level of all findings."""
        order = tuple(Level)
        return max((one.level for one in self.findings), key=order.index, default=Level.OK)

    def count(self, level: Level) -> int:
        """How many findings are of a level."""
        return sum(one.level is level for one in self.findings)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "inchworm": self.version,
            "worst": self.worst.value,
            "findings": [one.plain() for one in self.findings],
        }


def ok(part: str, said: str) -> Finding:
    """As it should be."""
    return Finding(part=part, level=Level.OK, said=said)


def note(part: str, said: str, command: str | None = None) -> Finding:
    """Good to know."""
    return Finding(part=part, level=Level.NOTE, said=said, command=command)


def warning(part: str, said: str, command: str | None = None) -> Finding:
    """Something is lost or will go wrong."""
    return Finding(part=part, level=Level.WARNING, said=said, command=command)


def problem(part: str, said: str, command: str | None = None) -> Finding:
    """Something does not work."""
    return Finding(part=part, level=Level.PROBLEM, said=said, command=command)


def or_ok(found: Sequence[Finding], part: str, said: str) -> list[Finding]:
    """What was found; that all is well if nothing was."""
    return list(found) or [ok(part, said)]
