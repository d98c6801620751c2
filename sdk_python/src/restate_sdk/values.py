"""Values that are no part of a contract: results of runs, awakeables, signals. To bytes with a tag, and back.

A value is journaled as a message (tag: its full name), as bytes, as JSON, or as its own serde says. What comes back
is equal to what went in, or it is refused when it is written: a handler must not see one value now and another on
replay. What a type looks like in JSON is in `forms`.
"""

from __future__ import annotations

import functools
import json
import types
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, Union, get_args, get_origin

from restate_protocol import codec
from restate_protocol.errors import TerminalError
from restate_protocol.immutable import immutable
from restate_protocol.journal import BYTES, JSON, Result, Value, Void
from restate_protocol.status import StatusCode

from .forms import Form, NoForm, form_of
from .serde import Serde

_SCALARS = frozenset({str, int, float, bool, type(None)})
_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode
_PLAIN = _SCALARS | {dict, list}
_CONTAINERS = (tuple, set, frozenset)


class Unwritable(Exception):
    """A value cannot be journaled. The text says why and what to do."""


@immutable
class Expected:
    """What an annotation says of a value.

    Args:
        classes: the messages it may be, and bytes, by tag.
        json: whether it may be something else, which is then JSON.
        form: how that looks in JSON; None: as it is.
    """

    classes: dict[str, type[Any]]
    json: bool
    form: Form | None

    @property
    def tags(self) -> list[str]:
        """The tags it may have."""
        return sorted([*self.classes, *([JSON] if self.json else [])])

    @property
    def text(self) -> str:
        """The tags, for people."""
        return " or ".join(self.tags)


