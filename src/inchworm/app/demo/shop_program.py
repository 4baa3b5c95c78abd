"""The shop's application as far as it calls a model: a request per customer message, through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
import msgspec

from inchworm.app.demo.shop import messages
from inchworm.app.demo.traffic import Session, inputs
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ProviderError

AT_ONCE = 32
"""Calls under way at once."""


class ShopProgram:
    """Sends sessions to a gateway. It knows what it wants to ask, and nothing of models and prompts.

    Args:
        app: the feature that calls.
        gateway_url: where to.
    """

    def __init__(self, app: AppRef, gateway_url: str) -> None:
        self._model = f"app:{app.app}/answer"
        self._url = f"{gateway_url}/v1/chat/completions"
        self._runner = asyncio.Runner()

    def serve(self, sessions: Sequence[Session]) -> None:
        """Let all of them be answered.

        Raises:
            ProviderError: if the gateway had no answer from the model, for a reason other than its deadline.
        """
        self._runner.run(self._all(sessions))

    async def _all(self, sessions: Sequence[Session]) -> None:
        waiting = iter(sessions)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as http:

            async def work() -> None:
                for session in waiting:
                    await self._ask(http, session)

            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work())

    async def _ask(self, http: aiohttp.ClientSession, session: Session) -> None:
        message = messages()[session.message]
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": message.text}],
            "inchworm": {
                "inputs": inputs(message),
                "reference": None if message.fact is None else list(message.fact.accept),
            },
        }
        headers = {
            "content-type": "application/json",
            "inchworm-unit": session.unit_id,
            "inchworm-trace": f"t-{session.number}",
            "inchworm-at": repr(session.at),
        }
        async with http.post(self._url, data=msgspec.json.encode(body), headers=headers) as answer:
            said = await answer.read()
            if answer.status not in {200, 504}:  # 504: the model took longer than its deadline
                raise ProviderError(
                    f"session {session.number} was answered with status {answer.status}: "
                    f"{said[:200].decode(errors='replace')}"
                )

    def close(self) -> None:
        """Close the loop."""
        self._runner.close()
