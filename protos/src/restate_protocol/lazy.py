"""Module attributes that are imported when somebody asks for them.

Generated `_restate` modules use it for their handler half, so that a caller needs no handler SDK.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def lazy_attributes(package: str | None, module: str, *names: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that takes these names from another module.

    Args:
        package: the `__package__` of the module that asks.
        module: where the names are, relative to the package (`.greeter_restate_handlers`).
        names: the names.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module.removesuffix('_handlers')!r} has no attribute {name!r}")
        return getattr(importlib.import_module(module, package), name)

    return get
