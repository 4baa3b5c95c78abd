"""Fuzzes what tracing clients can send: the ingestion routes, and the readers of telemetry behind them.

A tool for developers, in an environment of its own, beside this repository's::

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    export PYTHONPATH=src:.venv/lib/python3.11/site-packages
    /tmp/fuzz/bin/python scripts/fuzz.py corpus -max_total_time=300

What is neither an answer nor a refusal ends it with a traceback, and libFuzzer keeps the input. The corpus is
seeded with good bodies of every protocol. Options are libFuzzer's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-untyped]  # in the fuzzer's environment

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["inchworm.capture", "inchworm.gateway.ingest"]):
    from tests.integration.gateway.telemetry_bodies import GOOD

    from inchworm.capture.records import Exported, Record, encode
    from inchworm.capture.telemetry import DIALECTS, check, read
    from inchworm.domain.configuration import AppRef
    from inchworm.domain.errors import InputError
    from inchworm.domain.published import Published, PublishedApp
    from inchworm.gateway.faults import FaultError
    from inchworm.gateway.ingest.asked import Asked
    from inchworm.gateway.ingest.doors import Doors
    from inchworm.gateway.ingest.langfuse import Langfuse
    from inchworm.gateway.ingest.langsmith import Langsmith
    from inchworm.gateway.ingest.otlp import Otlp
    from inchworm.gateway.ingest.questions import Questions
    from inchworm.gateway.ingest.room import Room, Share
    from inchworm.gateway.ingest.scores import Scores
    from inchworm.gateway.metrics import Metrics
    from inchworm.gateway.resolving import Serving
    from inchworm.gateway.settings import Settings

APP = AppRef(app="shop", environment="production")
AT = 1_795_000_000.0
SERVING = Serving(Published(apps=(PublishedApp(app=APP),)), bytes(32))
SETTINGS = Settings(data=Path("/nonexistent"), control="http://127.0.0.1:9", max_body=1 << 20)
LOOP = asyncio.new_event_loop()
EXECUTOR = ThreadPoolExecutor(1)
REQUESTS = list(GOOD.values())


class Kept:
    """In place of the spool: records are encoded, and what can be read of them is read."""

    async def keep(self, records: Iterable[Record]) -> None:
        """Do with records what the spool and the drain do."""
        for one in records:
            encode(one)
            if isinstance(one, Exported):
                for _ in read(one):
                    pass


class Sent:
    """One request's body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self) -> bytes:
        """The whole of it."""
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """It in two pieces."""
        middle = len(self._body) // 2
        yield self._body[:middle]
        yield self._body[middle:]


def doors() -> Doors:
    """All routes, without a spool and without a server."""
    keeper: Any = Kept()
    client: Any = None
    metrics = Metrics()
    return Doors(
        to_otlp=Otlp(keeper=keeper, metrics=metrics),
        to_langfuse=Langfuse(keeper=keeper, metrics=metrics),
        to_langsmith=Langsmith(keeper=keeper, metrics=metrics),
        to_scores=Scores(keeper=keeper, metrics=metrics),
        questions=Questions(client=client, control=SETTINGS.control, bearer=""),
    )


DOORS = doors()


def one_input(data: bytes) -> None:
    """The first byte says which route or dialect, the rest is the body."""
    if not data:
        return
    which, body = data[0] % (len(REQUESTS) + len(DIALECTS)), data[1:]
    if which < len(REQUESTS):
        LOOP.run_until_complete(_asked(which, body))
        return
    dialect = DIALECTS[which - len(REQUESTS)]
    with suppress(InputError):
        check(dialect, body)
    for _ in read(Exported(app=str(APP), dialect=dialect, body=body, at=AT)):
        pass


async def _asked(which: int, body: bytes) -> None:
    good = REQUESTS[which]
    door = DOORS.door(good.path)
    assert door is not None  # noqa: S101  # a tool; the table has it
    sent: Any = Sent(body)
    with Share(Room(64 << 20)) as share:
        asked = Asked(
            method="POST",
            path=good.path,
            query="",
            headers=good.headers,
            proto=sent,
            settings=SETTINGS,
            serving=SERVING,
            app=SERVING.app(""),
            share=share,
            executor=EXECUTOR,
            at=AT,
        )
        try:
            await door.methods["POST"](asked)
        except FaultError as error:
            if error.fault.status >= 500:  # it would be ours
                raise
            door.refusal(error.fault, asked.kind)


def main() -> None:
    """Seed the corpus that is named, and fuzz until libFuzzer's options say to stop."""
    folders = [Path(one) for one in sys.argv[1:] if not one.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        for number, good in enumerate(REQUESTS):
            (folder / f"good-{number}").write_bytes(bytes([number]) + good.body)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
