"""Raw records to what may be stored: opened, read and sanitized. Pure work, in any process.

The records are read here that hold what somebody said, calls and telemetry; the others are as quickly read as
sent from one process to another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from inchworm.app.loop.incoming import Exporting, Interaction, Unreadable, read_record
from inchworm.app.loop.sanitizing import Clean, Cleaner
from inchworm.app.pseudonyms import Pseudonyms
from inchworm.capture.records import Exported, encode
from inchworm.capture.telemetry import Refused, check_clock, read_each
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.span import Span
from inchworm.domain.trace import SOURCE, Trace
from inchworm.sanitize import CustomPattern, Kind, Memo, Sanitizer, UnsanitizableError

_NOWHERE = Path()


@dataclass(frozen=True, slots=True)
class Rules:
    """By what records are read.

    Attributes:
        apps: apps that are taken in; what is of another is refused.
        kinds: built-in kinds that are looked for.
        custom: kinds of the user's own.
        key: the installation's key, for pseudonyms.
        memo: key of what is remembered of texts; made anew for each process that lets others read.
    """

    apps: frozenset[AppRef]
    kinds: tuple[Kind, ...]
    custom: tuple[CustomPattern, ...]
    key: bytes
    memo: bytes

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Rules(apps={sorted(map(str, self.apps))})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be taken in.

    Attributes:
        reason: why, in a sentence.
        body: of what: a record with that part alone; ``None`` for the record as it is.
        mistake: where the code is mistaken, if that is why; for the log.
    """

    reason: str
    body: bytes | None = None
    mistake: str | None = None


Part = Clean[Trace] | Clean[Span] | Refusal
Parts = list[Part] | None
"""What a record holds; ``None`` if it holds nothing that would have to be sanitized, and is read where it is
stored."""


def fault(error: Exception) -> str:
    """A reason for what no record should cause."""
    return f"This is a fault in Inchworm, not in the record: {type(error).__name__}."


class Reader:
    """Reads records, each on its own: what one becomes depends on no other. For one thread.

    Args:
        rules: by what.
    """

    def __init__(self, rules: Rules) -> None:
        self._apps = rules.apps
        sanitizer = Sanitizer(kinds=rules.kinds, custom=rules.custom, memo=Memo(rules.memo))
        self._cleaner = Cleaner(sanitizer, Pseudonyms(lambda: rules.key, rules.custom))

    def __call__(self, raw: bytes) -> Parts:
        """What a record holds, sanitized."""
        try:
            came = read_record(raw, _NOWHERE, self._apps)
            if isinstance(came, Unreadable):
                return [Refusal(came.reason)]
            if isinstance(came, Interaction):
                return [self._interaction(came.trace, came.steps)]
            if isinstance(came, Exporting):
                return list(self._spans(came.exported))
        except MISTAKES as error:  # must not stop what lies behind it
            return [Refusal(fault(error), mistake=where(error))]
        return None

    def _interaction(self, trace: Trace, steps: Sequence[Span]) -> Part:
        try:
            whole = self._cleaner.trace(trace)
            spans = [self._cleaner.span(step) for step in steps]
            if not spans:
                return whole
            report = sum((one.report for one in spans), whole.report)
            return Clean(whole.what, report, tuple(one.what for one in spans))
        except UnsanitizableError as error:
            return Refusal(error.message)

    def _spans(self, exported: Exported) -> Iterator[Part]:
        def clean(span: Span) -> Clean[Span]:
            check_clock(span, exported.at)
            told = {**span.attributes, SOURCE: exported.dialect}
            return self._span(dataclasses.replace(span, attributes=told))

        try:
            for one in read_each(exported, clean):
                if isinstance(one, Refused):
                    yield Refusal(_sentence(one.reason), encode(replace(exported, body=one.body)))
                else:
                    yield one
        except InputError as error:
            yield Refusal(_sentence(error.message))

    def _span(self, span: Span) -> Clean[Span]:
        if span.app not in self._apps:
            taken = ", ".join(sorted(map(str, self._apps)))
            raise InputError(f"it is of {span.app}, and this is {taken}")
        return self._cleaner.span(span)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".removesuffix(".") + "."
