"""The detector for people's names where the sentence says that a name comes: no list of names is needed.

A cue ("my name is", "Regards,", "Dear Mr") is found by an expression; the words after it are then read one
by one, so that the work is bounded by the number of cues.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from inchworm.sanitize.findings import Finding, Kind
from inchworm.sanitize.name_words import AMBIGUOUS, NOT_NAMES, PARTICLES, TITLES

WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
"""A word as names are made of: letters of any script, joined by apostrophes or hyphens."""

_GAP: Final = re.compile(r"(?:\.[ \u00a0]?|[ \u00a0]{1,2})")
_MOST_WORDS: Final = 5
_LONGEST: Final = 40
_AHEAD: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cue:
    """One way in which a sentence announces a name."""

    detector: str
    before: re.Pattern[str]
    after: re.Pattern[str] | None = None
    """What must follow the name; None lets anything follow."""
    after_one: re.Pattern[str] | None = None
    """What must follow a name of a single word, where that is stricter."""
    lower: bool = False
    """Whether a name in small letters counts too."""


def _cue(expression: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_])(?:{expression})", re.IGNORECASE)


_END: Final = re.compile(
    r"\s*(?:[,.;:!?()\[\]<>\"\n\r|/\\\u2013\u2014-]|\Z)|\s+(?:and|und|et|y|from|aus|here|von|de)\b"
)
_CLOSE: Final = re.compile(r"[ \t]*(?:[,.;!?|(<+\d\u2013\u2014-]|\r?\n|\\n|\Z)")
_SPEAKS: Final = re.compile(
    r"(?:,|\s)\s*(?:speaking|here|calling|from|writing|again|on the (?:line|phone)|am apparat)\b"
)
_GREETED: Final = re.compile(r"\s*(?:[,!.?:\n\r\u2013\u2014]|\\n|-\s|\Z)")
_THANKED: Final = re.compile(r"\s*(?:[,!.\n\r]|\\n|\Z)")

_TITLE_WORDS: Final = (
    r"mr|mrs|ms|mx|miss|dr|prof|professor|sir|madam|madame|mme|mlle|monsieur|herrn?|frau|se\u00f1ora?|"
    r"sr|sra|signora?|mevrouw|meneer|dhr|mevr"
)

_CUES: Final = (
    _Cue(
        detector="name_introduced",
        before=_cue(
            r"(?:my|his|her|their|the|our|whose)(?: (?:full|first|last|given|legal|real|maiden|user|"
            r"customer's|"
            r"wife's|husband's|son's|daughter's|mother's|father's|boss's|manager's))? ?(?:sur|"
            r"user)?names?(?:'s|\u2019s| is| was| are|:)\s+"
            r"|name(?:'s|\u2019s| is)\s+"
            r"|(?:i am|i'm|i\u2019m|he is|she is|is|was|are|who is) (?:called|named)\s+|goes by\s+"
            r"|(?:mein|der|ihr|sein) name (?:ist|lautet)\s+|ich hei(?:\u00df|ss)e\s+"
            r"|je m(?:'|\u2019)appelle\s+|mon nom est\s+|me llamo\s+|mi nombre es\s+|mi chiamo\s+|"
            r"il mio nome \u00e8\s+"
            r"|mijn naam is\s+|ik heet\s+|jag heter\s+|mitt namn \u00e4r\s+|jeg heter\s+|jeg hedder\s+"
            r"|meu nome \u00e9\s+|chamo-me\s+|me chamo\s+|nazywam si\u0119\s+|jmenuji se\s+|nimeni on\s+"
        ),
        lower=True,
    ),
    _Cue(
        detector="name_labelled",
        before=_cue(
            r"(?:full |first |last |sur|customer |client |contact |account |user |card ?holder'?s? |"
            r"patient |guest |passenger )?"
            r"(?:name|name on (?:the )?card|cardholder|recipient|customer|contact|patient|attn|attention|"
            r"signed|sender|"
            r"vorname|nachname|kunde|nom|nombre|nome|naam|from|to|cc|agent|assignee|author|user)"
            r"\\?[\"'*]{0,2}\s?[:=]\s?\\?[\"'*]{0,2}\s?"
        ),
        after=_END,
    ),
    _Cue(
        detector="name_i_am",
        before=_cue(
            r"(?:i am|i'm|i\u2019m|im|ich bin|je suis|soy|io sono|sono|ik ben|jag \u00e4r|this is|that is|"
            r"that's|it's|it is|"
            r"hier ist|hier spricht|sou (?:o|a))\s+(?:(?:the )?(?:customer|client),? )?"
        ),
        after=_END,
        after_one=re.compile(
            r"(?:,|\s)\s*(?:speaking|here|calling|on the (?:line|phone)|am apparat|again)\b"
        ),
    ),
    _Cue(
        detector="name_speaking",
        before=_cue(r"(?:this is|here is|it's|it is|hier ist|hier spricht)\s+"),
        after=_SPEAKS,
    ),
    _Cue(
        detector="name_signed",
        before=_cue(
            r"(?:(?:best|kind|kindest|warm|warmest|many)? ?(?:regards|wishes)|sincerely(?: yours)?|"
            r"yours(?: (?:sincerely|truly|"
            r"faithfully))?|respectfully|cordially|all the best|mit freundlichen gr\u00fc(?:\u00df|ss)en|mfg|"
            r"(?:viele|liebe|herzliche|beste|sch\u00f6ne) gr\u00fc(?:\u00df|ss)e|gru(?:\u00df|ss)|"
            r"cordialement|bien \u00e0 vous|saludos(?: cordiales)?|"
            r"atentamente|un saludo|cordiali saluti|distinti saluti|met vriendelijke groeten?|groetjes|"
            r"med v\u00e4nliga h\u00e4lsningar|h\u00e4lsningar|mvh|atenciosamente|pozdrawiam)[,.!]?(?:\s|"
            r"\\n){1,4}(?:[-\u2013\u2014~]\s?)?"
        ),
        after=_CLOSE,
    ),
    _Cue(
        detector="name_signed",
        before=_cue(
            r"(?:thanks|thank you|many thanks|thanks a lot|thanks in advance|thank you in advance|thx|"
            r"cheers|best|love|"
            r"danke|vielen dank|merci|gracias|grazie|bedankt|tack)[,.!]{1,2}(?:\s|"
            r"\\n){1,4}(?:[-\u2013\u2014~]\s?)?"
        ),
        after=_THANKED,
    ),
    _Cue(
        detector="name_greeted",
        before=_cue(
            r"(?:dear|hi|hello|hey|hiya|greetings|good (?:morning|afternoon|evening|day)|"
            r"welcome(?: back)?|thank you|thanks|"
            r"sorry|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|sehr geehrte[rs]?|bonjour|cher|ch\u00e8re|"
            r"hola|estimad[oa]|querid[oa]|ciao|gentile|caro|cara|buongiorno|beste|hoi|hej|k\u00e6re|"
            r"bom dia|ol\u00e1),?\s+(?:again,? )?"
        ),
        after=_GREETED,
    ),
    _Cue(
        detector="name_titled",
        before=re.compile(
            r"(?<![A-Za-z0-9_])(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor|Sir|Madame|Mme|Mlle|Monsieur|Herrn?|"
            r"Frau|"
            r"Se\u00f1ora?|Sr|Sra|Signora?|Mevrouw|Meneer|Dhr|Mevr|MR|MRS|MS|DR)\.?[ \u00a0]"
        ),
    ),
    _Cue(
        detector="name_of_kin",
        before=_cue(
            r"(?:my|our|his|her)\s(?:wife|husband|partner|son|daughter|brother|sister|mother|father|mom|"
            r"mum|dad|friend|"
            r"colleague|boss|manager|girlfriend|boyfriend|neighbou?r|cousin|uncle|aunt|assistant|roommate|"
            r"flatmate)"
            r"(?: is| was)?,?\s+(?:called |named )?"
        ),
    ),
    _Cue(
        detector="name_on_behalf",
        before=_cue(
            r"(?:on behalf of|in the name of|registered (?:to|under)(?: the name)?|under the name(?: of)?|"
            r"ordered by|signed by|"
            r"placed by|(?:speak|talk|spoke|talked|speaking|talking) (?:to|with)|ask for|addressed to|"
            r"attention of|written by|"
            r"belongs to|call me|my account holder is|the account holder is|account holder)\s+"
        ),
    ),
    _Cue(
        detector="name_of_owner",
        before=_cue(r"(?:cardholder|holder|owner|passenger|patient|tenant|guardian)\s+"),
    ),
)

_MAILBOX: Final = re.compile(r"(?<=[^\W\d_])\"?[ ]<(?=[A-Za-z0-9._%+\-]{1,64}@)")
_TITLE: Final = re.compile(rf"(?:{_TITLE_WORDS})\.?[ \u00a0]", re.IGNORECASE)


def name(text: str) -> Iterator[Finding]:
    """Find names after cues in many languages ("My name is …", "Regards, …", "Sehr geehrte Frau …")."""
    for cue in _CUES:
        for match in cue.before.finditer(text):
            span = _read(text, match.end(), cue)
            if span is not None:
                yield Finding(kind=Kind.NAME, start=span[0], end=span[1], detector=cue.detector)
    for match in _MAILBOX.finditer(text):
        span = _read_back(text, match.start())
        if span is not None:
            yield Finding(kind=Kind.NAME, start=span[0], end=span[1], detector="name_of_mailbox")


def _read(text: str, at: int, cue: _Cue) -> tuple[int, int] | None:
    """Read the name that starts at ``at``: titles are skipped, capitalised words and particles taken."""
    while (title := _TITLE.match(text, at)) is not None:
        at = title.end()
    words: list[tuple[int, int]] = []
    end = at
    small = False
    while len(words) < _MOST_WORDS and (word := WORD.match(text, end, end + _AHEAD)) is not None:
        if not _part(word.group(), first=not words, lower=cue.lower and (not words or small)):
            break
        small = small or (word.group()[0].islower() and word.group().casefold() not in PARTICLES)
        words.append(word.span())
        gap = _GAP.match(text, word.end())
        if gap is None or (gap.group().startswith(".") and word.end() - word.start() > 1):
            break
        end = gap.end()
    # A particle at the end belongs to the sentence: "I am Anna de" is Anna.
    while words and text[words[-1][0] : words[-1][1]].casefold() in PARTICLES:
        words.pop()
    if not words or (len(words) == 1 and words[0][1] - words[0][0] < 2):  # one letter is no name
        return None
    stop = words[-1][1]
    if text[stop - 2 : stop] in ("'s", "\u2019s"):
        stop -= 2
    follow = cue.after_one if len(words) == 1 and cue.after_one is not None else cue.after
    if follow is not None and follow.match(text, words[-1][1]) is None:
        return None
    return words[0][0], stop


def _part(word: str, *, first: bool, lower: bool) -> bool:
    """Tell whether a word can be a part of a name."""
    folded = word.casefold()
    if len(word) > _LONGEST:
        return False
    if folded in PARTICLES:
        return not first or word[0].isupper()
    if lower and word[0].isupper() and folded in AMBIGUOUS:
        return True  # "My name is Will"
    if folded in NOT_NAMES or folded.split("'")[0].split("\u2019")[0] in NOT_NAMES:
        return False
    if word[0].isupper() or not (word[0].islower() or word.isascii()):
        return True
    return lower and word.isalpha() and not folded.endswith(("ed", "ing", "ly", "able", "ible"))


def _read_back(text: str, end: int) -> tuple[int, int] | None:
    """Read the name that ends at ``end``, before an address in angle brackets."""
    lower = max(0, end - 60)
    head = text[lower:end]
    head = head[max(head.rfind(char) for char in '\n\r<>,;:"') + 1 :]
    words = [
        m for m in WORD.finditer(head) if m.group()[0].isupper() and m.group().casefold() not in NOT_NAMES
    ]
    words = words[-_MOST_WORDS:]
    if not words:
        return None
    base = end - len(head)
    return base + words[0].start(), base + words[-1].end()


def name_parts(value: str) -> tuple[str, ...]:
    """Return the words of a name, case-folded, without titles, particles and initials."""
    folded = (match.group().casefold() for match in WORD.finditer(value))
    return tuple(word for word in folded if len(word) > 1 and word not in PARTICLES and word not in TITLES)


def mentions(text: str, parts: frozenset[str]) -> Iterator[Finding]:
    """Find later mentions of names known in the unit, by one word or several.

    Args:
        text: the text.
        parts: the case-folded words of the names that are known.
    """
    start = end = -1
    for match in WORD.finditer(text):
        word = match.group()
        folded = word.casefold()
        stem = folded[:-2] if folded.endswith(("'s", "\u2019s")) else folded
        # In small letters an ordinary word ("will", "rose") is that word, not the name.
        known = stem in parts and not (word[0].islower() and stem in AMBIGUOUS)
        if known and start >= 0 and text[end : match.start()] in (" ", "\u00a0"):
            end = match.start() + len(stem)
            continue
        if start >= 0:
            yield Finding(kind=Kind.NAME, start=start, end=end, detector="name_mentioned")
            start = -1
        if known and not (stem in AMBIGUOUS and _opens_sentence(text, match.start())):
            start, end = match.start(), match.start() + len(stem)
    if start >= 0:
        yield Finding(kind=Kind.NAME, start=start, end=end, detector="name_mentioned")


def _opens_sentence(text: str, at: int) -> bool:
    head = text[max(0, at - 3) : at].rstrip()
    return not head or head[-1] in ".!?\n"


def vocabulary(text: str) -> frozenset[str]:
    """Return the case-folded words of a text, as :func:`mentions` compares them."""
    folded = (match.group().casefold() for match in WORD.finditer(text))
    return frozenset(word[:-2] if word.endswith(("'s", "\u2019s")) else word for word in folded)
