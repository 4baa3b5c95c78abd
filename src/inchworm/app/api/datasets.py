"""Eval sets in the form in which Langfuse's clients read datasets; gateways ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from inchworm.app import names
from inchworm.app.api import models
from inchworm.app.api.auth import is_gateway, state_of
from inchworm.app.house import House
from inchworm.domain.evalset import Case, EvalSet

_MOST = 1_000


def router() -> APIRouter:
    """Routes of datasets."""
    routes = APIRouter(tags=["measuring"])

    @routes.get(
        "/datasets/{name}",
        summary="Show an eval set as a Langfuse dataset",
        dependencies=[Depends(is_gateway)],
    )
    def dataset(request: Request, name: str) -> models.Anything:
        """By NAME, which is its latest version, or NAME@VERSION."""
        house = state_of(request).house
        found = names.eval_set(house, name)
        return models.told(dataset=_dataset(found, name, _drawn_at(house, found)))

    @routes.get(
        "/datasets/{name}/items",
        summary="Show cases of an eval set as Langfuse dataset items",
        dependencies=[Depends(is_gateway)],
    )
    def items(
        request: Request,
        name: str,
        page: Annotated[int, Query(ge=1, description="From 1 on.")] = 1,
        limit: Annotated[int, Query(ge=1, le=_MOST, description="How many at most.")] = 50,
    ) -> models.Anything:
        """Cases that were forgotten are left out."""
        house = state_of(request).house
        found = names.eval_set(house, name)
        at = _drawn_at(house, found)
        cases = [one for one in found.cases if not one.is_forgotten]
        start = (page - 1) * limit
        meta = {
            "page": page,
            "limit": limit,
            "totalItems": len(cases),
            "totalPages": -(-len(cases) // limit),
        }
        data = [_item(found, name, one, at) for one in cases[start : start + limit]]
        return models.told(data=data, meta=meta)

    return routes


def _drawn_at(house: House, found: EvalSet) -> str:
    """When this version was kept, in ISO 8601."""
    at = next((one.at for one in house.control.eval_sets(house.app) if one.id == found.id), house.now())
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _dataset(found: EvalSet, name: str, at: str) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": name,
        "description": found.population,
        "metadata": {
            "version": found.version,
            "cases": len(found.cases) - found.gone,
            "shares": found.shares,
        },
        "projectId": str(found.app),
        "createdAt": at,
        "updatedAt": at,
    }


def _item(found: EvalSet, name: str, case: Case, at: str) -> dict[str, Any]:
    kind, _, origin = case.origin.partition(":")
    return {
        "id": case.id,
        "status": "ACTIVE",
        "input": case.inputs,
        "expectedOutput": case.reference,
        "metadata": {"cluster": case.cluster, "weight": case.weight, "call": case.call},
        "sourceTraceId": origin if kind == "trace" else None,
        "sourceObservationId": None,
        "datasetId": found.id,
        "datasetName": name,
        "createdAt": at,
        "updatedAt": at,
        "mediaReferences": [],
    }
