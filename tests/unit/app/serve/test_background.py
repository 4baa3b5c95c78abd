"""Background work: failures are said and tried again, rounds never overlap, stopping lets a round end."""

import asyncio
import logging

import pytest

from inchworm.app.serve import background
from inchworm.app.serve.background import Background, Health
from inchworm.domain.errors import StoreError


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(background, "_BACK_OFF_S", (0.001,))


def run(act, *, every_s: float = 60.0) -> Health:
    """Keep doing ``act`` until it says stop by raising CancelledError's cousin: setting ``enough``."""
    health = Health()

    async def until_enough() -> None:
        work, enough, wake = Background(health), asyncio.Event(), asyncio.Event()
        work.keep("part", lambda: act(enough, wake, health), every_s=every_s, wake=wake)
        await enough.wait()
        await work.stop()

    asyncio.run(until_enough())
    return health


def test_a_failure_is_said_tried_again_and_forgotten_once_it_works(caplog):
    said: list[dict[str, str]] = []
    failures = [StoreError("the disk is full"), ZeroDivisionError("x")]

    async def act(enough, _wake, health):
        said.append(health())
        if failures:
            raise failures.pop(0)
        enough.set()
        return False

    with caplog.at_level(logging.INFO):
        health = run(act)
    assert said[0] == {}
    assert said[1] == {"part": "It failed 1 times in a row, the last time because the disk is full."}
    assert "fault in Inchworm (ZeroDivisionError)" in said[2]["part"]
    assert health() == {}
    assert "part works again" in caplog.text


def test_a_round_that_has_more_to_do_is_followed_at_once_and_rounds_never_overlap():
    under_way, rounds = 0, 0

    async def act(enough, _wake, _health):
        nonlocal under_way, rounds
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0)
        under_way -= 1
        rounds += 1
        if rounds == 5:
            enough.set()
        return rounds < 5

    run(act)
    assert rounds == 5


def test_waking_begins_the_next_round_now():
    rounds = 0

    async def act(enough, wake, _health):
        nonlocal rounds
        rounds += 1
        asyncio.get_running_loop().call_soon(wake.set)
        if rounds == 3:
            enough.set()
        return False

    run(act, every_s=3600.0)
    assert rounds >= 3


def test_stopping_lets_the_round_that_is_under_way_end():
    ended = False

    async def act(enough, _wake, _health):
        nonlocal ended
        enough.set()
        for _ in range(10):
            await asyncio.sleep(0)
        ended = True
        return True

    run(act)
    assert ended
