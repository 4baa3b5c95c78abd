"""What a request says of its unit before it is assigned. Pure; only what an audience names is looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from inchworm.capture.attributes import from_header
from inchworm.capture.headers import ATTRIBUTES
from inchworm.domain.attributes import chosen
from inchworm.domain.serving import NO_ATTRIBUTES
from inchworm.gateway.units import MEMBER


def attributes_of_request(
    wanted: Collection[str], headers: Mapping[str, str], body: Mapping[str, Any]
) -> Mapping[str, str]:
    """The wanted attributes, each from the first place that says it.

    The header ``inchworm-attributes``; the body's ``inchworm.attributes``; the body's ``metadata``. What
    cannot be read counts as not said.

    Args:
        wanted: names; nothing is read if there are none.
        headers: by lower-case names.
        body: the request's JSON object.
    """
    if not wanted:
        return NO_ATTRIBUTES
    found: dict[str, str] = {}
    ours = body.get(MEMBER)
    for said in (body.get("metadata"), ours.get("attributes") if isinstance(ours, dict) else None):
        if isinstance(said, dict):
            found |= chosen(wanted, said)
    if header := headers.get(ATTRIBUTES):
        found |= from_header(wanted, header)
    return found
