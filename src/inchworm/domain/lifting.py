"""Back from a rendered text to the inputs it was made from, so that another template can be filled with them.

The inverse of :func:`inchworm.domain.rendering.fill`, as far as there is one: linear in the text, and
``None`` rather than a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inchworm.domain.errors import TemplateError
from inchworm.domain.rendering import parts, written


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was parsed once: ``literals[0] {names[0]} literals[1] ... literals[-1]``.

    Attributes:
        literals: the texts around the variables, one more than there are variables; each may be empty.
        names: the variables, in the order in which they stand; a name may come twice.
    """

    literals: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, template: str) -> Template:
        """Parse a template.

        Raises:
            TemplateError: for unbalanced braces and for anything but plain names between them.
        """
        literals, names = [""], []
        for text, name in parts(template):
            literals[-1] += text
            if name is not None:
                names.append(name)
                literals.append("")
        return cls(tuple(literals), tuple(names))

    def fill(self, values: Mapping[str, Any]) -> str:
        """The same text as :func:`inchworm.domain.rendering.fill`.

        Raises:
            TemplateError: if it names a variable that has no value.
        """
        if not self.names:
            return self.literals[0]
        out = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            if name not in values:
                known = ", ".join(sorted(values)) or "none"
                msg = f'the template names "{{{name}}}", which this input does not have (it has: {known})'
                raise TemplateError(msg)
            out.append(written(values[name]))
            out.append(literal)
        return "".join(out)

    def match(self, text: str) -> dict[str, str] | None:
        """The values with which this template gives ``text``, or ``None`` if they are not plain.

        A variable has at least one character. The separators must be found in one way only: a text in which
        they could stand in two places (a question that quotes the prompt) is not guessed at. Two variables
        with nothing between them are never told apart. Time is linear in the text.
        """
        first, last = self.literals[0], self.literals[-1]
        if not self.names:
            return {} if text == first else None
        end = len(text) - len(last)
        if end <= len(first) or not text.startswith(first) or not text.endswith(last):
            return None
        between = self.literals[1:-1]
        if not between:
            return {self.names[0]: text[len(first) : end]}
        inner = text[len(first) : end]
        leftmost = _cuts(inner, between)
        if leftmost is None:
            return None
        # The rightmost places are the leftmost ones of the mirrored text: str.find is linear, rfind is not.
        mirrored = _cuts(inner[::-1], [separator[::-1] for separator in reversed(between)])
        if mirrored is None:
            return None
        size = len(inner)
        if leftmost != [(size - stop, size - start) for start, stop in reversed(mirrored)]:
            return None
        values: dict[str, str] = {}
        start = 0
        for name, (stop, after) in zip(self.names, [*leftmost, (size, size)], strict=True):
            value = inner[start:stop]
            if values.setdefault(name, value) != value:
                return None
            start = after
        return values


def extract(template: str, text: str) -> dict[str, str] | None:
    """The values with which ``template`` gives ``text``; see :meth:`Template.match`.

    Raises:
        TemplateError: if the template is malformed.
    """
    return Template.of(template).match(text)


def _cuts(text: str, separators: Sequence[str]) -> list[tuple[int, int]] | None:
    """The first places of the separators in order, each with a character before it and one at the end."""
    cuts: list[tuple[int, int]] = []
    position = 0
    for separator in separators:
        if not separator:
            return None
        found = text.find(separator, position + 1)
        if found < 0:
            return None
        position = found + len(separator)
        cuts.append((found, position))
    return cuts if position < len(text) else None
