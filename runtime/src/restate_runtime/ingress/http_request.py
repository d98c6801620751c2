"""One request as it is read: its headers, its form and its body, from an ASGI server.

Nothing here knows handlers. Headers that HTTP and the protocols need for themselves are taken out; what is left is
the metadata of the call.
"""

from __future__ import annotations

from collections.abc import Callable

from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from ..deployments.schema import Schema
from ..engine.api import Accepted
from . import connect, grpc_web
from .admission import ACCEPTED, INVOCATION_ID, PREVIOUSLY_ACCEPTED, STATUS
from .connect import JSON_FORM, PROTO_FORM
from .http_message import Form, Headers, HttpProblem, binary_header, decompressed, too_large
from .http_watch import CallerGone, Message, Receive
from .reasons import Reason

#: The content types as almost everybody writes them.
_USUAL: dict[bytes, Form] = {b"application/json": JSON_FORM, b"application/proto": PROTO_FORM}


class Caller:
    """One request as it is worked on: what was read, and what the answer needs whatever happens.

    Attributes:
        form: how messages are written; the JSON of Connect until the content type says something else.
        metadata: the headers of the call itself.
        timeout: how long the caller waits, in seconds.
        headers: what the response will say about the invocation.
        schema: where the typed errors of the handler are defined, once it is known.
    """

    __slots__ = (
        "_encoding",
        "_length",
        "_message_encoding",
        "form",
        "headers",
        "metadata",
        "receive",
        "schema",
        "timeout",
    )

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.form: Form = JSON_FORM
        self.metadata: list[tuple[str, str | bytes]] = []
        self.headers: Headers = []
        self.schema: Schema | None = None
        self.timeout: float | None = None
        self._length = -1
        self._encoding = b"identity"
        self._message_encoding = b"identity"

    async def accepted(self, accepted: Accepted) -> None:
        """The answer has the invocation's id, whatever it is."""
        status = ACCEPTED if accepted.new else PREVIOUSLY_ACCEPTED
        self.headers = [
            (INVOCATION_ID.encode(), invocation_id_text(accepted.invocation_id).encode()),
            (STATUS.encode(), status.encode()),
        ]

    def read_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Takes what is HTTP's and the protocols', keeps the rest as metadata.

        Raises:
            Refused: a header makes no sense.
        """
        for name, value in headers:
            reader = _READERS.get(name)
            if reader is not None:
                reader(self, value)
            elif name.endswith(b"-bin"):
                text = name.decode("latin-1")
                self.metadata.append((text, binary_header(text, value)))
            else:
                self.metadata.append((name.decode("latin-1"), value))

    async def body(self, limit: int) -> bytes:
        """The whole body, without its content encoding.

        Args:
            limit: the longest message, in bytes.

        Raises:
            HttpProblem: 413.
            Refused: the content encoding is unknown or wrong.
            CallerGone: the caller hung up.
        """
        room = self.form.room(limit)
        if self._length > room:
            raise too_large(limit)
        message = await self.receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._more(body, room, limit)
        if message["type"] == "http.disconnect":
            raise CallerGone
        if len(body) > room:
            raise too_large(limit)
        return body if self._encoding == b"identity" else decompressed("content-encoding", self._encoding, body, room)

    async def message(self, limit: int) -> bytes:
        """The message of the body. Raises as `body`, and what the form raises."""
        return self.form.message(await self.body(limit), self._message_encoding, limit)

    async def _more(self, body: bytes, room: int, limit: int) -> bytes:
        """The rest of a body that comes in parts."""
        parts, size = [body], len(body)
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > room:
                raise too_large(limit)
            if not message.get("more_body"):
                return b"".join(parts)

    def _read_length(self, value: bytes) -> None:
        self._length = int(value) if value.isdigit() else -1

    def _read_encoding(self, value: bytes) -> None:
        self._encoding = value

    def _read_message_encoding(self, value: bytes) -> None:
        self._message_encoding = value

    def _read_connect_timeout(self, value: bytes) -> None:
        self.timeout = connect.timeout_seconds(value)

    def _read_grpc_timeout(self, value: bytes) -> None:
        self.timeout = grpc_web.timeout_seconds(value)

    def _read_version(self, value: bytes) -> None:
        connect.check_version(value)

    def _ignore(self, value: bytes) -> None:
        """Of the protocol, and of no use here."""


_READERS: dict[bytes, Callable[[Caller, bytes], None]] = {
    b"content-type": Caller._ignore,
    b"content-length": Caller._read_length,
    b"content-encoding": Caller._read_encoding,
    b"grpc-encoding": Caller._read_message_encoding,
    b"connect-timeout-ms": Caller._read_connect_timeout,
    b"grpc-timeout": Caller._read_grpc_timeout,
    b"connect-protocol-version": Caller._read_version,
    # Sent by gRPC-Web clients. Headers that begin with x- would reach the journal.
    b"x-grpc-web": Caller._ignore,
    b"x-user-agent": Caller._ignore,
}


def content_type(scope: Message) -> bytes:
    """What the request says it is; empty where it says nothing."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            found: bytes = value
            return found
    return b""


def form_of(value: bytes) -> Form | None:
    """The form that a content type names; None where nobody here reads it."""
    usual = _USUAL.get(value)
    if usual is not None:
        return usual
    media, _, rest = value.lower().partition(b";")
    parameters = rest.replace(b" ", b"").replace(b'"', b"")
    return connect.form_of(media.strip(), parameters) or grpc_web.form_of(media.strip())


def unknown_content_type(value: bytes) -> HttpProblem:
    """415."""
    given = value.decode("latin-1") or "missing"
    message = f"the content type is {given}; send application/json, application/proto or application/grpc-web"
    if value.startswith((b"application/connect+", b"application/grpc")):
        message += ". Streams and native gRPC are served on the gRPC port"
    accept = (b"accept-post", b"application/json, application/proto, application/grpc-web, application/grpc-web-text")
    return HttpProblem(415, StatusCode.INVALID_ARGUMENT, message, [accept], Reason.CONTENT_TYPE)
