#!/usr/bin/env bash
# The adapters that run WSGI programs under ASGI servers do not call `close()` of the program's iterable.
#
# What surprises: PEP 3333 has a server call `close()` of the iterable however the request ends, "whether or not"
# it was exhausted; frameworks put the end of a transaction and the release of files there. asgiref never calls
# it, not even of an answer that was sent whole. a2wsgi calls it of those, and not when the client has gone. What
# `close()` or a generator's `finally` holds then runs late or, where a reference lives on, never.
# Whatever runs WSGI programs must call `close()` itself on every way out.
#
# Versions: a2wsgi 1.10.10, asgiref 3.13.0. Seen 2026-11-28.
# Source: PEP 3333, "The Application/Framework Side".
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check a2wsgi==1.10.10 asgiref==3.13.0
env/bin/python - 2>errors <<'PY' || { cat errors; exit 1; }
import asyncio, sys, time
from importlib.metadata import version
from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi


class Pieces:
    """A hundred pieces, a hundredth of a second apart, that remembers what was done to it."""

    def __init__(self):
        self.taken, self.closed = 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == 100:
            raise StopIteration
        self.taken += 1
        time.sleep(0.01)
        return b"piece"

    def close(self):
        self.closed = True


async def run(adapter, leaves):
    pieces = Pieces()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return pieces

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/", "raw_path": b"/",
             "root_path": "", "query_string": b"", "scheme": "http", "headers": [], "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}
    sent, gone = 0, asyncio.Event()
    first = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if first:
            return first.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        nonlocal sent
        sent += 1
        if leaves and sent == 10:
            gone.set()
        if leaves and sent > 10:
            raise OSError("the client has gone")

    try:
        await asyncio.wait_for(adapter(application)(scope, receive, send), 10)
    except (OSError, asyncio.CancelledError):
        pass
    await asyncio.sleep(2)
    return pieces.taken, pieces.closed


print("a2wsgi", version("a2wsgi"), "asgiref", version("asgiref"))
seen = {}
for name, adapter in (("a2wsgi", WSGIMiddleware), ("asgiref", WsgiToAsgi)):
    for leaves in (False, True):
        taken, closed = asyncio.run(run(adapter, leaves))
        seen[name, leaves] = closed
        print(f"{name}, client {'leaves after 10 messages' if leaves else 'stays'}: {taken} pieces taken, close() called: {closed}")
if seen != {("a2wsgi", False): True, ("a2wsgi", True): False, ("asgiref", False): False, ("asgiref", True): False}:
    sys.exit("CHANGED")
print("as described")
PY
