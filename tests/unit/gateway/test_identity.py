"""How a call is named."""

import pytest

from inchworm.domain.ids import TraceId
from inchworm.gateway.identity import Ids, Repeats, stated_at, trace_id

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, "fresh"),
        ({"inchworm-trace": "t-1"}, "t-1"),
        ({"inchworm-trace": "t-1", "traceparent": PARENT}, "t-1"),
        ({"traceparent": PARENT}, "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"),
        ({"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"}, "fresh"),
        ({"traceparent": "nonsense"}, "fresh"),
        ({"inchworm-trace": "with space"}, "fresh"),
        ({"inchworm-trace": "x" * 201}, "fresh"),
        ({"inchworm-trace": "t-1", "x-stainless-retry-count": "0"}, "t-1"),
        ({"inchworm-trace": "t-1", "x-stainless-retry-count": "2"}, "t-1.2"),
        ({"inchworm-trace": "t-1", "x-stainless-retry-count": "x"}, "t-1"),
        ({"x-stainless-retry-count": "2"}, "fresh"),
    ],
)
def test_the_id_is_what_the_caller_says_it_is(headers: dict[str, str], name: str) -> None:
    assert trace_id(headers, fresh="fresh") == name


@pytest.mark.parametrize(
    ("text", "at"),
    [("1.5", 1.5), ("0", 0.0), ("x", None), ("nan", None), ("inf", None), ("-1", None), (None, None)],
)
def test_a_time_is_a_number_or_nothing(text: str | None, at: float | None) -> None:
    assert stated_at({} if text is None else {"inchworm-at": text}) == at


def test_fresh_ids_are_cut_from_random_bytes_without_overlap() -> None:
    asked: list[int] = []

    def random(count: int) -> bytes:
        asked.append(count)
        return b"".join(
            n.to_bytes(16, "big") for n in range(len(asked) * 1000, len(asked) * 1000 + count // 16)
        )

    ids = Ids(random)
    made = [ids() for _ in range(600)]
    assert len(set(made)) == 600
    assert all(len(one) == 32 for one in made)
    assert len(asked) == 3


def test_repeated_ids_are_told_apart_as_long_as_they_are_remembered() -> None:
    repeats = Repeats(limit=2)
    given = [repeats(TraceId(one)) for one in ("a", "b", "a", "a", "c", "a", "b")]
    assert given == ["a", "b", "a+2", "a+3", "c", "a+4", "b"]
