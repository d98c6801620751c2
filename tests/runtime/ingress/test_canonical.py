"""Two requests are one request when their values are equal, whatever their bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from restate_runtime.deployments.canonical import DIGEST_BYTES, Digests
from restate_runtime.deployments.schema import Schema

VALUES = """
syntax = "proto3";
package values.v1;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";

message All {
  string text = 1;
  optional int32 maybe = 2;
  repeated int64 numbers = 3;
  map<string, Inner> by_name = 4;
  map<int32, double> by_number = 5;
  Inner inner = 6;
  repeated Inner inners = 7;
  double real = 8;
  repeated float reals = 9;
  google.protobuf.Any any = 10;
  google.protobuf.Struct struct = 11;
  oneof choice { string a = 12; Inner b = 13; }
  bytes data = 14;
}
message Inner { map<string, string> tags = 1; double real = 2; Inner next = 3; }
"""
OLD = """
syntax = "proto3";
package values.v1;
message All { string text = 1; bytes data = 14; }
"""
FULL: dict[str, Any] = {
    "text": "t",
    "maybe": 0,
    "numbers": ["1", "-2", "3"],
    "byName": {"x": {"tags": {"a": "1", "b": "2"}}, "y": {}, "": {"real": 1.5}},
    "byNumber": {"1": 1.0, "0": "NaN"},
    "inner": {"next": {"tags": {"k": "v"}}},
    "inners": [{"real": 1.0}, {}, {"real": 2.0}],
    "real": "NaN",
    "reals": [1.0, "NaN"],
    "any": {"@type": "type.googleapis.com/values.v1.Inner", "tags": {"a": "1", "b": "2"}},
    "struct": {"n": None, "l": [1, {"z": 1, "a": 2}]},
    "b": {"real": 3.0},
    "data": "AAE=",
}


@pytest.fixture(scope="module")
def schema(compile_protos: Callable[[Mapping[str, str]], bytes]) -> Schema:
    return Schema(compile_protos({"values/v1/values.proto": VALUES}))


def digest_of(schema: Schema, full_name: str, data: bytes) -> bytes:
    return Digests(schema, full_name)(data)


def digest(schema: Schema, value: Any) -> bytes:
    return digest_of(schema, "values.v1.All", schema.from_json("values.v1.All", json.dumps(value)))


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same JSON, with the names of each object in another order."""
    if isinstance(value, list):
        return [shuffled(one, chance) for one in value]
    if not isinstance(value, dict):
        return value
    items = [(name, shuffled(one, chance)) for name, one in value.items()]
    chance.shuffle(items)
    return dict(items)


def changes(value: Any) -> list[Any]:
    """The JSON with one thing changed, for each thing that there is."""
    if isinstance(value, dict):
        without = [{name: one for name, one in value.items() if name != left} for left in value if left != "@type"]
        return without + [{**value, name: one} for name in value if name != "@type" for one in changes(value[name])]
    if isinstance(value, list):
        longer = [[*value, value[0]], [value[-1], *value[:-1]]]
        return longer + [[*value[:at], one, *value[at + 1 :]] for at in range(len(value)) for one in changes(value[at])]
    if value == "NaN":
        return [1.25]
    if isinstance(value, str):
        return ["AAI="] if value == "AAE=" else ["77"]
    return ["x"] if value is None else [7]


def test_the_order_of_fields_and_of_entries_makes_no_difference(schema: Schema) -> None:
    chance = random.Random(1)
    expected = digest(schema, FULL)
    assert len(expected) == DIGEST_BYTES
    assert {digest(schema, shuffled(FULL, chance)) for _ in range(50)} == {expected}


def test_fields_in_another_order_on_the_wire_are_the_same(schema: Schema) -> None:
    parts = [schema.from_json("values.v1.All", json.dumps({name: one})) for name, one in FULL.items()]
    chance = random.Random(2)
    found = set()
    for _ in range(50):
        chance.shuffle(parts)
        found.add(digest_of(schema, "values.v1.All", b"".join(parts)))
    assert found == {digest(schema, FULL)}


