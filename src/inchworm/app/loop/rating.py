"""Feedback to the interactions that it is about."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.app.house import House
from inchworm.app.loop.incoming import Rating
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Score
from inchworm.sanitize import Sanitizer


def store_ratings(house: House, sanitizer: Sanitizer, ratings: Sequence[Rating]) -> tuple[int, list[Rating]]:
    """Store the scores of interactions that are known; how many were new, and the others.

    Args:
        house: where they go.
        sanitizer: for who rated: they may be called by an e-mail address.
        ratings: with ids as they came.

    Raises:
        InputError: if one cannot be stored; then none is.
    """
    by_app: dict[AppRef, list[tuple[Rating, TraceId]]] = {}
    for one in ratings:
        stored_as = TraceId(house.pseudonym(UnitId(one.trace_id)))
        by_app.setdefault(one.app, []).append((one, stored_as))
    unknown: list[Rating] = []
    rows: list[tuple[AppRef, TraceId, Score]] = []
    for app, members in by_app.items():
        known = house.traces.known(app, {trace_id for _, trace_id in members})
        for one, trace_id in members:
            if trace_id in known:
                rows.append((app, trace_id, _clean(sanitizer, one.score)))
            else:
                unknown.append(one)
    return house.traces.add_scores(rows), unknown


def _clean(sanitizer: Sanitizer, score: Score) -> Score:
    unit = sanitizer.unit()
    return Score(
        metric=unit.text(score.metric).text,
        result=score.result,
        source=unit.text(score.source).text,
        at=score.at,
    )
