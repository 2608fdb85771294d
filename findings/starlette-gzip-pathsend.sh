#!/usr/bin/env bash
# Starlette: whether GZipMiddleware compresses a file depends on what the server offers.
#
# What surprises: an application with GZipMiddleware sends a text file by `FileResponse` compressed, until it is
# served by a server that offers ASGI's extension `http.response.pathsend`: then `FileResponse` hands the path over
# and the middleware lets it pass as it is. Nothing says so; the same program sends ten times the bytes after a
# change of server (uvicorn offers no such extension, granian does). A request for a range, or `HEAD`, is the same on
# both.
# A server that offers the extension changes what clients get, not only how.
#
# Versions: starlette 1.10.0. Seen 2026-11-29.
# Source: ASGI, "Path Send"; starlette/middleware/gzip.py ("Don't apply GZip to pathsend responses").
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check starlette==1.10.0
env/bin/python - <<'PY'
import asyncio
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from starlette.routing import Route

Path("long.txt").write_text("the same again and again\n" * 4000)
app = Starlette(
    routes=[Route("/", lambda request: FileResponse("long.txt"))],
    middleware=[Middleware(GZipMiddleware)],
)


async def ask(extensions):
    """The encoding and how the body came, on a server with these extensions."""
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": "/", "raw_path": b"/", "root_path": "", "query_string": b"",
        "headers": [(b"accept-encoding", b"gzip")], "client": None, "server": None, "extensions": extensions,
    }
    await app(scope, receive, send)
    encoding = dict(said[0]["headers"]).get(b"content-encoding")
    return encoding, said[1]["type"]


plain = asyncio.run(ask({}))
offered = asyncio.run(ask({"http.response.pathsend": {}}))
print("without the extension:", *plain)
print("with it:              ", *offered)
assert plain == (b"gzip", "http.response.body")
assert offered == (None, "http.response.pathsend")
PY
