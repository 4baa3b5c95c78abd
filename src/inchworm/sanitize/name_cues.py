"""How sentences announce a name: in many languages, each with where it may stand."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from inchworm.sanitize.searching import Places, holding, starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One way in which a sentence announces a name."""

    detector: str
    before: re.Pattern[str]
    places: Places
    """Where ``before`` may begin, in a text in small letters; as it is where ``cased``."""
    cased: bool = False
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

_LABELS: Final = tuple(
    "name|card|cardholder|recipient|customer|contact|patient|attn|attention|signed|sender|vorna"
    "me|nachname|kunde|nom|nombre|nome|naam|from|to|cc|agent|assignee|author|user".split("|")
)
_SIGN: Final = re.compile("[:=]")
_MARKS: Final = 4
"""Characters between a label and its sign: a backslash, two quotation marks, a space."""
_LABEL_MAX: Final = 48


def _labelled(text: str) -> Iterable[int]:
    """Where a label such as ``Name:`` may begin: shortly before a sign that a label ends at."""
    found: set[int] = set()
    for sign in _SIGN.finditer(text):
        at = sign.start()
        if any(text.endswith(_LABELS, 0, end) for end in range(max(at - _MARKS, 0), at + 1)):
            found.update(range(max(at - _LABEL_MAX, 0), at))
    return found


CUES: Final = (
    Cue(
        detector="name_introduced",
        places=holding(
            "name|called|goes by|ich hei|appelle|mon nom|llamo|nombre|chiamo|nome|naam|heet|"
            "heter|namn|hedder|chamo|nazywam|jmenuji|nimeni"
        ),
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
    Cue(
        detector="name_labelled",
        places=_labelled,
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
    Cue(
        detector="name_i_am",
        places=starting(
            "i am|i'm|i\u2019m|im|ich bin|je suis|soy|io sono|sono|ik ben|jag \u00e4r|this is|"
            "that is|that's|it's|it is|hier ist|hier spricht|sou o|sou a"
        ),
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
    Cue(
        detector="name_speaking",
        places=starting("this is|here is|it's|it is|hier ist|hier spricht"),
        before=_cue(r"(?:this is|here is|it's|it is|hier ist|hier spricht)\s+"),
        after=_SPEAKS,
    ),
    Cue(
        detector="name_signed",
        places=holding(
            "regards|wishes|sincerely|yours|respectfully|cordially|all the best|freundlichen gr|"
            "mfg|e gr\u00fc|gru\u00df|gruss|cordialement|bien \u00e0 vous|saludo|atentamente|"
            "saluti|groet|h\u00e4lsningar|mvh|atenciosamente|pozdrawiam"
        ),
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
    Cue(
        detector="name_signed",
        places=starting(
            "thanks|thank you|many thanks|thx|cheers|best|love|danke|vielen dank|merci|gracias|"
            "grazie|bedankt|tack"
        ),
        before=_cue(
            r"(?:thanks|thank you|many thanks|thanks a lot|thanks in advance|thank you in advance|thx|"
            r"cheers|best|love|"
            r"danke|vielen dank|merci|gracias|grazie|bedankt|tack)[,.!]{1,2}(?:\s|"
            r"\\n){1,4}(?:[-\u2013\u2014~]\s?)?"
        ),
        after=_THANKED,
    ),
    Cue(
        detector="name_greeted",
        places=starting(
            "dear|hi|hello|hey|greetings|good |welcome|thank you|thanks|sorry|hallo|guten |liebe|"
            "sehr geehrte|bonjour|cher|ch\u00e8re|hola|estimad|querid|ciao|gentile|car|"
            "buongiorno|beste|hoi|hej|k\u00e6re|bom dia|ol\u00e1"
        ),
        before=_cue(
            r"(?:dear|hi|hello|hey|hiya|greetings|good (?:morning|afternoon|evening|day)|"
            r"welcome(?: back)?|thank you|thanks|"
            r"sorry|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|sehr geehrte[rs]?|bonjour|cher|ch\u00e8re|"
            r"hola|estimad[oa]|querid[oa]|ciao|gentile|caro|cara|buongiorno|beste|hoi|hej|k\u00e6re|"
            r"bom dia|ol\u00e1),?\s+(?:again,? )?"
        ),
        after=_GREETED,
    ),
    Cue(
        detector="name_titled",
        places=starting(
            "Mr|Ms|Mx|Miss|Dr|Prof|Sir|Madame|Mme|Mlle|Monsieur|Herr|Frau|Se\u00f1or|Sr|Signor|"
            "Mevr|Meneer|Dhr|MR|MS|DR"
        ),
        cased=True,
        before=re.compile(
            r"(?<![A-Za-z0-9_])(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Professor|Sir|Madame|Mme|Mlle|Monsieur|Herrn?|"
            r"Frau|"
            r"Se\u00f1ora?|Sr|Sra|Signora?|Mevrouw|Meneer|Dhr|Mevr|MR|MRS|MS|DR)\.?[ \u00a0]"
        ),
    ),
    Cue(
        detector="name_of_kin",
        places=starting("my|our|his|her"),
        before=_cue(
            r"(?:my|our|his|her)\s(?:wife|husband|partner|son|daughter|brother|sister|mother|father|mom|"
            r"mum|dad|friend|"
            r"colleague|boss|manager|girlfriend|boyfriend|neighbou?r|cousin|uncle|aunt|assistant|roommate|"
            r"flatmate)"
            r"(?: is| was)?,?\s+(?:called |named )?"
        ),
    ),
    Cue(
        detector="name_on_behalf",
        places=holding(
            "behalf of|in the name|registered |under the name|ordered by|signed by|placed by|"
            "speak|talk|spoke|ask for|addressed to|attention of|written by|belongs to|call me|"
            "account holder"
        ),
        before=_cue(
            r"(?:on behalf of|in the name of|registered (?:to|under)(?: the name)?|under the name(?: of)?|"
            r"ordered by|signed by|"
            r"placed by|(?:speak|talk|spoke|talked|speaking|talking) (?:to|with)|ask for|addressed to|"
            r"attention of|written by|"
            r"belongs to|call me|my account holder is|the account holder is|account holder)\s+"
        ),
    ),
    Cue(
        detector="name_of_owner",
        places=holding("holder|owner|passenger|patient|tenant|guardian"),
        before=_cue(r"(?:cardholder|holder|owner|passenger|patient|tenant|guardian)\s+"),
    ),
)