def test_every_change_of_a_value_is_a_change(schema: Schema) -> None:
    found = [digest(schema, one) for one in changes(FULL)]
    assert len(found) > 40
    assert digest(schema, FULL) not in found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"", b"\x0a\x00"),  # a default that is said
        (b"\x0a\x01t", b"\x0a\x01x\x0a\x01t"),  # the last of two counts
        (b"\x1a\x02\x01\x02", b"\x18\x01\x18\x02"),  # packed, and not
        (b"\x41" + b"\x00" * 6 + b"\xf8\x7f", b"\x41" + b"\x01" * 6 + b"\xf8\xff"),  # any NaN
        (b"\x18\x01", b"\x18\x81\x00"),  # a varint that is longer than it must be
        (b"\x0a\x01t\xa0\x06\x05", b"\xa0\x06\x05\x0a\x01t"),  # an unknown field in another place
    ],
)
def test_other_bytes_for_the_same_value(schema: Schema, one: bytes, other: bytes) -> None:
    assert digest_of(schema, "values.v1.All", one) == digest_of(schema, "values.v1.All", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"", b"\x10\x00"),  # `optional`: 0 is not absent
        (b"\x32\x00", b""),  # nor is an empty message
        (b"\xa0\x06\x05", b"\xa0\x06\x06"),  # unknown fields count by their bytes
        (b"\xa0\x06\x05", b""),
        (b"\xa3\x06\x08\x01\xa4\x06", b"\xa3\x06\x08\x02\xa4\x06"),  # and unknown groups
    ],
)
def test_values_that_differ(schema: Schema, one: bytes, other: bytes) -> None:
    assert digest_of(schema, "values.v1.All", one) != digest_of(schema, "values.v1.All", other)


def test_a_contract_that_knows_a_field_later_gives_the_same_digest(
    schema: Schema, compile_protos: Callable[[Mapping[str, str]], bytes]
) -> None:
    old = Schema(compile_protos({"values/v1/values.proto": OLD}))
    value = {name: FULL[name] for name in ("text", "maybe", "numbers", "inner", "inners", "b", "data")}
    data = schema.from_json("values.v1.All", json.dumps(value))
    assert digest_of(old, "values.v1.All", data) == digest_of(schema, "values.v1.All", data)


def test_so_does_one_whose_messages_have_one_encoding_anyway(
    compile_protos: Callable[[Mapping[str, str]], bytes],
) -> None:
    fields = "message All { string text = 1; %s } message Sub { string a = 1; oneof b { int32 c = 2; bytes d = 3; } }"
    later = "repeated Sub subs = 2; optional int32 maybe = 3; All next = 5; repeated int32 numbers = 4;"
    head = 'syntax = "proto3"; package values.v1; '
    old, new = (Schema(compile_protos({"values/v1/values.proto": head + fields % more})) for more in ("", later))
    value = {"text": "t", "subs": [{"a": "1", "d": "AAE="}, {}], "maybe": 0, "numbers": [1, 2]}
    data = new.from_json("values.v1.All", json.dumps(value))
    assert digest_of(old, "values.v1.All", data) == digest_of(new, "values.v1.All", data)
    assert digest_of(new, "values.v1.Sub", b"\x1a\x01x\x0a\x01y") == digest_of(
        new, "values.v1.Sub", b"\x0a\x01y\x1a\x01x"
    )


def test_an_any_that_nobody_knows_counts_by_its_bytes(schema: Schema) -> None:
    unknown = b"\x52\x08\x0a\x03x/y\x12\x01"
    assert digest_of(schema, "values.v1.All", unknown + b"a") != digest_of(schema, "values.v1.All", unknown + b"b")
    bad = b"\x52\x18\x0a\x13x/values.v1.NoSuch\x00\x12\x01\xff"
    assert len(digest_of(schema, "values.v1.All", bad)) == DIGEST_BYTES


def test_bytes_that_are_no_message_count_as_bytes(schema: Schema) -> None:
    one, other = (digest_of(schema, "values.v1.All", data) for data in (b"\xff", b"\xff\xff"))
    assert one != other
    assert one == digest_of(schema, "values.v1.All", b"\xff")
