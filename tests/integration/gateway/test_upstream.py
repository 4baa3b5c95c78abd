"""The client of the hot path, against servers that are slow, secure, or gone."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inchworm.domain.errors import ConfigError
from inchworm.gateway.connecting import Proxy
from inchworm.gateway.upstream import (
    Client,
    CutError,
    NoConnectionError,
    Origin,
    TooLateError,
    UpstreamError,
    request_bytes,
)

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A self-signed one, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def served(
    handler: Served, use: Callable[[Client, int], Awaitable[None]], context: ssl.SSLContext | None = None
) -> None:
    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        client = Client()
        try:
            await use(client, server.sockets[0].getsockname()[1])
        finally:
            client.close()
            server.close()
            await asyncio.gather(*(one for one in handling if one is not None))

    asyncio.run(run())


async def get(client: Client, origin: Origin, *, within_s: float = 10) -> bytes:
    head = request_bytes("GET", origin, "/", [], b"")
    answer = await client.send(origin, head, b"", deadline=asyncio.get_running_loop().time() + within_s)
    out = b""
    while piece := await answer.piece():
        out += piece
    return out


def plain(port: int) -> Origin:
    return Origin(False, "127.0.0.1", port)


def test_tls_is_spoken_with_who_is_trusted_and_with_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)

    async def refused(client: Client, port: int) -> None:
        with pytest.raises(NoConnectionError, match="could not be trusted"):
            await get(client, Origin(True, "localhost", port))

    async def trusted(client: Client, port: int) -> None:
        assert await get(client, Origin(True, "localhost", port)) == b"hello"
        assert await get(client, Origin(True, "localhost", port)) == b"hello"
        with pytest.raises(NoConnectionError, match="could not be trusted"):
            await get(client, Origin(True, "127.0.0.1", port))  # trusted, but as somebody else

    served(hello, refused, context)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    served(hello, trusted, context)


def test_connections_are_used_again() -> None:
    connections: list[object] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await hello(reader, writer)

    async def use(client: Client, port: int) -> None:
        for _ in range(5):
            assert await get(client, plain(port)) == b"hello"
        await asyncio.gather(*(get(client, plain(port)) for _ in range(3)))

    served(counted, use)
    assert len(connections) == 3


def test_an_answer_that_nobody_takes_does_not_pile_up() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(1 << 16))
                await writer.drain()
                sent += 1 << 16
        writer.close()

    async def use(client: Client, port: int) -> None:
        head = request_bytes("GET", plain(port), "/", [], b"")
        answer = await client.send(plain(port), head, b"", deadline=asyncio.get_running_loop().time() + 60)
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.05)
        assert 0 < sent < 64 << 20
        taken = 0
        while taken <= before:  # and it moves again when it is taken
            taken += len(await answer.piece())
        answer.abort()

    served(endless, use)


def test_a_deadline_holds_for_the_head_and_for_the_rest() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if b"/late" not in asked:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        await reader.read()
        writer.close()

    async def use(client: Client, port: int) -> None:
        now = asyncio.get_running_loop().time
        late = request_bytes("GET", plain(port), "/late", [], b"")
        with pytest.raises(TooLateError):
            await client.send(plain(port), late, b"", deadline=now() + 0.05)
        answer = await client.send(
            plain(port), request_bytes("GET", plain(port), "/", [], b""), b"", deadline=now() + 0.1
        )
        assert await answer.piece() == b"hello"
        with pytest.raises(TooLateError):
            await answer.piece()

    served(slow, use)


def test_a_request_goes_out_once_more_only_where_an_idle_connection_was_closed() -> None:
    asked = 0

    async def once_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers once per connection, and closes it when it is asked again."""
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await reader.read(1)
        writer.transport.abort()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.transport.abort()

    async def twice(client: Client, port: int) -> None:
        for _ in range(3):
            assert await get(client, plain(port)) == b"hello"

    async def refused(client: Client, port: int) -> None:
        with pytest.raises(CutError):
            await get(client, plain(port))

    served(once_each, twice)
    assert asked == 3
    asked = 0
    served(never, refused)
    assert asked == 1


