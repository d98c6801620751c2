"""The codec seam: both flavours, the same bytes, and nothing accepted that is not a message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from restate_protocol import codec
from restate_protocol.codec_betterproto import check_wire

from tests.codegen.harness import LoadCase

FLAVOURS = ["protobuf_py", "betterproto"]


def messages(load_case: LoadCase, flavour: str) -> Any:
    return load_case("types", flavour)["types.v1.types_pb"]


def filled(pb: Any) -> Any:
    """A message with something in every kind of field that both flavours build alike."""
    inner = pb.All.Inner if hasattr(pb.All, "Inner") else pb.AllInner
    return pb.All(
        a_double=1.5,
        an_int32=-7,
        a_uint64=2**64 - 1,
        a_sint64=-(2**40),
        a_fixed32=9,
        a_bool=True,
        a_string="Grüße",
        a_bytes=b"\0\xff",
        an_inner=inner(),
        an_optional_int=0,
        ints=[1, 2, 300],
        inners=[inner(), inner()],
        counts={"a": 1},
        by_number={5: inner()},
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_message_survives_bytes_and_json(flavour: str, load_case: LoadCase) -> None:
    pb = messages(load_case, flavour)
    message = filled(pb)
    assert codec.decode(pb.All, codec.encode(message)) == message
    assert codec.from_json(pb.All, codec.to_json(message)) == message
    assert codec.full_name(pb.All) == "types.v1.All"


def test_both_flavours_read_what_the_other_wrote(load_case: LoadCase) -> None:
    ours, theirs = (messages(load_case, flavour) for flavour in FLAVOURS)
    assert codec.decode(theirs.All, codec.encode(filled(ours))) == filled(theirs)
    assert codec.decode(ours.All, codec.encode(filled(theirs))) == filled(ours)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_truncated_bytes_are_refused_unless_they_end_between_fields(flavour: str, load_case: LoadCase) -> None:
    ours, pb = messages(load_case, "protobuf_py"), messages(load_case, flavour)
    data = codec.encode(filled(ours))
    for length in range(len(data)):
        assert accepts(pb.All, data[:length]) == accepts(ours.All, data[:length]), length


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=40))
def test_betterproto_accepts_no_bytes_that_protobuf_refuses(data: bytes, load_case: LoadCase) -> None:
    ours, theirs = (messages(load_case, flavour) for flavour in FLAVOURS)
    assert accepts(ours.All, data) or not accepts(theirs.All, data)


def accepts(cls: type[Any], data: bytes) -> bool:
    try:
        codec.decode(cls, data)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x08", "the message ends within a number"),
        (b"\x00\x00", "field number 0"),
        (b"\x72\x05abc", "field 14 ends 2 bytes after the message"),
        (b"\x70\x01", "field a_string has wire type 0, not 2"),
        (b"\x13\x14", "field 2 has wire type 3"),
        (b"\x18" + b"\xff" * 10, "a number is longer than 10 bytes"),
        (b"\x8a\x01\x03\x0a\x05a", "field 1 ends 4 bytes after the message"),
        (b"\xca\x01\x02\x0a\x09", "field 1 ends 9 bytes after the message"),
    ],
)
def test_the_walk_over_the_wire_says_what_is_wrong(data: bytes, message: str, load_case: LoadCase) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_wire(messages(load_case, "betterproto").All, data)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("text", ["{", "[]", '{"an_int32": "x"}', "7"])
def test_json_that_is_no_message_is_a_value_error(flavour: str, text: str, load_case: LoadCase) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        codec.from_json(messages(load_case, flavour).All, text)


def test_a_class_of_no_flavour_is_refused() -> None:
    assert not codec.is_message(int)
    with pytest.raises(TypeError, match=r"builtins\.int is not a message of protobuf-py, betterproto"):
        codec.full_name(int)
