"""Cheap signs, read off one message alone, that it is not what a person asks a product.

Each sign is a reason in a short English sentence with a strength. A sign is evidence for a reader,
not a verdict: "asks to ignore instructions" says what stands there, not what was meant.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from inchworm.label.terms import SURROGATE

_WORD: Final = re.compile(r"[^\W\d_]+")
_RUN: Final = re.compile(r"(\S)\1{7,}")
_LEAST_CHARACTERS: Final = 8
_LEAST_WORDS: Final = 5

_STEER: Final = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
    r"\b(?:previous|prior|above|earlier|all|your|the system)\b.{0,30}"
    r"\b(?:instructions?|rules|prompts?|guidelines|directions|restrictions)\b"
)
_REVEAL: Final = (
    r"\b(?:reveal|print|repeat|show|output|leak|tell me)\b.{0,40}"
    r"\b(?:system|initial|hidden|original)\s+(?:prompt|message|instructions?)\b"
)
_PERSONA: Final = (
    r"\byou are (?:now|no longer)\b.{0,40}"
    r"\b(?:an? (?:ai|assistant|model|bot)|dan|unrestricted|unfiltered|bound)\b"
)
_MODE: Final = r"\b(?:developer|debug|god|jailbreak)\s+mode\b"
_CONTROL: Final = r"<\|?(?:im_start|system|endoftext)\|?>"
_INJECTION: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL) for pattern in (_STEER, _REVEAL, _PERSONA, _MODE, _CONTROL)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One sign.

    Attributes:
        strength: in (0, 1]; how much this sign alone makes of the message.
        reason: one short English sentence.
    """

    strength: float
    reason: str


def signals(text: str) -> tuple[Signal, ...]:
    """All signs of one message, in a fixed order; none for an ordinary message.

    Surrogates (``IBAN_1``) are taken out first, so that a sanitized message is not odd for having
    been sanitized.
    """
    plain = SURROGATE.sub(" ", text).strip()
    return tuple(found for check in _CHECKS if (found := check(plain)) is not None)


def main_script(text: str) -> str | None:
    """The script of most letters ("LATIN", "CYRILLIC", "HIRAGANA"), or None without letters."""
    counts = Counter(unicodedata.name(letter, "UNKNOWN").split()[0] for letter in text if letter.isalpha())
    return min(counts, key=lambda script: (-counts[script], script)) if counts else None


def _is_data(text: str) -> Signal | None:
    if not text.startswith(("{", "[")):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(data, dict | list) and data:
        return Signal(strength=0.95, reason="It is JSON, not a written message.")
    return None


def _few_letters(text: str) -> Signal | None:
    visible = [one for one in text if not one.isspace()]
    if len(visible) < _LEAST_CHARACTERS:
        return None
    share = sum(unicodedata.category(one)[0] in "LM" for one in visible) / len(visible)
    if share >= 0.5:
        return None
    return Signal(strength=0.8, reason=f"Only {share:.0%} of its characters are letters.")


def _repeated_word(text: str) -> Signal | None:
    words = [word.casefold() for word in _WORD.findall(text)]
    if len(words) < _LEAST_WORDS:
        return None
    word, count = min(Counter(words).items(), key=lambda one: (-one[1], one[0]))
    if count / len(words) < 0.5:
        return None
    return Signal(strength=0.9, reason=f'It says "{word[:30]}" {count} times in {len(words)} words.')


def _repeated_character(text: str) -> Signal | None:
    run = _RUN.search(text)
    if run is None:
        return None
    return Signal(strength=0.4, reason=f'It repeats "{run.group(1)}" {len(run.group())} times in a row.')


def _shouting(text: str) -> Signal | None:
    words = [word for word in _WORD.findall(text) if len(word) > 1]
    cased = [word for word in words if word.upper() != word.lower()]
    if len(cased) < _LEAST_WORDS or sum(word.isupper() for word in cased) / len(cased) < 0.8:
        return None
    return Signal(strength=0.3, reason="It is written in capitals.")


def _injection(text: str) -> Signal | None:
    for pattern in _INJECTION:
        found = pattern.search(text)
        if found is not None:
            phrase = " ".join(found.group().split())[:60]
            return Signal(strength=0.9, reason=f'It tries to steer the model: "{phrase}".')
    return None


_CHECKS: Final[tuple[Callable[[str], Signal | None], ...]] = (
    _injection,
    _is_data,
    _few_letters,
    _repeated_word,
    _repeated_character,
    _shouting,
)