def expected(annotation: Any) -> Expected | None:
    """What an annotation says; None where it says nothing, as Any does."""
    try:
        return _expected_of(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return _expected_of.__wrapped__(annotation)


@functools.lru_cache(maxsize=1024)
def _expected_of(annotation: Any) -> Expected | None:
    classes: dict[str, type[Any]] = {}
    others: list[Any] = []
    for one in _members(annotation):
        if one is Any or one is object or isinstance(one, TypeVar):
            return None
        if isinstance(one, type) and (one is bytes or codec.is_message(one)):
            classes[tag_of(one)] = one
        else:
            others.append(one)
    if not others:
        return Expected(classes, json=False, form=None)
    return Expected(classes, json=True, form=form_of(others[0] if len(others) == 1 else Union[tuple(others)]))  # noqa: UP007


def _members(annotation: Any) -> tuple[Any, ...]:
    origin = get_origin(annotation)
    if origin in (Awaitable, Coroutine):
        return _members(get_args(annotation)[-1])
    if origin in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def tag_of(annotation: Any) -> str:
    """The tag of values of a type: a message's full name, BYTES, or JSON."""
    if isinstance(annotation, type) and codec.is_message(annotation):
        return codec.full_name(annotation)
    return BYTES if annotation is bytes else JSON


# Writing


def encode(value: Any) -> tuple[Value, Any]:
    """A value of which only itself is known, as it is journaled and as it comes back for its own class.

    Raises:
        Unwritable: it is no message, no bytes, and JSON cannot hold it.
    """
    cls = type(value)
    if cls in _PLAIN or cls is bytes or cls in _CONTAINERS:
        return _encode_plain(value)
    return encode_as(value, expected(cls))


def encode_as(value: Any, wanted: Expected | None) -> tuple[Value, Any]:
    """A value as it is journaled, and the value as it comes back from the journal.

    Args:
        wanted: what will be read back; None where nothing says.

    Raises:
        Unwritable: what comes back would be another value, or nothing would know how to read it.
    """
    cls = type(value)
    if wanted is None:
        return _encode_unsaid(value)
    if wanted.form is None and wanted.json and cls in _PLAIN:
        return _encode_json(value)
    if cls is bytes or (cls not in _PLAIN and codec.is_message(cls)):
        written = Value(value, BYTES) if cls is bytes else Value(codec.encode(value), codec.full_name(cls))
        if written.type in wanted.classes:
            return written, value
        if wanted.form is None:
            raise Unwritable(f"it is a {written.type}, and {wanted.text} is announced")
    if not wanted.json:
        raise Unwritable(f"it is {_name(value)}, and {wanted.text} is announced")
    return _encode_json(value) if wanted.form is None else _encode_form(value, wanted.form)


def encode_by(serde: Serde[Any], value: Any) -> tuple[Value, Any]:
    """A value as its serde writes it, and as it reads it.

    Raises:
        Unwritable: the serde raised an error, or made something else than bytes.
    """
    try:
        data = serde.dumps(value)
        if not isinstance(data, bytes):
            raise TypeError(f"dumps gave a {type(data).__name__} instead of bytes")
        return Value(data, serde.tag), serde.loads(data)
    except Exception as error:
        text = f"the serde of {serde.tag} failed on {_name(value)}: {type(error).__name__}: {error}"
        raise Unwritable(text) from error


def _encode_plain(value: Any) -> tuple[Value, Any]:
    return (Value(value, BYTES), value) if type(value) is bytes else _encode_json(value)


def _encode_unsaid(value: Any) -> tuple[Value, Any]:
    cls = type(value)
    if cls in _PLAIN or cls is bytes or cls in _CONTAINERS:
        return _encode_plain(value)
    said = expected(cls)
    if said is None or (said.json and said.form is None):
        return _encode_json(value)
    encode_as(value, said)  # where no annotation would help, this says so
    raise Unwritable(
        f"it is {said.text if said.classes else _name(value)}, and nothing says how to read it back: annotate the"
        " function's return type or pass returns="
    )


def _encode_json(value: Any) -> tuple[Value, Any]:
    try:
        text = _to_json(value)
        data = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unwritable(f"{_name(value)} is neither a message, nor bytes, nor JSON: {error}") from error
    if type(value) in _SCALARS:
        return Value(data, JSON), value
    back = json.loads(text)
    if back != value:
        raise Unwritable(
            f"{_name(value)} changes when it goes through JSON (tuples become lists, keys become text);"
            " say its type in the function's annotation, or use a message, bytes, or lists and dicts with text keys"
        )
    return Value(data, JSON), back


def _encode_form(value: Any, form: Form) -> tuple[Value, Any]:
    try:
        text = _to_json(form.write(value))
        data, back = text.encode(), form.read(json.loads(text))
    except NoForm as error:
        raise Unwritable(f"{_name(value)} cannot be JSON: {error}") from error
    except Exception as error:
        raise Unwritable(f"{_name(value)} cannot be JSON: {type(error).__name__}: {error}") from error
    if back != value:
        raise Unwritable(
            f"{_name(value)} changes when it goes through JSON: {_short(back)} would come back of {_short(value)}."
            " Two members of a union may look alike, or equality may not be defined: use a message, or pass serde="
        )
    return Value(data, JSON), back


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"


def _name(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")


# Reading


def decode(value: Value, annotation: Any) -> Any:
    """A value from its bytes. A message's bytes need its class.

    Raises:
        Exception: the bytes are not such a value.
    """
    if annotation is None:
        return value.data if value.type == BYTES else json.loads(value.data)
    if isinstance(annotation, type) and codec.is_message(annotation):
        return _decode_message(value, annotation)
    wanted = expected(annotation)
    if wanted is None:
        return value.data if value.type == BYTES else json.loads(value.data)
    return decode_as(value, wanted)


def decode_as(value: Value, wanted: Expected) -> Any:
    """A value from its bytes, as one of what is expected.

    Raises:
        Exception: the bytes are not such a value.
    """
    if (cls := wanted.classes.get(value.type)) is not None:
        return value.data if cls is bytes else codec.decode(cls, value.data)
    if not wanted.json:
        (cls, *_) = wanted.classes.values()
        return value.data if cls is bytes else _decode_message(value, cls)
    if value.type == BYTES and wanted.form is None:
        return value.data
    data = json.loads(value.data)
    return data if wanted.form is None else wanted.form.read(data)


def _decode_message(value: Value, cls: type[Any]) -> Any:
    return codec.from_json(cls, value.data.decode()) if value.type == JSON else codec.decode(cls, value.data)


def read(result: Result, annotation: Any, what: str, serde: Serde[Any] | None = None) -> Any:
    """A successful result as a value of this type; Void is None.

    Raises:
        TerminalError: INVALID_ARGUMENT, its bytes are not such a value.
    """
    if isinstance(result, Void):
        return None
    assert isinstance(result, Value)
    try:
        return decode(result, annotation) if serde is None else decode_by(serde, result)
    except Exception as error:
        wanted = serde.tag if serde is not None else _named(annotation)
        raise TerminalError(f"{what} is not a {wanted}: {error}", code=StatusCode.INVALID_ARGUMENT) from error


def decode_by(serde: Serde[Any], value: Value) -> Any:
    """A value as its serde reads it. What comes from outside may have no tag.

    Raises:
        Exception: it has another tag, or the serde refuses its bytes.
    """
    if value.type not in (serde.tag, "", BYTES):
        raise ValueError(f"it is a {value.type}")
    return serde.loads(value.data)


def _named(annotation: Any) -> str:
    return "JSON" if annotation is None else getattr(annotation, "__name__", None) or str(annotation)
