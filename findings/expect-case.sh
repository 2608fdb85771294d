#!/usr/bin/env bash
# Some servers send 100 Continue for `100-continue` and not for `100-Continue`, and uWSGI and PHP for neither.
#
# What surprises: the value of Expect is compared without case (RFC 9110, section 10.1.1), and a client that sends it
# waits for the 100. puma, cheroot and tornado compare bytes: the client sits out its own patience (curl's is a
# second, others have none) before it sends a body that the server reads gladly. uWSGI's HTTP socket and PHP's built-in
# server know no 100 at all. gunicorn, waitress, aiohttp and Node do as the RFC says. A client or proxy that writes
# the value in small letters is safe with all that know it.
#
# Versions: puma 5.6.5, uWSGI 2.0.21 and PHP 8.2 (Debian 12), cheroot 11.1.2, tornado 6.6.1, gunicorn 27.0.1,
# waitress 3.0.2, aiohttp 3.14.5, Node 20.20.2. Seen 2026-11-29.
# Source: RFC 9110, section 10.1.1.
set -euo pipefail

work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q gunicorn==27.0.1 waitress==3.0.2 cheroot==11.1.2 tornado==6.6.1 aiohttp==3.14.5
which puma uwsgi php >/dev/null \
  || { apt-get update -qq && apt-get install -y -qq puma uwsgi-core uwsgi-plugin-python3 php-cli >/dev/null; }
cat > app.py <<'PY'
def app(environment, start_response):
    environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
PY
cat > of.py <<'PY'
import asyncio, sys
name, port = sys.argv[1], int(sys.argv[2])
if name == "cheroot":
    from cheroot import wsgi
    from app import app
    wsgi.Server(("127.0.0.1", port), app).start()
if name == "tornado":
    from tornado.web import Application, RequestHandler
    class Answer(RequestHandler):
        def post(self):
            self.write("ok")
    async def run():
        Application([("/", Answer)]).listen(port, "127.0.0.1")
        await asyncio.Event().wait()
    asyncio.run(run())
if name == "aiohttp":
    from aiohttp import web
    async def answer(request):
        await request.read()
        return web.Response(text="ok")
    program = web.Application()
    program.router.add_post("/", answer)
    web.run_app(program, host="127.0.0.1", port=port, print=None)
PY
echo 'run lambda { |e| e["rack.input"].read; [200, { "content-length" => "2" }, ["ok"]] }' > config.ru
echo 'require("http").createServer((q, r) => q.resume().on("end", () => r.end("ok"))).listen(+process.argv[2], "127.0.0.1")' > node.js
echo '<?php file_get_contents("php://input"); header("Content-Length: 2"); echo "ok";' > answer.php
cat > ask.py <<'PY'
import socket, sys

def first_status(expect):
    """The first status that comes while the body is held back for two seconds."""
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    client.settimeout(2)
    client.sendall(b"POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 3\r\nExpect: " + expect + b"\r\n\r\n")
    try:
        heard = client.recv(4096)
    except TimeoutError:
        heard = b""
    client.settimeout(10)
    client.sendall(b"abc")
    final = heard.split(b" ")[1].decode() if heard else "nothing"
    assert b" 200 " in client.recv(4096)
    return final

print(f"100-continue: {first_status(b'100-continue')}, 100-Continue: {first_status(b'100-Continue')}")
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
  try puma 'puma -b tcp://127.0.0.1:PORT config.ru'
  try cheroot 'python3 of.py cheroot PORT'
  try tornado 'python3 of.py tornado PORT'
  try uwsgi 'uwsgi --http-socket 127.0.0.1:PORT --plugin python3 --wsgi-file app.py --callable app --die-on-term'
  try php 'php -S 127.0.0.1:PORT answer.php'
  try gunicorn 'gunicorn -b 127.0.0.1:PORT app:app'
  try waitress 'waitress-serve --listen=127.0.0.1:PORT app:app'
  try aiohttp 'python3 of.py aiohttp PORT'
  try node 'node node.js PORT'
  kill $(jobs -p)
)
puma --version; echo "uWSGI $(uwsgi --version)"; php -r 'echo "PHP ", PHP_VERSION, "\n";'; node --version
echo "$seen"
diff <(echo "$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
puma 100-continue: 100, 100-Continue: nothing
cheroot 100-continue: 100, 100-Continue: nothing
tornado 100-continue: 100, 100-Continue: nothing
uwsgi 100-continue: nothing, 100-Continue: nothing
php 100-continue: nothing, 100-Continue: nothing
gunicorn 100-continue: 100, 100-Continue: 100
waitress 100-continue: 100, 100-Continue: 100
aiohttp 100-continue: 100, 100-Continue: 100
node 100-continue: 100, 100-Continue: 100
SEEN
echo 'as described'
