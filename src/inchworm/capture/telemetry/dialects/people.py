"""People by OpenTelemetry's general attributes, which belong to no dialect: ``session.id``, ``user.id``."""

from __future__ import annotations

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told


def tell(span: Reported) -> Told:
    """Session and user."""
    told = Told()
    for name in names.SESSIONS:
        told.person("session", span.attributes.get(name))
    for name in names.USERS:
        told.person("user", span.attributes.get(name))
    return told
