"""The Connect protocol, unary: content types, error bodies, timeouts, compression. Values in, values out; no I/O.

https://connectrpc.com/docs/protocol: a unary call is a plain POST, which is why `curl` can make one. What Connect
adds on GET and on streams is left to modules of their own.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from restate_protocol.status import StatusCode

from ..deployments.schema import InvalidMessage, Schema
from .errors import SOURCE, Answer, Detail, Refused, refusal
from .reasons import Reason, reason_of

JSON_TYPE = b"application/json"
PROTO_TYPE = b"application/proto"

Headers = list[tuple[bytes, bytes]]

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
#: Connect writes this one word with one l.
_NAMES = {code: code.name.lower() for code in StatusCode} | {StatusCode.CANCELLED: "canceled"}

_MAX_TIMEOUT_DIGITS = 10


class HttpProblem(Exception):
    """A request that HTTP itself has a status for.

    Args:
        status: the HTTP status.
        code: what Connect clients see.
        message: what happened and what to do.
        headers: what the status requires.
        reason: why, in one word; None: what the code says.
    """

    def __init__(
        self,
        status: int,
        code: StatusCode,
        message: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        reason: Reason | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.answer = refusal(code, message, reason or reason_of(code))
        self.headers = list(headers)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


def is_json(content_type: bytes) -> bool:
    """Which of the two forms a request has.

    Raises:
        HttpProblem: 415, neither.
    """
    if content_type == JSON_TYPE:
        return True
    if content_type == PROTO_TYPE:
        return False
    media, _, rest = content_type.lower().partition(b";")
    parameters = rest.replace(b" ", b"").replace(b'"', b"")
    if media.strip() == JSON_TYPE and parameters in (b"", b"charset=utf-8"):
        return True
    if media.strip() == PROTO_TYPE and not parameters:
        return False
    given = content_type.decode("latin-1") or "missing"
    message = f"the content type is {given}; send application/json or application/proto"
    accept = (b"accept-post", JSON_TYPE + b", " + PROTO_TYPE)
    raise HttpProblem(415, StatusCode.INVALID_ARGUMENT, message, [accept], Reason.CONTENT_TYPE)


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


def decompressed(encoding: bytes, body: bytes, limit: int) -> bytes:
    """The body without its content encoding.

    Args:
        limit: the most bytes that may come out.

    Raises:
        Refused: the encoding is unknown or broken.
        HttpProblem: 413.
    """
    if encoding == b"identity":
        return body
    if encoding != b"gzip":
        message = f"content-encoding {encoding.decode('latin-1')!r} is not known; send identity or gzip"
        raise Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.CONTENT_TYPE)
    engine = zlib.decompressobj(wbits=31)
    try:
        data = engine.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(
            StatusCode.INVALID_ARGUMENT, f"the body is not gzip: {error}", reason=Reason.INVALID_MESSAGE
        ) from None
    if len(data) > limit:
        raise too_large(limit)
    if not engine.eof:
        raise Refused(
            StatusCode.INVALID_ARGUMENT, "the body is not gzip: it ends too early", reason=Reason.INVALID_MESSAGE
        )
    return data


def _not_gzip(why: str) -> Refused:
    message = f"the body is not gzip: {why}"
    return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE)


def too_large(limit: int) -> HttpProblem:
    """413. Ends the connection, whose next bytes would be the rest of the body."""
    message = f"the request is longer than {limit} bytes, the limit (setting max_message_bytes)"
    close = (b"connection", b"close")
    return HttpProblem(413, StatusCode.RESOURCE_EXHAUSTED, message, [close], Reason.TOO_LARGE)


def binary_header(name: str, value: bytes) -> bytes:
    """The bytes of a -bin header.

    Raises:
        Refused: it is not base64.
    """
    try:
        return base64.b64decode(value.rstrip(b"=") + b"=" * (-len(value.rstrip(b"=")) % 4), validate=True)
    except binascii.Error:
        message = f"the header {name} is not base64"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER) from None


def error_reply(answer: Answer, headers: Headers, schema: Schema | None, status: int | None = None) -> Reply:
    """The body of an error.

    Args:
        headers: more headers, such as the invocation's.
        schema: prints typed details in a form that people can read.
        status: the HTTP status, where it is not the one of the code.
    """
    body: dict[str, Any] = {"code": _NAMES[answer.code], "message": answer.message}
    if answer.details:
        body["details"] = [_detail(one, schema) for one in answer.details]
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    all_headers = [
        (b"content-type", JSON_TYPE),
        (b"content-length", str(len(data)).encode()),
        (SOURCE.encode(), answer.source.encode()),
        *headers,
    ]
    if answer.retry_after_ms is not None:
        all_headers.append((b"retry-after", str(-(-answer.retry_after_ms // 1000)).encode()))
    return Reply(status or http_status(answer), all_headers, data)


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
