"""How a queue is opened, and how an application is served behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["create", "attach", "create-or-attach"]
Interface = Literal["auto", "asgi3", "wsgi"]
Verbosity = Literal["basic", "limited", "full"]


@dataclass
class QueueOptions:
    """How a queue is opened. What is `None` has the target library's default."""

    # Whether to make the queue, join it, or either.
    mode: Mode = "create-or-attach"
    # What a front's destination names as its address; `http://*:80/` without any.
    url_prefixes: list[str] = field(default_factory=list)
    # A text for people, shown by `ostler queues`.
    label: str | None = None
    # Most requests that may wait in the front.
    limit: int | None = None
    # What a client sees when the queue is full.
    verbosity: Verbosity | None = None
    # Seconds that a request may wait for an instance.
    wait_timeout: float | None = None
    # Permissions of the queue's folder.
    permissions: int | None = None
    # The runtime folder, instead of the one that `$OSTLER_RUNTIME_DIR` or the system says.
    runtime_dir: str | None = None
    # Leaves the queue in place after a clean stop, so that requests wait for the next instance.
    keep_queue: bool = False
    # Users, by number, whose fronts may connect, besides root, one's own and the runtime folder's owner.
    trust_fronts: list[int] = field(default_factory=list)
    # Seconds that a client may send no byte of a body, may take for the rest of one that was not read, and may
    # take no byte of the response.
    body_timeout: float | None = None
    drain_timeout: float | None = None
    send_timeout: float | None = None


@dataclass
class ServeOptions:
    """How an application is served."""

    # Where the application is mounted: `root_path` of ASGI, `SCRIPT_NAME` of WSGI.
    root_path: str = ""
    # Fields of every response that does not have them.
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    # Most requests that are answered at a time; more are a 503.
    limit_concurrency: int | None = None
    # Stops after so many requests.
    limit_max_requests: int | None = None
    # Seconds that what has begun may take once the server stops; without, any time.
    timeout_graceful_shutdown: float | None = None
    # Logs each request.
    access_log: bool = False
    # Whether the application is told of start and stop: "auto" tries.
    lifespan: Literal["auto", "on", "off"] = "auto"
    # Threads that run a WSGI application.
    threads: int = 8
    # Other processes serve the same application.
    multiprocess: bool = False
    # Most bytes of a WebSocket's message.
    ws_max_size: int = 16 * 1024 * 1024
    # Seconds between signs of life that a WebSocket's client is asked for, and those it may take to give one.
    ws_ping_interval: float | None = 20.0
    ws_ping_timeout: float | None = 20.0
