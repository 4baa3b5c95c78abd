"""Messages that fit nothing: unlike all others, in another language, or not messages at all.

Two kinds of evidence. What a message is *among the others*: its nearest neighbours lie beyond the
99 % radius, its words or its letters occur nowhere else, its script or length is out of line. What it
is *alone*: the signs of :mod:`inchworm.label.signals`. Each gives a reason in English; the score joins
their strengths as if they were independent (noisy or). It ranks, and is not a probability.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from inchworm.label.embed import Vectors
from inchworm.label.frozen import FrozenStateError, pack, unpack
from inchworm.label.signals import Signal, main_script, signals
from inchworm.label.terms import SURROGATE, terms
from inchworm.label.threads import one_thread

DETECTOR_VERSION: Final = 1
"""Version of the saved form."""

_FLAGGED_FROM: Final = 0.5
_LEAST_MESSAGES: Final = 30
_NEIGHBOURS: Final = 3
_RADIUS_SHARE: Final = 0.99
_LEAST_RADIUS: Final = 0.2
_LEAST_SYLLABLES: Final = 12
_LETTERS_SPREADS: Final = 4.0
_LEAST_SPREAD: Final = 0.25
_NEW_WORDS: Final = 3
_NEW_SHARE: Final = 0.6
_LONG_TIMES: Final = 4.0
_LONG_FROM: Final = 300.0
_SCRIPT_SHARE: Final = 0.05
_BLOCK: Final = 512
_SMOOTHING: Final = 0.1
_LETTERS: Final = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One message that fits nothing.

    Attributes:
        index: position in the messages looked at.
        score: from 0.5 to 1, higher is odder.
        reasons: short English sentences, strongest first.
    """

    index: int
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnomalyDetector:
    """What is usual among some messages; make one with :meth:`fit`.

    Attributes:
        rows: embeddings of the messages with content, shape (messages, dimensions).
        radius: the cosine distance to the nearest neighbours that 99 % of the messages keep.
        holders: in how many messages each stem occurs.
        syllables: how often each letter trigram occurs.
        letters: median and robust spread of the messages' mean log-frequency of trigrams.
        scripts: those that at least 5 % of the messages are mainly written in.
        longest: characters beyond which a message is extremely long.
        messages: how many were looked at; under 30, nothing counts as usual.
    """

    rows: Vectors
    radius: float
    holders: Mapping[str, int]
    syllables: Mapping[str, int]
    letters: tuple[float, float]
    scripts: tuple[str, ...]
    longest: float
    messages: int

    @classmethod
    def fit(cls, texts: Sequence[str], embeddings: Vectors) -> Self:
        """Learn what is usual. A few odd messages among them do no harm.

        Args:
            texts: sanitized messages.
            embeddings: their rows from an ``Embedder``, shape (texts, dimensions).

        Returns:
            The frozen detector.

        Raises:
            ValueError: if texts and rows differ in number.
        """
        _check_lengths(texts, embeddings)
        syllables = [_syllables(text) for text in texts]
        everywhere: Counter[str] = Counter()
        for one in syllables:
            everywhere.update(one)
        usual = [_log_frequency(one, everywhere, one) for one in syllables if one.total() >= _LEAST_SYLLABLES]
        middle = float(np.median(usual)) if usual else 0.0
        spread = 1.4826 * float(np.median(np.abs(np.array(usual) - middle))) if usual else 0.0
        rows = embeddings[np.any(embeddings != 0, axis=1)]
        distances = _distances(rows, rows, fitted=True)
        lengths = [len(text) for text in texts]
        return cls(
            rows=rows,
            radius=max(
                _LEAST_RADIUS, float(np.quantile(distances, _RADIUS_SHARE)) if len(distances) else 0.0
            ),
            holders=Counter(stem for text in texts for stem in _stems(text)),
            syllables=everywhere,
            letters=(middle, max(spread, _LEAST_SPREAD)),
            scripts=_usual_scripts(texts),
            longest=max(_LONG_FROM, _LONG_TIMES * float(np.quantile(lengths, 0.95)) if lengths else 0.0),
            messages=len(texts),
        )

    def find(self, texts: Sequence[str], embeddings: Vectors, *, fitted: bool = False) -> list[Anomaly]:
        """Flag the messages that fit nothing.

        Args:
            texts: messages.
            embeddings: their rows, shape (texts, dimensions).
            fitted: these are the very messages of the fit; each is then compared with the others only.

        Returns:
            The odd ones, oddest first.

        Raises:
            ValueError: if texts and rows differ in number.
        """
        _check_lengths(texts, embeddings)
        distances = np.zeros(len(texts))
        filled = np.flatnonzero(np.any(embeddings != 0, axis=1))
        if self.messages >= _LEAST_MESSAGES:
            distances[filled] = _distances(embeddings[filled], self.rows, fitted=fitted)
        found = []
        for index, (text, distance) in enumerate(zip(texts, distances.tolist(), strict=True)):
            signs = list(signals(text))
            if self.messages >= _LEAST_MESSAGES:
                signs += self._among_others(text, distance, fitted=fitted)
            score = 1.0 - float(np.prod([1.0 - sign.strength for sign in signs]))
            if score >= _FLAGGED_FROM:
                ranked = sorted(signs, key=lambda sign: -sign.strength)
                found.append(Anomaly(index=index, score=score, reasons=tuple(sign.reason for sign in ranked)))
        return sorted(found, key=lambda one: (-one.score, one.index))

    def _among_others(self, text: str, distance: float, *, fitted: bool) -> list[Signal]:
        signs = []
        if distance > self.radius:
            beyond = min(1.0, distance / self.radius - 1.0)
            signs.append(
                Signal(
                    strength=0.5 + 0.4 * beyond,
                    reason=f"It is unlike every other message: its nearest neighbours lie at {distance:.2f}, "
                    f"99 % of messages have theirs within {self.radius:.2f}.",
                )
            )
        stems = _stems(text)
        new = sum(self.holders.get(stem, 0) <= fitted for stem in stems)
        if new >= _NEW_WORDS and new / len(stems) >= _NEW_SHARE:
            signs.append(
                Signal(strength=0.5, reason=f"{new} of its {len(stems)} words occur in no other message.")
            )
        syllables = _syllables(text)
        script = main_script(SURROGATE.sub(" ", text))
        if script is not None and self.scripts and script not in self.scripts:
            signs.append(Signal(strength=0.8, reason=f"It is written in another script ({script.lower()})."))
        elif syllables.total() >= _LEAST_SYLLABLES:
            middle, spread = self.letters
            own = syllables if fitted else Counter[str]()
            if (_log_frequency(syllables, self.syllables, own) - middle) / spread < -_LETTERS_SPREADS:
                signs.append(
                    Signal(
                        strength=0.6,
                        reason="Its words are built unlike those of the other messages: another language, "
                        "another subject, or random typing.",
                    )
                )
        if len(text) > self.longest:
            signs.append(
                Signal(
                    strength=0.6,
                    reason=f"It is extremely long: {len(text)} characters; {self.longest:.0f} is a lot.",
                )
            )
        return signs

    def to_bytes(self) -> bytes:
        """Save without pickle: the same detector always gives the same bytes."""
        usual = {
            "radius": self.radius,
            "holders": dict(self.holders),
            "syllables": dict(self.syllables),
            "letters": self.letters,
            "scripts": self.scripts,
            "longest": self.longest,
            "messages": self.messages,
        }
        listed = json.dumps(usual, ensure_ascii=False, sort_keys=True).encode()
        return pack(
            "anomaly detector",
            DETECTOR_VERSION,
            {"rows": self.rows, "usual": np.frombuffer(listed, dtype=np.uint8)},
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Load what :meth:`to_bytes` saved.

        Raises:
            FrozenStateError: if the bytes are something else, or of another version.
        """
        arrays = unpack(data, "anomaly detector", DETECTOR_VERSION, ("rows", "usual"))
        try:
            usual = json.loads(arrays["usual"].tobytes())
            middle, spread = usual.pop("letters")
            scripts = tuple(usual.pop("scripts"))
            return cls(rows=arrays["rows"], letters=(middle, spread), scripts=scripts, **usual)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the saved anomaly detector cannot be read ({error})"
            raise FrozenStateError(msg, hint="fit it again") from error


def find_anomalies(texts: Sequence[str], embeddings: Vectors) -> list[Anomaly]:
    """Flag the messages that fit nothing among the rest of the same messages.

    Args:
        texts: sanitized messages.
        embeddings: their rows, shape (texts, dimensions).

    Returns:
        The odd ones, oddest first.

    Raises:
        ValueError: if texts and rows differ in number.
    """
    return AnomalyDetector.fit(texts, embeddings).find(texts, embeddings, fitted=True)


def _check_lengths(texts: Sequence[str], embeddings: Vectors) -> None:
    if len(texts) != len(embeddings):
        msg = f"{len(embeddings)} embeddings for {len(texts)} texts; pass one row for each text"
        raise ValueError(msg)


def _stems(text: str) -> set[str]:
    return {term.stem for term in terms(text) if term.weight == 1}


def counted(texts: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """In how many texts each stem occurs, and how often each letter trigram, as the fit counts them."""
    syllables: Counter[str] = Counter()
    for text in texts:
        syllables.update(_syllables(text))
    return Counter(stem for text in texts for stem in _stems(text)), syllables


def _usual_scripts(texts: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(main_script(SURROGATE.sub(" ", text)) for text in texts)
    return tuple(
        sorted(script for script, count in counts.items() if script and count >= _SCRIPT_SHARE * len(texts))
    )


def _syllables(text: str) -> Counter[str]:
    """Letter trigrams of the words, each word with its edges marked."""
    words = _LETTERS.findall(SURROGATE.sub(" ", text).casefold())
    return Counter(f" {word} "[at : at + 3] for word in words for at in range(len(word)))


def _log_frequency(syllables: Counter[str], everywhere: Mapping[str, int], own: Mapping[str, int]) -> float:
    """Mean log of how often a text's trigrams occur, its own occurrences taken out."""
    return sum(
        count * log(everywhere.get(gram, 0) - own.get(gram, 0) + _SMOOTHING)
        for gram, count in sorted(syllables.items())
    ) / max(1, syllables.total())


def _distances(rows: Vectors, others: Vectors, *, fitted: bool) -> npt.NDArray[np.float64]:
    """Mean cosine distance to the three nearest others, shape (rows,); 0 where there are too few."""
    wanted = _NEIGHBOURS + fitted
    if len(others) < wanted:
        return np.zeros(len(rows))
    result = np.empty(len(rows))
    with one_thread():
        for start in range(0, len(rows), _BLOCK):
            near = rows[start : start + _BLOCK].astype(np.float64) @ others.astype(np.float64).T
            if fitted:  # rows are the others: nobody is a neighbour of himself
                each = np.arange(len(near))
                near[each, start + each] = -np.inf
            best = np.sort(np.partition(near, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS:], axis=1)
            result[start : start + _BLOCK] = 1.0 - best.mean(axis=1)
    return result
