"""What stands at the two ends of a gap's values: a text added right beside a gap shows up here.

The literal of a template cannot tell ``{documents}`` followed by a new sentence from longer documents. But a
run of values that all end alike, in a way that no value ended before, can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xxhash import xxh32_intdigest

from inchworm.capture.observed.tokens import letters, tokens

RUN = 12
"""Values in a row that must begin, or end, alike."""
_DIFFERENT = 6
"""Different values among them: what is the same as a whole is a popular document, and no edit."""
_KEY = 3
"""Tokens that must be alike at least."""
_LOOKED_AT = 160
_MOST_TOKENS = 24
_REMEMBERED = 64
_BEFORE = 30
"""Values that must have begun otherwise, before a run of likes is news."""


@dataclass(slots=True)
class Edge:
    """One end of a gap's values.

    Attributes:
        run: what the last values have in common, token by token; digests, never text.
        length: how many values that is.
        values: how many there were in all.
        whole: digests of the different values of the run.
        known: digests of how values began before, the latest last.
    """

    run: list[int] = field(default_factory=list)
    length: int = 0
    values: int = 0
    whole: list[int] = field(default_factory=list)
    known: dict[int, None] = field(default_factory=dict)

    def saw(self, parts: Sequence[str], value: int) -> int:
        """Take in one value.

        Args:
            parts: its tokens, outermost first.
            value: a digest of the whole.

        Returns:
            How many of them are new and have stood in :data:`RUN` values in a row; 0 most of the time.
        """
        said = [xxh32_intdigest(part.encode("utf-8", "surrogatepass")) for part in parts[:_MOST_TOKENS]]
        self.values += 1
        same = 0
        for one, other in zip(self.run, said, strict=False):
            if one != other:
                break
            same += 1
        if same >= _KEY:
            self.run, self.length = self.run[:same], self.length + 1
        else:
            self._remember()
            self.run, self.length, self.whole = said, 1, []
        if len(self.whole) < _DIFFERENT and value not in self.whole:
            self.whole.append(value)
        enough = self.length >= RUN and len(self.whole) >= _DIFFERENT
        is_new = self.values - self.length >= _BEFORE and _key(self.run) not in self.known
        return same if enough and is_new and letters(parts[:same]) >= _KEY - 1 else 0

    def _remember(self) -> None:
        if len(self.run) >= _KEY:
            key = _key(self.run)
            self.known.pop(key, None)
            self.known[key] = None
            if len(self.known) > _REMEMBERED:
                del self.known[next(iter(self.known))]

    def state(self) -> list[Any]:
        """As JSON."""
        return [_hex(self.run), self.length, self.values, _hex(self.whole), _hex(self.known)]

    @classmethod
    def of(cls, state: Sequence[Any]) -> Edge:
        """The inverse of :meth:`state`."""
        run, length, values, whole, known = state
        return cls(
            run=[int(one, 16) for one in run],
            length=length,
            values=values,
            whole=[int(one, 16) for one in whole],
            known={int(key, 16): None for key in known},
        )


def _hex(digests: Iterable[int]) -> list[str]:
    return [f"{one:x}" for one in digests]


def _key(run: Sequence[int]) -> int:
    return xxh32_intdigest(b"".join(one.to_bytes(4, "big") for one in run[:_KEY]))


def whole(value: str) -> int:
    """A digest of a value."""
    return xxh32_intdigest(value.encode("utf-8", "surrogatepass"))


def beginning(value: str) -> list[str]:
    """The first tokens of a value, but not all of a short one: a value is more than what is fixed."""
    found = tokens(value[:_LOOKED_AT])
    # the last may have been cut
    return found[:-1] if found else found


def ending(value: str) -> list[str]:
    """The last tokens of a value, last first, but not all of a short one."""
    return tokens(value[-_LOOKED_AT:])[:0:-1]
