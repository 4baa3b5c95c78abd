"""Feedback: scores sent in, also long after the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Request

from inchworm.app.api import models
from inchworm.app.api.deps import ToLabel, changed
from inchworm.app.house import House
from inchworm.capture.records import Graded
from inchworm.domain.errors import NotFoundError
from inchworm.domain.feedback import read_feedback


def router() -> APIRouter:
    """Routes of feedback."""
    routes = APIRouter(tags=["traces"])

    @routes.post("/scores", summary="Send feedback")
    def rated(
        request: Request, house: ToLabel, sent: Annotated[models.Score | models.Scores, Body()]
    ) -> models.Rated:
        """One score, or `{"scores": [...]}`, on an interaction, a span of it, or a session or unit.

        The value is on the metric's own scale. An `id` counts once: of two scores with one id the later one
        stands. Without an id, what is sent twice with the same time, or without a time, counts once. A
        gateway takes the same on `POST /api/v1/scores`, and waits for interactions that are not stored yet.
        """
        scores = sent.scores if isinstance(sent, models.Scores) else [sent]
        for one in scores:
            read_feedback(house.spec.metrics, one.metric, one.value)
        stored, waiting = _store(house, scores)
        unknown = list(dict.fromkeys(waiting))
        if unknown and isinstance(sent, models.Score):
            raise NotFoundError(
                f"no interaction {unknown[0]} is stored, so that the score belongs to nothing",
                hint="interactions are stored some seconds after they ended; or see their ids: GET /traces",
            )
        changed(request)
        duplicate = len(scores) - stored - len(waiting)
        return models.Rated(stored=stored, duplicate=duplicate, unknown=unknown)

    return routes


def _store(house: House, scores: list[models.Score]) -> tuple[int, list[str]]:
    """How many were new, and of each that is about what is not known, what that is."""
    from inchworm.app.loop.incoming import Rating
    from inchworm.app.loop.rating import store_ratings
    from inchworm.sanitize import Sanitizer

    settings = house.spec.sanitize
    now = house.now()
    ratings = [
        Rating(raw=b"", path=Path(), app=house.app, said=_graded(one, str(house.app), now)) for one in scores
    ]
    sanitizer = Sanitizer(kinds=settings.kinds, custom=settings.custom)
    stored = store_ratings(house, sanitizer, ratings)
    return stored.new, [one.said.trace or one.said.span or f"of {one.said.unit}" for one in stored.waiting]


def _graded(one: models.Score, app: str, now: float) -> Graded:
    return Graded(
        app=app,
        id=one.id,
        trace=one.trace,
        span=one.span,
        unit=one.session if one.unit is None else one.unit,
        metric=one.metric,
        value=one.value,
        source=one.source,
        comment=one.comment,
        at=now if one.at is None else one.at,
        timed=one.at is not None,
    )
