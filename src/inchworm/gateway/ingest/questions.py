"""Eval sets as datasets of Langfuse's, asked of the server: a gateway has no store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import msgspec

from inchworm.domain.errors import NotFoundError
from inchworm.gateway.access import shown
from inchworm.gateway.faults import Fault, FaultError, not_allowed
from inchworm.gateway.ingest.asked import Asked, Said
from inchworm.gateway.ingest.prompts import langfuse_prompt
from inchworm.gateway.upstream import Answer, Client, Target, UpstreamError, request_bytes

_PATIENCE_S = 10.0
_MOST_ANSWER = 64 << 20
_MOST_ITEMS = 1_000
_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What Langfuse's clients fetch: prompts from what is published, datasets from the server.

    Attributes:
        client: asks the server.
        control: its address.
        bearer: shows that this gateway belongs to the installation.
    """

    client: Client
    control: str
    bearer: str = field(repr=False)

    async def prompt(self, asked: Asked) -> Said:
        """Stable's prompt layer.

        Raises:
            FaultError: 404 if there is none by that name, label and version.
        """
        query = parse_qs(asked.query)
        name = unquote(asked.path.split("/prompts/", 1)[1])
        try:
            return Said.json(
                langfuse_prompt(
                    asked.app,
                    name,
                    label=query.get("label", [None])[0],
                    version=query.get("version", [None])[0],
                )
            )
        except NotFoundError as error:
            raise FaultError(
                Fault(status=404, code="LangfuseNotFoundError", message=error.message)
            ) from error

    async def dataset(self, asked: Asked) -> Said:
        """An eval set, without its cases.

        Raises:
            FaultError: if there is none, or the server cannot be asked.
        """
        name = unquote(asked.path.split("/datasets/", 1)[1])
        return Said.json((await self._ask(asked, f"/api/v1/datasets/{quote(name, safe='@')}"))["dataset"])

    async def items(self, asked: Asked) -> Said:
        """A page of its cases.

        Raises:
            FaultError: as :meth:`dataset`.
        """
        query = parse_qs(asked.query)
        name = unquote(query.get("datasetName", [""])[0])
        page = _number(query.get("page", ["1"])[0], most=1_000_000)
        limit = _number(query.get("limit", ["50"])[0], most=_MOST_ITEMS)
        if not name:
            raise FaultError(Fault(status=400, code="invalid_request", message="datasetName says which one."))
        found = await self._ask(
            asked, f"/api/v1/datasets/{quote(name, safe='@')}/items?page={page}&limit={limit}"
        )
        return Said.json({"data": found["data"], "meta": found["meta"]})

    async def _ask(self, asked: Asked, path: str) -> dict[str, Any]:
        """Ask the server, with the caller's key if one is shown: the server knows what it may see.

        Raises:
            FaultError: if the caller may not see it, it is not there, or the server does not answer.
        """
        key = shown(asked.headers)
        if key is None and asked.settings.host not in _LOCAL:
            raise FaultError(not_allowed())
        target = Target.of(self.control)
        headers = [("authorization", f"Bearer {key or self.bearer}"), ("accept", "application/json")]
        head = request_bytes("GET", target.origin, f"{target.path}{path}", headers, b"")
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        try:
            answer = await self.client.send(target.origin, head, b"", deadline=deadline)
            found = msgspec.json.decode(await _whole(answer), type=dict[str, Any])
        except (UpstreamError, OSError, msgspec.MsgspecError) as error:
            raise FaultError(
                Fault(
                    status=503,
                    code="server_unreachable",
                    message="Datasets are asked of the Inchworm server, and it does not answer.",
                    headers=[("retry-after", "1")],
                )
            ) from error
        status = answer.head.status
        if status != 200:  # OK
            problem = found.get("error")
            said = problem.get("message") if isinstance(problem, dict) else None
            raise FaultError(
                Fault(
                    status=status if status in {401, 403, 404} else 503,
                    code="dataset",
                    message=str(said or f"the server answered {status}"),
                )
            )
        return found


async def _whole(answer: Answer) -> bytes:
    """The body of an answer.

    Raises:
        UpstreamError: if it is larger than a page may be, or breaks off.
    """
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.piece():
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_ANSWER:
            answer.abort()
            raise UpstreamError("sent more than a page")
    return b"".join(pieces)


def _number(text: str, *, most: int) -> int:
    """A number of a query, from 1 on.

    Raises:
        FaultError: 400 if it is none.
    """
    if text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most:  # of such are none
        return int(text)
    raise FaultError(
        Fault(status=400, code="invalid_request", message=f"page and limit are numbers from 1 to {most}.")
    )
