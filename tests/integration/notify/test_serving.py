"""What the server does for trust: it tells people in the background, and looks whether the trail is whole."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from tests.integration.notify.receiver import WHSEC, Receiver
from tests.integration.notify.test_sending import SIGNED, shop_in

from inchworm.app.house import CONTROL
from inchworm.app.serve.background import Health
from inchworm.app.serve.metrics import ServerMetrics
from inchworm.app.serve.notifying import Notifying
from inchworm.domain.notice import NoticeState


@pytest.fixture
def shop(tmp_path):
    with shop_in(tmp_path, SIGNED.format(events="queue, audit")) as made:
        yield made


@pytest.fixture
def at(monkeypatch):
    """Names where to send to."""

    def name(url):
        monkeypatch.setenv("HOOK", url)
        monkeypatch.setenv("HOOK_SECRET", WHSEC)

    return name


def notifying(shop, health):
    return Notifying(shop.house, health, ServerMetrics(), "http://127.0.0.1:4140")


def test_a_round_sends_what_is_due_and_says_what_was_given_up(shop, at):
    shop.apply()
    health = Health()

    async def served(url):
        at(url)
        one = notifying(shop, health)
        one.start()
        return [await one.send(), await one.send()]

    with Receiver([410]) as receiver:
        assert asyncio.run(served(receiver.url)) == [True, False]
    assert "1 notification given up" in health()["notifications"]


def test_a_server_that_stops_waits_for_no_answer_and_sends_it_again_at_its_next_start(shop, at):
    shop.apply()

    async def stopped(url):
        at(url)
        one = notifying(shop, Health())
        one.start()
        sending = asyncio.create_task(one.send())
        assert await asyncio.to_thread(receiver.came.wait, 30)
        one.stop()
        return await sending

    async def begun():
        one = notifying(shop, Health())
        one.start()
        return await one.send()

    with Receiver([None]) as receiver:
        assert asyncio.run(stopped(receiver.url)) is False
        assert shop.notices()[0].state is NoticeState.WAITING
        assert asyncio.run(begun()) is True
    assert len({one.id for one in receiver.got}) == 1
    assert len(receiver.got) == 2
    assert shop.notices()[0].state is NoticeState.SENT


def test_a_broken_trail_is_said_and_told_once(shop, at):
    health = Health()

    async def looked(url):
        at(url)
        one = notifying(shop, health)
        await one.verify()
        assert health() == {}
        with closing(sqlite3.connect(shop.folder / ".inchworm" / CONTROL)) as raw:
            raw.execute("UPDATE serving SET data = replace(data, 'generation', 'Generation')")
            raw.commit()
        await one.verify()
        await one.verify()
        await one.send()

    with Receiver() as receiver:
        asyncio.run(looked(receiver.url))
    assert "row shop/production of serving is not what entry" in health()["audit"]
    (got,) = receiver.got
    assert got.json["type"] == "inchworm.audit"
    assert got.json["data"]["sentence"].startswith("the audit trail is broken: row shop/production")
    assert got.json["data"]["links"] == {"pages": "https://inchworm.example.org/"}
