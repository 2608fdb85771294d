"""Finding the application."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import reduce
from typing import Any

from .options import Interface


class ImportFailed(Exception):
    """The application cannot be found."""


def load(app: str, factory: bool = False) -> Any:
    """The application that `module:attribute` names."""
    module_name, _, attributes = app.partition(":")
    if not module_name or not attributes:
        raise ImportFailed(f"{app!r} has not the form <module>:<attribute>")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # An import that fails inside the module is the module's to explain.
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise
        raise ImportFailed(f"there is no module {module_name!r} in {sys.path}") from None
    try:
        found: Any = reduce(getattr, attributes.split("."), module)
    except AttributeError:
        raise ImportFailed(f"the module {module_name!r} has no {attributes!r}") from None
    return found() if factory else found


def interface_of(app: Callable[..., Any]) -> Interface:
    """Whether an application speaks ASGI or WSGI: it is called with three arguments, or with two."""
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        return "asgi3"
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return "wsgi"
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return "asgi3" if len(required) == 3 else "wsgi"
