"""The demo shop's own retrieval: Okapi BM25 over its help centre, deterministic.

It stands for the retriever of a user's application. Inchworm does not retrieve; it records what was
retrieved, best first, and the context layer decides how much of it the prompt sees.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_WORD = re.compile(r"[a-z0-9]+")
_ENDING = re.compile(r"(lling|lled|ing|ed|es|s|e|l)$")
_STOP = frozenset(
    "a an the of is it to i my for in on at do does how long many what which when and or be can will you "
    "your are with from we me after up have has that by if not".split()
)
_K1, _B = 1.2, 0.75


def terms(text: str) -> list[str]:
    """The words that count, without their endings."""
    return [_ENDING.sub("", word) if len(word) > 3 else word for word in _words(text) if word not in _STOP]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Index:
    """A searchable help centre.

    Attributes:
        entries: one text per document, with its title.
    """

    entries: Sequence[str]
    _counts: list[Counter[str]] = field(init=False)
    _frequency: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        counts = [Counter(terms(entry)) for entry in self.entries]
        object.__setattr__(self, "_counts", counts)
        object.__setattr__(self, "_frequency", Counter(term for count in counts for term in count))

    def rank(self, query: str) -> list[int]:
        """All documents, best first; ties by position. Robertson & Zaragoza 2009, equation 3.15."""
        asked = terms(query)
        lengths = [count.total() for count in self._counts]
        average = sum(lengths) / len(lengths)
        scores = [
            sum(self._weight(term) * self._saturation(count[term], length / average) for term in asked)
            for count, length in zip(self._counts, lengths, strict=True)
        ]
        return sorted(range(len(scores)), key=lambda position: (-scores[position], position))

    def _weight(self, term: str) -> float:
        found = self._frequency[term]
        return math.log(1 + (len(self.entries) - found + 0.5) / (found + 0.5))

    @staticmethod
    def _saturation(count: int, relative_length: float) -> float:
        return count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * relative_length))
