"""Python's httpx: HTTP/1.1 and HTTP/2, one request and many at once, streams both ways."""

import asyncio
import hashlib
import ssl

import httpx
import pytest

from conftest import entries
from fronts import PATIENCE


def client(entry, kind=httpx.Client):
    """A client that speaks what the way in is for, and nothing else."""
    http2 = entry.version == "2"
    trust = ssl.create_default_context(cafile=entry.authority)
    return kind(http1=not http2, http2=http2, verify=trust, timeout=PATIENCE, trust_env=False)


def test_get(entry, way):
    with client(entry) as http:
        for number in range(3):
            response = http.get(entry.url(f"/{way}/echo"), params={"n": number})
            assert response.http_version == f"HTTP/{entry.version}"
            assert response.json()["arrival"] == entry.arrival(way)
            assert response.json()["target"].endswith(f"/{way}/echo?n={number}")


@pytest.mark.parametrize("length", [0, 1, 65535, 65536, 5_000_000])
def test_post(entry, way, length):
    body = bytes(length)
    with client(entry) as http:
        received = http.post(entry.url(f"/{way}/upload"), content=body).json()
    assert received["length"] == length
    assert received["sha256"] == hashlib.sha256(body).hexdigest()


def test_an_upload_of_unknown_length(entry, way):
    pieces = [bytes([number]) * (number * 100 + 1) for number in range(200)]
    with client(entry) as http:
        received = http.post(entry.url(f"/{way}/upload"), content=iter(pieces)).json()
    assert received["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_server_sent_events_arrive_one_by_one(entry, way):
    """The stream never ends, so only passing on what is there lets this finish."""
    with client(entry) as http, http.stream("GET", entry.url(f"/{way}/sse")) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = (line for line in response.iter_lines() if line.startswith("data:"))
        assert [next(lines) for _ in range(2)] == ["data: event 0", "data: event 1"]


# httpx leaves a stream of HTTP/2 that is given up open, and with it the connection's window used up.
@entries("http1", "tls1")
def test_a_download_that_is_given_up(entry, way):
    """httpx resets no HTTP/2 stream that it gives up, and lets it fill the connection's window,
    whoever answers: a connection is good for one."""
    for _ in range(5):
        with client(entry) as http:
            with http.stream("GET", entry.url(f"/{way}/bytes/100000000")) as response:
                assert len(next(response.iter_bytes())) > 0
            assert http.get(entry.url(f"/{way}/bytes/3")).content == b"\0\1\2"


def test_a_request_that_is_given_up(entry, way):
    with client(entry) as http:
        with pytest.raises(httpx.ReadTimeout):
            http.get(entry.url(f"/{way}/delay/30000"), timeout=0.2)
        assert http.get(entry.url(f"/{way}/bytes/3")).content == b"\0\1\2"


def test_many_at_once(entry):
    """Both ways, small and large, mixed on as few connections as the version allows."""

    async def one(http, number):
        way = ("forwarded", "delegated")[number % 2]
        # Over HTTP/2 httpx ends a body in a frame of its own, and fails if a stream whose response is
        # complete is reset before that, which servers may do (RFC 9113 section 8.1).
        if number % 3 == 0 and entry.version == "1.1":
            body = bytes([number % 256]) * (number * 1000)
            response = await http.post(entry.url(f"/{way}/upload"), content=body)
            assert response.json()["sha256"] == hashlib.sha256(body).hexdigest()
        else:
            response = await http.get(entry.url(f"/{way}/stream/{number * 1000}"))
            assert len(response.content) == number * 1000

    async def all_of_them():
        async with client(entry, httpx.AsyncClient) as http:
            # httpx asks for a single connection only once it knows the server's version.
            await http.get(entry.url("/forwarded/echo"))
            await asyncio.gather(*(one(http, number) for number in range(90)))

    asyncio.run(all_of_them())


def test_cookies_and_repeated_fields(entry, way):
    fields = [("X-Twice", "1"), ("Cookie", "a=1; b=2"), ("X-Twice", "2")]
    with client(entry) as http:
        echo = http.get(entry.url(f"/{way}/echo"), headers=fields).json()
    assert [value for name, value in echo["fields"] if name == "x-twice"] == ["1", "2"]
    assert [value for name, value in echo["fields"] if name == "cookie"] == ["a=1; b=2"]


def test_trailers_do_not_disturb(entry):
    with client(entry) as http:
        for _ in range(3):
            assert http.get(entry.url("/site/trailers")).text == "hello"
