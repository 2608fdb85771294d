#!/usr/bin/env bash
# Python's requests and urllib3 take a 103 for the final response; Node's fetch takes an unasked 100 for an error.
#
# What surprises: RFC 9110, section 15.2, has every client parse and pass over any number of interim responses,
# asked for or not. http.client of CPython, on which requests and urllib3 stand, passes over 100 alone: behind a server
# or proxy that sends early hints the caller gets status 103 (or 102) and an empty body, and no error. undici, which is
# fetch in Node, is right about 103 but breaks the connection off at a 100 that it did not ask for ("bad response").
# httpx, aiohttp and Node's http do as the RFC says. So a server that sends hints or a 100 on its own account has to
# know who asks, and a proxy that passes on each interim response hands these clients what they do not understand.
#
# Versions: CPython 3.11.7, requests 2.34.2, urllib3 2.8.0, httpx 0.28.1, aiohttp 3.14.5, Node 20.20.2. Seen 2026-11-29.
# Source: Lib/http/client.py, HTTPResponse.begin; undici's lib/dispatcher/client-h1.js.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q requests==2.34.2 urllib3==2.8.0 httpx==0.28.1 aiohttp==3.14.5
cat > server.py <<'PY'
"""Answers each request with the interim response that its path names, and 200 behind it."""
import socket, threading

def serve(client):
    head = b""
    while piece := client.recv(4096):
        head += piece
        if head.endswith(b"\r\n\r\n"):
            status = head.split(b" ")[1][1:]
            client.sendall(b"HTTP/1.1 " + status + b" Interim\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal")
            head = b""

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
cat > clients.py <<'PY'
import asyncio, platform, sys
import aiohttp, httpx, requests, urllib3

base = f"http://127.0.0.1:{sys.argv[1]}/"

async def of_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()

clients = {
    "requests": lambda url: (lambda r: (r.status_code, r.text))(requests.get(url, timeout=5)),
    "urllib3": lambda url: (lambda r: (r.status, r.data.decode()))(urllib3.request("GET", url, timeout=5)),
    "httpx": lambda url: (lambda r: (r.status_code, r.text))(httpx.get(url, timeout=5)),
    "aiohttp": lambda url: asyncio.run(of_aiohttp(url)),
}
print("CPython", platform.python_version())
for name, get in clients.items():
    print(name, *(f"{status}: {get(base + status)}" for status in ("100", "103")))
PY
cat > fetch.mjs <<'JS'
const ask = (status) => fetch(`http://127.0.0.1:${process.argv[2]}/${status}`)
  .then(async (response) => `(${response.status}, '${await response.text()}')`, (error) => error.cause.message);
console.error('Node', process.version);
console.log('fetch', '100:', await ask(100), '103:', await ask(103));
process.exit(0);
JS
python3 server.py > port &
until [ -s port ]; do sleep 0.1; done
seen=$(venv/bin/python clients.py "$(cat port)" && node fetch.mjs "$(cat port)")
echo "$seen"
diff <(tail -n +2 <<<"$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
requests 100: (200, 'final') 103: (103, '')
urllib3 100: (200, 'final') 103: (103, '')
httpx 100: (200, 'final') 103: (200, 'final')
aiohttp 100: (200, 'final') 103: (200, 'final')
fetch 100: bad response 103: (200, 'final')
SEEN
echo 'as described'
