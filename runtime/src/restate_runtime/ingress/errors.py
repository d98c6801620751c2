"""What the ingress answers when it cannot give a response.

RestateError
├── Refused              the ingress says no
├── Failed               what was asked for is the failure of a handler
└── ListenError          a port cannot be listened on
    └── PortInUse        another program listens on it

`Answer` is the one form both protocols print: where it comes from, code, text and details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # type: ignore[import-untyped]
from restate_protocol.errors import RestateError, TerminalError
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode

from ..deployments.schema import InvalidMessage, Violation

SOURCE = "restate-error-source"
INGRESS = "ingress"
HANDLER = "handler"

#: Longest text of an error on the wire, in characters; headers and trailers have limits of their own.
MAX_MESSAGE_CHARACTERS = 2_048

_TYPE_PREFIX = "type.googleapis.com/"


class Refused(RestateError):
    """The ingress does not take the request, or no longer waits for its result.

    Args:
        code: what the caller gets.
        message: what happened and what to do.
        violations: the fields that are wrong, for INVALID_ARGUMENT.
    """

    def __init__(self, code: StatusCode, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = tuple(violations)


class Failed(RestateError):
    """An invocation that was asked for has failed: the caller gets what its handler said."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ListenError(RestateError):
    """A server cannot listen where it was told to.

    Args:
        what: which of our servers wanted it.
        address: host:port.
        reason: why, and what to do.
    """

    def __init__(self, what: str, address: str, reason: str) -> None:
        super().__init__(f"{what} cannot listen on {address}: {reason}")
        self.address = address


class PortInUse(ListenError):
    """Another program listens on the port."""

    def __init__(self, what: str, address: str) -> None:
        super().__init__(what, address, "the port is in use. Stop the other program or choose another port")


@dataclass(frozen=True, slots=True)
class Detail:
    """One typed detail.

    Args:
        type: full name of its message.
        data: its bytes.
        as_json: its ProtoJSON as a value, for messages that no contract has to define.
    """

    type: str
    data: bytes
    as_json: Any = None

    def as_any(self) -> AnyMessage:
        """As google.protobuf.Any."""
        return AnyMessage(type_url=_TYPE_PREFIX + self.type, value=self.data)


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as the caller gets it.

    Args:
        source: INGRESS or HANDLER: who said it.
        details: typed errors, field violations, metadata.
    """

    source: str
    code: StatusCode
    message: str
    details: tuple[Detail, ...] = ()


def answer_of_failure(failure: Failure) -> Answer:
    """What a handler said."""
    details = [Detail(failure.detail_type, failure.detail)] if failure.detail_type else []
    if failure.metadata:
        details.append(_detail(ErrorInfo(domain="restate.v1", metadata=dict(failure.metadata))))
    code = StatusCode.of(failure.code)
    # A failure is never a success, whatever a journal says.
    code = StatusCode.UNKNOWN if code is StatusCode.OK else code
    return Answer(HANDLER, code, _short(failure.message), tuple(details))


def answer_of(error: Refused | Failed | TerminalError) -> Answer:
    """What the ingress, the engine or a handler said."""
    if isinstance(error, Failed):
        return answer_of_failure(error.failure)
    violations = error.violations if isinstance(error, Refused) else ()
    if not violations:
        return Answer(INGRESS, error.code, _short(error.message))
    wrong = [BadRequest.FieldViolation(field=one.field, description=one.description) for one in violations]
    return Answer(INGRESS, error.code, _short(error.message), (_detail(BadRequest(field_violations=wrong)),))


def refused_message(error: InvalidMessage) -> Refused:
    """INVALID_ARGUMENT with the paths of the fields."""
    return Refused(StatusCode.INVALID_ARGUMENT, f"the request is {error}", error.violations)


def _detail(message: Message) -> Detail:
    return Detail(message.DESCRIPTOR.full_name, message.SerializeToString(), MessageToDict(message))


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"
