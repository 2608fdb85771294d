#!/usr/bin/env bash
# Most event-driven HTTP servers answer nothing to a client that ends its stream behind its request.
#
# What surprises: `printf 'GET / HTTP/1.1\r\n...' | nc -N host port` sends a whole request and a FIN. TCP knows half
# closed connections, and RFC 9112 (section 9.6) lets a client do this with its last request. Where the application has
# a fifth of a second of work, only those servers that give each request a thread or process answer: gunicorn and
# waitress. aiohttp, daphne, granian, puma, uvicorn and Node close without a byte and cancel what they had begun: to
# them the end of the stream is the client's going away. uvicorn and Node do answer where the answer is there at once, so
# that a test of a hello does not show it; Node has an undocumented `httpAllowHalfOpen`. A proxy that ends its side of a
# connection to such a destination once it has sent its last request gets no answer.
#
# Versions: aiohttp 3.14.5, daphne 4.2.3, granian 2.8.9, gunicorn 27.0.1, waitress 3.0.2, uvicorn 0.54.0, Node 20.20.2,
# puma 5.6.5 (Debian 12). Seen 2026-11-29.
# Source: RFC 9112, section 9.6; Node's lib/_http_server.js, `socketOnEnd`.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q aiohttp==3.14.5 daphne==4.2.3 granian==2.8.9 gunicorn==27.0.1 waitress==3.0.2 uvicorn==0.54.0 h11==0.16.0
which puma >/dev/null || { apt-get update -qq && apt-get install -y -qq puma >/dev/null; }
cat > app.py <<'PY'
import asyncio, sys, time
from aiohttp import web

def wsgi(_, start_response):
    time.sleep(0.2)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(0.2)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

async def answer(_):
    await asyncio.sleep(0.2)
    return web.Response(text="ok")

if __name__ == "__main__":
    program = web.Application()
    program.router.add_get("/", answer)
    web.run_app(program, host="127.0.0.1", port=int(sys.argv[1]), print=None)
PY
echo 'run lambda { |_| sleep 0.2; [200, { "content-length" => "2" }, ["ok"]] }' > config.ru
echo 'require("http").createServer((_, r) => setTimeout(() => r.end("ok"), 200)).listen(+process.argv[2], "127.0.0.1")' > node.js
cat > ask.py <<'PY'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.settimeout(10)
client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
client.shutdown(socket.SHUT_WR)
heard = b"".join(iter(lambda: client.recv(4096), b""))
print("answers" if heard.startswith(b"HTTP/1.1 200") else "nothing" if not heard else heard)
PY
try() { # name, command with PORT in it
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  ${2//PORT/$port} >/dev/null 2>&1 &
  until (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
  echo "$1: $(python3 ask.py "$port")"
}
PATH="$work/venv/bin:$PATH"
seen=$(
  try aiohttp 'python3 app.py PORT'
  try daphne 'daphne -b 127.0.0.1 -p PORT app:asgi'
  try granian 'granian --interface asgi --port PORT app:asgi'
  try puma 'puma -b tcp://127.0.0.1:PORT config.ru'
  try gunicorn 'gunicorn -b 127.0.0.1:PORT app:wsgi'
  try waitress 'waitress-serve --listen=127.0.0.1:PORT app:wsgi'
  try uvicorn 'uvicorn --http h11 --port PORT app:asgi'
  try node 'node node.js PORT'
  kill $(jobs -p)
)
puma --version; node --version
echo "$seen"
diff <(echo "$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
aiohttp: nothing
daphne: nothing
granian: nothing
puma: nothing
gunicorn: answers
waitress: answers
uvicorn: nothing
node: nothing
SEEN
echo 'as described'
