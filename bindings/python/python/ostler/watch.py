"""Noticing that files change, in development."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .running import Settings

# uvicorn's.
INCLUDED = ["*.py"]
EXCLUDED = [".*", ".py[cod]", ".sw.*", "~*"]


def watch(settings: Settings) -> Iterator[list[str]]:
    """Gives the names of files that have changed, again and again; none when none has."""
    folders = [Path(folder) for folder in settings.reload_dirs or [os.getcwd()]]
    included = [*INCLUDED, *settings.reload_includes]
    excluded = [*EXCLUDED, *settings.reload_excludes]

    def matters(path: Path) -> bool:
        return is_named(path, included) and not is_named(path, excluded)

    try:
        import watchfiles
    except ImportError:
        return watch_by_looking(folders, matters, settings.reload_delay)
    changes = watchfiles.watch(
        *folders,
        watch_filter=lambda _, path: matters(Path(path)),
        rust_timeout=int(settings.reload_delay * 1000),
        yield_on_timeout=True,
    )
    return ([shown(Path(path)) for _, path in found] for found in changes)


def is_named(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(path.name, pattern) or path.match(pattern) for pattern in patterns)


def watch_by_looking(folders, matters, delay: float) -> Iterator[list[str]]:
    """The same by looking at every file's time."""
    known: dict[Path, float] | None = None
    while True:
        times: dict[Path, float] = {}
        for path in (path for folder in folders for path in folder.rglob("*")):
            if matters(path):
                try:
                    times[path] = path.stat().st_mtime
                except OSError:
                    continue
        before = times if known is None else known
        changed = {path for path, _ in before.items() ^ times.items()}
        known = times
        yield [shown(path) for path in sorted(changed)]
        time.sleep(delay)


def shown(path: Path) -> str:
    try:
        return str(path.relative_to(os.getcwd()))
    except ValueError:
        return str(path)
