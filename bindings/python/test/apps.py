"""Applications in processes of their own, and what tests ask of them."""

import json
import os
import socket
import ssl
import sys
import time
from pathlib import Path

import httpx

from fronts import PATIENCE, Entry, Process

HERE = Path(__file__).resolve().parent


class App(Process):
    """`python -m ostler`, from its first request on."""

    program = [sys.executable, "-m", "ostler"]

    def __init__(self, runtime: Path, app: str, queue: str, *arguments: str, **environment: str):
        where = ["--app-dir", HERE / "programs"] if "--app-dir" not in arguments else []
        command = [app, "--queue", queue, *where, *arguments]
        super().__init__(runtime, *command, PYTHONUNBUFFERED="1", **environment)

    @property
    def pid(self) -> int:
        return self.process.pid

    def serving(self) -> list[int]:
        """The processes that have come to serve, in that order."""
        lines = [line for line in list(self.errors) if "Serving" in line]
        return [int(line.rsplit("[", 1)[1].rstrip("]")) for line in lines]

    def ready(self, processes: int = 1) -> "App":
        """Waits until so many processes serve."""
        eventually(lambda: len(self.serving()) >= processes or self.has_ended())
        assert self.process.poll() is None, "\n".join(self.errors)
        return self

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def said(self, text: str) -> bool:
        return any(text in line for line in list(self.errors))

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


def eventually(condition) -> None:
    """Waits until something is so."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.02)


def client(entry: Entry) -> httpx.Client:
    """A client that speaks what is spoken there, and nothing else."""
    return httpx.Client(
        base_url=entry.front.address,
        verify=ssl.create_default_context(cafile=entry.authority),
        http1=entry.version == "1.1",
        http2=entry.version == "2",
        timeout=PATIENCE,
    )


def events(web: httpx.Client, where: str) -> list:
    return json.loads(web.get(f"/{where}/events").content)


class Raw:
    """A connection over which a test says exactly what it wants."""

    def __init__(self, address: str, said: str | bytes = b"", receive_buffer: int | None = None):
        host, port = address.removeprefix("http://").split(":")
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, int(port)))
        self.send(said)

    def send(self, said: str | bytes) -> None:
        self.socket.sendall(said.encode() if isinstance(said, str) else said)

    def until(self, end: bytes) -> bytes:
        """What comes, up to a text."""
        got = b""
        while end not in got:
            data = self.socket.recv(64 * 1024)
            assert data, f"it ended with {got!r}"
            got += data
        return got

    def rest(self) -> bytes:
        """What comes until the end."""
        pieces = []
        while data := self.socket.recv(1024 * 1024):
            pieces.append(data)
        return b"".join(pieces)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def large_file(folder: Path) -> Path:
    """A file that is larger than what is read of it at a time."""
    path = folder / "large.bin"
    path.write_bytes(os.urandom(1024 * 1024 + 7))
    return path
