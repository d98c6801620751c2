"""Why the ingress says no: one word for each cause, for metrics, `google.rpc.ErrorInfo` and docs/reference/errors.md.

A code says what a caller may do about an error; a reason says what was wrong. Nothing that is refused is journaled.
"""

from __future__ import annotations

import enum

from restate_protocol.status import StatusCode


class Reason(enum.Enum):
    """Why. The value is the label of the metric; ErrorInfo has it in capitals."""

    UNKNOWN_SERVICE = "unknown_service"
    UNKNOWN_HANDLER = "unknown_handler"
    PRIVATE_HANDLER = "private_handler"
    MESSAGE_COUNT = "message_count"
    INVALID_MESSAGE = "invalid_message"
    UNKNOWN_FIELD = "unknown_field"
    VALIDATION = "validation"
    MISSING_KEY = "missing_key"
    KEY_TOO_LONG = "key_too_long"
    BAD_HEADER = "bad_header"
    HTTP_METHOD = "http_method"
    CONTENT_TYPE = "content_type"
    BAD_DELAY = "bad_delay"
    BAD_ID = "bad_id"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    METADATA_TOO_LARGE = "metadata_too_large"
    DEADLINE = "deadline"
    WAITING_CALLERS = "overload_waiting_callers"
    QUEUED_INVOCATIONS = "overload_queued_invocations"
    BYTES_IN_FLIGHT = "overload_bytes_in_flight"
    SESSION_CREDITS = "session_credits"
    ALREADY_STARTED = "already_started"
    ALREADY_COMPLETED = "already_completed"
    NOT_READY = "not_ready"
    NOT_FOUND = "not_found"
    STOPPING = "stopping"
    DEFECT = "defect"
    OTHER = "other"


#: What a code means where nothing more is said.
_BY_CODE = {
    StatusCode.UNIMPLEMENTED: Reason.UNKNOWN_HANDLER,
    StatusCode.PERMISSION_DENIED: Reason.PRIVATE_HANDLER,
    StatusCode.INVALID_ARGUMENT: Reason.INVALID_REQUEST,
    StatusCode.RESOURCE_EXHAUSTED: Reason.TOO_LARGE,
    StatusCode.ALREADY_EXISTS: Reason.ALREADY_STARTED,
    StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE,
    StatusCode.FAILED_PRECONDITION: Reason.ALREADY_COMPLETED,
    StatusCode.NOT_FOUND: Reason.NOT_FOUND,
    StatusCode.UNAVAILABLE: Reason.STOPPING,
    StatusCode.INTERNAL: Reason.DEFECT,
}


def reason_of(code: StatusCode) -> Reason:
    """Why, as far as a code tells."""
    return _BY_CODE.get(code, Reason.OTHER)
