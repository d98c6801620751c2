"""What every form of request over HTTP shares: responses, problems that HTTP has a status for, content encodings.

Values in, values out; no I/O. The forms themselves are in connect.py and grpc_web.py.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from restate_protocol.status import StatusCode

from ..deployments.schema import Schema
from .errors import Answer, Refused, refusal
from .reasons import Reason, reason_of

JSON_TYPE = b"application/json"

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


class HttpProblem(Exception):
    """A request that HTTP itself has a status for.

    Args:
        status: the HTTP status.
        code: what Connect and gRPC-Web clients see.
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


class Form(Protocol):
    """How a request and its answer are written.

    Attributes:
        json: its messages are ProtoJSON; else binary.
    """

    @property
    def json(self) -> bool: ...

    def room(self, limit: int) -> int:
        """The longest body that a message of `limit` bytes may take."""

    def message(self, body: bytes, encoding: bytes, limit: int) -> bytes:
        """The message in a body.

        Args:
            encoding: what `grpc-encoding` says.
            limit: the longest message, in bytes.

        Raises:
            Refused, HttpProblem: there is none, it is too long or its compression is unknown.
        """

    def reply(self, message: bytes, headers: Headers) -> Reply:
        """The answer with a message, and with headers about the invocation."""

    def error(self, answer: Answer, headers: Headers, schema: Schema | None, status: int | None) -> Reply:
        """The answer to what failed.

        Args:
            headers: more headers, such as the invocation's.
            schema: prints typed details in a form that people can read.
            status: the HTTP status, where it is not the one of the code.
        """


def reply(body: bytes, content_type: bytes, headers: Headers, status: int = 200) -> Reply:
    """A response with its length and type."""
    length = (b"content-length", str(len(body)).encode())
    return Reply(status, [(b"content-type", content_type), length, *headers], body)


def wrong_method(path: str, method: str, allowed: str, more: str = "") -> HttpProblem:
    """405.

    Args:
        allowed: the methods that it takes, with commas between.
        more: the end of the message.
    """
    message = f"{path} takes {allowed.replace(', ', ' or ')}, not {method}{more}"
    return HttpProblem(405, StatusCode.UNIMPLEMENTED, message, [(b"allow", allowed.encode())], Reason.HTTP_METHOD)


def decompressed(where: str, encoding: bytes, body: bytes, limit: int) -> bytes:
    """The bytes without their encoding.

    Args:
        where: what named the encoding, for errors.
        limit: the most bytes that may come out.

    Raises:
        Refused: the encoding is unknown or broken.
        HttpProblem: 413.
    """
    if encoding == b"identity":
        return body
    if encoding != b"gzip":
        message = f"{where} {encoding.decode('latin-1')!r} is not known; send identity or gzip"
        raise Refused(StatusCode.UNIMPLEMENTED, message, reason=Reason.CONTENT_TYPE)
    engine = zlib.decompressobj(wbits=31)
    try:
        data = engine.decompress(body, limit + 1)
    except zlib.error as error:
        raise _not_gzip(where, str(error)) from None
    if len(data) > limit:
        raise too_large(limit)
    if not engine.eof:
        raise _not_gzip(where, "it ends too early")
    return data


def _not_gzip(where: str, why: str) -> Refused:
    message = f"the message is not gzip, as {where} says: {why}"
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
