"""Module attributes that are imported when somebody asks for them.

Generated `_restate` modules use it for their handler half, so that a caller needs no handler SDK.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def lazy_attributes(importer: str, source: str, *names: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that takes these names from another module.

    Args:
        importer: the `__name__` of the module that asks.
        source: where the names are, relative to the importer's package (`.greeter_restate_handlers`).
        names: the names.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {importer!r} has no attribute {name!r}")
        return getattr(importlib.import_module(source, importer.rpartition(".")[0]), name)

    return get
