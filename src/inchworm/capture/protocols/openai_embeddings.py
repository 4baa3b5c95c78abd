"""OpenAI's embeddings: what was embedded is kept, the vectors are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.protocols.base import PROTOCOL, Answer, Protocol, Request, without
from inchworm.capture.streams import assemble

NAME = "openai-embeddings"
_INPUT = frozenset({"input"})
_DATA = frozenset({"data"})
_BYTES = 4  # of a number, in base64
_NOTED: Mapping[str, Any] = {PROTOCOL: NAME, "gen_ai.operation.name": "embeddings"}


def _request(asked: Mapping[str, Any], sent: Mapping[str, Any]) -> Request:
    given = asked.get("input")
    noted = dict(_NOTED)
    inputs: dict[str, Any] = {}
    if isinstance(given, str):
        inputs["input"] = given
    elif isinstance(given, list):
        if texts := [one for one in given if isinstance(one, str)]:
            inputs["input"] = texts
        elif given:  # tokens say nothing without their alphabet
            noted["openai.request.token_inputs"] = 1 if isinstance(given[0], int) else len(given)
    return Request(messages=[], members=without(sent, _INPUT), inputs=inputs, attributes=noted)


def _answer(body: dict[str, Any]) -> Answer:
    data = body.get("data")
    if not isinstance(data, list):
        return Answer(completion=body)
    noted: dict[str, Any] = {"openai.response.embeddings": len(data)}
    first = data[0].get("embedding") if data and isinstance(data[0], dict) else None
    if isinstance(first, list):
        noted["gen_ai.embeddings.dimension.count"] = len(first)
    elif isinstance(first, str):
        noted["gen_ai.embeddings.dimension.count"] = (3 * len(first.rstrip("=")) // 4) // _BYTES
    nothing = {"index": 0, "message": {"role": "assistant", "content": None}}
    return Answer(completion={**without(body, _DATA), "choices": [nothing]}, attributes=noted)


EMBEDDINGS = Protocol(name=NAME, request=_request, answer=_answer, assemble=assemble)
"""``POST /v1/embeddings``."""
