"""The Connect protocol, unary: content types, error bodies, timeouts, GET. Values in, values out; no I/O.

https://connectrpc.com/docs/protocol: a unary call is a plain POST, which is why `curl` can make one. A handler
without side effects may be called with GET too, its request in the query.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from restate_protocol.status import StatusCode

from ..deployments.schema import InvalidMessage, Schema
from .errors import SOURCE, Answer, Detail, Refused
from .http_message import JSON_TYPE, Headers, Reply, decompressed, reply, too_large
from .reasons import Reason

PROTO_TYPE = b"application/proto"

#: What HTTP calls each code, by the table of the protocol.
_HTTP_STATUS = {
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
#: Where HTTP is more precise than the code.
_REASON_STATUS = {
    Reason.UNKNOWN_SERVICE: 404,
    Reason.UNKNOWN_HANDLER: 404,
    Reason.TOO_LARGE: 413,
    Reason.METADATA_TOO_LARGE: 431,
}
#: The names of codes. Connect writes one of them with one l.
NAMES = {code: code.name.lower() for code in StatusCode} | {StatusCode.CANCELLED: "canceled"}

_MAX_TIMEOUT_DIGITS = 10


@dataclass(frozen=True, slots=True)
class ConnectForm:
    """One message as the whole body; see http_message.Form."""

    json: bool

    def room(self, limit: int) -> int:
        """Nothing is around the message."""
        return limit

    def message(self, body: bytes, encoding: bytes, limit: int) -> bytes:
        """The body is the message."""
        if len(body) > limit:
            raise too_large(limit)
        return body

    def reply(self, message: bytes, headers: Headers) -> Reply:
        """200."""
        return reply(message, JSON_TYPE if self.json else PROTO_TYPE, headers)

    def error(self, answer: Answer, headers: Headers, schema: Schema | None, status: int | None = None) -> Reply:
        """The status of the code, and JSON whatever form the request has."""
        body: dict[str, Any] = {"code": NAMES[answer.code], "message": answer.message}
        if answer.details:
            body["details"] = [_detail(one, schema) for one in answer.details]
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        more = [(SOURCE.encode(), answer.source.encode()), *headers]
        if answer.retry_after_ms is not None:
            more.append((b"retry-after", str(-(-answer.retry_after_ms // 1000)).encode()))
        return reply(data, JSON_TYPE, more, status or http_status(answer))


JSON_FORM = ConnectForm(True)
PROTO_FORM = ConnectForm(False)


def form_of(media: bytes, parameters: bytes) -> ConnectForm | None:
    """The form that a content type names, None where it is none of Connect's.

    Args:
        media: the type itself, in lower case.
        parameters: what follows it, in lower case without spaces and quotes.
    """
    if media == JSON_TYPE and parameters in (b"", b"charset=utf-8"):
        return JSON_FORM
    if media == PROTO_TYPE and not parameters:
        return PROTO_FORM
    return None


def check_version(value: bytes) -> None:
    """Refuses versions of the protocol that do not exist yet."""
    if value != b"1":
        text = value.decode("latin-1")
        message = f"connect-protocol-version is {text!r}; leave it out or send 1"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)


def timeout_seconds(value: bytes) -> float:
    """How long the caller waits.

    Raises:
        Refused: it is no number of milliseconds.
    """
    if not value.isdigit() or len(value) > _MAX_TIMEOUT_DIGITS:
        text = value.decode("latin-1")
        message = f"connect-timeout-ms is {text!r}; it is a whole number of milliseconds with up to 10 digits"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)
    return int(value) / 1000


def read_query(query: bytes, limit: int) -> tuple[ConnectForm, bytes]:
    """The form and the message of a GET.

    Args:
        query: what follows the question mark.
        limit: the longest message, in bytes.

    Raises:
        Refused: a parameter is missing, is there twice or makes no sense.
        HttpProblem: 413.
    """
    values = _parameters(query)
    if values.get("connect", b"v1") != b"v1":
        raise _bad_query("connect", "leave it out or send v1", values)
    if values.get("encoding") not in (b"json", b"proto"):
        raise _bad_query("encoding", "send json or proto", values)
    if values.get("base64", b"1") not in (b"1", b"0"):
        raise _bad_query("base64", "send 1, or leave it out", values)
    if "message" not in values:
        raise _bad_query("message", "send the request there", values)
    message = values["message"]
    if values.get("base64") == b"1":
        message = _from_base64(message)
    message = decompressed("compression", values.get("compression") or b"identity", message, limit)
    form = JSON_FORM if values["encoding"] == b"json" else PROTO_FORM
    return form, form.message(message, b"", limit)


def _parameters(query: bytes) -> dict[str, bytes]:
    """By name. What Connect does not know is left to whoever put it there."""
    found: dict[str, bytes] = {}
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        text = unquote_to_bytes(name).decode("latin-1")
        if text in found:
            raise _bad(f"the query parameter {text} is there twice")
        if text:
            found[text] = unquote_to_bytes(value.replace(b"+", b" "))
    return found


def _bad_query(name: str, mend: str, values: dict[str, bytes]) -> Refused:
    given = values.get(name)
    state = "is missing" if given is None else f"is {given.decode('latin-1')!r}"
    return _bad(f"the query parameter {name} {state}; {mend}")


def _bad(message: str) -> Refused:
    return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_REQUEST)


def _from_base64(text: bytes) -> bytes:
    """The bytes of base64 for URLs, with or without padding."""
    bare = text.rstrip(b"=")
    if b"+" in bare or b"/" in bare:
        raise _bad("the query parameter message is not base64 for URLs, which has - and _ for + and /")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise _bad(f"the query parameter message is not base64: {error}") from None


def http_status(answer: Answer) -> int:
    """What HTTP calls an error."""
    if answer.reason in _REASON_STATUS:
        return _REASON_STATUS[answer.reason]
    return _HTTP_STATUS[answer.code]


def _detail(detail: Detail, schema: Schema | None) -> dict[str, Any]:
    written = {"type": detail.type, "value": base64.b64encode(detail.data).rstrip(b"=").decode()}
    readable = _readable(detail, schema)
    return written if readable is None else {**written, "debug": readable}


def _readable(detail: Detail, schema: Schema | None) -> Any:
    """The detail as JSON, where its message is known."""
    if detail.as_json is not None:
        return detail.as_json
    if schema is None or schema.registry.message(detail.type) is None:
        return None
    try:
        return json.loads(schema.to_json(detail.type, detail.data))
    except InvalidMessage:
        return None
