"""The drain enters in the ledger what is observed beside configurations: once, also after a crash."""

from __future__ import annotations

from typing import Any

from tests.unit.app.loop.world import World

from inchworm.app.loop.intake import Drain
from inchworm.app.loop.observing import look
from inchworm.capture.stated import APPLICATION_SAID, OBSERVED_SAID
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.trace import Trace

COMMIT = "9b2d4c1e7f3a5d6c8b0e2f4a6c8d0b1e3f5a7c9d"


def entries(world: World) -> list[LedgerEntry]:
    return [one for one in world.house.control.ledger(world.house.app)[::-1] if one.kind == "observed"]


def said(world: World, number: int, attributes: dict[str, Any]) -> Trace:
    return world.trace(number % 60, f"n-{number}", at=world.clock.at - 1_000 + number, attributes=attributes)


def test_another_version_of_the_application_is_entered_as_it_was_said(world: World) -> None:
    world.take([said(world, number, {APPLICATION_SAID: "v1"}) for number in range(3)])
    assert entries(world) == []
    world.take([said(world, number, {APPLICATION_SAID: COMMIT}) for number in range(3, 6)])
    (one,) = entries(world)
    assert one.what == f"The application is {COMMIT} now (v1 before)."
    assert one.data == {"what": "application", "from": "v1", "to": COMMIT, "call": None, "of": None}
    assert one.at == world.clock.at - 1_000 + 3
    assert one.actor == "inchworm"


def test_what_was_taken_in_before_a_crash_is_announced_once(world: World) -> None:
    first = [said(world, number, {APPLICATION_SAID: "v1"}) for number in range(3)]
    second = [said(world, number, {APPLICATION_SAID: "v2"}) for number in range(3, 6)]
    world.take(first)
    world.take(second)
    for again in (Drain(world.house), Drain(world.house)):
        again.take(first)
        again.take(second)
        again.finish()
    assert len(entries(world)) == 1


def test_a_state_that_was_lost_announces_nothing_twice(world: World) -> None:
    both = [said(world, n, {APPLICATION_SAID: "v1" if n < 3 else "v2"}) for n in range(6)]
    world.take(both)
    world.house.control.put_blob(
        world.house.app, "noticed/1", b"x\x9c\xab\xae\x05\x00\x01u\x00\xf9", at=world.clock.at
    )
    Drain(world.house).take(both)
    assert len(entries(world)) == 1


def test_a_floating_reference_is_entered_by_its_name_and_changes_no_configuration(world: World) -> None:
    stable = world.stable.with_layer(Layer.TOOLS, {"index": {"observed": "faq-live"}})
    world.house.control.put_configuration(world.house.app, stable, note="x", at=world.clock.at)
    traces = [
        world.trace(
            n,
            f"i-{n}",
            at=world.clock.at - 1_000 + n,
            answered_by=stable,
            attributes={OBSERVED_SAID: {"index": "faq-1" if n < 3 else "faq-2"}},
        )
        for n in range(6)
    ]
    world.take(traces)
    (one,) = entries(world)
    assert one.what == "index faq-live stands for faq-2 now (faq-1 before)."
    assert {trace.configuration_id for trace in world.stored()} == {stable.id}


def test_status_still_tells_what_changed_last(world: World) -> None:
    world.take([said(world, n, {APPLICATION_SAID: "v1" if n < 3 else "v2"}) for n in range(6)])
    last = look(world.house).last
    assert last is not None
    assert last.data["what"] == "application"
