"""Logs."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from typing import Any
from urllib.parse import quote

LEVELS = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


class AccessLog:
    """A line for each request, as uvicorn writes it."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("ostler.access")

    def log(self, scope: dict[str, Any], status: int | None) -> None:
        """Logs a request; without a status it is a WebSocket's or has not been answered."""
        client = scope["client"]
        path = quote(scope["path"])
        if scope["query_string"]:
            path += "?" + scope["query_string"].decode("latin-1")
        self.line(
            f"{client[0]}:{client[1]}" if client else "",
            f"{scope.get('method', 'WebSocket')} {path} HTTP/{scope['http_version']}",
            status,
        )

    def line(self, client: str, request: str, status: int | str | None) -> None:
        self._logger.info('%s - "%s" %s', client, request, "-" if status is None else status)


def configure(level: str, config: str | None) -> None:
    """Sets logging up: by a file that is JSON, YAML or what `fileConfig` reads, if one is given."""
    if config is not None:
        configure_by(config)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)-8s %(message)s"))
        logger = logging.getLogger("ostler")
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("ostler").setLevel(LEVELS[level])


def configure_by(path: str) -> None:
    if path.endswith(".json"):
        with open(path) as file:
            logging.config.dictConfig(json.load(file))
    elif path.endswith((".yaml", ".yml")):
        import yaml  # Not a dependency: who has such a file has it.

        with open(path) as file:
            logging.config.dictConfig(yaml.safe_load(file))
    else:
        logging.config.fileConfig(path, disable_existing_loggers=False)
