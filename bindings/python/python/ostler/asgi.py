"""Answering the requests of a queue with an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._ostler import ClientDisconnected, HttpExchange, Server, WebSocket
from .log import AccessLog
from .options import ServeOptions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[Any]]

logger = logging.getLogger("ostler.error")

# Seconds that tasks which were cancelled may take to end.
LAST_WORDS = 1.0


class AsgiServer:
    """Serves a queue on the running event loop."""

    def __init__(self, server: Server, app: AsgiApplication, options: ServeOptions) -> None:
        self._server = server
        self._app = app
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0
        self._started = Started()
        self._access = AccessLog() if options.access_log else None

    async def serve(self, state: dict[str, Any] | None = None) -> None:
        """Answers requests until the queue is stopped and everything begun is answered."""
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str | None] = self._loop.create_future()
        self._started.loop = self._loop
        descriptor = self._server.fileno()
        self._server.serve_asgi(self._options, state)
        self._loop.add_reader(descriptor, self._take)
        try:
            reason = await asyncio.shield(self._ended)
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            await self._abandon()
            self._loop.remove_reader(descriptor)
            self._server.join()
        if reason is not None:
            raise RuntimeError(f"the queue cannot be served any more: {reason}")

    async def _abandon(self) -> None:
        """Ends what is still under way, if anything is."""
        if not self._ended.done():
            self._server.abort()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)

    def _take(self) -> None:
        """Begins to answer what has come."""
        loop, limit = self._loop, self._options.limit_concurrency
        for scope, exchange in self._server.take():
            if limit is not None and len(self._tasks) >= limit:
                refuse(exchange)
                continue
            if isinstance(exchange, HttpExchange):
                answer = self._answer(scope, exchange)
            else:
                answer = self._converse(scope, exchange)
            self._tasks.add(loop.create_task(answer))
            self._begun += 1
            if self._begun == self._options.limit_max_requests:
                logger.warning("The limit of %d requests is reached.", self._begun)
                self._server.stop()
        ended, reason = self._server.ended()
        if ended and not self._ended.done():
            self._ended.set_result(reason)

    async def _answer(self, scope: dict[str, Any], exchange: HttpExchange) -> None:
        channel = HttpChannel(exchange, self._started)
        try:
            result = await self._app(scope, channel.receive, channel.send)
        except BaseException as error:
            report(error)
            exchange.fail()
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        else:
            if result is not None:
                logger.error("An ASGI application returns None, and this one %r.", result)
            begun, whole, over = exchange.progress()
            if not whole:
                if not over:
                    done = "completing" if begun else "starting"
                    logger.error("The ASGI application returned without %s a response.", done)
                exchange.fail()
        finally:
            self._forget()
            if self._access is not None:
                self._access.log(scope, channel.status)

    async def _converse(self, scope: dict[str, Any], socket: WebSocket) -> None:
        channel = WebSocketChannel(socket, self._started)
        if self._access is not None:
            self._access.log(scope, None)
        try:
            await self._app(scope, channel.receive, channel.send)
        except BaseException as error:
            report(error)
            socket.finish(True)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        else:
            socket.finish(False)
        finally:
            self._forget()

    def _forget(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.discard(task)


def report(error: BaseException) -> None:
    """Logs that an application failed, unless it is that its client has gone."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ClientDisconnected):
            logger.debug("The client is gone.", exc_info=error)
            return
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, asyncio.CancelledError):
        logger.error("The ASGI application was cancelled, since the server stops.")
    else:
        logger.error("The ASGI application failed.", exc_info=error)


def refuse(exchange: HttpExchange | WebSocket) -> None:
    """Answers that there is too much to do."""
    if isinstance(exchange, WebSocket):
        exchange.deny()
        exchange = exchange.exchange
    exchange.start(503, [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"1")])
    exchange.body(b"Service Unavailable", False)


class Started:
    """Responses that have begun in this turn of the event loop.

    A head goes out together with the first of the body, by one system call, if that comes in the same turn; else by
    itself, since the client of an event stream waits for it.
    """

    __slots__ = ("_exchanges", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._exchanges: list[HttpExchange] = []

    def add(self, exchange: HttpExchange) -> None:
        if not self._exchanges:
            self.loop.call_soon(self._flush)
        self._exchanges.append(exchange)

    def _flush(self) -> None:
        exchanges, self._exchanges = self._exchanges, []
        for exchange in exchanges:
            exchange.flush()


class HttpChannel:
    """How an application hears of a request, and answers it."""

    __slots__ = ("_exchange", "_started", "status")

    def __init__(self, exchange: HttpExchange, started: Started) -> None:
        self._exchange = exchange
        self._started = started
        self.status: int | None = None

    async def receive(self) -> Message:
        while (message := self._exchange.receive()) is None:
            future = self._started.loop.create_future()
            if self._exchange.wait_to_receive(future):
                await future
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            full = self._exchange.body(message.get("body", b""), message.get("more_body", False))
            if full:
                await self._drained()
        elif kind == "http.response.start":
            self.status = message["status"]
            trailers = message.get("trailers", False)
            self._exchange.start(message["status"], message.get("headers", ()), trailers)
            self._started.add(self._exchange)
        elif kind == "http.response.pathsend":
            self._exchange.file(message["path"])
        elif kind == "http.response.trailers":
            self._exchange.trailers(message.get("headers", ()), message.get("more_trailers", False))
        else:
            raise RuntimeError(f"an HTTP request is not answered by a message {kind!r}")

    async def _drained(self) -> None:
        future = self._started.loop.create_future()
        if self._exchange.wait_to_send(future):
            await future


class WebSocketChannel:
    """How an application speaks with a WebSocket's client."""

    __slots__ = ("_denial", "_socket", "_started")

    def __init__(self, socket: WebSocket, started: Started) -> None:
        self._socket = socket
        self._started = started
        self._denial: HttpChannel | None = None

    async def receive(self) -> Message:
        while (message := self._socket.receive()) is None:
            future = self._started.loop.create_future()
            if self._socket.wait_to_receive(future):
                await future
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            text = message.get("text")
            if self._socket.send(message["bytes"] if text is None else text):
                await self._drained()
        elif kind == "websocket.accept":
            self._socket.accept(message.get("subprotocol"), message.get("headers", ()))
        elif kind == "websocket.close":
            code = message.get("code")
            self._socket.close(1000 if code is None else code, message.get("reason") or "")
        elif kind == "websocket.http.response.start":
            self._socket.deny()
            self._denial = HttpChannel(self._socket.exchange, self._started)
            await self._denial.send({**message, "type": "http.response.start"})
        elif kind == "websocket.http.response.body" and self._denial is not None:
            await self._denial.send({**message, "type": "http.response.body"})
        else:
            raise RuntimeError(f"a WebSocket is not spoken to by a message {kind!r}")

    async def _drained(self) -> None:
        future = self._started.loop.create_future()
        if self._socket.wait_to_send(future):
            await future
