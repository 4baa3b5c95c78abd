"""The bodies of requests, read."""

from __future__ import annotations

from typing import Any

import msgspec

from inchworm.gateway.faults import FaultError, not_json

_decode = msgspec.json.Decoder().decode


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        FaultError: 400, if it is none.
    """
    try:
        body = _decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FaultError(not_json(str(error))) from error
    if not isinstance(body, dict):
        raise FaultError(not_json("it is another JSON value"))
    return body
