"""Answering the requests of a queue with a WSGI application."""

from __future__ import annotations

import io
import itertools
import logging
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any

from ._ostler import ClientDisconnected, HttpExchange, Server
from .log import AccessLog
from .options import ServeOptions

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logger = logging.getLogger("ostler.error")

# Bytes of a body without a length that are kept in memory; more go to a temporary file.
IN_MEMORY = 1024 * 1024


class WsgiServer:
    """Serves a queue on threads."""

    def __init__(self, server: Server, app: WsgiApplication, options: ServeOptions) -> None:
        self._server = server
        self._app = app
        self._options = options
        self._begun = itertools.count(1)
        self._access = AccessLog() if options.access_log else None

    def serve(self) -> None:
        """Answers requests until the queue is stopped and everything begun is answered."""
        self._server.serve_wsgi(self._options)
        threads = [
            threading.Thread(target=self._work, name=f"ostler-{number}", daemon=True)
            for number in range(self._options.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._server.join()
        _, reason = self._server.ended()
        if reason is not None:
            raise RuntimeError(f"the queue cannot be served any more: {reason}")

    def _work(self) -> None:
        while (request := self._server.next()) is not None:
            self._answer(*request)
            if next(self._begun) == self._options.limit_max_requests:
                limit = self._options.limit_max_requests
                logger.warning("The limit of %d requests is reached.", limit)
                self._server.stop()

    def _answer(self, environ: dict[str, Any], exchange: HttpExchange) -> None:
        response = Response(exchange)
        try:
            environ["wsgi.input"] = request_body(environ, exchange)
            environ["wsgi.input_terminated"] = True
            environ["wsgi.errors"] = sys.stderr
            environ["wsgi.file_wrapper"] = FileWrapper
            result = self._app(environ, response.start)
            try:
                response.send(result)
            finally:
                # "However the request ends" (PEP 3333): transactions and files hang on it.
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except ClientDisconnected as error:
            logger.debug("The client is gone.", exc_info=error)
            exchange.fail()
        except Exception as error:
            if isinstance(error.__context__ or error.__cause__, ClientDisconnected):
                logger.debug("The client is gone.", exc_info=error)
            else:
                logger.error("The WSGI application failed.", exc_info=error)
            exchange.fail()
        except BaseException as error:
            logger.error("The WSGI application ends its thread; it goes on.", exc_info=error)
            exchange.fail()
        if self._access is not None:
            client = f"{environ['REMOTE_ADDR']}:{environ.get('REMOTE_PORT', '')}"
            protocol = environ["SERVER_PROTOCOL"]
            request = f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']} {protocol}"
            self._access.line(client, request, response.status)


class Response:
    """The response of a WSGI application, sent as it gives it."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._is_sent = False
        self.status: int | None = None

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """What PEP 3333 calls `start_response`."""
        if exc_info is not None:
            try:
                if self._is_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise RuntimeError("the response has been started")
        self.status = int(status[:3])
        self._head = (self.status, list(headers))
        return self._write

    def send(self, result: Iterable[bytes]) -> None:
        """Sends what the application has returned, and with it the end of the response."""
        if isinstance(result, FileWrapper) and not self._is_sent and self._send_file(result):
            return
        if isinstance(result, (list, tuple)) and len(result) == 1 and not self._is_sent:
            # Its length is known: head, length and body leave together.
            self._begin()
            self._exchange.write(result[0], False)
            return
        for piece in result:
            if piece:
                self._write(piece)
        if not self._is_sent:
            self._begin()
        self._exchange.write(b"", False)

    def _write(self, piece: bytes) -> None:
        if not self._is_sent:
            self._begin()
        self._exchange.write(piece, True)

    def _begin(self) -> None:
        if self._head is None:
            raise RuntimeError("the application has not called start_response")
        self._is_sent = True
        self._exchange.start(*self._head)

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Has a file of the file system sent without Python; false when it is none."""
        try:
            descriptor, offset = wrapper.file.fileno(), wrapper.file.tell()
        except (AttributeError, OSError):
            return False
        self._begin()
        _, headers = self._head or (0, [])
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        # Opened anew, so that it may be closed here.
        path = f"/proc/self/fd/{descriptor}"
        self._exchange.file(path, offset, lengths[0] if lengths else None)
        return True


class FileWrapper:
    """A file that is a response: `wsgi.file_wrapper`."""

    def __init__(self, file: IO[bytes], block_size: int = 64 * 1024) -> None:
        self.file = file
        self._block_size = block_size
        close = getattr(file, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        data = self.file.read(self._block_size)
        if not data:
            raise StopIteration
        return data


def request_body(environ: dict[str, Any], exchange: HttpExchange) -> IO[bytes]:
    """The body of a request, which has a length for the application even where the client gave none."""
    if exchange.has_whole_body():
        data = exchange.read()
        if data:
            environ["CONTENT_LENGTH"] = str(len(data))
        return io.BytesIO(data)
    if "CONTENT_LENGTH" in environ:
        return io.BufferedReader(RequestBody(exchange))
    spooled = tempfile.SpooledTemporaryFile(IN_MEMORY)
    while data := exchange.read():
        spooled.write(data)
    environ["CONTENT_LENGTH"] = str(spooled.tell())
    spooled.seek(0)
    return spooled


class RequestBody(io.RawIOBase):
    """The body of a request, read as it comes."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(self._exchange.read())
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
