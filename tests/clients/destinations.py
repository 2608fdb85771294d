"""Destinations for what the sample target does not do: ranges, trailers, a page, compressed sockets."""

import asyncio
import http.server
import queue
import threading
import urllib.parse

import websockets
import websockets.asyncio.server

RANGED = bytes(range(256)) * 4096


class Site(http.server.ThreadingHTTPServer):
    """An HTTP/1.1 server of files, ranges, trailers and events; takes the reports of a page."""

    daemon_threads = True

    def __init__(self, page: bytes):
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.page = page
        self.reports = queue.Queue()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class SiteHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A response in two segments would wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        name = urllib.parse.urlsplit(self.path).path.rsplit("/", 1)[-1]
        answer = getattr(self, f"answer_{name}", None)
        if answer:
            return answer()
        self.send_error(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Takes a page's report."""
        self.server.reports.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def answer_ranged(self) -> None:
        """A file that can be asked for in part."""
        start, end = 0, len(RANGED)
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else end
        if start >= len(RANGED):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(RANGED)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(RANGED)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(RANGED[start:end])

    def answer_trailers(self) -> None:
        """A chunked body with a trailer section."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Checksum")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n")

    def answer_events(self) -> None:
        """Three server-sent events, and the end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"id: {number}\ndata: event {number}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True

    def answer_page(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        self.wfile.write(self.server.page)

    def log_message(self, *_) -> None:
        pass


class Sockets:
    """A WebSocket server that compresses, sends everything back, and says why it closes."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        started = asyncio.run_coroutine_threadsafe(self._start(), self.loop)
        self.address = f"http://127.0.0.1:{started.result(10)}/"

    async def _start(self) -> int:
        server = await websockets.asyncio.server.serve(
            send_back, "127.0.0.1", 0, max_size=None, select_subprotocol=subprotocol
        )
        return server.sockets[0].getsockname()[1]


def subprotocol(_, offered: list[str]) -> str | None:
    return "echo.example" if "echo.example" in offered else None


async def send_back(socket: websockets.asyncio.server.ServerConnection) -> None:
    async for message in socket:
        if message == "extensions":
            await socket.send(socket.response.headers.get("Sec-WebSocket-Extensions", ""))
        elif message == "close":
            await socket.close(4001, "as asked")
        else:
            await socket.send(message)
