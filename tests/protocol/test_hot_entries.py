"""Entries that are written and read without stubs are those of the stubs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from protobuf import Oneof
from restate_protocol import hot_entries as hot
from restate_protocol import journal as j
from restate_protocol.errors import FrameError
from restate_protocol.gen.restate.protocol.v1 import journal_pb as pb
from restate_protocol.wire import Unusual

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NUMBERS = st.integers(0, 2**32 - 1)
BYTES = st.binary(max_size=400)


def entry(field: str, command: Any) -> bytes:
    one: Any = Oneof(field, command)
    return pb.Entry(entry=one).to_binary()


def result(data: bytes, type_name: str) -> pb.Result:
    return pb.Result(result=Oneof("value", pb.Value(data=data, type=type_name)))  # type: ignore[arg-type]


@given(TEXTS, BYTES, TEXTS, NUMBERS)
def test_the_bytes_of_a_run_are_those_of_the_stubs(name: str, data: bytes, type_name: str, duration_ms: int) -> None:
    command = pb.RunCommand(name=name, result=result(data, type_name), duration_ms=duration_ms)
    written = hot.write_run(name, data, type_name, duration_ms)
    assert written == entry("run", command)
    assert j.decode(written) == j.Run(name, j.Value(data, type_name), duration_ms)


@given(BYTES, TEXTS)
def test_the_bytes_of_an_output_are_those_of_the_stubs(data: bytes, type_name: str) -> None:
    written = hot.write_output(data, type_name)
    assert written == entry("output", pb.OutputCommand(result=result(data, type_name)))
    assert j.decode(written) == j.Output(j.Value(data, type_name))
    assert hot.value_result(data, type_name) == result(data, type_name).to_binary()


@given(BYTES, st.lists(st.tuples(TEXTS, BYTES), max_size=3))
def test_the_bytes_of_an_input_are_those_of_the_stubs(payload: bytes, headers: list[tuple[str, bytes]]) -> None:
    written = hot.write_input(payload, headers)
    command = pb.InputCommand(payload=payload, headers=[pb.Header(name=name, value=value) for name, value in headers])
    assert written == entry("input", command)
    assert j.decode(written) == j.Input(payload, tuple(headers))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_of_any_size_are_read_back(length: int) -> None:
    value = j.Value(b"x" * length, j.BYTES)
    for one in (j.Run("step", value, 7), j.Output(value), j.Input(value.data)):
        assert j.decode(j.encode(one)) == one


def through_stubs(data: bytes) -> j.Entry | None:
    try:
        one: Any = pb.Entry.from_binary(data).entry
        return None if one is None else j._DECODERS[one.field](one.value)
    except Exception:
        return None


def read(data: bytes) -> j.Entry | None:
    try:
        return j.decode(data)
    except FrameError:
        return None


@given(st.integers(0, 2**32 - 1), st.binary(max_size=20))
def test_what_its_handler_had_taken_follows_a_command(taken: int, data: bytes) -> None:
    value = j.Value(data, j.JSON)
    for one in (j.Run("step", value, 7), j.Output(value), j.Input(data)):
        written = j.encode(one) + hot.taken_bytes(taken)
        assert j.decode(written) == one
        assert j.taken(written) == taken
    entry: Any = Oneof("run", pb.RunCommand(name="step"))
    assert j.encode(j.Run("step")) + hot.taken_bytes(taken) == pb.Entry(entry=entry, taken=taken).to_binary()


ENTRIES = st.one_of(
    st.builds(hot.write_run, TEXTS, BYTES, TEXTS, NUMBERS),
    st.builds(hot.write_output, BYTES, TEXTS),
    st.builds(hot.write_input, BYTES, st.lists(st.tuples(TEXTS, BYTES), max_size=2)),
)


@given(ENTRIES, st.data())
@example(b"", None)
def test_what_is_spoilt_is_read_as_the_stubs_read_it(data: bytes, draw: st.DataObject | None) -> None:
    spoilt = bytearray(data)
    if draw is not None:
        for _ in range(draw.draw(st.integers(1, 3))):
            at = draw.draw(st.integers(0, len(spoilt)))
            spoilt[at : at + draw.draw(st.integers(0, 2))] = draw.draw(st.binary(max_size=2))
    assert read(bytes(spoilt)) == through_stubs(bytes(spoilt))


def test_a_run_without_its_result_is_left_to_the_stubs() -> None:
    with pytest.raises((Unusual, IndexError)):
        hot.read_run(j.encode(j.Run("step")))
    assert j.decode(j.encode(j.Run("step"))) == j.Run("step")