@pytest.mark.parametrize("hints", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_a_request_is_not_sent_again_where_somebody_may_have_begun_to_work_on_it(hints: bytes) -> None:
    asked = 0

    async def ends_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers once per connection; to the next request it says hints, or nothing for a while."""
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(hints)
        await writer.drain()
        await asyncio.sleep(0 if hints else 1.2)

    async def use(client: Client, port: int) -> None:
        assert await get(client, plain(port)) == b"hello"
        with pytest.raises(CutError):
            await get(client, plain(port))

    served(ends_late, use)
    assert asked == 2


def test_a_deadline_is_that_of_its_own_exchange() -> None:
    async def third_is_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()

    async def use(client: Client, port: int) -> None:
        assert await get(client, plain(port), within_s=0.2) == b"hello"
        await asyncio.sleep(0.3)  # the first one's deadline passes while the connection is idle
        assert await get(client, plain(port), within_s=60) == b"hello"
        with pytest.raises(TooLateError):
            await get(client, plain(port), within_s=0.1)

    served(third_is_late, use)


def test_who_stops_waiting_closes_the_connection() -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read() == b""
        gone.set()
        writer.close()

    async def use(client: Client, port: int) -> None:
        asking = asyncio.create_task(get(client, plain(port)))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(gone.wait(), 10)

    served(silent, use)


def test_a_name_that_does_not_exist_is_said() -> None:
    async def use(client: Client, _: int) -> None:
        with pytest.raises(UpstreamError, match="could not be reached"):
            await get(client, Origin(False, "nowhere.invalid", 80))

    served(hello, use)


def test_an_answer_that_lasts_until_the_end_is_not_whole_if_it_is_late_or_the_connection_broke() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()
        if b"/late" in asked:
            await reader.read()  # until the other side hangs up
            return
        await reader.readexactly(1)  # half of it is there now
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async def use(client: Client, port: int) -> None:
        loop, origin = asyncio.get_running_loop(), plain(port)
        late = await client.send(
            origin, request_bytes("GET", origin, "/late", [], b""), b"", deadline=loop.time() + 0.3
        )
        gone = asyncio.Event()
        loop.call_at(loop.time() + 0.5, gone.set)
        await gone.wait()  # whoever passes it on was busy meanwhile
        assert await late.piece() == b"half"
        with pytest.raises(TooLateError):
            await late.piece()
        head = request_bytes("POST", origin, "/broken", [], b"more")
        broken = await client.send(origin, head, b"", deadline=loop.time() + 10)
        assert await broken.piece() == b"half"
        broken._connection.transport.write(b"more")  # type: ignore[union-attr]  # now it breaks
        with pytest.raises(CutError):
            await broken.piece()

    served(half, use)


class Tunnel:
    """An HTTP proxy that connects, or refuses to."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        writer.write(self.answer)
        if b" 200 " in self.answer:
            host, _, port = head.split(" ")[1].rpartition(":")
            there, on = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_copy(reader, on), _copy(there, writer))
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
        writer.close()


def through(
    tunnel: Tunnel, use: Callable[[Client, int], Awaitable[None]], context: ssl.SSLContext, **more: str
):
    """Use a provider that speaks TLS, with a client that is told of a proxy."""

    async def proxied(_: Client, port: int) -> None:
        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
        at = proxy.sockets[0].getsockname()[1]
        client = Client({"HTTPS_PROXY": f"http://ana:s%20ecret@127.0.0.1:{at}", **more})
        try:
            await use(client, port)
        finally:
            client.close()
            proxy.close()

    served(hello, proxied, context)


def test_tls_goes_through_the_proxy_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))

    async def get_twice(client: Client, port: int) -> None:
        for _ in range(2):
            assert await get(client, Origin(True, "localhost", port)) == b"hello"

    async def refused(client: Client, port: int) -> None:
        with pytest.raises(NoConnectionError, match=r"the proxy answered (407|nothing)"):
            await get(client, Origin(True, "localhost", port))

    tunnel = Tunnel()
    through(tunnel, get_twice, context)
    (asked,) = tunnel.asked  # and the connection was kept
    assert asked.startswith("CONNECT localhost:")
    assert "proxy-authorization: Basic YW5hOnMgZWNyZXQ=" in asked
    for answer in (b"HTTP/1.1 407 Who are you\r\n\r\n", b"SSH-2.0\r\n\r\n", b""):
        through(Tunnel(answer), refused, context)
    for spared in ("localhost", "*", "other.example, .localhost"):
        straight = Tunnel()
        through(straight, get_twice, context, NO_PROXY=spared)
        assert straight.asked == []


def test_a_proxy_that_cannot_be_used_is_refused_without_repeating_it() -> None:
    for url in ("https://ana:secret@proxy", "socks5://proxy", "http://", "http://proxy:port"):
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as refused:
            Proxy.of({"HTTPS_PROXY": url})
        assert "secret" not in str(refused.value)
    assert Proxy.of({}) is None
    assert Proxy.of({"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}) == Proxy(
        "lower", 80, None, ()
    )
