"""What goes into a call and comes out of it: keys, idempotency keys, headers, responses. No journal, no machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from restate_protocol import codec
from restate_protocol.callers import CallOptions
from restate_protocol.errors import TerminalError
from restate_protocol.journal import BYTES, JSON, Headers, Result, Value
from restate_protocol.services import HandlerDescriptor, HandlerMode
from restate_protocol.status import StatusCode

from . import misuse, values
from .errors import MisuseError
from .serde import Serde, checked

Res = TypeVar("Res")


def idempotency_key(handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> str:
    """The idempotency key: the caller's, else the request field's; empty for none.

    Raises:
        TerminalError: INVALID_ARGUMENT, it is empty, or the call is a workflow's run.
    """
    given = options.idempotency_key
    if handler.mode is HandlerMode.RUN:
        if given is None:
            return ""
        raise TerminalError(
            f"{handler.service}/{handler.name} is a workflow's run: its key already makes it run once, so it takes no"
            " idempotency key",
            code=StatusCode.INVALID_ARGUMENT,
        )
    if given == "":
        raise TerminalError("an idempotency key cannot be empty", code=StatusCode.INVALID_ARGUMENT)
    if given is None and handler.idempotency_field is not None:
        return str(getattr(request, handler.idempotency_field) or "")
    return given or ""


def headers(headers: Mapping[str, str | bytes]) -> Headers:
    """Headers as they are journaled: lower case, in the order of their names."""
    if not headers:
        return ()
    pairs = ((name.lower(), value.encode() if isinstance(value, str) else value) for name, value in headers.items())
    return tuple(sorted(pairs))


def header_value(name: str, value: bytes) -> str | bytes:
    """A journaled header's value: bytes where the name ends in `-bin`."""
    return value if name.endswith("-bin") else value.decode(errors="replace")


def read_response(handler: HandlerDescriptor[Any, Res], result: Result) -> Res:
    """The response of a call.

    Raises:
        TerminalError: INTERNAL, the bytes are not the response message.
    """
    data = result.data if isinstance(result, Value) else b""
    try:
        return codec.decode(handler.response, data)
    except ValueError as error:
        raise TerminalError(
            f"the response of {handler.service}/{handler.name} is not a {codec.full_name(handler.response)}: {error}",
            code=StatusCode.INTERNAL,
        ) from error


def read_attached(cls: type[Any] | None, result: Result) -> Any:
    """The result of an invocation of which only the id is known; its bytes where no class is given."""
    if cls is None:
        return result.data if isinstance(result, Value) else b""
    return values.read(result, cls, "the result of the invocation")


def read_given(what: str, annotation: Any, serde: Serde[Any] | None, result: Result) -> Any:
    """The value that an awakeable or a signal was given."""
    return values.read(result, annotation, f"the value given to {what}", serde)


_GIVEN = "a message, bytes, what JSON holds, a dataclass or a pydantic model"


def field_value(what: str, cls: type[Any], attribute: str, value: object) -> bytes:
    """The bytes of a value of state or of a promise: those of the message with only that field.

    Raises:
        MisuseError: it is not a value of the field.
    """
    try:
        return codec.encode(codec.with_field(cls, attribute, value))
    except Exception as error:  # each flavour of messages has its own errors
        wanted = f"what the field {attribute} of {codec.full_name(cls)} holds"
        raise MisuseError(misuse.value(what, value, wanted, error)) from error


def given_value(value: object, what: str, serde: Serde[Any] | None = None) -> tuple[Value, type[Any] | None]:
    """A value for somebody else as it is journaled, and its class where it is a message.

    Raises:
        MisuseError: it cannot be journaled.
        TypeError: the serde is none.
    """
    try:
        if serde is None:
            written, _ = values.encode(value)
        else:
            written, _ = values.encode_by(checked(serde, what), value)
    except values.Unwritable as error:
        wanted = _GIVEN if serde is None else f"what its serde of {serde.tag} writes"
        raise MisuseError(misuse.value(what, value, wanted, error)) from error
    return written, None if serde is not None or written.type in (JSON, BYTES) else type(value)


def check_signal_name(name: str) -> None:
    """Whether handlers may use this name.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty or the runtime's own.
    """
    if not isinstance(name, str):
        raise TypeError(f"a signal has a name, such as 'approved', not {name!r}")
    if not name or name.startswith("restate."):
        raise ValueError(f"a signal's name is not empty and does not begin with 'restate.': {name!r}")
