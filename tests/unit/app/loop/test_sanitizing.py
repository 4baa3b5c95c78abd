"""Sanitizing in other processes gives what one process gives, whatever happens to them."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from inchworm.app.loop.sanitizing import Clean, Refusal, SanitizerPool, one_by_one
from inchworm.sanitize import CustomPattern, Kind, Sanitizer

CUSTOM = (CustomPattern(kind="MEMBER_NO", expression=r"M-\d{4}"),)


@pytest.fixture
def pool() -> Iterator[SanitizerPool]:
    made = SanitizerPool(tuple(Kind), CUSTOM, workers=1)
    yield made
    made.close()


def contents(count: int) -> list[Any]:
    return [{"said": f"I am M-{n:04} and ann{n}@mailhost.net", "n": n} for n in range(count)]


def test_many_are_sanitized_elsewhere_as_here_and_in_order(pool):
    many = [*contents(60), {"bytes": b"unreadable"}, *contents(3)]
    here = one_by_one(Sanitizer(custom=CUSTOM))(many)
    assert pool(many) == here
    assert pool(many[:3]) == here[:3]
    first, refused = here[0], here[60]
    assert isinstance(first, Clean)
    assert first.value == {"said": "I am MEMBER_NO_1 and EMAIL_1", "n": 0}
    assert first.report.units == 1
    assert isinstance(refused, Refusal)


def test_a_process_that_is_killed_is_replaced_and_its_work_done_again(pool):
    many = contents(60)
    before = pool(many)
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGKILL)
    assert pool(many) == before


def test_a_content_that_no_process_survives_is_refused_and_costs_no_other():
    deadly = SanitizerPool(tuple(Kind), (), workers=1)
    many = [*contents(50), {"said": Deadly()}]
    try:
        *fine, last = deadly(many)
    finally:
        deadly.close()
    assert fine == one_by_one(Sanitizer())(many[:-1])
    assert isinstance(last, Refusal)
    assert "ended" in last.reason


class Deadly:
    """Ends the process that unpacks it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)
