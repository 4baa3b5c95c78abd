"""Asking a part of the server."""

import asyncio

import pytest

from inchworm.app.serve.probe import ask


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_part_is_called_by_its_address_as_http_writes_it(host, said):
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    async def asked() -> int:
        async with await asyncio.start_server(answer, host, 0) as server:
            port: int = server.sockets[0].getsockname()[1]
            found = await ask(host, port, "/-/health")
        assert found is not None
        assert found.json() == {}
        return port

    port = asyncio.run(asked())
    assert f"\r\nHost: {said}:{port}\r\n".encode() in heard[0]
