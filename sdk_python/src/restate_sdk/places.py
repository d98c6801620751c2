"""Where in the user's code a handler is: read from the stack when a report needs it, and only then."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from types import FrameType

_NOT_THE_USERS = ("restate_sdk", "restate_protocol", "restate_client", "asyncio", "contextlib", "functools")
_MOST_FRAMES = 10


def place_in_handler() -> str:
    """The frames of the user's code that are executing, innermost first, one in a line: file, line and function.

    Once the handler has returned it has no frame: then where the handler is defined.
    """
    return "\n".join(_lines(sys._getframe(1)))


def _lines(innermost: FrameType) -> Iterator[str]:
    frame: FrameType | None = innermost
    found = 0
    while frame is not None and found < _MOST_FRAMES:
        if _is_drivers(frame):
            if not found:
                yield _definition(frame)
            return
        if not _is_ours(frame):
            called = "called " if found else ""
            yield f"{called}at {frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
            found += 1
        frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    module = frame.f_globals.get("__name__", "")
    return module.partition(".")[0] in _NOT_THE_USERS


def _is_drivers(frame: FrameType) -> bool:
    """Whether this is the frame below the handler's own: it knows the method that it calls."""
    return frame.f_globals.get("__name__") == "restate_sdk.driver" and "bound" in frame.f_locals


def _definition(frame: FrameType) -> str:
    method = frame.f_locals["bound"].method
    code = inspect.unwrap(getattr(method, "__func__", method)).__code__
    return f"after the end of {method.__qualname__}, at {code.co_filename}:{code.co_firstlineno}"
