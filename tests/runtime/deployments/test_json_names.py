"""A field that JSON names twice, once in each spelling, wherever it is."""

from __future__ import annotations

import pytest
from restate_codegen.protoc import compile_protos
from restate_runtime.deployments.schema import InvalidMessage, Schema

PROTO = """
syntax = "proto3";
package t.v1;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
message Item { int64 unit_price = 1; string note = 2 [json_name = "text"]; }
message Order {
  string user_id = 1;
  Item first_item = 2;
  repeated Item items = 3;
  map<string, Item> by_name = 4;
  google.protobuf.Any anything = 5;
  google.protobuf.Struct free = 6;
  Order next = 7;
  oneof how { string card = 8; Item other_way = 9; bool cash = 10; }
  optional string a_note = 11;
  optional string b_note = 12;
}
message Plain { string name = 1; Plain next = 2; }
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("protos")
    (folder / "t.proto").write_text(PROTO, encoding="utf-8")
    return Schema(compile_protos([folder], ["t.proto"]).descriptor_set)


ITEM = '{"unit_price": 1, "unitPrice": 2}'
TWICE = {
    "the message itself": ('{"user_id": "a", "userId": "b"}', "user_id", "user_id and as userId"),
    "the same value": ('{"user_id": "a", "userId": "a"}', "user_id", "user_id and as userId"),
    "null": ('{"user_id": "a", "userId": null}', "user_id", "user_id and as userId"),
    "an escaped name": ('{"user\\u005fid": "a", "userId": "b"}', "user_id", "user_id and as userId"),
    "a name of its own in JSON": ('{"firstItem": {"note": "a", "text": "b"}}', "first_item.note", "note and as text"),
    "a message within": (f'{{"first_item": {ITEM}}}', "first_item.unit_price", "unit_price and as unitPrice"),
    "a list": (f'{{"items": [{{}}, {ITEM}]}}', "items[1].unit_price", "unit_price and as unitPrice"),
    "a map": (f'{{"byName": {{"x": {ITEM}}}}}', 'by_name["x"].unit_price', "unit_price and as unitPrice"),
    "deeper": (f'{{"next": {{"next": {{"items": [{ITEM}]}}}}}}', "next.next.items[0].unit_price", "unit_price"),
    "an Any": (
        f'{{"anything": {{"@type": "x/t.v1.Item", {ITEM[1:]}}}',
        "anything.unit_price",
        "unit_price and as unitPrice",
    ),
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("encoded", [False, True])
def test_a_field_under_both_its_names_is_refused_with_its_path(name: str, encoded: bool, schema: Schema) -> None:
    text, path, names = TWICE[name]
    with pytest.raises(InvalidMessage) as caught:
        schema.from_json("t.v1.Order", text.encode() if encoded else text)
    (violation,) = caught.value.violations
    assert violation.field == path
    assert violation.description.startswith(f"it is there twice, as {names}")


@pytest.mark.parametrize(
    "text",
    [
        '{"user_id": "a", "firstItem": {"unit_price": 1}, "items": [{"unitPrice": 2}, {"unit_price": 3}]}',
        '{"free": {"user_id": 1, "userId": 2}}',
        '{"byName": {"user_id": {}, "userId": {}}}',
        '{"anything": {"@type": "x/t.v1.Item", "unit_price": 1}}',
        '{"userId": "user_id"}',
        '{"items": null, "next": null}',
    ],
)
def test_names_that_mean_different_things_are_fine(text: str, schema: Schema) -> None:
    assert schema.from_json("t.v1.Order", text) is not None


def test_a_message_whose_fields_have_one_name_is_read_as_ever(schema: Schema) -> None:
    assert schema.from_json("t.v1.Plain", '{"name": "\\u0041", "next": {}}') == b"\n\x01A\x12\x00"


@pytest.mark.parametrize(
    ("text", "path", "fields"),
    [
        ('{"card": "a", "cash": true}', "cash", "card and cash"),
        ('{"cash": false, "card": ""}', "cash", "card and cash"),
        ('{"other_way": {}, "card": "a"}', "other_way", "card and other_way"),
        ('{"otherWay": {}, "cash": true}', "cash", "other_way and cash"),
        ('{"next": {"next": {"card": "a", "cash": true}}}', "next.next.cash", "card and cash"),
    ],
)
def test_two_fields_of_one_oneof_are_refused_with_the_path(schema: Schema, text: str, path: str, fields: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        schema.from_json("t.v1.Order", text)
    (violation,) = caught.value.violations
    assert violation.field == path
    assert violation.description == f"{fields} are both there; the oneof how holds one of them"


@pytest.mark.parametrize(
    "text",
    ['{"card": "a", "cash": null}', '{"cash": false, "otherWay": null}', '{"aNote": "a", "b_note": "b", "card": "c"}'],
)
def test_null_is_as_good_as_absent_and_optional_is_no_choice(schema: Schema, text: str) -> None:
    assert schema.from_json("t.v1.Order", text)
