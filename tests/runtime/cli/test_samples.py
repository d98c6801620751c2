"""Sample calls: JSON that the message accepts, whatever its fields are."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from restate_codegen.protoc import compile_protos
from restate_protocol.contract.read import read_contract
from restate_runtime.cli.samples import call_lines, sample
from restate_runtime.deployments.schema import Schema

PROTO = """
syntax = "proto3";
package all.v1;
import "restate/v1/options.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/empty.proto";

service All {
  rpc Do(Everything) returns (google.protobuf.Empty);
  rpc Hidden(Everything) returns (google.protobuf.Empty) { option (restate.v1.handler).private = true; }
}
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
message Everything {
  string user_id = 1;
  bytes data = 2;
  bool yes = 3;
  int32 a = 4; int64 b = 5; uint32 c = 6; uint64 d = 7; sint32 e = 8; sint64 f = 9;
  fixed32 g = 10; fixed64 h = 11; sfixed32 i = 12; sfixed64 j = 13;
  float k = 14; double l = 15;
  Color color = 16;
  repeated Color colors = 17;
  repeated string names = 18;
  map<string, Everything> by_name = 19;
  map<int64, bool> by_number = 20;
  map<bool, Color> by_flag = 21;
  oneof choice { string first = 22; int32 second = 23; }
  optional string maybe = 24;
  Everything inner = 25;
  google.protobuf.Timestamp at = 26;
  google.protobuf.Duration took = 27;
  google.protobuf.Struct shape = 28;
  google.protobuf.Value value = 29;
  google.protobuf.ListValue list = 30;
  google.protobuf.Any any = 31;
  google.protobuf.FieldMask mask = 32;
  google.protobuf.Empty empty = 33;
  google.protobuf.BoolValue bool_value = 34;
  google.protobuf.StringValue string_value = 35;
  google.protobuf.BytesValue bytes_value = 36;
  google.protobuf.Int32Value int32_value = 37;
  google.protobuf.UInt64Value uint64_value = 38;
  google.protobuf.DoubleValue double_value = 39;
}
"""


@pytest.fixture(scope="module")
def descriptor_set(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("all")
    (folder / "all.proto").write_text(PROTO)
    return compile_protos([Path(folder)], ["all.proto"]).descriptor_set


def test_a_sample_of_every_kind_of_field_is_accepted_by_its_message(descriptor_set: bytes) -> None:
    schema = Schema(descriptor_set)
    shown = sample(schema, "all.v1.Everything")
    schema.check("all.v1.Everything", schema.from_json("all.v1.Everything", json.dumps(shown)))
    assert (shown["userId"], shown["color"], shown["first"], shown["maybe"]) == (
        "user_id",
        "COLOR_RED",
        "first",
        "maybe",
    )
    assert "second" not in shown
    assert shown["byFlag"] == {"true": "COLOR_RED"}


def test_each_public_handler_has_a_curl_and_a_grpcurl_line(descriptor_set: bytes) -> None:
    services = read_contract(descriptor_set).services
    addresses = {"ingress_http": "h:1", "ingress_grpc": "g:2"}
    name, curl, grpcurl = call_lines(services, Schema(descriptor_set), addresses)
    assert name == "all.v1.All/Do  (service)"
    assert shlex.split(curl)[-1] == "http://h:1/all.v1.All/Do"
    assert shlex.split(grpcurl)[-2:] == ["g:2", "all.v1.All/Do"]
    assert shlex.split(curl)[4] == shlex.split(grpcurl)[3]
    json.loads(shlex.split(curl)[4])
