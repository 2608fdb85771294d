"""Frameworks that know nothing of queues, as they are."""

import json
import ssl

import pytest
from websockets.sync.client import connect

from apps import Raw, client, eventually, events, large_file
from fronts import PATIENCE


@pytest.fixture
def starlette(running):
    return running("starlette")


@pytest.fixture
def fastapi(running):
    return running("fastapi")


@pytest.fixture
def flask(running):
    return running("flask")


@pytest.fixture(params=["django", "django-wsgi"])
def django(request, running):
    running(request.param)
    return request.param


def websocket(entry, path):
    tls = ssl.create_default_context(cafile=entry.authority) if entry.is_tls else None
    return connect(entry.ws_url(path), ssl=tls, open_timeout=PATIENCE)


FORM = {"data": {"note": "hé"}, "files": {"file": ("a.bin", b"x" * 200_000)}}


def test_starlette_knows_its_client(starlette, web, entry):
    response = web.get("/starlette/")
    assert response.json() == {"client": "127.0.0.1", "url": entry.url("/starlette/")}
    assert response.headers["x-marked"] == "yes"


def test_starlette_takes_forms(starlette, web):
    response = web.post("/starlette/upload", **FORM)
    assert response.json() == {"name": "a.bin", "length": 200_000, "note": "hé"}


def test_starlette_ends_a_stream_when_its_client_goes(starlette, web, entry):
    before = len(events(web, "starlette"))
    with client(entry) as other, other.stream("GET", "/starlette/stream") as response:
        next(response.iter_raw())
    eventually(lambda: "stream ended" in events(web, "starlette")[before:])


def test_starlette_hears_of_an_upload_that_is_cut_off(starlette, clear_front, plain_web):
    before = len(events(plain_web, "starlette"))
    with Raw(clear_front.address) as raw:
        raw.send("POST /starlette/body HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart of it")
    eventually(lambda: "upload cut" in events(plain_web, "starlette")[before:])


def test_starlette_works_on_behind_the_response(starlette, web):
    before = len(events(web, "starlette"))
    assert web.get("/starlette/background").text == "answered"
    eventually(lambda: "background ran" in events(web, "starlette")[before:])


def test_starlette_sends_files_and_ranges(starlette, web, tmp_path):
    path = large_file(tmp_path)
    response = web.get("/starlette/file", params={"path": str(path)})
    assert response.content == path.read_bytes()
    part = {"Range": "bytes=5-14"}
    response = web.get("/starlette/file", params={"path": str(path)}, headers=part)
    assert (response.status_code, response.content) == (206, path.read_bytes()[5:15])


def test_starlette_speaks_websocket(starlette, clear_front, tls_front, certificate, plain_web):
    from fronts import Entry

    before = len(events(plain_web, "starlette"))
    for name, front in [("http1", clear_front), ("tls1", tls_front)]:
        with websocket(Entry(name, front, certificate.authority), "/starlette/echo") as socket:
            socket.send("hello")
            assert socket.recv(PATIENCE) == "HELLO"
    eventually(lambda: events(plain_web, "starlette")[before:].count("socket closed") == 2)


def test_fastapi_validates(fastapi, web):
    assert web.get("/fastapi/items/3?limit=7").json() == {"number": 3, "most": 7}
    assert web.get("/fastapi/items/x").status_code == 422
    made = web.post("/fastapi/items", json={"name": "a", "price": 1.5})
    assert made.json() == {"made": "a", "price": 1.5}
    assert web.post("/fastapi/upload", files=FORM["files"]).json() == {"length": 200_000}


def test_fastapi_keeps_the_state_of_its_lifespan(fastapi, plain):
    with websocket(plain, "/fastapi/ws") as socket:
        socket.send(json.dumps({"a": 1}))
        assert json.loads(socket.recv(PATIENCE)) == {"greeting": "hello", "got": {"a": 1}}


def test_flask_knows_its_client_and_its_session(flask, web, entry):
    for visits in (1, 2):
        expected = {"client": "127.0.0.1", "url": entry.url("/flask/"), "visits": visits}
        assert web.get("/flask/").json() == expected


def test_flask_takes_forms_and_bodies(flask, web):
    assert web.post("/flask/form", **FORM).json() == {"note": "hé", "length": 200_000}
    pieces = [b"x" * 1000] * 300
    assert web.post("/flask/data", content=b"".join(pieces)).json() == {"length": 300_000}
    assert web.post("/flask/data", content=iter(pieces)).json() == {"length": 300_000}


def test_flask_streams_and_sends_files(flask, web, tmp_path):
    assert web.get("/flask/stream").text == "/flask/stream 0\n/flask/stream 1\n/flask/stream 2\n"
    path = large_file(tmp_path)
    assert web.get("/flask/file", params={"path": str(path)}).content == path.read_bytes()
    part = web.get("/flask/file", params={"path": str(path)}, headers={"Range": "bytes=5-14"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[5:15])


def test_django_knows_its_client(django, web, entry):
    assert web.get(f"/{django}/").json() == {"client": "127.0.0.1", "secure": entry.is_tls}


def test_django_takes_forms_and_bodies(django, web):
    assert web.post(f"/{django}/form", **FORM).json() == {"note": "hé", "length": 200_000}
    pieces = [b"x" * 1000] * 300
    assert web.post(f"/{django}/data", content=b"".join(pieces)).json() == {"length": 300_000}
    assert web.post(f"/{django}/data", content=iter(pieces)).json() == {"length": 300_000}


def test_django_streams_and_sends_files(django, web, tmp_path):
    assert web.get(f"/{django}/stream").text == "0\n1\n2\n"
    path = large_file(tmp_path)
    assert web.get(f"/{django}/file", params={"path": str(path)}).content == path.read_bytes()
    assert web.head(f"/{django}/plain").content == b""


def test_django_cancels_a_view_whose_client_has_gone(running, clear_front, plain_web):
    running("django")
    before = len(events(plain_web, "django"))
    with Raw(clear_front.address, "GET /django/hold HTTP/1.1\r\nHost: a\r\n\r\n"):
        eventually(lambda: "holding" in events(plain_web, "django")[before:])
    eventually(lambda: "cancelled" in events(plain_web, "django")[before:])
