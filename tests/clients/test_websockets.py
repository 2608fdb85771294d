"""Python's websockets: echo, ping, large and fragmented messages, compression, closing."""

import contextlib
import ssl

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from conftest import entries
from fronts import PATIENCE

# The library speaks WebSocket over HTTP/1.1 alone; over HTTP/2 Node and Chromium do.
pytestmark = entries("http1", "tls1")


def open_socket(entry, path, **settings):
    trust = ssl.create_default_context(cafile=entry.authority) if entry.is_tls else None
    settings = {"max_size": None, "open_timeout": PATIENCE, "proxy": None, **settings}
    return connect(entry.ws_url(path), ssl=trust, **settings)


def test_echo(entry, way):
    with open_socket(entry, f"/{way}/ws") as socket:
        for message in ("", "hello", "grüße", b"", b"\0\xff" * 1000):
            socket.send(message)
            assert socket.recv(timeout=PATIENCE) == message


@pytest.mark.parametrize("path", ["forwarded/ws", "delegated/ws", "sockets/"])
@pytest.mark.parametrize("size", [65535, 65536, 1_000_000, 16_000_000])
def test_large_messages(entry, path, size):
    message = bytes(range(256)) * (size // 256 + 1)
    with open_socket(entry, f"/{path}") as socket:
        socket.send(message)
        assert socket.recv(timeout=PATIENCE) == message


def test_fragments(entry, way):
    with open_socket(entry, f"/{way}/ws") as socket:
        socket.send("piece %d, " % number for number in range(100))
        assert socket.recv(timeout=PATIENCE) == "".join("piece %d, " % n for n in range(100))


def test_ping(entry, way):
    with open_socket(entry, f"/{way}/ws") as socket:
        for _ in range(10):
            assert socket.ping().wait(PATIENCE)


def test_many_messages_under_way(entry, way):
    """Sent before any is read: both directions move on their own."""
    with open_socket(entry, f"/{way}/ws") as socket:
        for number in range(500):
            socket.send(f"message {number}")
        for number in range(500):
            assert socket.recv(timeout=PATIENCE) == f"message {number}"


def test_many_sockets(entry, way):
    with contextlib.ExitStack() as stack:
        opened = (open_socket(entry, f"/{way}/ws") for _ in range(30))
        sockets = [stack.enter_context(socket) for socket in opened]
        for number, socket in enumerate(sockets):
            socket.send(f"socket {number}")
        for number, socket in enumerate(sockets):
            assert socket.recv(timeout=PATIENCE) == f"socket {number}"


def test_a_clean_close(entry, way):
    with open_socket(entry, f"/{way}/ws") as socket:
        socket.close(1000, "done")
        assert socket.close_code == 1000


def test_compression_and_subprotocol_are_negotiated_end_to_end(entry):
    with open_socket(entry, "/sockets/", subprotocols=["other.example", "echo.example"]) as socket:
        assert socket.subprotocol == "echo.example"
        socket.send("extensions")
        assert "permessage-deflate" in socket.recv(timeout=PATIENCE)
        socket.send("a" * 1_000_000)
        assert socket.recv(timeout=PATIENCE) == "a" * 1_000_000


def test_a_destination_that_closes(entry):
    with open_socket(entry, "/sockets/") as socket:
        socket.send("close")
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=PATIENCE)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as asked")
