"""Frames of the session protocol: batches of them to bytes and back.

A frame is one of the stubs in `session_pb`; this module only wraps and unwraps them. The frames of which there are most
have a plain class in `hot_frames`: to be written, and `RunAck` to be read too. What frames mean is in
`docs/internals/protocol.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from protobuf import Oneof

from . import hot_frames as hot
from .errors import FrameError
from .gen.restate.protocol.v1 import session_pb as pb

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

#: The feature of endpoints that take Suspend.
SUSPENDS = "suspend"

RuntimeFrame: TypeAlias = (
    pb.RuntimeHello
    | pb.Describe
    | pb.Start
    | pb.JournalPart
    | pb.Notify
    | hot.RunAck
    | pb.Abort
    | pb.Drain
    | pb.Refused
    | pb.Suspend
)
EndpointFrame: TypeAlias = (
    pb.EndpointHello
    | pb.Manifest
    | pb.Delivered
    | hot.Delivered
    | pb.Command
    | hot.Command
    | pb.RunProposal
    | pb.RunFailure
    | pb.Suspended
    | pb.Failed
    | pb.Ended
    | hot.Ended
    | pb.Credit
    | pb.Drain
    | pb.Refused
)

_RUNTIME_FIELDS: dict[type[Any], str] = {
    pb.RuntimeHello: "hello",
    pb.Describe: "describe",
    pb.Start: "start",
    pb.JournalPart: "journal_part",
    pb.Notify: "notify",
    pb.Abort: "abort",
    pb.Drain: "drain",
    pb.Refused: "refused",
    pb.Suspend: "suspend",
}
_ENDPOINT_FIELDS: dict[type[Any], str] = {
    pb.EndpointHello: "hello",
    pb.Manifest: "manifest",
    pb.Delivered: "delivered",
    pb.Command: "command",
    pb.RunProposal: "run_proposal",
    pb.RunFailure: "run_failure",
    pb.Suspended: "suspended",
    pb.Failed: "failed",
    pb.Ended: "ended",
    pb.Credit: "credit",
    pb.Drain: "drain",
    pb.Refused: "refused",
}


def encode_runtime_frame(frame: RuntimeFrame) -> bytes:
    """One message with this frame, from the runtime. Such messages, one after the other, are one with all frames."""
    return hot.WRITERS.get(type(frame), _write_runtime)(frame)


def encode_endpoint_frame(frame: EndpointFrame) -> bytes:
    """One message with this frame, from the endpoint. Such messages, one after the other, are one with all frames."""
    return hot.WRITERS.get(type(frame), _write_endpoint)(frame)


def encode_runtime_batch(frames: Iterable[RuntimeFrame]) -> bytes:
    """One message with these frames, from the runtime."""
    return b"".join(map(encode_runtime_frame, frames))


def encode_endpoint_batch(frames: Iterable[EndpointFrame]) -> bytes:
    """One message with these frames, from the endpoint."""
    return b"".join(map(encode_endpoint_frame, frames))


def decode_runtime_batch(data: bytes) -> Sequence[RuntimeFrame]:
    """The frames in a message from the runtime.

    Raises:
        FrameError: it is not a batch, or holds a frame this version does not know.
    """
    acks = hot.read_run_acks(data)
    return list(map(_plain, _unwrap(pb.RuntimeBatch, data))) if acks is None else acks


def _plain(frame: Any) -> RuntimeFrame:
    """Acknowledgements are of one class, whichever way they were read."""
    plain: RuntimeFrame = frame
    return hot.RunAck(frame.invocation_id, frame.epoch, frame.command) if type(frame) is pb.RunAck else plain


def decode_endpoint_batch(data: bytes) -> list[EndpointFrame]:
    """The frames in a message from the endpoint.

    Raises:
        FrameError: it is not a batch, or holds a frame this version does not know.
    """
    return _unwrap(pb.EndpointBatch, data)


def _write_runtime(frame: Any) -> bytes:
    one: Any = Oneof(_RUNTIME_FIELDS[type(frame)], frame)
    return pb.RuntimeBatch(frames=[pb.RuntimeFrame(frame=one)]).to_binary()


def _write_endpoint(frame: Any) -> bytes:
    one: Any = Oneof(_ENDPOINT_FIELDS[type(frame)], frame)
    return pb.EndpointBatch(frames=[pb.EndpointFrame(frame=one)]).to_binary()


def _unwrap(batch: Any, data: bytes) -> list[Any]:
    try:
        frames = batch.from_binary(data).frames
    except Exception as error:
        raise FrameError(f"not a batch of frames: {error}") from error
    for frame in frames:
        if frame.frame is None:
            raise FrameError("a frame of a type this version does not know")
    return [frame.frame.value for frame in frames]
