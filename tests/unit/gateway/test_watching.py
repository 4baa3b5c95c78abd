"""Who lasts is looked after, with one timer for all."""

import asyncio

from inchworm.gateway.watching import Watch, Watches


class Exchange:
    """Says when somebody waits for the caller to leave."""

    def __init__(self) -> None:
        self.looked, self.left = asyncio.Event(), asyncio.Event()

    async def client_disconnect(self) -> None:
        self.looked.set()
        await self.left.wait()


def test_calls_that_last_are_looked_after_and_cancelled_when_their_caller_leaves() -> None:
    async def call(watches: Watches, proto: Exchange) -> bool:
        watch = Watch(proto)  # type: ignore[arg-type]  # as much of one as is used
        watches.add(watch)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return watch.caught() and watch.left
        finally:
            watches.discard(watch)
            watch.close()
        return False

    async def run() -> None:
        watches, protos = Watches(), [Exchange() for _ in range(3)]
        calls = [asyncio.create_task(call(watches, one)) for one in protos]
        async with asyncio.timeout(20):
            for one in protos:
                await one.looked.wait()
            late = Exchange()
            calls.append(asyncio.create_task(call(watches, late)))  # while the timer runs, and after it
            await late.looked.wait()
            assert len(watches) == 4
            for one in (*protos, late):
                one.left.set()
            assert await asyncio.gather(*calls) == [True] * 4
        assert len(watches) == 0

    asyncio.run(run())
