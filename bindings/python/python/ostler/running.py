"""Running an application: alone, as one of several processes, or in development."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from . import log
from ._ostler import QueueError
from .lifespan import Lifespan, LifespanFailed
from .loading import ImportFailed, interface_of, load
from .options import Interface, QueueOptions, ServeOptions
from .queue import Queue

logger = logging.getLogger("ostler.error")

# What stops a process that somebody has started; one that a supervisor has started stops when that says so.
STOPPING = (signal.SIGTERM, signal.SIGINT)

# The status of a process that did not come to serve, as uvicorn's.
STARTUP_FAILURE = 3


@dataclass
class Settings:
    """Everything that a process has to know to serve an application."""

    app: str
    queue: str
    factory: bool = False
    app_dir: str | None = None
    interface: Interface = "auto"
    loop: str = "auto"
    env_file: str | None = None
    log_level: str = "info"
    log_config: str | None = None
    workers: int = 1
    reload: bool = False
    reload_dirs: list[str] = field(default_factory=list)
    reload_includes: list[str] = field(default_factory=list)
    reload_excludes: list[str] = field(default_factory=list)
    reload_delay: float = 0.25
    queue_options: QueueOptions = field(default_factory=QueueOptions)
    serve_options: ServeOptions = field(default_factory=ServeOptions)

    def to_json(self) -> str:
        values = asdict(self)
        headers = values["serve_options"]["headers"]
        text = [[part.decode("latin-1") for part in header] for header in headers]
        values["serve_options"]["headers"] = text
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        values = json.loads(text)
        queue = QueueOptions(**values.pop("queue_options"))
        serve = values.pop("serve_options")
        headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in serve.pop("headers")]
        options = ServeOptions(**serve, headers=headers)
        return cls(**values, queue_options=queue, serve_options=options)


def run(app: str, queue: str, **settings: Any) -> int:
    """Serves the application that `module:attribute` names until told to stop; returns an exit status.

    What `python -m ostler` takes as options are keywords here: those of `Settings`.
    """
    return run_settings(Settings(app, queue, **settings))


def run_settings(settings: Settings) -> int:
    """Serves an application in this process, or in several that this one looks after."""
    if settings.reload or settings.workers > 1:
        from .supervisor import Supervisor

        log.configure(settings.log_level, settings.log_config)
        settings.serve_options.multiprocess = settings.workers > 1
        return Supervisor(settings).run()
    return run_worker(settings, lambda: None)


def run_worker(
    settings: Settings,
    ready: Callable[[], None],
    stopping: Sequence[signal.Signals] = STOPPING,
) -> int:
    """Serves an application in this process; `ready` is called once it does."""
    log.configure(settings.log_level, settings.log_config)
    if settings.env_file is not None:
        from dotenv import load_dotenv

        load_dotenv(settings.env_file)
    sys.path.insert(0, settings.app_dir or os.getcwd())
    if not settings.queue_options.label:
        settings.queue_options.label = settings.app
    try:
        app = load(settings.app, settings.factory)
        interface = settings.interface
        if interface == "auto":
            interface = interface_of(app)
        run_interface = run_asgi if interface == "asgi3" else run_wsgi
        run_interface(settings, app, ready, stopping)
    except (ImportFailed, LifespanFailed, QueueError) as error:
        logger.error("%s", error, exc_info=error.__cause__)
        return STARTUP_FAILURE
    return 0


def run_asgi(
    settings: Settings,
    app: Any,
    ready: Callable[[], None],
    stopping: Sequence[signal.Signals],
) -> None:
    loop = loop_factory(settings.loop)()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(serve_asgi(settings, app, ready, stopping))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


async def serve_asgi(
    settings: Settings,
    app: Any,
    ready: Callable[[], None],
    stopping: Sequence[signal.Signals],
) -> None:
    options = settings.serve_options
    lifespan = Lifespan(app, options.lifespan)
    await lifespan.start()
    try:
        # Only now, so that no request comes before the application is ready.
        queue = Queue(settings.queue, options=settings.queue_options)
        loop = asyncio.get_running_loop()
        serving = loop.create_task(queue.serve(app, options, lifespan.state))
        stop = stopper(queue, options, loop.call_later, serving.cancel)
        for number in stopping:
            loop.add_signal_handler(number, stop)
        announce(settings)
        ready()
        try:
            await serving
        except asyncio.CancelledError:
            logger.error("Stopped before everything was answered.")
    finally:
        await lifespan.stop()


def run_wsgi(
    settings: Settings,
    app: Any,
    ready: Callable[[], None],
    stopping: Sequence[signal.Signals],
) -> None:
    options = settings.serve_options
    queue = Queue(settings.queue, options=settings.queue_options)

    def abort() -> None:
        # Threads that run an application cannot be ended: the process is.
        queue.abort()
        logger.error("Stopped before everything was answered.")
        logging.shutdown()
        os._exit(0)

    def later(seconds: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        timer.start()

    stop = stopper(queue, options, later, abort)
    for number in stopping:
        signal.signal(number, lambda *_: stop())
    announce(settings)
    ready()
    queue.serve_wsgi(app, options)


def stopper(
    queue: Queue,
    options: ServeOptions,
    later: Callable[[float, Callable[[], Any]], Any],
    abort: Callable[[], Any],
) -> Callable[[], None]:
    """What a signal does: stops; a second one, or the time-out, aborts."""
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if stopping:
            abort()
            return
        stopping = True
        logger.info("Stopping: what has begun is finished.")
        queue.stop()
        if options.timeout_graceful_shutdown is not None:
            later(options.timeout_graceful_shutdown, abort)

    return stop


def announce(settings: Settings) -> None:
    logger.info("Serving %s on the request queue %r [%d]", settings.app, settings.queue, os.getpid())


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop; "auto" is uvloop where it is installed."""
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise ImportFailed("uvloop is not installed") from None
        else:
            return uvloop.new_event_loop
    if name in ("auto", "asyncio"):
        return asyncio.new_event_loop
    return load(name)
