"""What is served: a document that cannot be used changes nothing, and a gateway that hears no news ends."""

import asyncio
import io
import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConfigError, InputError
from inchworm.domain.published import Published, PublishedApp
from inchworm.gateway import running, serving
from inchworm.gateway.logs import Log
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings

KEY = bytes(32)


@pytest.fixture
def holder(tmp_path: Path) -> Holder:
    path = tmp_path / "published.json"
    return Holder(path, published_key=KEY, token_key=KEY, clock=lambda: 0.0, patience_s=30.0)


def document(app: str) -> bytes:
    return Published(apps=(PublishedApp(app=AppRef(app=app, environment="production")),)).sign(KEY)


@pytest.mark.parametrize("error", [AttributeError("x"), RecursionError("x"), ConfigError("x"), KeyError("x")])
def test_a_signed_document_that_cannot_be_served_is_refused_and_the_last_one_stays(
    holder: Holder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    holder.take(document("shop"))
    before = holder.serving, holder.version, holder.document

    def wrong(*_: object) -> None:
        raise error

    monkeypatch.setattr(serving, "Serving", wrong)
    with pytest.raises(InputError):
        holder.take(document("other"))
    assert (holder.serving, holder.version, holder.document) == before


def test_it_is_attended_while_the_server_was_heard_from_lately(tmp_path: Path) -> None:
    now = [100.0]
    path = tmp_path / "published.json"
    made = Holder(path, published_key=KEY, token_key=KEY, clock=lambda: now[0], patience_s=30.0)
    made.take(document("shop"))
    assert made.attended_for() == 0
    assert not made.attended()  # what was kept on the disk is served, and nobody watches it yet
    made.confirm()
    assert made.attended_for() == 30.0
    now[0] = 129.9
    assert made.attended()
    now[0] = 130.0
    assert not made.attended()
    now[0] = 90.0  # the clock was put back: no reason to doubt
    assert made.attended()


def test_who_waits_for_news_is_let_go_at_the_end_and_nobody_waits_after_it(holder: Holder) -> None:
    async def run() -> list[bytes | None]:
        waiting = asyncio.create_task(holder.newer_than(holder.version, timeout_s=600))
        await asyncio.sleep(0)
        holder.release()
        return [await waiting, await holder.newer_than(holder.version, timeout_s=600)]

    assert asyncio.run(run()) == [None, None]
    holder.take(document("shop"))
    assert asyncio.run(run()) == [None, None]


def test_a_gateway_whose_questions_for_news_have_ended_ends_too(tmp_path: Path, holder: Holder) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = Settings(data=tmp_path, control="http://127.0.0.1:1", port=port)
    said = io.StringIO()

    async def asking() -> None:
        raise RuntimeError("a mistake")

    async def run() -> None:
        routes, calls = SimpleNamespace(holder=holder), SimpleNamespace(watches=set())
        task = asyncio.create_task(asking())
        await running._listen(cast("Any", routes), cast("Any", calls), settings, Log(said), task)

    with pytest.raises(RuntimeError, match="a mistake"):
        asyncio.run(run())
    assert [json.loads(line)["event"] for line in said.getvalue().splitlines()] == ["listening", "stopping"]
