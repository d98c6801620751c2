"""gRPC status codes, and the one table that maps Restate's numbers to them."""

from __future__ import annotations

import enum


class StatusCode(enum.IntEnum):
    """A gRPC status code. Its value is what travels in frames and journals."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def of(cls, number: int) -> StatusCode:
        """The code with this number; an unknown number is UNKNOWN, as gRPC has it."""
        try:
            return cls(number)
        except ValueError:
            return cls.UNKNOWN


# Restate's codes are HTTP-like; ours are gRPC's. Used by people who port code and by the conformance suite.
RESTATE_CODES: dict[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    408: StatusCode.DEADLINE_EXCEEDED,
    409: StatusCode.ABORTED,
    410: StatusCode.NOT_FOUND,
    412: StatusCode.FAILED_PRECONDITION,
    413: StatusCode.RESOURCE_EXHAUSTED,
    429: StatusCode.RESOURCE_EXHAUSTED,
    470: StatusCode.FAILED_PRECONDITION,
    500: StatusCode.UNKNOWN,
    501: StatusCode.UNIMPLEMENTED,
    503: StatusCode.UNAVAILABLE,
    570: StatusCode.INTERNAL,
    571: StatusCode.INTERNAL,
    573: StatusCode.UNIMPLEMENTED,
}
