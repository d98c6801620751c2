"""What the result of a run may be: by its function's return annotation, or by `returns=`. Nothing is executed here."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from .values import Expected, expected

_UNKNOWN: Any = object()


def _plain(function: Callable[..., Any]) -> Any:
    """The function under partials and bound methods; an object's __call__ where it is an object."""
    if type(function) is types.FunctionType:
        return function
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    found = getattr(found, "__func__", found)
    if hasattr(found, "__annotations__") and not isinstance(found, type):
        return found
    return found if isinstance(found, type) else type(found).__call__


def expected_result(function: Callable[..., Any], returns: Any) -> Expected | None:
    """What the result of a function may be; None where nothing says it."""
    if returns is not None:
        return expected(returns)
    if type(function) is types.FunctionType:  # nearly always
        annotation = function.__annotations__.get("return", _UNKNOWN)
        if type(annotation) is str and function.__closure__ is None:
            annotation = _evaluated_texts.get((id(function.__globals__), annotation))
        if type(annotation) is type:
            return expected(annotation)
    annotation = _annotation(function)
    return None if annotation is _UNKNOWN else expected(annotation)


def _annotation(function: Callable[..., Any]) -> Any:
    plain = _plain(function)
    if isinstance(plain, type):
        return plain
    annotation = getattr(plain, "__annotations__", {}).get("return", _UNKNOWN)
    return _evaluated(plain, annotation) if isinstance(annotation, str) else annotation


#: Annotations left as text by `from __future__ import annotations`, by the identity of their module's names.
_evaluated_texts: dict[tuple[int, str], Any] = {}


def _evaluated(function: Any, text: str) -> Any:
    """What an annotation's text names; _UNKNOWN where it names nothing that exists at run time."""
    names: dict[str, Any] = getattr(function, "__globals__", {})
    if getattr(function, "__closure__", None):
        return _named(text, names, dict(inspect.getclosurevars(function).nonlocals))
    place = (id(names), text)
    if place not in _evaluated_texts:
        _evaluated_texts[place] = _named(text, names, {})
    return _evaluated_texts[place]


def _named(text: str, names: dict[str, Any], nonlocals: dict[str, Any]) -> Any:
    try:
        return eval(text, names, nonlocals)
    except Exception:
        return _UNKNOWN
