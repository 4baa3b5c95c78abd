"""When a provider is not asked any more, and when again."""

from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.breaker import TABLE, Admitted, Breaker, Event, Refused, Result, Rules, State

RULES = Rules(window_s=10, least=4, share=0.8, first_s=1, longest_s=8)


def asked(breaker: Breaker, result: Result, now: float) -> None:
    admitted = breaker.admit(now)
    assert isinstance(admitted, Admitted)
    breaker.tell(admitted, result, now)


def stands(breaker: Breaker) -> State:
    return breaker.state


def opened(result: Result = Result.DOWN, now: float = 100.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(RULES.least):
        asked(breaker, result, now)
    assert stands(breaker) is State.OPEN
    return breaker


def test_the_table_is_all_there_is():
    assert {
        (State.CLOSED, Event.TRIPPED): State.OPEN,
        (State.OPEN, Event.RESTED): State.HALF_OPEN,
        (State.HALF_OPEN, Event.PASSED): State.CLOSED,
        (State.HALF_OPEN, Event.FAILED): State.OPEN,
    } == TABLE


def test_few_failures_open_nothing():
    breaker = Breaker(RULES)
    for _ in range(RULES.least - 1):
        asked(breaker, Result.DOWN, 100)
    assert stands(breaker) is State.CLOSED


def test_failures_among_many_answers_open_nothing():
    breaker = Breaker(RULES)
    for _ in range(40):
        asked(breaker, Result.ANSWERED, 100)
        asked(breaker, Result.DOWN, 100)
        asked(breaker, Result.LATE, 100)
    assert stands(breaker) is State.CLOSED


def test_what_is_long_ago_does_not_count():
    breaker = Breaker(RULES)
    for at in (0, 20, 40, 60, 80, 100):
        asked(breaker, Result.DOWN, at)
    assert stands(breaker) is State.CLOSED
    for at in (101, 102, 103):
        asked(breaker, Result.DOWN, at)
    assert stands(breaker) is State.OPEN


def test_what_nobody_waited_for_says_nothing():
    breaker = Breaker(RULES)
    for _ in range(20):
        asked(breaker, Result.UNKNOWN, 1)
    assert stands(breaker) is State.CLOSED


def test_open_refuses_at_once_and_says_for_how_long():
    breaker = opened()
    assert breaker.admit(100.0) == breaker.refuses(100.0) == Refused(wait_s=1, late=False)
    assert breaker.refuses(101.0) is None


def test_one_is_let_through_to_see_and_no_second_one():
    breaker = opened()
    probe = breaker.admit(101)
    assert probe == Admitted(probe=True)
    assert stands(breaker) is State.HALF_OPEN
    assert isinstance(breaker.admit(101.5), Refused)
    assert isinstance(probe, Admitted)
    breaker.tell(probe, Result.ANSWERED, 102)
    assert stands(breaker) is State.CLOSED
    assert breaker.admit(102) == Admitted(probe=False)


def test_it_opens_twice_as_long_each_time_up_to_an_end_and_begins_anew_once_closed():
    breaker, now, waits = opened(), 100.0, []
    for _ in range(5):
        refused = breaker.refuses(now)
        assert refused is not None
        waits.append(refused.wait_s)
        now += refused.wait_s
        asked(breaker, Result.LATE, now)
    assert waits == [1, 2, 4, 8, 8]
    now += 8
    asked(breaker, Result.ANSWERED, now)
    for _ in range(RULES.least):
        asked(breaker, Result.DOWN, now)
    assert breaker.refuses(now) == Refused(wait_s=1, late=False)


def test_a_probe_that_nobody_waited_for_makes_room_for_the_next():
    breaker = opened()
    asked(breaker, Result.UNKNOWN, 101)
    assert stands(breaker) is State.HALF_OPEN
    assert breaker.admit(101.1) == Admitted(probe=True)


def test_who_began_before_it_opened_is_not_heard():
    breaker = Breaker(RULES)
    early = breaker.admit(100)
    assert isinstance(early, Admitted)
    for _ in range(RULES.least):
        asked(breaker, Result.DOWN, 100)
    breaker.tell(early, Result.ANSWERED, 100.5)
    assert stands(breaker) is State.OPEN
    assert breaker.admit(101) == Admitted(probe=True)
    breaker.tell(early, Result.DOWN, 101)
    assert stands(breaker) is State.HALF_OPEN


def test_it_knows_what_it_opened_for():
    late = opened(Result.LATE).refuses(100)
    assert late is not None
    assert late.late
    breaker = Breaker(RULES)
    for result in (Result.LATE, Result.LATE, Result.DOWN, Result.DOWN):
        asked(breaker, result, 100)
    refused = breaker.refuses(100)
    assert refused is not None
    assert not refused.late


def test_idle_is_what_can_be_forgotten():
    breaker = Breaker(RULES)
    asked(breaker, Result.DOWN, 100)
    assert not breaker.idle(105)
    assert breaker.idle(110)
    assert not opened().idle(1_000)


@given(
    st.lists(
        st.tuples(st.floats(0, 5), st.sampled_from(list(Result))),
        max_size=80,
    )
)
def test_whatever_happens_at_most_one_probe_is_out_and_it_recovers(steps: list[tuple[float, Result]]):
    breaker, now = Breaker(RULES), 100.0
    for pause, result in steps:
        now += pause
        refused = breaker.refuses(now)
        admitted = breaker.admit(now)
        assert (refused is None) == isinstance(admitted, Admitted)
        if isinstance(admitted, Admitted):
            if admitted.probe:
                assert isinstance(breaker.admit(now), Refused)
            breaker.tell(admitted, result, now)
    now += RULES.longest_s
    if stands(breaker) is not State.CLOSED:
        asked(breaker, Result.ANSWERED, now)
    assert stands(breaker) is State.CLOSED
