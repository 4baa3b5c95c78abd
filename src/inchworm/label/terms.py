"""Reading a message: which of its words say what it is about.

Everything in this room that looks at words goes through here, so that embeddings, names and
anomalies agree on what a word is. Surrogates that the sanitizer left (``NAME_1``), addresses,
numbers, greetings and the glue words of English carry no topic and are taken out; a sentence that
carries a surrogate ("My phone number is PHONE_1, thanks.") says who writes rather than what about,
and counts less than the sentences beside it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SURROGATE: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2,}(?:_[A-Z]+)*_\d+(?![A-Za-z0-9])")
"""What the sanitizer writes in the place of personal data: a kind in capitals and a number."""

_NOISE: Final = re.compile(r"https?://\S+|\S+@\S+\.\S+")
_SENTENCE: Final = re.compile(r"(?<=[.!?\n])\s+|\n+")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")

ASIDE_WEIGHT: Final = 0.15
"""Weight of a word in a sentence that carries a surrogate, when other sentences carry the topic."""

_STOP_TEXT: Final = """
a about above after again against ago all almost already also although always am an and another any
anybody anyone anything are aren't around as at away be became because become been before being below
besides between both but by came can can't cannot come could couldn't did didn't do does doesn't doing
don't done down during each either else enough etc even ever every everything few for from further get
gets getting give given gives go goes going gone got had hadn't has hasn't have haven't having he he'd
he's her here hers herself him himself his how how's however i i'd i'll i'm i've if in instead into is
isn't it it'd it'll it's its itself just keep kept know let let's like likely long made make makes
making many may maybe me might mine more most much must my myself near need needs neither never no
nobody none nor not nothing now of off often on once one only onto or other others our ours ourselves
out over own per perhaps put quite rather really same say see seem seems she should shouldn't since so
some somebody someone something soon still such take takes than that that's the their theirs them
themselves then there there's these they they'd they'll they're they've thing things this those though
through till to too toward under until up upon us use used using very via want wants was wasn't way we
we'd we'll we're we've well went were weren't what what's when where where's whether which while who
who's whole whom whose why will with within without won't would wouldn't yes yet you you'd you'll you're
you've your yours yourself advance afternoon anyway best bye cheers day dear evening everyone folks good
great greetings guys hello help hey hi hiya kind kindly lot morning night ok okay please question quick
regards short sincerely sir sorry team thank thanks thx tonight wishes wonder wondering madam tell
explain ask asking able possible
"""

STOP_WORDS: Final = frozenset(_STOP_TEXT.split())
"""English glue words and the courtesies of a message. They carry no topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One word of a message.

    Attributes:
        stem: the word folded and lightly stemmed: what is compared and counted.
        surface: the word as written, case-folded: what people read.
        weight: 1, or :data:`ASIDE_WEIGHT` in a sentence that carries a surrogate.
        position: place of the word among all words of the message; neighbours differ by 1.
    """

    stem: str
    surface: str
    weight: float
    position: int


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Take the commonest English endings off a case-folded word.

    Light on purpose: plural, ``-ing`` and ``-ed`` only, and never below three letters, because a
    stem that joins two topics costs more than two stems for one topic (the character n-grams of
    :mod:`inchworm.label.embed` join those anyway).
    """
    base = word.replace("\u2019", "'")
    base = base.removesuffix("'s")
    if len(base) > 4 and base.endswith("ies"):
        base = base[:-3] + "y"
    elif len(base) > 4 and base.endswith(("sses", "shes", "ches", "xes")):
        base = base[:-2]
    elif len(base) > 3 and base.endswith("s") and not base.endswith(("ss", "us", "is")):
        base = base[:-1]
    for ending in ("ing", "ed"):
        if base.endswith(ending) and len(base) - len(ending) >= 3 and _has_vowel(base[: -len(ending)]):
            base = base[: -len(ending)]
            if base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            break
    if len(base) > 4 and base.endswith("e"):
        base = base[:-1]
    return base


def _has_vowel(word: str) -> bool:
    return any(letter in "aeiouy" for letter in word)


def terms(text: str) -> list[Term]:
    """The words of a message that can carry its topic, in their order.

    Args:
        text: a message, sanitized or not.

    Returns:
        Words without surrogates, addresses, numbers, stop words and single letters. Empty for a
        message that has none.
    """
    plain: list[Term] = []
    aside: list[Term] = []
    position = 0
    for sentence in _SENTENCE.split(unicodedata.normalize("NFKC", text)):
        cleaned, surrogates = SURROGATE.subn(" ", sentence)
        home = aside if surrogates else plain
        for word in _words(cleaned):
            position += 1
            if word not in STOP_WORDS and (len(word) > 1 or not word.isascii()):
                home.append(Term(stem=stem(word), surface=word, weight=1.0, position=position))
        position += 1  # words of two sentences are never neighbours
    if not plain:
        return aside
    lighter = [
        Term(stem=term.stem, surface=term.surface, weight=ASIDE_WEIGHT, position=term.position)
        for term in aside
    ]
    return sorted(plain + lighter, key=lambda term: term.position)


def _words(sentence: str) -> Iterator[str]:
    for match in _WORD.finditer(_NOISE.sub(" ", sentence)):
        yield match.group().casefold().replace("\u2019", "'")
