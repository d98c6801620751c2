"""The codec seam: every flavour, the same bytes, and nothing accepted that is not a message."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from restate_protocol import codec
from restate_protocol.codec_betterproto import check_wire

from tests.codegen.harness import LoadCase

FLAVOURS = ["protobuf_py", "betterproto", "google"]
PAIRS = list(itertools.permutations(FLAVOURS, 2))


def messages(load_case: LoadCase, flavour: str) -> Any:
    return load_case("types", flavour)["types.v1.types_pb"]


def filled(pb: Any) -> Any:
    """A message with something in every kind of field that all flavours build alike."""
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


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_each_flavour_reads_what_another_wrote(writer: str, reader: str, load_case: LoadCase) -> None:
    wrote, reads = messages(load_case, writer), messages(load_case, reader)
    assert codec.decode(reads.All, codec.encode(filled(wrote))) == filled(reads)
    assert codec.from_json(reads.All, codec.to_json(filled(wrote))) == filled(reads)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_truncated_bytes_are_refused_unless_they_end_between_fields(flavour: str, load_case: LoadCase) -> None:
    ours, pb = messages(load_case, "protobuf_py"), messages(load_case, flavour)
    data = codec.encode(filled(ours))
    for length in range(len(data)):
        assert accepts(pb.All, data[:length]) == accepts(ours.All, data[:length]), length


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=40), flavour=st.sampled_from(["betterproto", "google"]))
def test_no_flavour_accepts_bytes_that_protobuf_refuses(data: bytes, flavour: str, load_case: LoadCase) -> None:
    ours, theirs = messages(load_case, "protobuf_py"), messages(load_case, flavour)
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
@pytest.mark.parametrize("text", ["{", "[]", '{"an_int32": "x"}', "7", "null", '""'])
def test_json_that_is_no_message_is_a_value_error(flavour: str, text: str, load_case: LoadCase) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        codec.from_json(messages(load_case, flavour).All, text)


def test_a_class_of_no_flavour_is_refused() -> None:
    assert not codec.is_message(int)
    with pytest.raises(TypeError, match=r"builtins\.int is not a message of protobuf-py, betterproto, google"):
        codec.full_name(int)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_presence_is_told_where_a_field_has_it(flavour: str, load_case: LoadCase) -> None:
    pb = messages(load_case, flavour)
    unset, zero = pb.All(), pb.All(an_optional_int=0, an_int32=0, at=None)
    assert not codec.has(unset, "an_optional_int")
    assert codec.has(zero, "an_optional_int")
    assert not codec.has(zero, "an_int32")
    assert codec.has(pb.All(an_int32=1), "an_int32")
    assert not codec.has(zero, "at")


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("ints", [1, 2]),
        ("counts", {"a": 1}),
        ("a_string", "x"),
        ("an_optional_int", 0),
        ("enums", [0, 1]),
        ("ints", []),
    ],
)
def test_a_field_alone_comes_back_as_a_value_of_python(
    flavour: str, attribute: str, value: object, load_case: LoadCase
) -> None:
    pb = messages(load_case, flavour)
    data = codec.encode(codec.with_field(pb.All, attribute, value))
    back = codec.field(codec.decode(pb.All, data), attribute)
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_default_of_a_field_is_that_of_the_contract(flavour: str, load_case: LoadCase) -> None:
    pb = messages(load_case, flavour)
    fields = ("a_double", "a_bool", "a_string", "a_bytes", "a_nested", "ints", "counts")
    assert [codec.field(pb.All(), one) for one in fields] == [0.0, False, "", b"", 0, [], {}]


@pytest.mark.parametrize("flavour", ["protobuf_py", "google"])
def test_defaults_of_proto2_are_those_of_the_contract(flavour: str, load_case: LoadCase) -> None:
    pb = load_case("dialects", flavour)["dialects.v1.proto2_pb"]
    assert codec.field(pb.OldState(), "count") == 7
    assert codec.field(pb.OldResponse(), "text") == "hello"


def test_lists_and_maps_of_google_are_copies(load_case: LoadCase) -> None:
    pb = messages(load_case, "google")
    message = pb.All(ints=[1], by_number={5: pb.All.Inner(text="x")})
    codec.field(message, "ints").append(2)
    assert codec.field(message, "by_number") == {5: pb.All.Inner(text="x")}
    assert list(message.ints) == [1]


def test_a_struct_is_a_message_although_it_looks_like_a_dict(load_case: LoadCase) -> None:
    pb = messages(load_case, "google")
    message = pb.All(object={"a": 1})
    assert codec.is_message(type(codec.field(message, "object")))
    assert codec.field(message, "object")["a"] == 1


@pytest.mark.parametrize(("attribute", "value"), [("an_int32", "x"), ("an_int32", 2**40), ("ints", 7), ("nope", 1)])
def test_a_value_that_does_not_fit_is_a_type_error_in_google(
    attribute: str, value: object, load_case: LoadCase
) -> None:
    with pytest.raises(TypeError):
        codec.with_field(messages(load_case, "google").All, attribute, value)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_unknown_fields_are_told_apart(flavour: str, load_case: LoadCase) -> None:
    pb = messages(load_case, flavour)
    one, other = (codec.decode(pb.Request, b"\x08\x01" + data) for data in (b"\x50\x01", b"\x50\x02"))
    assert codec.unknown(pb.Request(id=1)) == {}
    assert codec.unknown(one) != codec.unknown(other)
    assert len(codec.unknown(one)) == 1


def test_groups_and_numbers_that_google_does_not_know_are_text(load_case: LoadCase) -> None:
    pb = messages(load_case, "google")
    data = b"\x50\x01\x50\x02" + b"\x5b\x08\x07\x12\x01a\x5c"
    fields = {"unknown field 10": "1 2", "unknown field 11": "(1: 7 2: 61)"}
    assert codec.unknown(codec.decode(pb.Request, data)) == fields


@pytest.mark.parametrize("flavour", ["protobuf_py", "google"])
def test_an_any_of_a_type_that_is_not_loaded_is_a_value_error_in_json(flavour: str, load_case: LoadCase) -> None:
    module = {"google": "restate_protocol.google.gen.google.protobuf.any_pb2", "protobuf_py": "protobuf.wkt"}[flavour]
    any_message = importlib.import_module(module).Any(type_url="t/x.Y", value=b"\x08\x01")
    with pytest.raises(ValueError, match=r"x\.Y"):
        codec.to_json(messages(load_case, flavour).All(whatever=any_message))


def test_a_required_field_that_is_not_set_is_a_value_error(load_case: LoadCase) -> None:
    pb = load_case("dialects", "google")["dialects.v1.proto2_pb"]
    with pytest.raises(ValueError, match="id"):
        codec.encode(pb.OldRequest())


def test_google_writes_maps_in_one_order(load_case: LoadCase) -> None:
    pb = messages(load_case, "google")
    keys = [f"key{number}" for number in range(50)]
    one, other = (pb.All(counts=dict.fromkeys(order, 1)) for order in (keys, keys[::-1]))
    assert codec.encode(one) == codec.encode(other)
