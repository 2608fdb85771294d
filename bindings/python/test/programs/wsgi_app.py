"""A bare WSGI application that shows what its server does."""

import json
import os
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs
from wsgiref.validate import validator

# What happened, for `/events`.
events = []


def app(environ, start_response):
    name = environ["PATH_INFO"].rsplit("/", 1)[-1]
    handler = HANDLERS.get(name)
    if handler is None:
        start_response("404 Not Found", [])
        return [b"no such path"]
    return handler(environ, start_response)


def ok(start_response, *headers):
    return start_response("200 OK", [("Content-Type", "text/plain"), *headers])


def as_json(start_response, value):
    ok(start_response)
    return [json.dumps(value, default=repr).encode()]


def environ_of(environ, start_response):
    return as_json(start_response, dict(environ))


def pid(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    if "hold" in query:
        folder = Path(query["hold"][0])
        (folder / f"entered-{os.getpid()}-{threading.get_ident()}").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
    ok(start_response)
    return [str(os.getpid()).encode()]


def count(environ, start_response):
    body = environ["wsgi.input"].read()
    length = environ.get("CONTENT_LENGTH")
    return as_json(start_response, {"length": len(body), "content_length": length})


def lines(environ, start_response):
    return as_json(start_response, [line.decode() for line in environ["wsgi.input"]])


class Pieces:
    """A body that tells how it was left."""

    def __init__(self, pieces):
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        events.append("closed")


def pieces(environ, start_response):
    ok(start_response)
    return Pieces([b"one ", b"", b"two"])


def endless(environ, start_response):
    ok(start_response)
    return Pieces(bytes(64 * 1024) for _ in iter(int, 1))


def fail_late(environ, start_response):
    def give():
        yield b"first"
        raise ValueError("in the middle")

    ok(start_response)
    return Pieces(give())


def fail(environ, start_response):
    raise ValueError("before the start")


def write(environ, start_response):
    write = ok(start_response)
    write(b"written ")
    return [b"and returned"]


def error_page(environ, start_response):
    import sys

    ok(start_response)
    try:
        raise ValueError("before anything is sent")
    except ValueError:
        start_response("500 Oh Dear", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"sorry"]


def file(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    stream = open(query["path"][0], "rb")
    stream.seek(int(query.get("from", ["0"])[0]))
    ok(start_response)
    return environ["wsgi.file_wrapper"](stream)


def fields(environ, start_response):
    ok(start_response, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Text", "caf\xe9"))
    return [b""]


def events_so_far(environ, start_response):
    return as_json(start_response, events)


HANDLERS = {
    "environ": environ_of,
    "pid": pid,
    "count": count,
    "lines": lines,
    "pieces": pieces,
    "endless": endless,
    "fail": fail,
    "fail-late": fail_late,
    "write": write,
    "error-page": error_page,
    "file": file,
    "fields": fields,
    "events": events_so_far,
}


def validated_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["REQUEST_METHOD"] == "HEAD":
        return [b""]
    return [environ["wsgi.input"].read(10), b" ", environ["PATH_INFO"].encode("latin-1")]


# Python's own judge of servers and applications.
validated = validator(validated_app)
