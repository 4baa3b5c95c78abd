"""Reading in other processes gives what one process gives, whatever happens to them."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.app.loop.spooled import APP, called, exposed, rated, traced
from tests.unit.app.loop.telling import WHO, exported, span

from inchworm.app.loop.readers import ReaderPool, pack, unpack
from inchworm.app.loop.reading import Reader, Refusal, Rules
from inchworm.app.loop.sanitizing import Clean
from inchworm.capture.records import Exported, encode
from inchworm.domain.configuration import AppRef
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace
from inchworm.sanitize import CustomPattern, Kind

RULES = Rules(
    apps=frozenset({AppRef.parse(APP)}),
    kinds=tuple(Kind),
    custom=(CustomPattern(kind="MEMBER_NO", expression=r"M-\d{4}"),),
    key=bytes(32),
    memo=bytes(8),
)
RECORDS = [
    encode(called("1", unit=WHO)),
    encode(called("2", app="another/production")),
    encode(called("3", status=500, response=b"no")),
    encode(called("4", trouble="cut", trouble_said=f"{WHO} hung up")),
    encode(traced({"id": "t-5", "inputs": {"q": f"I am M-1234, {WHO}"}, "output": "yes"})),
    encode(traced(b"no json")),
    encode(exposed("6")),
    encode(rated("7")),
    encode(exported(span(8), span(8, 2, parent=1))),
    encode(exported(span(9, said={"inchworm.app": "another/production"}))),
    encode(Exported(app=APP, dialect="otlp-protobuf", body=b"\xff\xff", at=1.0)),
    b"nothing",
]


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    made = ReaderPool(RULES, workers=1)
    yield made
    made.close()


def many(records: Sequence[bytes]) -> list[bytes]:
    """Enough of them to be worth the way."""
    return [*records] * (1 + 200_000 // sum(map(len, records)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=12))
def test_what_is_packed_comes_out_as_it_was(records):
    read = list(map(Reader(RULES), records))
    assert unpack(pack(read)) == read


@settings(max_examples=5, deadline=None)
@given(st.lists(st.sampled_from(RECORDS), min_size=1, max_size=12))
def test_many_are_read_elsewhere_as_here_and_in_order(pool, records):
    some = many(records)
    assert pool(some) == list(map(Reader(RULES), some))
    assert pool(records[:1]) == [Reader(RULES)(records[0])]


def test_what_somebody_said_comes_out_sanitized_and_the_rest_is_left_alone():
    parts = list(map(Reader(RULES), RECORDS))
    kinds = [None if some is None else [kind_of(part) for part in some] for some in parts]
    refused = [Refusal]
    assert kinds == [
        *([Trace], refused, [Trace], [Trace], [Trace], refused, None, None),
        *([Span, Span], refused, refused, refused),
    ]
    assert WHO not in repr(parts)
    assert "M-1234" not in repr(parts)
    foreign = (parts[9] or [])[0]
    assert isinstance(foreign, Refusal)
    assert foreign.reason == f"It is of another/production, and this is {APP}."


def kind_of(part: Any) -> type[Any]:
    return type(part.what) if isinstance(part, Clean) else type(part)


def test_a_process_that_is_killed_is_replaced_and_its_work_done_again(pool):
    some = many(RECORDS)
    before = pool(some)
    for process in multiprocessing.active_children():
        os.kill(process.pid or 0, signal.SIGKILL)
    assert pool(some) == before


def test_a_record_that_no_process_survives_is_refused_and_costs_no_other():
    deadly = ReaderPool(RULES, workers=1)
    large = encode(called("1", request=b'{"messages":[],"x":"' + b"x" * 60_000 + b'"}'))
    try:
        fine, last = deadly([large, Deadly(b"x" * 1_000)])
    finally:
        deadly.close()
    assert fine == Reader(RULES)(large)
    assert last is not None
    assert isinstance(last[0], Refusal)
    assert "ended" in last[0].reason


class Deadly(bytes):
    """Ends the process that unpacks it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_rules_show_no_key():
    assert "key" not in repr(RULES)
    assert repr(bytes(8)) not in repr(RULES)
