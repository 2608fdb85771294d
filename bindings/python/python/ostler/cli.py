"""The command `ostler-serve`, which is `python -m ostler`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from .options import QueueOptions, ServeOptions
from .running import Settings, run_settings
from .supervisor import run_if_worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    status = run_if_worker()
    if status is not None:
        return status
    return run_settings(settings_of(parser().parse_args(arguments)))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ostler-serve",
        description="Serves an ASGI or WSGI application on a request queue. Options that uvicorn has, too, mean"
        " what they mean there.",
    )
    parser.add_argument("app", help="the application, as <module>:<attribute>")
    parser.add_argument("--version", action="version", version=version("ostler"))
    add_queue(parser.add_argument_group("the queue"))
    add_application(parser.add_argument_group("the application"))
    add_processes(parser.add_argument_group("processes"))
    add_limits(parser.add_argument_group("limits"))
    add_log(parser.add_argument_group("log"))
    return parser


def add_queue(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--queue", required=True, metavar="NAME", help="the request queue to serve")
    group.add_argument(
        "--url-prefix",
        dest="url_prefixes",
        action="append",
        default=[],
        metavar="PREFIX",
        help="what a front's destination names as its address (http://*:80/); may be repeated",
    )
    group.add_argument(
        "--mode",
        choices=["create", "attach", "create-or-attach"],
        default="create-or-attach",
        help="whether to make the queue, join it, or either (create-or-attach)",
    )
    group.add_argument("--label", metavar="TEXT", help="what `ostler queues` shows (the application)")
    group.add_argument("--queue-limit", type=int, metavar="N", help="requests that may wait (1000)")
    group.add_argument(
        "--queue-verbosity",
        choices=["basic", "limited", "full"],
        help="what clients see when the queue is full: a reset, a 503, a 503 that says why (basic)",
    )
    group.add_argument(
        "--queue-wait-timeout", type=float, metavar="SECONDS", help="how long requests may wait (120)"
    )
    group.add_argument(
        "--queue-permissions", type=octal, metavar="MODE", help="of the queue's folder (750)"
    )
    group.add_argument(
        "--keep-queue", action="store_true", help="leave the queue in place after a clean stop"
    )
    group.add_argument(
        "--trust-front", type=int, action="append", default=[], metavar="UID", help="a front's user"
    )
    group.add_argument(
        "--runtime-dir", metavar="PATH", help="the runtime folder ($OSTLER_RUNTIME_DIR)"
    )


def add_application(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--interface", choices=["auto", "asgi3", "wsgi"], default="auto")
    group.add_argument(
        "--factory", action="store_true", help="the attribute is called to get the application"
    )
    group.add_argument("--app-dir", metavar="PATH", help="where modules are looked for (.)")
    group.add_argument(
        "--loop", default="auto", metavar="LOOP", help="auto, asyncio, uvloop, or <module>:<factory>"
    )
    group.add_argument("--lifespan", choices=["auto", "on", "off"], default="auto")
    group.add_argument("--root-path", default="", metavar="PATH", help="where it is mounted")
    group.add_argument(
        "--header",
        dest="headers",
        type=header,
        action="append",
        default=[],
        metavar="NAME:VALUE",
        help="a field of every response that does not have it; may be repeated",
    )
    group.add_argument("--env-file", metavar="PATH", help="sets environment variables (python-dotenv)")
    group.add_argument("--ws-max-size", type=int, default=ServeOptions.ws_max_size, metavar="BYTES")
    group.add_argument(
        "--ws-ping-interval", type=seconds, default=ServeOptions.ws_ping_interval, metavar="SECONDS"
    )
    group.add_argument(
        "--ws-ping-timeout", type=seconds, default=ServeOptions.ws_ping_timeout, metavar="SECONDS"
    )


def add_processes(group: argparse._ArgumentGroup) -> None:
    default = int(os.environ.get("WEB_CONCURRENCY", "1"))
    group.add_argument("--workers", type=positive, default=default, help="processes ($WEB_CONCURRENCY, 1)")
    group.add_argument(
        "--threads", type=positive, default=ServeOptions.threads, help="of a process, for WSGI (8)"
    )
    group.add_argument("--reload", action="store_true", help="start anew when files change")
    for name, text in [
        ("dir", "a folder to watch (.)"),
        ("include", "a pattern of files to watch (*.py)"),
        ("exclude", "a pattern of files not to watch"),
    ]:
        group.add_argument(
            f"--reload-{name}", dest=f"reload_{name}s", action="append", default=[], help=text
        )
    group.add_argument("--reload-delay", type=float, default=0.25, metavar="SECONDS")


def add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--limit-concurrency", type=positive, metavar="N", help="ASGI: requests at a time; more are a 503"
    )
    group.add_argument("--limit-max-requests", type=positive, metavar="N", help="stop after so many")
    group.add_argument(
        "--timeout-graceful-shutdown",
        type=float,
        metavar="SECONDS",
        help="how long what has begun may take once it stops (any time)",
    )
    group.add_argument("--body-timeout", type=float, metavar="SECONDS", help="for a body's next byte (120)")
    group.add_argument(
        "--drain-timeout", type=float, metavar="SECONDS", help="for a body that was not read (120)"
    )
    group.add_argument(
        "--send-timeout", type=float, metavar="SECONDS", help="for a client to take a byte (120)"
    )


def add_log(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--log-level", choices=["critical", "error", "warning", "info", "debug"], default="info"
    )
    group.add_argument("--log-config", metavar="PATH", help="a file for Python's logging")
    group.add_argument(
        "--access-log",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="log requests here, besides the front's log",
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    queue = QueueOptions(
        mode=arguments.mode,
        url_prefixes=arguments.url_prefixes,
        label=arguments.label,
        limit=arguments.queue_limit,
        verbosity=arguments.queue_verbosity,
        wait_timeout=arguments.queue_wait_timeout,
        permissions=arguments.queue_permissions,
        runtime_dir=arguments.runtime_dir,
        keep_queue=arguments.keep_queue,
        trust_fronts=arguments.trust_front,
        body_timeout=arguments.body_timeout,
        drain_timeout=arguments.drain_timeout,
        send_timeout=arguments.send_timeout,
    )
    serve = ServeOptions(
        **{
            name: getattr(arguments, name)
            for name in ServeOptions.__dataclass_fields__
            if name != "multiprocess"
        }
    )
    named = {
        name: getattr(arguments, name)
        for name in Settings.__dataclass_fields__
        if name not in ("queue_options", "serve_options")
    }
    return Settings(**named, queue_options=queue, serve_options=serve)


def header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not name or not colon:
        raise argparse.ArgumentTypeError(f"{text!r} has not the form NAME:VALUE")
    return name.strip().encode("latin-1"), value.strip().encode("latin-1")


def seconds(text: str) -> float | None:
    value = float(text)
    return value if value > 0 else None


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than one")
    return value


def octal(text: str) -> int:
    return int(text, 8)


if __name__ == "__main__":
    sys.exit(main())
