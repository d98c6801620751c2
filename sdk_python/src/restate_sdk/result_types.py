"""What the result of a run may be: by its function's return annotation, or by `returns=`. Nothing is executed here."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar, Union, get_args, get_origin

from restate_protocol import codec
from restate_protocol.journal import JSON

from . import values

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


def expected_types(function: Callable[..., Any], returns: type[Any] | None) -> dict[str, type[Any]] | None:
    """Tags that a result may have, each with its class; None where nothing is said."""
    annotation: Any = returns if returns is not None else _annotation(function)
    try:
        return _expected_of(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return _expected_of.__wrapped__(annotation)


@functools.lru_cache(maxsize=1024)
def _expected_of(annotation: Hashable) -> dict[str, type[Any]] | None:
    if annotation is _UNKNOWN:
        return None
    found: dict[str, type[Any]] = {}
    for one in _members(annotation):
        if one is None or one is type(None):
            found[JSON] = type(None)
        elif one is Any or one is object or isinstance(one, TypeVar):
            return None
        elif isinstance(one, type) and (one is bytes or codec.is_message(one)):
            found[values.tag_of(one)] = one
        else:
            found[JSON] = dict
    return found


def either(expected: dict[str, type[Any]]) -> str:
    """The tags, for people."""
    return " or ".join(sorted(expected))


def _members(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin in (Awaitable, Coroutine):
        return _members(get_args(annotation)[-1])
    if origin in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


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
