"""How checks read text: one normal form, and what it means that one text stands in another."""

from __future__ import annotations

import re
import unicodedata

_SAME = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′´`", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        # emphasis in Markdown, and characters without width
        **dict.fromkeys("*\u00ad\u200b\u200c\u200d\u2060\ufeff", None),
    }
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NO_CENTS = re.compile(r"(?<=\d)\.00(?!\d)")
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*\s+(?=[\"'(\[]*[^\W_a-z])")
# Titles and the like, initials ("J. Smith"), dotted capitals ("U.S."). "a.m." and "etc." are left out: before
# a capital they end a sentence more often than not.
_ABBREVIATION = re.compile(
    r"\b(?:[Mm]rs?|[Mm]s|[Dd]r|[Pp]rof|[Ss]t|[Vv]s|[Aa]pprox|[Ii]nc|[Ll]td|[Jj]r|[Ss]r|[Ff]ig|[Ee]\.g|[Ii]\.e)\.$"
    r"|(?:^|\s)[A-HJ-Z]\.$|\b[A-Z]\.[A-Z]\.$"
)
_NUMBER_SIGN = re.compile(r"\b[Nn]o\.$")


def normal(text: str) -> str:
    """The form in which texts are compared.

    NFKC (Unicode Annex 15), case folded, one kind of quotes and dashes, no Markdown emphasis, runs of
    white space as one space, ``1,600`` as ``1600`` and ``6.00`` as ``6``.
    """
    # Translated before NFKC too, which would turn an acute accent on its own into a space.
    folded = unicodedata.normalize("NFKC", text.translate(_SAME)).translate(_SAME).casefold()
    plain = _NO_CENTS.sub("", _THOUSANDS.sub("", folded))
    return " ".join(plain.split())


def stands_in(needle: str, haystack: str) -> bool:
    """Whether ``needle`` stands in ``haystack`` as whole words and whole numbers; both in normal form.

    ``6`` does not stand in ``60``, ``16``, ``6.5`` or ``a6``; ``no`` does not stand in ``know``. An ``s`` may
    follow a word, so that ``refund`` stands in ``refunds``, and a unit may follow a number: ``6kg``.
    """
    if not needle:
        return False
    before, after = "", ""
    if needle[0].isdigit():
        before = r"(?<!\w)(?<!\d[.,])"
    elif needle[0].isalpha():
        before = r"(?<!\w)"
    if needle[-1].isdigit():
        after = r"(?!\d)(?![.,]\d)"
    elif needle[-1].isalpha():
        after = r"(?:'?s)?(?!\w)"
    return re.search(before + re.escape(needle) + after, haystack) is not None


def words(text: str) -> int:
    """How many words: runs of anything between white space that hold a letter or a digit."""
    return sum(any(character.isalnum() for character in word) for word in text.split())


def sentences(text: str) -> int:
    """How many sentences; a line break ends one, an abbreviation or an initial does not."""
    count = 0
    for line in text.splitlines():
        if not words(line):
            continue
        count += 1
        for end in _SENTENCE_END.finditer(line):
            upto = line[: end.end()].rstrip().rstrip("\"')]")
            numbered = _NUMBER_SIGN.search(upto) is not None and line[end.end()].isdigit()
            count += not (numbered or _ABBREVIATION.search(upto))
    return count
