"""What several renderings of one prompt have in common: literal text and gaps.

Log parsers mine such templates from lines; see Drain (He, Zhu, Zheng & Lyu, ICWS 2017) and Spell (Du & Li,
ICDM 2016), whose common-subsequence idea this follows. A prompt is longer than a log line and its gaps hold
many words, so texts are aligned by patience (:func:`inchworm.capture.observed.tokens.common`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from inchworm.capture.observed.tokens import CUT, common, considered, obvious, tokens, words

_GAP = "\0\1"
_FILLING = "\0"
_WEAK = 2
"""Words from which on a literal text between two gaps can be more than chance."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What differs from rendering to rendering.

    Attributes:
        hint: what it is, if its look says so: ``date``, ``id``, or a kind of the sanitizer.
    """

    hint: str = ""


Piece = str | Gap
ANY: tuple[Piece, ...] = (Gap(),)
"""The template that fits every text."""


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and gaps in turn; no two of a kind side by side, no literal empty."""

    pieces: tuple[Piece, ...]
    weight: int = field(init=False)
    """Literal words."""

    def __post_init__(self) -> None:
        literals = (piece for piece in self.pieces if isinstance(piece, str))
        object.__setattr__(self, "weight", sum(words(tokens(literal)) for literal in literals))

    @classmethod
    def of(cls, text: str) -> Template:
        """The template of one rendering: all literal but what is variable at first sight."""
        if CUT in (parts := considered(text)):
            at = parts.index(CUT)
            head, tail = "".join(parts[:at]), "".join(parts[at + 1 :])
            return cls(_tidy([*_seen_through(head), Gap(), *_seen_through(tail)]))
        return cls(_tidy(_seen_through(text)))

    @classmethod
    def tidy(cls, pieces: Sequence[Piece]) -> Template:
        """The template of pieces in any form: empty texts, or two of a kind side by side."""
        return cls(_tidy(pieces))

    def match(self, text: str) -> tuple[tuple[int, int], ...] | None:
        """The spans of the gaps in a text that fits; ``None`` if it does not.

        Each literal is looked for as far left as it can be, the last one at the end: a text fits if it fits
        in any way. Gaps may be empty.
        """
        at, end, spans = 0, len(text), []
        last = self.pieces[-1] if self.pieces else ""
        tail = last if isinstance(last, str) and len(self.pieces) > 1 else ""
        if tail and not text.endswith(tail):
            return None
        end -= len(tail)
        inner = self.pieces[:-1] if tail else self.pieces
        start = -1
        for piece in inner:
            if isinstance(piece, Gap):
                start = at
            elif start < 0:
                if not text.startswith(piece):
                    return None
                at = len(piece)
            else:
                found = text.find(piece, at, end)
                if found < 0:
                    return None
                spans.append((start, found))
                at, start = found + len(piece), -1
        if start >= 0:
            spans.append((start, end))
            return tuple(spans) if start <= end else None
        return tuple(spans) if at == end else None

    def filled(self) -> str:
        """A text that fits, with a sign that no prompt holds in the gaps."""
        return "".join(_FILLING if isinstance(piece, Gap) else piece for piece in self.pieces)

    def without_chance(self) -> Template:
        """The same with more gaps: without marks and single words that somebody's texts happened to share.

        A word at either end, a colon's word and what holds a line break are no chance.
        """
        last = len(self.pieces) - 1
        return Template(
            _tidy(
                [
                    piece if isinstance(piece, Gap) or _is_meant(piece, outer=place in {0, last}) else Gap()
                    for place, piece in enumerate(self.pieces)
                ]
            )
        )

    def wider(self, gaps: Sequence[int]) -> Template:
        """The same with a character of white space beside some gaps, counted from 0, taken into them."""
        out = list(self.pieces)
        places = [place for place, piece in enumerate(self.pieces) if isinstance(piece, Gap)]
        for place in (places[gap] for gap in gaps):
            after = out[place + 1] if place + 1 < len(out) else ""
            before = out[place - 1] if place else ""
            if isinstance(after, str) and after[:1].isspace():
                out[place + 1] = after[1:]
            elif isinstance(before, str) and before[-1:].isspace():
                out[place - 1] = before[:-1]
        return Template(_tidy(out))

    def split(self, gap: int, text: str, *, after: bool) -> Template:
        """The same with a literal text at the beginning or the end of one gap, counted from 0."""
        out: list[Piece] = []
        number = -1
        for piece in self.pieces:
            number += isinstance(piece, Gap)
            if isinstance(piece, Gap) and number == gap:
                out += [piece, text] if after else [text, piece]
                number += 1_000_000
            else:
                out.append(piece)
        return Template(_tidy(out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """A template held against a text that it does not fit.

    Attributes:
        both: what fits both: the template with more gaps.
        other: the text's own template: it differs from the first only where the first is literal.
        kept: literal words of the template that the text has too.
        moved: literal words that the text lacks or has beyond, away from gaps.
        near: literal words that the text lacks, beside gaps.
        solid: whether what it lacks beside gaps is more than a chance word between two of them.
    """

    both: Template
    other: Template
    kept: int
    moved: int
    near: int
    solid: bool


def align(template: Template, text: str) -> Alignment:
    """Hold a template against a text."""
    mine, leads, hints = _spread(template)
    theirs = considered(text)
    both: list[Piece] = []
    other: list[Piece] = []
    kept = moved = near = 0
    solid = False
    for i, to, j, until, same in _regions(mine, theirs):
        if same:
            both.extend(mine[i:to])
            other.extend(mine[i:to])
            kept += words(mine[i:to])
            continue
        part, said = mine[i:to], theirs[j:until]
        gaps = [place for place in range(i, to) if mine[place] == _GAP]
        lead = leads.get(i, "") if gaps and gaps[0] == i else _space(part[0]) if part else ""
        new = "" if CUT in said else "".join(said)
        lead = lead if lead and new.startswith(lead) else ""
        gap = Gap(hints[gaps[0]] if len(part) == 1 and gaps else "")
        both += [lead, gap]
        if gaps or CUT in said:
            other += [lead, gap]
            lost = words([token for token in part if token != _GAP])
            near += lost
            solid = solid or _is_solid(part)
        else:
            other.extend(_seen_through(new))
            moved += max(words(part), words(said))
            # a mark that changed is a change as well
            moved += bool(part or said) and not (words(part) or words(said))
    return Alignment(
        both=Template(_tidy(both)),
        other=Template(_tidy(other)),
        kept=kept,
        moved=moved,
        near=near,
        solid=solid,
    )


def _regions(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int, bool]]:
    """What is the same and what is not, in turn: ``(from, to)`` in each, and whether it is the same."""
    i = j = 0
    for start, from_, n in [*common(mine, theirs), (len(mine), len(theirs), 0)]:
        if i < start or j < from_:
            yield i, start, j, from_, False
        if n:
            yield start, start + n, from_, from_ + n, True
        i, j = start + n, from_ + n


def _spread(template: Template) -> tuple[list[str], dict[int, str], dict[int, str]]:
    """Tokens with signs for gaps; the white space that stands before each gap, and what it is."""
    out: list[str] = []
    leads: dict[int, str] = {}
    hints: dict[int, str] = {}
    for piece in template.pieces:
        if isinstance(piece, Gap):
            lead = out.pop() if out and out[-1].isspace() else ""
            leads[len(out)], hints[len(out)] = lead, piece.hint
            out.append(_GAP)
        else:
            out += tokens(piece)
    return out, leads, hints


def _space(token: str) -> str:
    return token[: len(token) - len(token.lstrip())]


def _is_solid(part: Sequence[str]) -> bool:
    """Whether what is lost touches a literal that stays, or is more than a word between two gaps."""
    if part[0] != _GAP or part[-1] != _GAP:
        return any(token != _GAP for token in part)
    lost = [token for token in part if token != _GAP]
    return words(lost) >= _WEAK or any("\n" in token for token in lost)


def _is_meant(literal: str, *, outer: bool) -> bool:
    parts = tokens(literal)
    least = 1 if outer or ":" in parts else _WEAK
    return "\n" in literal or words(parts) >= least


def _seen_through(text: str) -> list[Piece]:
    """A text with gaps for what is variable at first sight."""
    out: list[Piece] = []
    at = 0
    for start, end, hint in obvious(text):
        out += [text[at:start], Gap(hint)]
        at = end
    out.append(text[at:])
    return out


def _tidy(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Without empty texts, and without two of a kind side by side."""
    out: list[Piece] = []
    for piece in pieces:
        last = out[-1] if out else None
        if piece == "":
            continue
        if isinstance(piece, str) and isinstance(last, str):
            out[-1] = last + piece
        elif isinstance(piece, Gap) and isinstance(last, Gap):
            out[-1] = Gap()
        else:
            out.append(piece)
    return tuple(out)
