"""Frames that are written without stubs are those of the stubs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from protobuf import Oneof
from restate_protocol import frames as fr
from restate_protocol import hot_frames as hot
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb

IDS = st.binary(max_size=20)
NUMBERS = st.integers(0, 2**32 - 1)


def batch(kind: type[Any], wrap: type[Any], field: str, frame: Any) -> bytes:
    one: Any = Oneof(field, frame)
    data: bytes = kind(frames=[wrap(frame=one)]).to_binary()
    return data


def from_runtime(field: str, frame: Any) -> bytes:
    return batch(pb.RuntimeBatch, pb.RuntimeFrame, field, frame)


def from_endpoint(field: str, frame: Any) -> bytes:
    return batch(pb.EndpointBatch, pb.EndpointFrame, field, frame)


@given(IDS, NUMBERS, NUMBERS)
def test_the_bytes_of_an_acknowledgement_are_those_of_the_stubs(invocation_id: bytes, epoch: int, command: int) -> None:
    stub = pb.RunAck(invocation_id=invocation_id, epoch=epoch, command=command)
    assert fr.encode_runtime_batch([hot.RunAck(invocation_id, epoch, command)]) == from_runtime("run_ack", stub)


@given(IDS, NUMBERS)
def test_the_bytes_of_beginning_and_end_are_those_of_the_stubs(invocation_id: bytes, epoch: int) -> None:
    delivered = pb.Delivered(invocation_id=invocation_id, epoch=epoch)
    assert fr.encode_endpoint_batch([hot.Delivered(invocation_id, epoch)]) == from_endpoint("delivered", delivered)
    ended = pb.Ended(invocation_id=invocation_id, epoch=epoch)
    assert fr.encode_endpoint_batch([hot.Ended(invocation_id, epoch)]) == from_endpoint("ended", ended)


@given(IDS, NUMBERS, st.binary(max_size=400))
def test_the_bytes_of_a_command_are_those_of_the_stubs(invocation_id: bytes, epoch: int, entry: bytes) -> None:
    stub = pb.Command(invocation_id=invocation_id, epoch=epoch, entry=entry)
    assert fr.encode_endpoint_batch([hot.Command(invocation_id, epoch, entry)]) == from_endpoint("command", stub)


def test_plain_frames_and_stubs_share_a_message_in_their_order() -> None:
    sent: list[fr.EndpointFrame] = [
        hot.Delivered(b"i" * 16, 1),
        pb.Credit(additional=3),
        hot.Command(b"i" * 16, 1, b"x" * 300),
    ]
    assert fr.decode_endpoint_batch(fr.encode_endpoint_batch(sent)) == [
        pb.Delivered(invocation_id=b"i" * 16, epoch=1),
        pb.Credit(additional=3),
        pb.Command(invocation_id=b"i" * 16, epoch=1, entry=b"x" * 300),
    ]
