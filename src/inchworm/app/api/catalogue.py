"""What is known of models: limits, parameters that are refused, and when they are switched off."""

from __future__ import annotations

from fastapi import APIRouter

from inchworm.app import asjson
from inchworm.app.api import models
from inchworm.app.api.deps import ToView


def router() -> APIRouter:
    """Routes to the catalogue of models."""
    routes = APIRouter(tags=["status"])

    @routes.get("/models", summary="List what is known of models, with sources")
    def every_model(house: ToView) -> models.Anything:
        """Limits, parameters that are refused, days of retirement; `null` and empty is not known."""
        from inchworm.app.loop.knowing import catalogue

        return models.told(models=[asjson.model(facts) for facts in catalogue(house).models])

    @routes.get("/models/{name:path}", summary="Show what is known of a model")
    def one_model(house: ToView, name: str) -> models.Anything:
        from inchworm.app.loop.knowing import model

        return models.told(model=asjson.model(model(house, name)))

    return routes
