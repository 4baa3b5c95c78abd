"""The stream that tells open pages of changes."""

import asyncio

from inchworm.app.serve.state import Pulse
from inchworm.app.web.events import stream


def test_the_stream_says_the_present_count_first_then_every_change_and_ends_with_the_server():
    async def listen() -> list[str]:
        pulse = Pulse()
        pulse.beat()
        told = stream(pulse, heartbeat_s=0.01)
        heard = [await anext(told)]
        heard.append(await anext(told))  # nothing happens: a comment
        pulse.beat()
        pulse.beat()
        heard.append(await anext(told))
        pulse.stop()
        return [*heard, *[one async for one in told]]

    assert asyncio.run(listen()) == [
        "retry: 1000\nevent: pulse\ndata: 1\n\n",
        ": alive\n\n",
        "event: pulse\ndata: 3\n\n",
    ]


def test_a_stream_that_waits_ends_when_the_server_stops():
    async def listen() -> list[str]:
        pulse = Pulse()
        told = stream(pulse)
        await anext(told)
        rest = asyncio.ensure_future(anext(told, "ended"))
        asyncio.get_running_loop().call_soon(pulse.stop)  # after the stream has begun to wait
        return [await rest]

    assert asyncio.run(listen()) == ["ended"]
