"""Frames that are written without stubs are those of the stubs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf import Oneof
from restate_protocol import frames as fr
from restate_protocol import hot_frames as hot
from restate_protocol.errors import FrameError
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


ACKS = st.builds(hot.RunAck, st.binary(min_size=16, max_size=16), st.integers(1, 127), st.integers(1, 127))
ANY_ACKS = st.builds(hot.RunAck, IDS, NUMBERS, NUMBERS)


def acks(data: bytes) -> list[tuple[bytes, int, int]] | None:
    """What the reader makes of a message; None where it is refused."""
    try:
        frames = fr.decode_runtime_batch(data)
    except FrameError:
        return None
    return [(one.invocation_id, one.epoch, one.command) for one in frames if isinstance(one, hot.RunAck)]


def acks_of_stubs(data: bytes) -> list[tuple[bytes, int, int]] | None:
    try:
        frames = [one.frame for one in pb.RuntimeBatch.from_binary(data).frames]
    except Exception:
        return None
    if None in frames:
        return None
    found = [one.value for one in frames if one is not None and one.field == "run_ack"]
    return [(one.invocation_id, one.epoch, one.command) for one in found]


@given(st.lists(ACKS, min_size=1, max_size=6))
def test_messages_of_acknowledgements_are_read_without_stubs(sent: list[hot.RunAck]) -> None:
    assert hot.read_run_acks(fr.encode_runtime_batch(sent)) == sent


@given(st.lists(ACKS | ANY_ACKS, max_size=4))
def test_acknowledgements_of_any_size_are_read_as_the_stubs_read_them(sent: list[hot.RunAck]) -> None:
    data = fr.encode_runtime_batch(sent)
    assert acks(data) == acks_of_stubs(data) == [(one.invocation_id, one.epoch, one.command) for one in sent]


@given(st.lists(ACKS, min_size=1, max_size=3), st.data())
def test_spoilt_acknowledgements_are_read_as_the_stubs_read_them(sent: list[hot.RunAck], data: st.DataObject) -> None:
    spoilt = bytearray(fr.encode_runtime_batch(sent))
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(spoilt[: data.draw(st.integers(0, len(spoilt)))])
    for one in (bytes(spoilt), cut):
        assert acks(one) == acks_of_stubs(one)


@pytest.mark.parametrize("other", [pb.Drain(), pb.Notify(invocation_id=b"i" * 16, epoch=1, entry=b"x")])
def test_a_message_with_other_frames_too_is_left_to_the_stubs(other: fr.RuntimeFrame) -> None:
    ack = hot.RunAck(b"i" * 16, 1, 1)
    for sent in ([ack, other], [other, ack]):
        data = fr.encode_runtime_batch(sent)
        assert hot.read_run_acks(data) is None
        assert len(fr.decode_runtime_batch(data)) == 2


def test_a_batch_is_its_frames_one_after_the_other() -> None:
    runtime: list[fr.RuntimeFrame] = [hot.RunAck(b"i" * 16, 1, 1), pb.Drain()]
    endpoint: list[fr.EndpointFrame] = [hot.Command(b"i" * 16, 1, b"x"), pb.Credit(additional=3)]
    assert b"".join(map(fr.encode_runtime_frame, runtime)) == fr.encode_runtime_batch(runtime)
    assert b"".join(map(fr.encode_endpoint_frame, endpoint)) == fr.encode_endpoint_batch(endpoint)
