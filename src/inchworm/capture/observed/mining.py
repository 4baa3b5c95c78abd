"""The prompts of one role, told apart by their skeletons, one text at a time.

A text that fits a known skeleton is another rendering of it. One that does not is learned from (while few
renderings are known), or begins a skeleton of its own: then somebody edited the prompt, or it has a second
form. What alternates like the values of a variable is put together again. All of it follows from the texts
and their order alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.observed.edges import Edge, beginning, ending, whole
from inchworm.capture.observed.template import ANY, Alignment, Gap, Piece, Template, align

MOST = 32
"""Skeletons that are known at once; the one that was seen longest ago makes room."""
SETTLED = 5
"""Renderings from which on a skeleton is believed."""
SETTLED_FREE = 10
"""The same, where most of the text is somebody's words: a user's message."""
_OPEN_FREE = 30
_YOUNG = 50
_ALIVE = 500
_RELATED = 0.5
_RELATED_WORDS = 12
_MOST_PENDING = 6
_BIRTHS, _AMONG = 20, 100
"""So many new forms among so many texts: nobody wrote these by hand, they are somebody's words."""
_HELD = 8
_UNITS = 16


@dataclass(slots=True)
class Skeleton:
    """One form of a prompt.

    Attributes:
        id: fixed when it was first seen, whatever is learned about it later.
        template: what is known of it now.
        root: the skeleton that it was an edit of, at the beginning of the line; itself if of none.
        parent: the skeleton that it was an edit of; empty if of none.
        seen: renderings.
        units: different units (conversations) that sent one.
        last: the miner's count when it was seen last.
        at_birth: units of the parent when this one was first seen.
        again: whether the parent came back since.
        alternates: whether it was seen again after that.
    """

    id: str
    template: Template
    root: str
    parent: str = ""
    seen: int = 0
    units: int = 0
    last: int = 0
    at_birth: int = 0
    again: bool = False
    alternates: bool = False
    _lately: dict[str, None] = field(default_factory=dict)
    _edges: list[tuple[Edge, Edge]] = field(default_factory=list)
    _margins: list[tuple[str, str, int, bool]] = field(default_factory=list)

    def sighted(self, unit: str, number: int) -> bool:
        """Count one rendering; whether its unit is a new one."""
        self.seen += 1
        self.last = number
        if unit in self._lately:
            return False
        self._lately[unit] = None
        if len(self._lately) > _UNITS:
            del self._lately[next(iter(self._lately))]
        self.units += 1
        return True

    def learned(self, template: Template) -> None:
        """Something of it is more variable than was thought."""
        if template.pieces != self.template.pieces:
            self.template = template
            self._edges, self._margins = [], []

    @property
    def exact(self) -> Template:
        """The template with gaps whose values are never empty, and share no white space at their ends.

        So each value can be told from a rendering in one way (:func:`inchworm.domain.lifting.extract`).
        """
        out: list[Piece] = []
        swallows: list[int] = []
        number = 0
        for piece in self.template.pieces:
            if not isinstance(piece, Gap):
                out.append(piece)
                continue
            known = number < len(self._margins)
            lead, tail, count, empty = self._margins[number] if known else ("", "", 0, False)
            out += [lead if count >= SETTLED else "", piece, tail if count >= SETTLED else ""]
            if empty:
                swallows.append(number)
            number += 1
        return Template.tidy(out).wider(swallows)

    def split(self, gap: int, literal: str, *, after: bool) -> Template:
        """The exact template with a literal at one end of a gap, counted from 0."""
        exact = self.exact
        same = len(exact.pieces) == len(self.template.pieces)
        return (exact if same else self.template).split(gap, literal, after=after)

    def measure(self, text: str, spans: Sequence[tuple[int, int]]) -> None:
        """Look at the white space at the ends of each gap's value."""
        for number, (start, end) in enumerate(spans):
            value = text[start:end]
            lead, tail = value[: len(value) - len(value.lstrip())], value[len(value.rstrip()) :]
            if len(lead) == len(value):
                lead = tail = ""
            if number == len(self._margins):
                self._margins.append((lead, tail, 1, not value))
                continue
            before, behind, count, empty = self._margins[number]
            self._margins[number] = (
                before if before == lead else "",
                behind if behind == tail else "",
                min(count + 1, SETTLED),
                empty or not value,
            )

    def beside(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[int, str, bool] | None:
        """Look at the ends of each gap's value.

        Returns:
            The gap, the text beside it that has become fixed, and whether that stands after it.
        """
        found = None
        hints = [piece.hint for piece in self.template.pieces if isinstance(piece, Gap)]
        for number, (start, end) in enumerate(spans):
            if number == len(self._edges):
                self._edges.append((Edge(), Edge()))
            if hints[number]:  # a date begins as it did before until the month is over
                continue
            value = text[start:end]
            head, tail, digest = beginning(value), ending(value), whole(value)
            if same := self._edges[number][0].saw(head, digest):
                found = found or (number, "".join(head[:same]), False)
            if same := self._edges[number][1].saw(tail, digest):
                found = found or (number, "".join(tail[:same][::-1]), True)
        return found

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "id": self.id,
            "pieces": [
                piece if isinstance(piece, str) else {"gap": piece.hint} for piece in self.template.pieces
            ],
            "root": self.root,
            "parent": self.parent,
            "seen": self.seen,
            "units": self.units,
            "last": self.last,
            "at_birth": self.at_birth,
            "again": self.again,
            "alternates": self.alternates,
            "lately": list(self._lately),
            "margins": [list(one) for one in self._margins],
            "edges": [[head.state(), tail.state()] for head, tail in self._edges],
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Skeleton:
        """The inverse of :meth:`state`."""
        pieces = tuple(piece if isinstance(piece, str) else Gap(piece["gap"]) for piece in state["pieces"])
        plain = {name: state[name] for name in ("id", "root", "parent", "seen", "units", "last", "at_birth")}
        return cls(
            template=Template(pieces),
            again=state["again"],
            alternates=state["alternates"],
            _lately=dict.fromkeys(state["lately"]),
            _margins=[(lead, tail, count, empty) for lead, tail, count, empty in state["margins"]],
            _edges=[(Edge.of(head), Edge.of(tail)) for head, tail in state["edges"]],
            **plain,
        )


@dataclass(slots=True)
class Miner:
    """The skeletons of one role.

    Args:
        free: whether most of a text is somebody's own words (a user's message): then all texts are taken for
            one form until enough of them are known.
        salt: what ids are made with beside the first text.
    """

    free: bool
    salt: str
    known: list[Skeleton] = field(default_factory=list)
    number: int = 0
    _births: list[int] = field(default_factory=list)
    merged: dict[str, str] = field(default_factory=dict)
    """Skeletons that turned out to be another one: id → id. Whoever keeps ids empties it."""

    def saw(self, text: str, unit: str) -> str:
        """Take in one rendering; the id of its skeleton."""
        self.number += 1
        for skeleton in self.known:
            spans = skeleton.template.match(text)
            if spans is not None:
                return self._fits(skeleton, text, unit, spans)
        return self._fits_none(text, unit)

    def skeleton(self, id_: str) -> Skeleton | None:
        """By its id."""
        return next((one for one in self.known if one.id == id_), None)

    def is_settled(self, id_: str) -> bool:
        """Whether it was seen often enough to be believed; an edit of one that is needs fewer."""
        found = self.skeleton(id_)
        if found is None:
            return False
        if found.parent:
            return found.seen >= SETTLED
        return found.units >= (SETTLED_FREE if self.free else SETTLED)

    def _fits(self, skeleton: Skeleton, text: str, unit: str, spans: tuple[tuple[int, int], ...]) -> str:
        is_new = skeleton.sighted(unit, self.number)
        skeleton.alternates = skeleton.alternates or skeleton.again
        for child in [one for one in self.known if one.parent == skeleton.id]:
            child.again = True
            if child.at_birth < _YOUNG:  # it was too early to tell an edit from a value
                self._merge(skeleton, child)
        if is_new and spans:
            skeleton.measure(text, spans)
        if is_new and skeleton.units > _OPEN_FREE and spans:
            fixed = skeleton.beside(text, spans)
            if fixed is not None:
                gap, literal, after = fixed
                return self._born(skeleton.split(gap, literal, after=after), text, unit, skeleton)
        return skeleton.id

    def _fits_none(self, text: str, unit: str) -> str:
        held = [(align(one.template, text), one) for one in self._likely()]
        nearest = max(held, key=lambda pair: (pair[0].kept, pair[1].units), default=None)
        if nearest is None:
            return self._born(Template.of(text), text, unit, None)
        alignment, skeleton = nearest
        if self._is_learned(skeleton, alignment):
            skeleton.learned(alignment.both.without_chance() if self.free else alignment.both)
            skeleton.sighted(unit, self.number)
            self._sort()
            return skeleton.id
        if not self._is_related(skeleton, alignment):
            return self._strange(text, unit, held)
        values = [one for one in self._beside(skeleton) if alignment.both.match(one.template.filled())]
        if values:  # a third value in one place, while the others are about: a variable
            skeleton.learned(alignment.both)
            for one in values:
                self._merge(skeleton, one)
            skeleton.sighted(unit, self.number)
            self._sort()
            return skeleton.id
        return self._born(align(skeleton.exact, text).other, text, unit, skeleton)

    def _likely(self) -> list[Skeleton]:
        return sorted(self.known, key=lambda one: -one.last)[:_HELD]

    def _is_learned(self, skeleton: Skeleton, found: Alignment) -> bool:
        """Whether the difference tells what is variable, rather than that somebody edited the prompt."""
        if self.free and skeleton.units < _OPEN_FREE:
            return True
        if skeleton.units < SETTLED and not skeleton.parent:
            return self._is_related(skeleton, found)
        if found.moved or not found.both.weight:
            return False
        return not found.solid or (skeleton.units < _YOUNG and found.near <= 2)

    def _is_related(self, skeleton: Skeleton, found: Alignment) -> bool:
        return found.kept >= min(_RELATED_WORDS, max(_RELATED * skeleton.template.weight, 1))

    def _beside(self, skeleton: Skeleton) -> list[Skeleton]:
        """Forms of the same prompt that are in use beside this one."""
        return [
            one
            for one in self.known
            if one is not skeleton
            and one.root == skeleton.root
            and (one.alternates or skeleton.alternates)
            and self.number - one.last <= _ALIVE
        ]

    def _strange(self, text: str, unit: str, held: list[tuple[Alignment, Skeleton]]) -> str:
        """A text like none before: a form of its own, unless such texts keep coming."""
        pending = [pair for pair in held if not pair[1].parent and not self.is_settled(pair[1].id)]
        if len(pending) < _MOST_PENDING:
            return self._born(Template.of(text), text, unit, None)
        alignment, skeleton = max(pending, key=lambda pair: (pair[0].kept, pair[1].units))
        skeleton.learned(alignment.both.without_chance())
        skeleton.sighted(unit, self.number)
        for other in [one for _, one in pending if skeleton.template.match(one.template.filled())]:
            if other is not skeleton:
                self._merge(skeleton, other)
        self._sort()
        return skeleton.id

    def _born(self, template: Template, text: str, unit: str, parent: Skeleton | None) -> str:
        self._births = [at for at in self._births if self.number - at < _AMONG]
        if len(self._births) >= _BIRTHS:
            return self._collapsed(unit)
        self._births.append(self.number)
        named = hashlib.sha256(f"{self.salt}\0{template.filled()}\0{text}".encode("utf-8", "surrogatepass"))
        id_ = named.hexdigest()[:16]
        made = Skeleton(
            id=id_,
            template=template,
            root=id_ if parent is None else parent.root,
            parent="" if parent is None else parent.id,
            at_birth=0 if parent is None else parent.units,
        )
        made.sighted(unit, self.number)
        self.known = [one for one in self.known if one.id != id_]
        self.known.append(made)
        if len(self.known) > MOST:
            self.known.remove(min(self.known, key=lambda one: (one.last, one.seen)))
        self._sort()
        return id_

    def _collapsed(self, unit: str) -> str:
        """All forms taken for one in which nothing is fixed."""
        first = max(self.known, key=lambda one: (one.units, one.id))
        first.learned(Template(ANY))
        for other in [one for one in self.known if one is not first]:
            self._merge(first, other)
        first.sighted(unit, self.number)
        return first.id

    def _merge(self, into: Skeleton, other: Skeleton) -> None:
        if into.template.match(other.template.filled()) is None:
            into.learned(align(into.template, other.template.filled()).both)
        into.seen += other.seen
        into.units += other.units
        into.last = max(into.last, other.last)
        for child in self.known:
            child.parent = into.id if child.parent == other.id else child.parent
        if into.parent == other.id:
            into.parent = ""
        self.known.remove(other)
        self.merged[other.id] = into.id
        self._sort()

    def _sort(self) -> None:
        """What says most is tried first."""
        self.known.sort(key=lambda one: (-one.template.weight, -one.last, one.id))

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"number": self.number, "births": self._births, "known": [one.state() for one in self.known]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another one stopped."""
        self.number = state["number"]
        self._births = list(state["births"])
        self.known = [Skeleton.of(one) for one in state["known"]]
