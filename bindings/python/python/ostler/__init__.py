"""Serve ASGI and WSGI applications behind an Ostler front, on the client's own socket.

    $ python -m ostler app:app --queue shop

does what `uvicorn app:app` or `gunicorn app:app` does, behind a request queue instead of a port. In a
program of one's own: `ostler.run("app:app", queue="shop")`, or `ostler.Queue`.
"""

from ._ostler import ClientDisconnected, QueueError
from .options import QueueOptions, ServeOptions
from .queue import Queue
from .running import run

__all__ = [
    "ClientDisconnected",
    "Queue",
    "QueueError",
    "QueueOptions",
    "ServeOptions",
    "run",
]
