#!/usr/bin/env bash
# Four servers do not see the `close` in `Connection: close, x-hop`.
#
# What surprises: Connection is a list (RFC 9110, section 7.6.1). waitress, cheroot, puma and tornado compare the whole
# value with `close` and keep the connection open when another option stands beside it, as HTTP/1.1 does by default. A
# client that names a hop-by-hop field of its own (`TE` demands it: `Connection: TE, close`, as libwww-perl sends it)
# and waits for the end of the stream waits for the server's idle timeout. uvicorn, hypercorn, granian, aiohttp and Node
# read the list.
#
# Versions: waitress 3.0.2, cheroot 11.1.2, tornado 6.6.1, puma 5.6.5 (Debian 12), aiohttp 3.14.5, uvicorn 0.54.0,
# granian 2.8.9, hypercorn 0.18.0, Node 20.20.2. Seen 2026-11-29.
# Source: RFC 9110, section 7.6.1; RFC 9112, section 9.6.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q waitress==3.0.2 cheroot==11.1.2 tornado==6.6.1 aiohttp==3.14.5 uvicorn==0.54.0 h11==0.16.0 \
  granian==2.8.9 hypercorn==0.18.0
which puma >/dev/null || { apt-get update -qq && apt-get install -y -qq puma >/dev/null; }
cat > app.py <<'PY'
def wsgi(_, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
PY
cat > of.py <<'PY'
import asyncio, sys
name, port = sys.argv[1], int(sys.argv[2])
if name == "cheroot":
    from cheroot import wsgi
    import app
    wsgi.Server(("127.0.0.1", port), app.wsgi).start()
if name == "tornado":
    from tornado.web import Application, RequestHandler
    class Answer(RequestHandler):
        def get(self):
            self.write("ok")
    async def run():
        Application([("/", Answer)]).listen(port, "127.0.0.1")
        await asyncio.Event().wait()
    asyncio.run(run())
if name == "aiohttp":
    from aiohttp import web
    async def answer(_):
        return web.Response(text="ok")
    program = web.Application()
    program.router.add_get("/", answer)
    web.run_app(program, host="127.0.0.1", port=port, print=None)
PY
echo 'run lambda { |_| [200, { "content-length" => "2" }, ["ok"]] }' > config.ru
echo 'require("http").createServer((_, r) => r.end("ok")).listen(+process.argv[2], "127.0.0.1")' > node.js
cat > ask.py <<'PY'
import socket, sys

def end(connection):
    """Whether the connection is closed within two seconds of the answer."""
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    client.settimeout(2)
    client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: " + connection + b"\r\n\r\n")
    heard = b""
    try:
        while piece := client.recv(4096):
            heard += piece
        outcome = "closed"
    except TimeoutError:
        outcome = "open"
    assert heard.startswith(b"HTTP/1.1 200"), heard
    return outcome

print(f"close: {end(b'close')}; close, x-hop: {end(b'close, x-hop')}")
PY
try() { # name, command with PORT in it
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  ${2//PORT/$port} >/dev/null 2>&1 &
  until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
  echo "$1 $(python3 ask.py "$port")"
}
PATH="$work/venv/bin:$PATH"
seen=$(
  try waitress 'waitress-serve --listen=127.0.0.1:PORT app:wsgi'
  try cheroot 'python3 of.py cheroot PORT'
  try puma 'puma -b tcp://127.0.0.1:PORT config.ru'
  try tornado 'python3 of.py tornado PORT'
  try aiohttp 'python3 of.py aiohttp PORT'
  try uvicorn 'uvicorn --http h11 --port PORT app:asgi'
  try hypercorn 'hypercorn -b 127.0.0.1:PORT app:asgi'
  try granian 'granian --interface asgi --port PORT app:asgi'
  try node 'node node.js PORT'
  kill $(jobs -p)
)
puma --version; node --version
echo "$seen"
diff <(echo "$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
waitress close: closed; close, x-hop: open
cheroot close: closed; close, x-hop: open
puma close: closed; close, x-hop: open
tornado close: closed; close, x-hop: open
aiohttp close: closed; close, x-hop: closed
uvicorn close: closed; close, x-hop: closed
hypercorn close: closed; close, x-hop: closed
granian close: closed; close, x-hop: closed
node close: closed; close, x-hop: closed
SEEN
echo 'as described'
