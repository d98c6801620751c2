"""How values of a Python type look in JSON, and back: dataclasses, named tuples, typed dicts, models, and containers.

A form is made from a type annotation, once for each. It converts between values and what the json module holds; types
that JSON holds as they are have no form. Pydantic models are known by their methods, so nothing here imports pydantic.
Whether a value survives the way there and back is for the caller to check, by comparing.
"""

from __future__ import annotations

import base64
import collections.abc as abc
import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

from restate_protocol import codec
from restate_protocol.immutable import immutable


class NoForm(Exception):
    """A value or a type that JSON cannot hold. The text says which, and what to do."""


@immutable
class Form:
    """How values of one type look in JSON.

    Args:
        fits: whether a value is of the type, as far as that can be told at a glance.
        write: what the json module writes for a value; raises NoForm, or what the type itself raises.
        read: the value; raises ValueError, TypeError or KeyError where the JSON is none.
    """

    fits: Callable[[Any], bool]
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


_SCALARS = (str, int, float, bool, type(None))
_PLAIN = (*_SCALARS, dict, list)
_ANY = (Any, object)


def form_of(annotation: Any) -> Form | None:
    """The form of a type; None where JSON holds its values as they are.

    Raises:
        NoForm: when it is used, not here: a type that JSON cannot hold.
    """
    try:
        return _cached(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return _form(annotation)


@functools.lru_cache(maxsize=1024)
def _cached(annotation: Any) -> Form | None:
    return _form(annotation)


def _form(annotation: Any) -> Form | None:
    if annotation is None or annotation in _PLAIN or annotation in _ANY or isinstance(annotation, TypeVar):
        return None
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in _WRAPPERS:
        return form_of(parts[0])
    if origin in (Union, types.UnionType):
        return _union(parts)
    if origin is Literal:
        return None if all(isinstance(one, _SCALARS) for one in parts) else _union(tuple(map(type, parts)))
    if isinstance(annotation, typing.NewType):
        return form_of(annotation.__supertype__)
    if isinstance(origin, type):
        return _container(origin, parts) if origin in _CONTAINERS else _class_form(origin, annotation)
    if annotation in _CONTAINERS:
        return _container(annotation, ())
    return _class_form(annotation, annotation) if isinstance(annotation, type) else _refusing(annotation)


_WRAPPERS = (typing.Annotated, typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)


# Classes


def _class_form(cls: type[Any], annotation: Any) -> Form | None:
    if cls in _WRITTEN_AS_TEXT:
        return _text_form(cls)
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    if codec.is_message(cls):
        return Form(_instance(cls), lambda m: json.loads(codec.to_json(m)), functools.partial(_read_message, cls))
    if hasattr(cls, "model_dump_json") and hasattr(cls, "model_validate_json"):
        return _model(annotation if isinstance(annotation, type) else cls)
    if dataclasses.is_dataclass(cls):
        return _Fields(cls, lambda: [one.name for one in dataclasses.fields(cls) if one.init]).form()
    if typing.is_typeddict(cls):
        return _TypedDict(cls).form()
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        named: Any = cls
        return _Fields(cls, lambda: list(named._fields)).form()
    return _refusing(annotation)


_WRITTEN_AS_TEXT: dict[type[Any], tuple[Callable[[Any], str], Callable[[Any], Any]]] = {
    bytes: (lambda data: base64.b64encode(data).decode(), lambda text: base64.b64decode(text, validate=True)),
    datetime: (datetime.isoformat, datetime.fromisoformat),
    date: (date.isoformat, date.fromisoformat),
    time: (time.isoformat, time.fromisoformat),
    Decimal: (str, Decimal),
    UUID: (str, UUID),
    timedelta: (lambda delta: f"{delta // timedelta(microseconds=1)}us", lambda text: _microseconds(text)),
}


def _microseconds(text: str) -> timedelta:
    return timedelta(microseconds=int(text.removesuffix("us")))


def _text_form(cls: type[Any]) -> Form:
    write, read = _WRITTEN_AS_TEXT[cls]
    exactly = (lambda value: type(value) is date) if cls is date else _instance(cls)  # a datetime is a date too
    return Form(exactly, write, lambda text: read(_checked(text, str)))


def _enum(cls: type[enum.Enum]) -> Form:
    by_value = all(isinstance(one.value, _SCALARS) for one in cls)
    if by_value:
        return Form(_instance(cls), lambda one: one.value, cls)
    return Form(_instance(cls), lambda one: one.name, lambda name: cls[name])


def _read_message(cls: type[Any], data: Any) -> Any:
    return codec.from_json(cls, json.dumps(data))


def _model(cls: Any) -> Form:
    return Form(
        _instance(cls),
        lambda model: json.loads(model.model_dump_json(by_alias=True)),
        lambda data: cls.model_validate_json(json.dumps(data)),
    )


def _instance(cls: type[Any]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, cls)


def _refusing(annotation: Any) -> Form:
    name = getattr(annotation, "__qualname__", None) or str(annotation)

    def refuse(_: Any) -> Any:
        raise NoForm(
            f"{name} is none of the types that can be journaled: messages, bytes, what JSON holds, dataclasses, named"
            " tuples, typed dicts, enums, dates, decimals, UUIDs, pydantic models, and lists, tuples, sets, dicts and"
            " unions of them. Use one of these, or pass serde="
        )

    fits = _instance(annotation) if isinstance(annotation, type) else (lambda _: True)
    return Form(fits, refuse, refuse)


class _Fields:
    """A class with named fields, as a JSON object. Types of fields are looked up at first use: they may be recursive.

    Args:
        cls: a dataclass or a named tuple.
        names: gives the names of the fields that its constructor takes.
    """

    def __init__(self, cls: type[Any], names: Callable[[], list[str]]) -> None:
        self._cls = cls
        self._names = names

    @functools.cached_property
    def _forms(self) -> dict[str, Form | None]:
        hints = _hints(self._cls)
        return {name: form_of(hints.get(name, Any)) for name in self._names()}

    def form(self) -> Form:
        return Form(_instance(self._cls), self._write, self._read)

    def _write(self, value: Any) -> Any:
        return {name: _write(form, getattr(value, name)) for name, form in self._forms.items()}

    def _read(self, data: Any) -> Any:
        _checked(data, dict)
        return self._cls(**{name: _read(form, data[name]) for name, form in self._forms.items() if name in data})


class _TypedDict:
    """A typed dict, as a JSON object."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    @functools.cached_property
    def _forms(self) -> dict[str, Form | None]:
        return {name: form_of(hint) for name, hint in _hints(self._cls).items()}

    @functools.cached_property
    def _required(self) -> frozenset[str]:
        """Python itself does not see NotRequired in annotations that are still text."""
        optional = {name for name, hint in _hints(self._cls).items() if get_origin(hint) is typing.NotRequired}
        return frozenset(self._cls.__required_keys__ - optional)

    def form(self) -> Form:
        return Form(self._fits, self._write, self._read)

    def _fits(self, value: Any) -> bool:
        return isinstance(value, dict) and self._required <= value.keys() <= self._forms.keys()

    def _write(self, value: Any) -> Any:
        if not self._fits(value):
            raise NoForm(f"its keys are not those of {self._cls.__qualname__}")
        return {name: _write(self._forms[name], one) for name, one in value.items()}

    def _read(self, data: Any) -> Any:
        _checked(data, dict)
        missing = self._required - data.keys()
        if missing:
            raise ValueError(f"{self._cls.__qualname__} needs {', '.join(sorted(missing))}")
        return {name: _read(self._forms.get(name), one) for name, one in data.items()}


def _hints(cls: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise NoForm(
            f"a type that {cls.__qualname__} names cannot be found: {error}. Define it at the top of the module, or"
            " pass serde="
        ) from error


# Containers


_LISTS: tuple[Any, ...] = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS: tuple[Any, ...] = (set, frozenset, abc.Set, abc.MutableSet)
_DICTS: tuple[Any, ...] = (dict, abc.Mapping, abc.MutableMapping)
_CONTAINERS: tuple[Any, ...] = (*_LISTS, *_SETS, *_DICTS, tuple)


def _container(origin: type[Any], parts: tuple[Any, ...]) -> Form | None:
    """The form of list[T], dict[K, V], tuple[...] and such; None where JSON holds it as it is."""
    if origin in _LISTS:
        return _list(parts)
    if origin in _SETS:
        return _set(origin, parts)
    return _tuple(parts) if origin is tuple else _dict(parts)


def _list(parts: tuple[Any, ...]) -> Form | None:
    item = form_of(parts[0]) if parts else None
    if item is None:
        return None
    return Form(
        _instance(list),
        lambda values: [item.write(one) for one in _checked_to_write(values, list)],
        lambda data: [item.read(one) for one in _checked(data, list)],
    )


def _set(origin: type[Any], parts: tuple[Any, ...]) -> Form:
    """Sorted, where the items can be: equal sets should be equal bytes."""
    item = form_of(parts[0]) if parts else None
    make = frozenset if origin is frozenset else set

    def write(values: Any) -> Any:
        written = [_write(item, one) for one in _checked_to_write(values, make)]
        return sorted(written, key=lambda one: json.dumps(one, sort_keys=True))

    return Form(_instance(make), write, lambda data: make(_read(item, one) for one in _checked(data, list)))


def _tuple(parts: tuple[Any, ...]) -> Form:
    if not parts or (len(parts) == 2 and parts[1] is ...):
        item = form_of(parts[0]) if parts else None
        return Form(
            _instance(tuple),
            lambda values: [_write(item, one) for one in _checked_to_write(values, tuple)],
            lambda data: tuple(_read(item, one) for one in _checked(data, list)),
        )
    forms = [form_of(one) for one in parts if one != ()]

    def fits(value: Any) -> bool:
        return isinstance(value, tuple) and len(value) == len(forms)

    def write(values: Any) -> Any:
        return [_write(form, one) for form, one in zip(forms, _checked_to_write(values, tuple), strict=True)]

    def read(data: Any) -> Any:
        return tuple(_read(form, one) for form, one in zip(forms, _checked(data, list), strict=True))

    return Form(fits, write, read)


def _dict(parts: tuple[Any, ...]) -> Form | None:
    key, value = (parts[0], form_of(parts[1])) if len(parts) == 2 else (str, None)
    plain_key = key is str or key in _ANY or isinstance(key, TypeVar)
    if plain_key and value is None:
        return None
    write_key, read_key = _key(key)
    return Form(
        _instance(dict),
        lambda values: {write_key(k): _write(value, v) for k, v in _checked_to_write(values, dict).items()},
        lambda data: {read_key(k): _read(value, v) for k, v in _checked(data, dict).items()},
    )


def _key(key: Any) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    """Keys of JSON objects are text; numbers and what is written as text can be keys too."""
    if key is int:
        return str, int
    form = form_of(key)
    if form is None:
        return (lambda one: one), (lambda text: text)
    return (lambda one: str(form.write(one))), form.read


# Unions


def _union(parts: tuple[Any, ...]) -> Form | None:
    forms = [form_of(one) for one in parts]
    if all(form is None for form in forms):
        return None
    members = [form or _plain_form(part) for form, part in zip(forms, parts, strict=True)]
    return Form(
        lambda value: any(one.fits(value) for one in members),
        functools.partial(_write_union, members),
        functools.partial(_read_union, members),
    )


def _plain_form(part: Any) -> Form:
    """The form of a union's member that JSON holds as it is."""
    cls = type(None) if part is None else get_origin(part) or part
    if part in _ANY or not isinstance(cls, type):
        return Form(lambda _: True, lambda value: value, lambda data: data)
    classes = (int, float) if cls is float else cls

    def fits(value: Any) -> bool:
        return isinstance(value, classes) and (cls is bool or not isinstance(value, bool))

    def read(data: Any) -> Any:
        if not fits(data):
            raise ValueError(f"it is not {cls.__name__}")
        return data

    return Form(fits, lambda value: value, read)


def _write_union(members: list[Form], value: Any) -> Any:
    for form in members:
        if form.fits(value):
            return form.write(value)
    raise NoForm(f"a {type(value).__qualname__} is none of the types that the annotation names")


def _read_union(members: list[Form], data: Any) -> Any:
    """The first member that reads it and writes the same again; else the first that reads it."""
    found: list[Any] = []
    for form in members:
        try:
            value = form.read(data)
        except Exception:  # whatever a constructor or a model raises: it is another member
            continue
        if form.write(value) == data:
            return value
        found.append(value)
    if not found:
        raise ValueError("it is none of the types that the annotation names")
    return found[0]


# Parts


def _write(form: Form | None, value: Any) -> Any:
    return value if form is None else form.write(value)


def _read(form: Form | None, data: Any) -> Any:
    return data if form is None else form.read(data)


def _checked(data: Any, cls: type[Any]) -> Any:
    if not isinstance(data, cls):
        raise ValueError(f"it holds a {type(data).__name__} in place of a {cls.__name__}")
    return data


def _checked_to_write(value: Any, cls: type[Any]) -> Any:
    if not isinstance(value, cls):
        raise NoForm(f"it holds a {type(value).__qualname__} in place of a {cls.__name__}")
    return value
