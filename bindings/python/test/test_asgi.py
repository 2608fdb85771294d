"""What ASGI says a server does."""

import json
import os

import httpx
import pytest

from apps import Raw, client, eventually, events, large_file


@pytest.fixture(autouse=True, params=["asgi", "asyncio"])
def app(request, running):
    """On uvloop, and on asyncio's own loop."""
    running(request.param)
    return request.param


def test_a_scope_says_what_the_client_has_sent(app, web, entry):
    response = web.get(f"/{app}/a%20b%C3%A9/scope?x=1&y=%20", headers={"X-Twice": "1"})
    scope = response.json()
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert scope["method"] == "GET"
    assert scope["path"] == f"/{app}/a bé/scope"
    assert scope["raw_path"] == f"/{app}/a%20b%C3%A9/scope"
    assert scope["query_string"] == "x=1&y=%20"
    assert scope["root_path"] == ""
    assert scope["scheme"] == ("https" if entry.is_tls else "http")
    assert scope["client"][0] == "127.0.0.1" and scope["client"][1] > 0
    assert scope["server"][1] == int(entry.front.address.rsplit(":", 1)[1])
    assert ["x-twice", "1"] in scope["headers"]
    assert scope["state"]["started_by"] > 0
    if entry.is_tls:
        assert scope["extensions"]["tls"]["tls_version"] == 0x0304
    else:
        assert "tls" not in scope["extensions"]


@pytest.mark.parametrize("length", [0, 1, 70_000, 3_000_000])
def test_a_body_arrives_whole(app, web, length):
    body = os.urandom(length)
    assert web.post(f"/{app}/count", content=body).json()["length"] == length
    assert web.post(f"/{app}/echo", content=body).content == body


def test_a_body_without_a_length_arrives_whole(app, web):
    pieces = [os.urandom(10_000) for _ in range(50)]
    assert web.post(f"/{app}/echo", content=iter(pieces)).content == b"".join(pieces)


def test_a_body_is_asked_for_when_the_application_asks(app, clear_front):
    head = f"POST /{app}/count HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with Raw(clear_front.address, head) as raw:
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        raw.send("body")
        assert b'"length": 4' in raw.until(b"}")


def test_a_body_that_is_not_asked_for_is_not_sent(app, clear_front):
    head = f"POST /{app}/unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with Raw(clear_front.address, head) as raw:
        assert raw.until(b"not interested").startswith(b"HTTP/1.1 200 ")


def test_a_connection_goes_on_behind_a_body_that_was_not_read(app, web):
    for _ in range(3):
        assert web.post(f"/{app}/unread", content=bytes(100_000)).content == b"not interested"


def test_a_disconnect_is_received_behind_the_response(app, web):
    before = len(events(web, app))
    assert web.post(f"/{app}/after-body", content=b"x").content == b"answered"
    eventually(lambda: ["behind the answer", False, "http.disconnect"] in events(web, app)[before:])


def test_who_sends_to_a_client_that_is_gone_hears_of_it(app, web, entry):
    before = len(events(web, app))
    with client(entry) as other, other.stream("GET", f"/{app}/wait") as response:
        assert next(response.iter_raw()) == b"first"
    eventually(lambda: ["late send", "ClientDisconnected"] in events(web, app)[before:])


def test_an_upload_that_is_cut_off_is_a_disconnect(app, clear_front, plain_web):
    before = len(events(plain_web, app))
    with Raw(clear_front.address) as raw:
        raw.send(f"POST /{app}/count HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart of it")
    eventually(lambda: ["upload cut", True] in events(plain_web, app)[before:])


def test_a_malformed_body_is_a_disconnect_and_a_400(app, clear_front):
    with Raw(clear_front.address) as raw:
        raw.send(f"POST /{app}/count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX")
        assert raw.until(b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_an_application_waits_for_a_client_that_is_slow(app, clear_front, plain_web):
    def flooded():
        return json.loads(plain_web.get(f"/{app}/flooded").content)

    request = f"GET /{app}/flood HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with Raw(clear_front.address, request, receive_buffer=64 * 1024) as raw:
        raw.until(b"\r\n\r\n")
        eventually(lambda: flooded() > 0)
        seen = [-1]

        def stands_still():
            seen.append(flooded())
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        eventually(stands_still)
        assert seen[-1] < 32 * 1024 * 1024
        # And goes on when it takes the rest.
        raw.rest()
    eventually(lambda: flooded() == 64 * 1024 * 1024)


@pytest.mark.parametrize("entry", ["h2c", "tls2"], indirect=True)
def test_a_large_response_passes_through_the_windows_of_http2(app, entry):
    with client(entry) as web, web.stream("GET", f"/{app}/flood") as response:
        assert sum(len(piece) for piece in response.iter_raw()) == 64 * 1024 * 1024


def test_server_sent_events_come_one_by_one(app, web, tmp_path):
    with web.stream("GET", f"/{app}/ticks", params={"folder": str(tmp_path)}) as response:
        # The head does not wait for the first of them.
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.iter_lines()
        for number in range(3):
            (tmp_path / f"tick-{number}").touch()
            assert next(lines) == f"data: {number}"
            assert next(lines) == ""


def test_an_application_that_fails_is_a_500(app, web):
    for name in ["fail", "nothing"]:
        response = web.get(f"/{app}/{name}")
        assert (response.status_code, response.content) == (500, b"Internal Server Error")


def test_a_response_that_is_not_whole_never_passes_for_whole(app, web):
    for name in ["fail-late", "unfinished"]:
        try:
            response = web.get(f"/{app}/{name}")
        except httpx.RemoteProtocolError:
            continue
        # It can still be said while nothing of it has left.
        assert response.status_code in (500, 502)


def test_messages_out_of_order_are_refused(app, web):
    assert web.get(f"/{app}/wrong-order").content == b"the response has not been started"
    before = len(events(web, app))
    assert web.get(f"/{app}/twice").content == b"once"
    eventually(lambda: ["twice", "refused"] in events(web, app)[before:])


def test_a_field_cannot_break_out_of_its_line(app, web):
    assert web.get(f"/{app}/injection").content == b"refused"


def test_trailers_stand_behind_the_body(app, clear_front):
    request = f"GET /{app}/trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n"
    with Raw(clear_front.address, request) as raw:
        assert raw.rest().endswith(b"\r\n4\r\nbody\r\n0\r\nx-sum: 4\r\n\r\n")


def test_a_file_is_sent_by_its_path(app, web, tmp_path):
    path = large_file(tmp_path)
    response = web.get(f"/{app}/file", params={"path": str(path)})
    assert response.content == path.read_bytes()
    assert response.headers["content-length"] == str(path.stat().st_size)
    part = web.get(f"/{app}/file", params={"path": str(path)}, headers={"Range": "bytes=5-14"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[5:15])
    assert web.get(f"/{app}/file", params={"path": "/no/such/file"}).status_code == 500


def test_every_kind_of_bytes_is_sent(app, web):
    assert web.get(f"/{app}/buffers").content == b"array view"


def test_a_body_that_nobody_wants_is_taken_all_the_same(app, web):
    before = len(events(web, app))
    assert web.head(f"/{app}/bodiless").content == b""
    assert web.get(f"/{app}/bodiless?status=204").status_code == 204
    assert web.get(f"/{app}/bodiless?status=304").content == b""
    ended = ["bodiless", "ended"]
    eventually(lambda: events(web, app)[before:].count(ended) == 3)
