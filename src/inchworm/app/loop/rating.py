"""Feedback to the interactions that it is about, also days later, and on the scale that the app declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from inchworm.app.house import House
from inchworm.app.loop.incoming import Rating
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.feedback import read_feedback
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Score, Scored
from inchworm.sanitize import Sanitizer


@dataclass(slots=True)
class Stored:
    """What became of feedback.

    Attributes:
        new: scores that were stored and were not there before.
        waiting: what is about an interaction that is not known, or not yet.
        refused: what can never be stored, and why.
    """

    new: int = 0
    waiting: list[Rating] = field(default_factory=list)
    refused: list[tuple[Rating, str]] = field(default_factory=list)


def store_ratings(house: House, sanitizer: Sanitizer, ratings: Sequence[Rating]) -> Stored:
    """Store the scores of interactions that are known.

    A score joins the interaction, and through its assignment the arm that served it, however much later it
    comes. Of feedback with one id the later one stands, by its time, then by arrival. Feedback without an
    id, and that did not say when it was given, counts once for as long as nothing else was said.

    Args:
        house: where they go.
        sanitizer: for who rated: they may be called by an e-mail address.
        ratings: with ids as they came.

    Raises:
        InputError: if one cannot be stored; then none is.
    """
    out = Stored()
    by_app: dict[AppRef, list[tuple[Rating, Score]]] = {}
    for one in ratings:
        try:
            score = _score(house.spec.metrics, one)
        except InputError as error:
            out.refused.append(
                (one, error.message if error.hint is None else f"{error.message}; {error.hint}")
            )
            continue
        by_app.setdefault(one.app, []).append((one, _clean(house, sanitizer, score)))
    rows: list[tuple[AppRef, TraceId, Score]] = []
    for app, members in by_app.items():
        meant = _meant(house, app, [one for one, _ in members])
        placed: list[tuple[Rating, TraceId, Score]] = []
        for (one, score), trace_id in zip(members, meant, strict=True):
            if trace_id is None:
                out.waiting.append(one)
            else:
                placed.append((one, trace_id, score))
        rows += [(app, trace_id, score) for trace_id, score in _fresh(house, app, placed)]
    out.new = house.traces.add_scores(rows)
    return out


def _score(metrics: Sequence[Metric], one: Rating) -> Score:
    """The score that is meant.

    Raises:
        InputError: if the value is none that the metric takes.
    """
    said = one.said
    value = float(said.value) if one.scaled else read_feedback(metrics, said.metric, said.value)
    return Score(
        metric=said.metric,
        result=Scored(value=value),
        source=said.source,
        at=said.at,
        id=said.id,
        comment=said.comment or None,
    )


def _meant(house: House, app: AppRef, ratings: Sequence[Rating]) -> list[TraceId | None]:
    """The stored interaction that each is about, if it is known: by its own id, a span of it, or its unit."""
    named = [_named(house, one.said.trace or one.said.span) for one in ratings]
    known = house.traces.known(app, {each for each in named if each is not None})
    spans = {one.said.span for one in ratings if one.said.span and not one.said.trace} - known
    within = house.traces.traces_of_spans(app, spans)
    known |= house.traces.known(app, set(within.values()))
    found: list[TraceId | None] = []
    units: list[tuple[int, tuple[UnitId, float]]] = []
    for place, (one, name) in enumerate(zip(ratings, named, strict=True)):
        meant = name if name is None or name in known else within.get(one.said.span or "")
        found.append(meant if meant in known else None)
        if name is None and one.said.unit:
            units.append((place, (house.pseudonym(UnitId(one.said.unit)), one.said.at)))
    latest = house.traces.latest_of_units(app, [each for _, each in units])
    for (place, _), trace_id in zip(units, latest, strict=True):
        found[place] = trace_id
    return found


def _named(house: House, name: str | None) -> TraceId | None:
    """An interaction's id as it is stored."""
    return TraceId(house.pseudonym(UnitId(name))) if name else None


def _fresh(
    house: House, app: AppRef, placed: Sequence[tuple[Rating, TraceId, Score]]
) -> Iterable[tuple[TraceId, Score]]:
    """Without what was said already: the same again, by somebody who does not say when."""
    known = house.traces.scores_by_id(
        app, {score.id for one, _, score in placed if score.id is not None and not one.said.timed}
    )
    untimed = {trace_id for one, trace_id, score in placed if not one.said.timed and score.id is None}
    last = {
        (trace_id, score.metric, score.source): score
        for trace_id, scores in house.traces.scores_of(app, untimed).items()
        for score in scores
    }
    for one, trace_id, score in placed:
        if score.id is not None:
            # Sent again it is of the time at which it came first: the same score.
            place = known.get(score.id)
            same = place is not None and place == (trace_id, replace(score, at=place[1].at))
            if one.said.timed or not same:
                known[score.id] = trace_id, score
                yield trace_id, score
            continue
        key = (trace_id, score.metric, score.source)
        before = last.get(key)
        if one.said.timed or before is None or before.result != score.result:
            last[key] = score
            yield trace_id, score


def _clean(house: House, sanitizer: Sanitizer, score: Score) -> Score:
    unit = sanitizer.unit()
    return replace(
        score,
        metric=unit.text(score.metric).text,
        source=unit.text(score.source).text,
        id=None if score.id is None else house.pseudonym(UnitId(score.id)),
        comment=None if score.comment is None else unit.text(score.comment).text,
    )
