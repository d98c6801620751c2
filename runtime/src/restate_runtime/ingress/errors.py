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
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from restate_protocol.errors import RestateError, TerminalError
from restate_protocol.journal import Failure
from restate_protocol.status import StatusCode

from ..core.acceptance import INVOCATION_ID
from ..deployments.schema import Fault, InvalidMessage, Violation
from ..engine.overload import Bound, Overloaded
from .reasons import Reason, reason_of

SOURCE = "restate-error-source"
INGRESS = "ingress"
HANDLER = "handler"

#: Longest text of an error on the wire, in characters; headers and trailers have limits of their own.
MAX_MESSAGE_CHARACTERS = 2_048

#: The domain of the reasons in ErrorInfo, for what the ingress says.
DOMAIN = "restate.ingress.v1"

_TYPE_PREFIX = "type.googleapis.com/"

_REASONS_OF_FAULTS = {
    Fault.UNREADABLE: Reason.INVALID_MESSAGE,
    Fault.UNKNOWN_FIELD: Reason.UNKNOWN_FIELD,
    Fault.RULE: Reason.VALIDATION,
    Fault.KEY: Reason.MISSING_KEY,
}
_REASONS_OF_BOUNDS = {
    Bound.WAITING_CALLERS: Reason.WAITING_CALLERS,
    Bound.QUEUED_INVOCATIONS: Reason.QUEUED_INVOCATIONS,
    Bound.BYTES_IN_FLIGHT: Reason.BYTES_IN_FLIGHT,
}


class Refused(RestateError):
    """The ingress does not take the request, or no longer waits for its result.

    Args:
        code: what the caller gets.
        message: what happened and what to do.
        violations: the fields that are wrong, for INVALID_ARGUMENT.
        reason: why, in one word; None: what the code says.
    """

    def __init__(
        self, code: StatusCode, message: str, violations: Sequence[Violation] = (), reason: Reason | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = tuple(violations)
        self.reason = reason or reason_of(code)


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
        reason: why the ingress refused; None where a handler said it.
        retry_after_ms: when the same request may be taken, in milliseconds from now; None: that is not known.
        invocation_id: the invocation that stands in the way; empty where none does.
    """

    source: str
    code: StatusCode
    message: str
    details: tuple[Detail, ...] = ()
    reason: Reason | None = None
    retry_after_ms: int | None = None
    invocation_id: str = ""


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
    if isinstance(error, Overloaded):
        return _answer_of_overload(error)
    if isinstance(error, Refused):
        return refusal(error.code, error.message, error.reason, error.violations)
    answer = refusal(error.code, error.message, reason_of(error.code))
    standing = error.metadata.get(INVOCATION_ID)
    return answer if standing is None else replace(answer, invocation_id=standing)


def refusal(
    code: StatusCode, message: str, reason: Reason, violations: Sequence[Violation] = (), more: Sequence[Message] = ()
) -> Answer:
    """What the ingress says: the fields that are wrong, then why in one word, then more details."""
    wrong = [BadRequest.FieldViolation(field=one.field, description=one.description) for one in violations]
    details: list[Message] = [BadRequest(field_violations=wrong)] if wrong else []
    details.append(ErrorInfo(reason=reason.value.upper(), domain=DOMAIN))
    return Answer(INGRESS, code, _short(message), tuple(_detail(one) for one in (*details, *more)), reason)


def _answer_of_overload(error: Overloaded) -> Answer:
    delay = Duration()
    delay.FromMilliseconds(error.retry_after_ms)
    answer = refusal(error.code, error.message, _REASONS_OF_BOUNDS[error.bound], (), (RetryInfo(retry_delay=delay),))
    return replace(answer, retry_after_ms=error.retry_after_ms)


def refused_message(error: InvalidMessage) -> Refused:
    """INVALID_ARGUMENT with the paths of the fields."""
    reason = _REASONS_OF_FAULTS[error.fault]
    return Refused(StatusCode.INVALID_ARGUMENT, f"the request is {error}", error.violations, reason)


def _detail(message: Message) -> Detail:
    return Detail(message.DESCRIPTOR.full_name, message.SerializeToString(), MessageToDict(message))


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE_CHARACTERS else text[: MAX_MESSAGE_CHARACTERS - 1] + "…"
