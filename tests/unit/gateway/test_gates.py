"""Places for requests in flight, and the line before them."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.gates import Gate


def test_places_are_taken_handed_over_in_order_and_given_back():
    async def go() -> None:
        loop = asyncio.get_running_loop()
        gate, came = Gate(2), []
        gate.take()
        gate.take()
        assert not gate.free

        async def one(number: int) -> None:
            assert await gate.wait(loop.time() + 60)
            came.append(number)

        waiting = [asyncio.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert gate.waiting == 3
        for _ in range(3):
            gate.leave()
        await asyncio.gather(*waiting)
        assert came == [0, 1, 2]
        assert (gate.in_flight, gate.waiting) == (2, 0)
        gate.leave()
        gate.leave()
        assert (gate.in_flight, gate.free) == (0, True)

    asyncio.run(go())


def test_the_line_has_an_end():
    async def go() -> None:
        gate = Gate(1)
        gate.take()
        assert not gate.full
        waiting = [asyncio.create_task(gate.wait(1e9)) for _ in range(gate.longest)]
        await asyncio.sleep(0)
        assert gate.full
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (gate.waiting, gate.in_flight, gate.full) == (0, 1, False)

    asyncio.run(go())


def test_who_waits_past_the_deadline_goes_without_a_place():
    async def go() -> None:
        gate = Gate(1)
        gate.take()
        assert not await gate.wait(asyncio.get_running_loop().time())
        assert (gate.waiting, gate.in_flight) == (0, 1)

    asyncio.run(go())


@given(st.lists(st.sampled_from(["come", "leave", "cancel"]), max_size=60), st.integers(1, 4))
def test_no_place_is_lost_and_none_is_given_twice(steps: list[str], limit: int):
    async def go() -> None:
        gate = Gate(limit)
        waiting: list[asyncio.Task[bool]] = []
        held = 0
        for step in steps:
            if step == "come" and gate.free:
                gate.take()
                held += 1
            elif step == "come" and not gate.full:
                waiting.append(asyncio.create_task(gate.wait(1e9)))
                await asyncio.sleep(0)
            elif step == "leave" and held:
                held -= 1
                gate.leave()  # and who gets it may be cancelled in the same moment: the next step may
            elif step == "cancel" and waiting:
                waiting.pop(0).cancel()
            if step != "leave":
                await asyncio.sleep(0)
            for task in [one for one in waiting if one.done()]:
                waiting.remove(task)
                held += task.result()
            assert gate.in_flight <= limit
        for _ in range(4):
            await asyncio.sleep(0)
        held += sum(one.result() for one in waiting if one.done())
        left = [one for one in waiting if not one.done()]
        assert gate.in_flight == held
        assert gate.waiting == len(left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    asyncio.run(go())
