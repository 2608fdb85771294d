"""Telling an ASGI application that it starts and that it stops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

from .asgi import AsgiApplication, Message

logger = logging.getLogger("ostler.error")


class LifespanFailed(Exception):
    """The application says that it cannot start."""


class Lifespan:
    """The application's life: entered when it has started, left when it has stopped."""

    def __init__(self, app: AsgiApplication, mode: Literal["auto", "on", "off"]) -> None:
        self._app = app
        self._mode = mode
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        # What the application keeps for its requests; `None` where it knows nothing of this.
        self.state: dict[str, Any] | None = None

    async def start(self) -> None:
        """Tells the application to start and waits until it has."""
        if self._mode == "off":
            return
        state: dict[str, Any] = {}
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": state,
        }
        self._task = asyncio.get_running_loop().create_task(self._run(scope))
        said = await self._tell("lifespan.startup")
        if said is None:
            error = self._task.exception()
            self._task = None
            if self._mode == "on" and error is not None:
                raise LifespanFailed("the application failed as it started") from error
            logger.debug("The application knows nothing of its lifespan.", exc_info=error)
            return
        if said["type"] == "lifespan.startup.failed":
            raise LifespanFailed(said.get("message") or "the application cannot start")
        self.state = state

    async def stop(self) -> bool:
        """Tells the application to stop and waits until it has; false when it failed."""
        if self._task is None or self._task.done():
            return True
        said = await self._tell("lifespan.shutdown")
        if said is None:
            logger.error("The application failed as it stopped.", exc_info=self._task.exception())
            return False
        if said["type"] == "lifespan.shutdown.failed":
            logger.error("The application failed as it stopped: %s", said.get("message", ""))
            return False
        return True

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._told.get, self._said.put)

    async def _tell(self, kind: str) -> Message | None:
        """Tells the application something and waits for what it says; `None` when it ends instead."""
        assert self._task is not None
        await self._told.put({"type": kind})
        said = asyncio.ensure_future(self._said.get())
        await asyncio.wait([said, self._task], return_when=asyncio.FIRST_COMPLETED)
        if said.done():
            return said.result()
        if not self._said.empty():
            said.cancel()
            return self._said.get_nowait()
        said.cancel()
        return None
