"""API keys: made, listed, revoked."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request

from inchworm.app import asjson, keys
from inchworm.app.api import models
from inchworm.app.api.auth import access_of
from inchworm.app.api.deps import ToAdminister, changed
from inchworm.domain.configuration import AppRef


def router() -> APIRouter:
    """Routes of keys."""
    routes = APIRouter(tags=["access"])

    @routes.get("/keys", summary="List keys, without their secrets")
    def listed(house: ToAdminister) -> models.Keys:
        return models.Keys.model_validate({"keys": [asjson.api_key(one) for one in house.control.api_keys()]})

    @routes.post("/keys", status_code=201, summary="Make a key")
    def make(request: Request, house: ToAdminister, asked: models.NewKey) -> models.MadeKey:
        """The key is in this answer and nowhere else: only its hash is kept."""
        now = access_of(request).now()
        made, written = keys.make(
            asked.name,
            asked.scope,
            by=house.actor,
            now=now,
            expires_at=None if asked.expires_s is None else now + asked.expires_s,
            random=secrets.token_bytes,
            app=None if asked.app is None else AppRef.parse(asked.app),
        )
        house.control.put_api_key(house.app, made)
        changed(request)
        return models.MadeKey.model_validate({"key": written, "about": asjson.api_key(made)})

    @routes.post("/keys/{key_id}/revoke", summary="Revoke a key, and end its sessions")
    def revoke(request: Request, house: ToAdminister, key_id: str) -> models.Anything:
        """For good. Revoking it again changes nothing."""
        done = house.control.revoke_api_key(house.app, key_id, actor=house.actor, at=access_of(request).now())
        changed(request)
        return models.told(id=key_id, revoked=done)

    return routes
