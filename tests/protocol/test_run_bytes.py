"""A run with its result has the bytes that the stubs give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from protobuf import Oneof
from restate_protocol import journal as j
from restate_protocol.gen.restate.protocol.v1 import journal_pb as pb
from restate_protocol.run_bytes import run_bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXTS, st.binary(max_size=400), TEXTS, st.integers(0, 2**32 - 1))
def test_the_bytes_of_a_run_are_those_of_the_stubs(name: str, data: bytes, type_name: str, duration_ms: int) -> None:
    value = pb.Value(data=data, type=type_name)
    result = pb.Result(result=Oneof("value", value))  # type: ignore[arg-type]
    command = pb.RunCommand(name=name, result=result, duration_ms=duration_ms)
    entry = pb.Entry(entry=Oneof("run", command))  # type: ignore[arg-type]
    assert run_bytes(name, data, type_name, duration_ms) == entry.to_binary()


@given(st.integers(0, 100_000))
def test_lengths_of_any_size_are_read_back(length: int) -> None:
    data = run_bytes("step", b"x" * length, j.BYTES, 7)
    assert j.decode(data) == j.Run("step", j.Value(b"x" * length, j.BYTES), 7)
