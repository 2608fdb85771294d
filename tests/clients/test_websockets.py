"""Python's websockets: echo, ping, large and fragmented messages, compression, closing."""

import asyncio
import ssl

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from conftest import entries
from fronts import PATIENCE

# The library speaks WebSocket over HTTP/1.1 alone; over HTTP/2 Node and Chromium do. Its client with
# threads is not used: Python 3.11 loses what one thread writes over TLS while another reads.
pytestmark = [entries("http1", "tls1"), pytest.mark.anyio]


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def receive(socket):
    return await asyncio.wait_for(socket.recv(), PATIENCE)


def open_socket(entry, path, **settings):
    trust = ssl.create_default_context(cafile=entry.authority) if entry.is_tls else None
    settings = {"max_size": None, "open_timeout": PATIENCE, "proxy": None, **settings}
    return connect(entry.ws_url(path), ssl=trust, **settings)


async def test_echo(entry, way):
    async with open_socket(entry, f"/{way}/ws") as socket:
        for message in ("", "hello", "grüße", b"", b"\0\xff" * 1000):
            await socket.send(message)
            assert await receive(socket) == message


@pytest.mark.parametrize("path", ["forwarded/ws", "delegated/ws", "sockets/"])
@pytest.mark.parametrize("size", [65535, 65536, 1_000_000, 16_000_000])
async def test_large_messages(entry, path, size):
    message = bytes(range(256)) * (size // 256 + 1)
    async with open_socket(entry, f"/{path}") as socket:
        await socket.send(message)
        assert await receive(socket) == message


async def test_fragments(entry, way):
    async with open_socket(entry, f"/{way}/ws") as socket:
        await socket.send("piece %d, " % number for number in range(100))
        assert await receive(socket) == "".join("piece %d, " % n for n in range(100))


async def test_ping(entry, way):
    async with open_socket(entry, f"/{way}/ws") as socket:
        for _ in range(10):
            await asyncio.wait_for(await socket.ping(), PATIENCE)


async def test_many_messages_under_way(entry, way):
    """Sent before any is read: both directions move on their own."""
    async with open_socket(entry, f"/{way}/ws") as socket:
        for number in range(500):
            await socket.send(f"message {number}")
        for number in range(500):
            assert await receive(socket) == f"message {number}"


async def test_many_sockets(entry, way):
    async def one(number):
        async with open_socket(entry, f"/{way}/ws") as socket:
            await socket.send(f"socket {number}")
            assert await receive(socket) == f"socket {number}"
            # The others are open meanwhile.
            await everybody.wait()

    everybody = asyncio.Barrier(30)
    await asyncio.gather(*(one(number) for number in range(30)))


async def test_a_clean_close(entry, way):
    async with open_socket(entry, f"/{way}/ws") as socket:
        await socket.close(1000, "done")
        assert socket.close_code == 1000


async def test_compression_and_subprotocol_are_negotiated_end_to_end(entry):
    async with open_socket(entry, "/sockets/", subprotocols=["other.example", "echo.example"]) as socket:
        assert socket.subprotocol == "echo.example"
        await socket.send("extensions")
        assert "permessage-deflate" in await receive(socket)
        await socket.send("a" * 1_000_000)
        assert await receive(socket) == "a" * 1_000_000


async def test_a_destination_that_closes(entry):
    async with open_socket(entry, "/sockets/") as socket:
        await socket.send("close")
        with pytest.raises(ConnectionClosedError) as closed:
            await receive(socket)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as asked")
