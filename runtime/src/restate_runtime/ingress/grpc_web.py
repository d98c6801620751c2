"""gRPC-Web, unary: frames, trailers in the body, base64 for callers that cannot read bytes. Values in, values out.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md. The HTTP status is always 200; how the call ended is in
the trailers, the last frame of the body, whatever went wrong: browsers see every body, but not every header.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import quote

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from restate_protocol.status import StatusCode

from ..deployments.schema import Schema
from .errors import SOURCE, Answer, Refused
from .http_message import Headers, Reply, decompressed, reply, too_large
from .reasons import Reason

DETAILS = "grpc-status-details-bin"
#: When clients that retry by themselves may try again, in milliseconds.
PUSHBACK = "grpc-retry-pushback-ms"

_HEAD = 5  # of a frame: one byte of flags, four of length
_COMPRESSED, _TRAILERS = 1, 0x80

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
#: What grpc-message leaves as it is: printable ASCII but the percent sign.
_SAFE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PADDED = re.compile(rb"[A-Za-z0-9+/]+={0,2}")

_TYPES = {
    b"application/grpc-web": (False, False),
    b"application/grpc-web+proto": (False, False),
    b"application/grpc-web+json": (False, True),
    b"application/grpc-web-text": (True, False),
    b"application/grpc-web-text+proto": (True, False),
    b"application/grpc-web-text+json": (True, True),
}


@dataclass(frozen=True, slots=True)
class GrpcWebForm:
    """Frames; see http_message.Form.

    Args:
        text: the body is base64.
        json: messages are ProtoJSON.
    """

    text: bool
    json: bool

    def room(self, limit: int) -> int:
        """With the frame, and with base64 of many padded parts at its worst likely size."""
        return (limit + _HEAD) * 2 if self.text else limit + _HEAD

    def message(self, body: bytes, encoding: bytes, limit: int) -> bytes:
        """The one message of the body."""
        frame = _from_base64(body) if self.text else body
        size = int.from_bytes(frame[1:_HEAD], "big")
        if len(frame) < _HEAD or frame[0] & ~_COMPRESSED:
            raise _bad_frame("it does not begin with a frame of a message")
        if size > limit:
            raise too_large(limit)
        if len(frame) != _HEAD + size:
            text = f"its frame says {size} bytes, and {len(frame) - _HEAD} follow; a unary call has one message"
            raise _bad_frame(text)
        if not frame[0]:
            return frame[_HEAD:]
        if encoding == b"identity":
            raise _bad_frame("its message is marked as compressed, and grpc-encoding does not say how")
        return decompressed("grpc-encoding", encoding, frame[_HEAD:], limit)

    def reply(self, message: bytes, headers: Headers) -> Reply:
        """The message and status 0."""
        return self._reply(_frame(0, message) + _frame(_TRAILERS, b"grpc-status: 0\r\n"), headers)

    def error(self, answer: Answer, headers: Headers, schema: Schema | None, status: int | None = None) -> Reply:
        """The trailers alone."""
        lines = [
            f"grpc-status: {answer.code.value}",
            f"grpc-message: {quote(answer.message, safe=_SAFE, errors='replace')}",
            f"{SOURCE}: {answer.source}",
        ]
        if answer.retry_after_ms is not None:
            lines.append(f"{PUSHBACK}: {answer.retry_after_ms}")
        if answer.details:
            details = Status(
                code=answer.code.value, message=answer.message, details=[one.as_any() for one in answer.details]
            )
            encoded = base64.b64encode(details.SerializeToString()).rstrip(b"=").decode()
            lines.append(f"{DETAILS}: {encoded}")
        kept = [one for one in headers if one[0] != b"accept-post"]
        return self._reply(_frame(_TRAILERS, "".join(f"{line}\r\n" for line in lines).encode()), kept)

    def _reply(self, body: bytes, headers: Headers) -> Reply:
        content_type = b"application/grpc-web-text+" if self.text else b"application/grpc-web+"
        content_type += b"json" if self.json else b"proto"
        return reply(base64.b64encode(body) if self.text else body, content_type, headers)


_FORMS = {name: GrpcWebForm(*which) for name, which in _TYPES.items()}


def form_of(media: bytes) -> GrpcWebForm | None:
    """The form that a content type names, None where it is none of gRPC-Web's.

    Args:
        media: the type without parameters, in lower case.
    """
    return _FORMS.get(media)


def timeout_seconds(value: bytes) -> float:
    """How long the caller waits.

    Raises:
        Refused: it is no timeout.
    """
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        text = value.decode("latin-1")
        message = f"grpc-timeout is {text!r}; it is up to 8 digits and one of H, M, S, m, u, n, such as 500m"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.BAD_HEADER)
    return int(match[1]) * _UNITS[match[2]]


def _frame(flags: int, data: bytes) -> bytes:
    return bytes((flags,)) + len(data).to_bytes(4, "big") + data


def _from_base64(body: bytes) -> bytes:
    """The bytes of base64 text, which may be several padded texts in a row."""
    try:
        if b"=" not in body[:-2]:
            return base64.b64decode(body, validate=True)
        parts = _PADDED.findall(body)
        if sum(map(len, parts)) != len(body):
            raise binascii.Error("there is a character that base64 does not have")
        return b"".join(base64.b64decode(part, validate=True) for part in parts)
    except binascii.Error as error:
        message = f"the body is not base64: {error}"
        raise Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE) from None


def _bad_frame(what: str) -> Refused:
    message = f"the body is not one gRPC-Web message: {what}"
    return Refused(StatusCode.INVALID_ARGUMENT, message, reason=Reason.INVALID_MESSAGE)
