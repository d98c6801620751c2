"""Failures as stored: a Failed frame for attempts, a Result for invocations."""

from __future__ import annotations

from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import journal_pb, session_pb


def encode_result(result: j.Result) -> bytes:
    """The bytes an invocation's result is stored as."""
    return j.encode_result(result)


def decode_result(data: bytes | None) -> j.Result:
    """The result in these bytes."""
    return j.result_from_pb(journal_pb.Result.from_binary(data or b""))


def failed_frame(invocation_id: bytes, epoch: int, failure: j.Failure) -> session_pb.Failed:
    """A failed attempt as an endpoint would have told it."""
    return session_pb.Failed(invocation_id=invocation_id, epoch=epoch, failure=j.failure_to_pb(failure))


def failure_of(frame: session_pb.Failed) -> j.Failure:
    """What went wrong."""
    if frame.failure is None:
        return j.Failure(2, "the endpoint gave no reason")
    return j.failure_from_pb(frame.failure)
