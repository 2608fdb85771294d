#!/usr/bin/env bash
# tornado refuses chunk extensions and trailer fields, as a server and as a client.
#
# What surprises: both are part of each chunked body's grammar, and a recipient has to pass over a chunk extension that
# it does not know (RFC 9112, section 7.1.1) and may discard trailer fields (section 7.1.2). tornado's server answers
# 400 to a request with either, its client (AsyncHTTPClient) reports "Connection closed" of a response with either, not
# that it did not understand. aiohttp does as the RFC says on both sides. A proxy that passes on the trailers of an
# HTTP/2 request, or a server that sends `Server-Timing` behind its body, makes such an application fail.
#
# Versions: tornado 6.6.1, aiohttp 3.14.5. Seen 2026-11-29.
# Source: tornado/http1connection.py, `_read_chunked_body`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q tornado==6.6.1 aiohttp==3.14.5
cat > both.py <<'PY'
import asyncio
import aiohttp, aiohttp.web, tornado
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

BODIES = {
    "plain": b"2\r\nok\r\n0\r\n\r\n",
    "extension": b"2;name=value\r\nok\r\n0\r\n\r\n",
    "trailer": b"2\r\nok\r\n0\r\nServer-Timing: total;dur=1\r\n\r\n",
}

class Answer(RequestHandler):
    def post(self):
        self.write(self.request.body)

async def answer(request):
    return aiohttp.web.Response(body=await request.read())

async def status_of(port, body):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    status = (await reader.readline()).split(b" ")[1].decode()
    writer.close()
    return status

async def of_tornado(url):
    try:
        return str((await AsyncHTTPClient().fetch(url)).code)
    except Exception as error:
        return str(error)

async def of_aiohttp(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert await response.text() == "ok"
        return str(response.status)

async def raw(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    body = BODIES[head.split(b" ")[1][1:].decode()]
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    await writer.drain()
    await reader.read()
    writer.close()

def port_of(server):
    return server.sockets[0].getsockname()[1]

async def main():
    origin = await asyncio.start_server(raw, "127.0.0.1", 0)
    theirs = Application([("/", Answer)]).listen(0, "127.0.0.1")
    tornado_port = next(iter(theirs._sockets.values())).getsockname()[1]
    program = aiohttp.web.Application()
    program.router.add_post("/", answer)
    runner = aiohttp.web.AppRunner(program)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    aiohttp_port = runner.addresses[0][1]
    print("tornado", tornado.version, "aiohttp", aiohttp.__version__)
    for name, body in BODIES.items():
        url = f"http://127.0.0.1:{port_of(origin)}/{name}"
        servers = await status_of(tornado_port, body), await status_of(aiohttp_port, body)
        clients = await of_tornado(url), await of_aiohttp(url)
        print(f"{name}: servers {servers}, clients {clients}")

asyncio.run(main())
PY
seen=$(venv/bin/python both.py 2>/dev/null)
echo "$seen"
diff <(tail -n +2 <<<"$seen") - <<'SEEN' || { echo CHANGED; exit 1; }
plain: servers ('200', '200'), clients ('200', '200')
extension: servers ('400', '200'), clients ('Connection closed', '200')
trailer: servers ('400', '200'), clients ('Connection closed', '200')
SEEN
echo 'as described'
