"""Module attributes that are imported when somebody asks for them.

Generated `_restate` modules use it for their handler half, so that a caller needs no handler SDK.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

_SDK = "restate_sdk"


def lazy_attributes(importer: str, source: str, *names: str, own: Sequence[str] = ()) -> Callable[[str], Any]:
    """A module's `__getattr__` that takes these names from another module.

    It answers for `__all__` too, which Python asks for where somebody writes `from module import *`: the module's own
    names and, where the handler SDK is installed, these. So a star import gives a caller without the SDK what it can
    use, and nothing else loads the SDK. (An `__all__` with all names would make every star import need it.)

    Args:
        importer: the `__name__` of the module that asks.
        source: where the names are, relative to the importer's package (`.greeter_restate_handlers`).
        names: the names.
        own: what the module itself defines for others.
    """

    def get(name: str) -> Any:
        if name == "__all__":
            return [*own, *names] if importlib.util.find_spec(_SDK) is not None else list(own)
        if name not in names:
            raise AttributeError(f"module {importer!r} has no attribute {name!r}")
        return getattr(importlib.import_module(source, importer.rpartition(".")[0]), name)

    return get
