"""An open request queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._ostler import Server
from .asgi import AsgiApplication, AsgiServer
from .options import QueueOptions, ServeOptions
from .wsgi import WsgiApplication, WsgiServer


class Queue:
    """A request queue, open from its making on.

    `await queue.serve(app)` answers its requests with an ASGI application, on the running event loop;
    `queue.serve_wsgi(app)` with a WSGI application, on threads. Both end after `stop`, when everything that had
    begun is answered.
    """

    def __init__(
        self,
        name: str,
        url_prefixes: Sequence[str] = (),
        options: QueueOptions | None = None,
    ) -> None:
        options = options or QueueOptions()
        options.url_prefixes = [*options.url_prefixes, *url_prefixes]
        self._server = Server(name, options)

    @property
    def name(self) -> str:
        """The name as given."""
        return self._server.name

    @property
    def created(self) -> bool:
        """Whether this process made the queue rather than joined it."""
        return self._server.created

    def add_url_prefix(self, prefix: str) -> None:
        """Registers a further URL prefix; the next request can be delegated by it."""
        self._server.add_url_prefix(prefix)

    def remove_url_prefix(self, prefix: str) -> bool:
        """Removes a URL prefix; false when it was not registered."""
        return self._server.remove_url_prefix(prefix)

    async def serve(
        self,
        app: AsgiApplication,
        options: ServeOptions | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Answers requests with an ASGI application until stopped.

        The application is not told of start and stop: whoever calls this has started it. `state` is what
        `lifespan` has made of its state, if anything.
        """
        await AsgiServer(self._server, app, options or ServeOptions()).serve(state)

    def serve_wsgi(self, app: WsgiApplication, options: ServeOptions | None = None) -> None:
        """Answers requests with a WSGI application until stopped, from any thread."""
        WsgiServer(self._server, app, options or ServeOptions()).serve()

    def stop(self) -> None:
        """Leaves the queue: what has not begun goes back to the front, what has begun is finished."""
        self._server.stop()

    def abort(self) -> None:
        """Stops at once: connections of exchanges under way are closed."""
        self._server.abort()
