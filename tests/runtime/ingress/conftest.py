"""Contracts compiled in process from text, for the tests of the ingress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc_tools
import pytest
from grpc_tools import protoc
from protobuf import DescFile
from protobuf.wkt import FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb

REPOSITORY = Path(__file__).parents[3]
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"

Compile = Callable[[Mapping[str, str]], bytes]

SHOP = """
syntax = "proto3";
package shop.v1;
import "restate/v1/options.proto";
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";

service Cart {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT };
  rpc AddTicket(AddTicketRequest) returns (AddTicketResponse) {
    option (restate.v1.handler) = { errors: "shop.v1.SoldOut" };
  }
  rpc Expire(AddTicketRequest) returns (AddTicketResponse) { option (restate.v1.handler).private = true; }
}
service Counter {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT };
  rpc Add(CountRequest) returns (CountRequest);
}
service Echo {
  rpc Say(EchoRequest) returns (EchoRequest);
  rpc Pay(PayRequest) returns (EchoRequest);
}
service Checkout {
  option (restate.v1.service) = { kind: WORKFLOW };
  rpc Run(RunRequest) returns (RunResponse);
  rpc Status(RunRequest) returns (RunResponse) { option (restate.v1.handler).shared = true; }
}
message AddTicketRequest {
  string user_id = 1 [(restate.v1.field).key = true];
  int32 count = 2 [(buf.validate.field).int32.gte = 0];
  repeated Ticket tickets = 3;
  map<string, Ticket> by_seat = 4;
  google.protobuf.Timestamp at = 5;
  google.protobuf.Any extra = 6;
}
message Ticket { int32 price = 1 [(buf.validate.field).int32.gte = 0]; Ticket upgrade = 2; }
message AddTicketResponse { int32 total_count = 1; }
message SoldOut { string event_id = 1; }
message CountRequest { optional int64 from = 1 [(restate.v1.field).key = true]; int64 by = 2; }
message EchoRequest { string text = 1; }
message PayRequest { string card = 1; string payment_id = 2 [(restate.v1.field).idempotency_key = true]; }
message RunRequest { string order_id = 1 [(restate.v1.field).key = true]; }
message RunResponse { string status = 1; }
"""


def _rules_with_imports(desc: DescFile) -> list[DescFile]:
    """buf/validate/validate.proto and its imports, imports first; the wheel has descriptors but no .proto."""
    found: dict[str, DescFile] = {}

    def add(one: DescFile) -> None:
        for dependency in one.dependencies:
            add(dependency)
        found.setdefault(one.name, one)

    add(desc)
    return list(found.values())


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Gives the descriptor set, imports included, of .proto files given as text."""
    rules = tmp_path_factory.mktemp("rules") / "rules.binpb"
    files = [file.proto for file in _rules_with_imports(validate_pb.desc())]
    rules.write_bytes(FileDescriptorSet(file=files).to_binary())

    def run(sources: Mapping[str, str]) -> bytes:
        root = tmp_path_factory.mktemp("protos")
        for name, text in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        out = root / "set.binpb"
        includes = [f"-I{path}" for path in (root, REPOSITORY / "protos", WELL_KNOWN)]
        flags = [f"--descriptor_set_in={rules}", *includes, "--include_imports", f"--descriptor_set_out={out}"]
        assert protoc.main(["protoc", *flags, *sources]) == 0
        return out.read_bytes()

    return run


@pytest.fixture(scope="session")
def shop_set(compile_protos: Compile) -> bytes:
    """The descriptor set of SHOP."""
    return compile_protos({"shop/v1/shop.proto": SHOP})
