#!/usr/bin/env bash
# Starlette: behind BaseHTTPMiddleware the last message of a response comes when all its bytes have been sent.
#
# What surprises: `PlainTextResponse("answered")` is one message with the whole body. With any BaseHTTPMiddleware
# around it, the body comes as one that announces more, and an empty one behind it. A server that counts has ended
# the exchange by then: Content-Length is reached, and HTTP libraries drop a body there. If it takes that for the
# client's end, and raises in `send` as ASGI 2.4 asks, then the response has arrived whole and the application sees
# a failure: the response's background task does not run.
# A server must tell "the client is gone" from "the client has everything".
#
# Versions: starlette 1.10.0. Seen 2026-11-29.
# Source: ASGI 2.4, "Disconnected Client - send exception"; starlette/middleware/base.py.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check starlette==1.10.0
env/bin/python - <<'PY'
import asyncio

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ran = []


async def home(request):
    return PlainTextResponse("answered", background=BackgroundTask(ran.append, "background task"))


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


async def ask(middleware, strict):
    """The body's messages; a strict server ends an exchange when as many bytes are there as promised."""
    said, left = [], [None]
    ran.clear()

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            left[0] = int(dict(message["headers"])[b"content-length"])
            return
        if strict and left[0] == 0:
            raise OSError("the exchange is over")
        left[0] -= len(message.get("body", b""))
        said.append((message.get("body", b""), message.get("more_body", False)))

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/", "root_path": "", "query_string": b"",
        "headers": [], "client": None, "server": None,
    }
    app = Starlette(routes=[Route("/", home)], middleware=middleware)
    try:
        await app(scope, receive, send)
    except Exception as error:
        print("   the application fails with", type(error).__name__)
    return said, list(ran)


passing = [Middleware(Passing)]
for title, middleware, strict, expected in [
    ("alone", [], True, ([(b"answered", False)], ["background task"])),
    ("behind a middleware", passing, False, ([(b"answered", True), (b"", False)], ["background task"])),
    ("behind a middleware, on a strict server", passing, True, ([(b"answered", True)], [])),
]:
    seen = asyncio.run(ask(middleware, strict))
    print(f"{title}: {seen}")
    assert seen == expected, expected
PY
