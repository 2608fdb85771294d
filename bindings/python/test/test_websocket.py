"""What ASGI says a server does with WebSockets."""

import ssl

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from apps import Raw, eventually, events
from fronts import PATIENCE


@pytest.fixture(autouse=True)
def app(running):
    running("asgi")


@pytest.fixture(params=["http1", "tls1"])
def entry(request, certificate):
    """Clients that know WebSockets over HTTP/2 are tested elsewhere."""
    from fronts import Entry

    name = "tls_front" if request.param.startswith("tls") else "clear_front"
    return Entry(request.param, request.getfixturevalue(name), certificate.authority)


def opened(entry, path="/asgi/ws", **options):
    if entry.is_tls:
        options["ssl"] = ssl.create_default_context(cafile=entry.authority)
    options.setdefault("compression", None)
    return connect(entry.ws_url(path), open_timeout=PATIENCE, close_timeout=PATIENCE, **options)


def test_messages_come_back_as_they_are(entry):
    with opened(entry) as socket:
        for message in ["text", "", "é" * 50_000, b"bytes", b"", bytes(300_000)]:
            socket.send(message)
            assert socket.recv(PATIENCE) == message


def test_the_first_subprotocol_is_agreed_on(entry):
    with opened(entry, subprotocols=["one", "two"]) as socket:
        assert socket.subprotocol == "one"
        assert int(socket.response.headers["x-pid"]) > 0


def test_the_application_closes_with_its_code(entry):
    with opened(entry) as socket:
        socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as asked")


def test_the_client_closes_with_its_code(entry, plain_web):
    before = len(events(plain_web, "asgi"))
    with opened(entry) as socket:
        socket.close(4000, "bye")
    eventually(lambda: ["websocket", 4000, "bye"] in events(plain_web, "asgi")[before:])


def test_a_client_that_vanishes_is_a_disconnect(entry, plain_web):
    before = len(events(plain_web, "asgi"))
    socket = opened(entry)
    socket.socket.close()
    eventually(lambda: ["websocket", 1006, ""] in events(plain_web, "asgi")[before:])


def test_an_application_that_fails_closes_with_1011(entry):
    with opened(entry) as socket:
        socket.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert closed.value.rcvd.code == 1011


def test_a_client_that_is_refused_gets_a_403(entry):
    with pytest.raises(InvalidStatus) as refused:
        opened(entry, "/asgi/refuse")
    assert refused.value.response.status_code == 403


def test_a_client_may_be_refused_by_a_response(entry):
    with pytest.raises(InvalidStatus) as refused:
        opened(entry, "/asgi/deny")
    response = refused.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (418, "full", b"no room")


def test_a_version_that_is_not_spoken_is_named(clear_front):
    fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with Raw(clear_front.address) as raw:
        raw.send(f"GET /asgi/ws HTTP/1.1\r\nHost: a\r\n{fields}Sec-WebSocket-Version: 8\r\n\r\n")
        head = raw.until(b"\r\n\r\n").lower()
    assert head.startswith(b"http/1.1 426 ")
    assert b"sec-websocket-version: 13\r\n" in head


def test_a_message_that_is_too_large_closes_with_1009(start, queue, plain):
    start("asgi_app:app", "--ws-max-size", "1000")
    with opened(plain, f"/{queue}/ws") as socket:
        socket.send("a" * 1000)
        assert len(socket.recv(PATIENCE)) == 1000
        socket.send("a" * 1001)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert closed.value.rcvd.code == 1009


def test_a_client_that_gives_no_sign_of_life_is_closed(start, queue, clear_front):
    start("asgi_app:app", "--ws-ping-interval", "0.1", "--ws-ping-timeout", "0.2")
    fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    with Raw(clear_front.address) as raw:
        raw.send(f"GET /{queue}/ws HTTP/1.1\r\nHost: a\r\n{fields}Sec-WebSocket-Version: 13\r\n\r\n")
        said = raw.until(b"no sign of life")
    # A ping, and a close with 1011 = 0x03f3.
    assert b"\x89\x00" in said and b"\x03\xf3no sign of life" in said


def test_websockets_are_closed_with_1012_when_the_server_stops(start, queue, plain):
    app = start("asgi_app:app")
    with opened(plain, f"/{queue}/ws") as socket:
        socket.send("there?")
        assert socket.recv(PATIENCE) == "there?"
        app.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert closed.value.rcvd.code == 1012
    assert app.wait() == 0


def test_a_websocket_goes_on_without_the_front(folder, routes, start, queue, certificate):
    from fronts import Entry, Front

    start("asgi_app:app")
    front = Front(folder / "short-lived", routes)
    with opened(Entry("http1", front, certificate.authority), f"/{queue}/ws") as socket:
        socket.send("one")
        assert socket.recv(PATIENCE) == "one"
        front.stop()
        socket.send("two")
        assert socket.recv(PATIENCE) == "two"
