"""Names and ids of clusters, from the words of their messages.

A name is two or three readable words by class-based TF-IDF (Grootendorst 2022, arXiv:2203.05794,
section 3.3): frequent here, rare elsewhere. An id is a digest of the leading stems, so that the same
topic found again keeps its id, whatever the order of the messages.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import log, sqrt
from typing import Final

from inchworm.label.terms import Term

UNNAMED: Final = "no words"
"""The name of a cluster whose messages hold no readable word."""

_KEPT: Final = 8
_IN_ID: Final = 4
_THIRD_FROM: Final = 0.45
_TOGETHER: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a cluster is called.

    Attributes:
        id: ``c-`` and twelve hexadecimal characters, derived from the leading stems.
        name: two or three words (one, where there is but one).
        terms: the leading words as most often written, best first.
    """

    id: str
    name: str
    terms: tuple[str, ...]


def name_clusters(members: Sequence[Sequence[Sequence[Term]]]) -> list[Label]:
    """Name every cluster, so that no two share a name or an id.

    Args:
        members: of each cluster, the terms of each of its messages. Clusters in canonical order
            (it decides only who is numbered when two cannot be told apart by words).

    Returns:
        One label for each cluster, in the same order.
    """
    counts = [_weights(messages) for messages in members]
    everywhere: Counter[str] = Counter()
    for one in counts:
        everywhere.update(one)
    average = sum(everywhere.values()) / max(1, len(counts))
    taken_names: set[str] = set()
    taken_ids: set[str] = set()
    labels = []
    for one, messages in zip(counts, members, strict=True):
        ranked = _rank(one, everywhere, average, _coverage(messages))
        stems = [stem for _, stem in ranked[:_KEPT]]
        surfaces = _surfaces(messages)
        name = _unique_name(ranked, messages, surfaces, taken_names)
        identity = _unique_id(stems, taken_ids)
        taken_names.add(name)
        taken_ids.add(identity)
        labels.append(Label(id=identity, name=name, terms=tuple(surfaces[stem] for stem in stems)))
    return labels


def _weights(messages: Sequence[Sequence[Term]]) -> Counter[str]:
    """How much each stem is said in a cluster; in thousandths, so that sums are exact in any order."""
    said: Counter[str] = Counter()
    for message in messages:
        for term in message:
            said[term.stem] += round(1000 * term.weight)
    return said


def _coverage(messages: Sequence[Sequence[Term]]) -> dict[str, float]:
    """Share of the messages that hold each stem outside asides."""
    holding = Counter(
        stem for message in messages for stem in {term.stem for term in message if term.weight == 1}
    )
    return {stem: count / len(messages) for stem, count in holding.items()}


def _rank(
    here: Counter[str], everywhere: Counter[str], average: float, coverage: dict[str, float]
) -> list[tuple[float, str]]:
    """Stems, best first: class-based TF-IDF, times the root of coverage, so that no one message names all."""
    total = max(1, sum(here.values()))
    scored = [
        (count / total * log(1.0 + average / everywhere[stem]) * sqrt(coverage.get(stem, 0.0)), stem)
        for stem, count in here.items()
    ]
    return sorted(((value, stem) for value, stem in scored if value > 0), key=lambda one: (-one[0], one[1]))


def _surfaces(messages: Sequence[Sequence[Term]]) -> dict[str, str]:
    """The most frequent way of writing each stem; of equals the shortest, then the first in the alphabet."""
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for message in messages:
        for term in message:
            written[term.stem][term.surface] += 1
    return {
        stem: min(forms, key=lambda form: (-forms[form], len(form), form)) for stem, forms in written.items()
    }


def _unique_name(
    ranked: Sequence[tuple[float, str]],
    messages: Sequence[Sequence[Term]],
    surfaces: dict[str, str],
    taken: set[str],
) -> str:
    first = UNNAMED
    others: Iterator[str] = iter(())
    if ranked:
        top = ranked[0][0]
        size = 2 + (len(ranked) > 2 and ranked[2][0] >= _THIRD_FROM * top)
        stems = [stem for _, stem in ranked]
        choices = [stems[:size], stems[:2], stems[:3]] + [[*stems[:2], other] for other in stems[3:]]
        first = _join(choices[0], messages, surfaces)
        # Lazily: joining reads every message, and the first name is nearly always free.
        others = (_join(choice, messages, surfaces) for choice in choices[1:])
    for name in chain([first], others):
        if name not in taken:
            return name
    number = 2
    while f"{first} {number}" in taken:
        number += 1
    return f"{first} {number}"


def _join(stems: Sequence[str], messages: Sequence[Sequence[Term]], surfaces: dict[str, str]) -> str:
    """Words that mostly stand side by side become a phrase ("gift cards"); others are set apart by a dot."""
    phrases = [[stem] for stem in stems]
    for _ in range(len(stems)):
        joined = next(
            (
                (left, right)
                for left in phrases
                for right in phrases
                if left is not right and _side_by_side(left[-1], right[0], messages)
            ),
            None,
        )
        if joined is None:
            break
        at = min(phrases.index(joined[0]), phrases.index(joined[1]))
        phrases = [one for one in phrases if one not in joined]
        phrases.insert(at, joined[0] + joined[1])
    return " · ".join(" ".join(surfaces[stem] for stem in phrase) for phrase in phrases)


def _side_by_side(left: str, right: str, messages: Sequence[Sequence[Term]]) -> bool:
    """Whether ``right`` follows ``left`` directly in most messages that hold both."""
    both = following = 0
    for message in messages:
        places: dict[str, list[int]] = {left: [], right: []}
        for term in message:
            if term.stem in places:
                places[term.stem].append(term.position)
        if places[left] and places[right]:
            both += 1
            following += any(at + 1 in places[right] for at in places[left])
    return both > 0 and following / both > _TOGETHER


def _unique_id(stems: Sequence[str], taken: set[str]) -> str:
    salt = 0
    for length in [*range(_IN_ID, len(stems) + 1), len(stems)]:
        identity = _digest(stems[:length], salt)
        if identity not in taken:
            return identity
    while identity in taken:
        salt += 1
        identity = _digest(stems, salt)
    return identity


def _digest(stems: Sequence[str], salt: int) -> str:
    content = json.dumps([sorted(stems), salt], ensure_ascii=False).encode()
    return "c-" + hashlib.sha256(content).hexdigest()[:12]
