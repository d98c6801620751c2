"""Every misuse of the contract, with the exact words and the exact place.

Each snippet follows HEAD, which is line 1 of `a.proto`.
"""

from __future__ import annotations

import pytest
from restate_protocol.contract.problems import ContractError
from restate_protocol.contract.read import read_contract

from tests.codegen.harness import Compile

HEAD = 'syntax = "proto3"; package shop.v1; import "restate/v1/options.proto";\n'

CASES: dict[str, tuple[str, list[str]]] = {
    "no key": (
        """\
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc Add(AddRequest) returns (AddResponse);
  rpc Drop(AddRequest) returns (AddResponse);
}
message AddRequest { string name = 1; }
message AddResponse {}
""",
        [
            "a.proto:7:9: shop.v1.AddRequest has no key, but shop.v1.Cart needs one in every request. Mark "
            "the string or integer field that is the key with [(restate.v1.field).key = true].",
        ],
    ),
    "no key in a message that is not the user's": (
        """\
import "google/protobuf/empty.proto";
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc Add(google.protobuf.Empty) returns (google.protobuf.Empty);
}
""",
        [
            "a.proto:5:11: google.protobuf.Empty has no key, but shop.v1.Cart needs one in every request. "
            "Take a request message of your own, with a field marked [(restate.v1.field).key = true].",
        ],
    ),
    "two keys": (
        """\
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc Add(AddRequest) returns (AddResponse);
}
message AddRequest {
  string a = 1 [(restate.v1.field).key = true];
  string b = 2 [(restate.v1.field).key = true];
}
message AddResponse {}
""",
        [
            "a.proto:8:17: shop.v1.AddRequest has two keys, `a` and `b`. Keep one of them.",
        ],
    ),
    "keys of wrong types": (
        """\
import "google/protobuf/wrappers.proto";
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc A(A1) returns (Void);
  rpc B(B1) returns (Void);
  rpc C(C1) returns (Void);
  rpc D(D1) returns (Void);
  rpc E(E1) returns (Void);
  rpc F(F1) returns (Void);
  rpc G(G1) returns (Void);
  rpc H(H1) returns (Void);
}
message A1 { bool id = 1 [(restate.v1.field).key = true]; }
message B1 { double id = 1 [(restate.v1.field).key = true]; }
message C1 { bytes id = 1 [(restate.v1.field).key = true]; }
message D1 { repeated string id = 1 [(restate.v1.field).key = true]; }
message E1 { Void id = 1 [(restate.v1.field).key = true]; }
message F1 { map<string, Void> id = 1 [(restate.v1.field).key = true]; }
message G1 { oneof who { string id = 1 [(restate.v1.field).key = true]; } }
message H1 { Kind id = 1 [(restate.v1.field).key = true]; }
message Void {}
enum Kind { KIND_UNSPECIFIED = 0; }
""",
        [
            "a.proto:14:27: the key `id` of shop.v1.A1 has the type bool. Use one string or integer field.",
            "a.proto:15:29: the key `id` of shop.v1.B1 has the type double. Use one string or integer field.",
            "a.proto:16:28: the key `id` of shop.v1.C1 has the type bytes. Use one string or integer field.",
            "a.proto:17:38: the key `id` of shop.v1.D1 has the type repeated string. Use one string or integer field.",
            "a.proto:18:27: the key `id` of shop.v1.E1 has the type shop.v1.Void. Use one string or integer field.",
            "a.proto:19:40: the key `id` of shop.v1.F1 has the type map<string, shop.v1.Void>. Use one "
            "string or integer field.",
            "a.proto:20:41: the key `id` of shop.v1.G1 is in the oneof `who`. Move it out of the oneof.",
            "a.proto:21:27: the key `id` of shop.v1.H1 has the type shop.v1.Kind. Use one string or integer field.",
        ],
    ),
    "key types that differ": (
        """\
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc A(A1) returns (Void);
  rpc B(B1) returns (Void);
  rpc C(C1) returns (Void);
}
message A1 { int32 id = 1 [(restate.v1.field).key = true]; }
message B1 { sfixed64 id = 1 [(restate.v1.field).key = true]; }
message C1 { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            "a.proto:6:9: the key of C is a string, but that of A is an integer. Use one type of key in all "
            "requests of shop.v1.Cart.",
        ],
    ),
    "idempotency keys": (
        """\
service Cart {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Run(A1) returns (Void);
  rpc B(B1) returns (Void);
  rpc C(C1) returns (Void);
  rpc D(D1) returns (Void);
}
service Plain {
  rpc E(E1) returns (Void);
}
message A1 {
  string id = 1 [(restate.v1.field).key = true];
  string dedupe = 2 [(restate.v1.field).idempotency_key = true];
}
message B1 {
  string id = 1 [(restate.v1.field) = {key: true, idempotency_key: true}];
}
message C1 {
  string id = 1 [(restate.v1.field).key = true];
  int64 dedupe = 2 [(restate.v1.field).idempotency_key = true];
  string other = 3 [(restate.v1.field).idempotency_key = true];
}
message D1 {
  string id = 1 [(restate.v1.field).key = true];
  oneof one { string dedupe = 2 [(restate.v1.field).idempotency_key = true]; }
}
message E1 {
  repeated string dedupe = 1 [(restate.v1.field).idempotency_key = true];
}
message Void {}
""",
        [
            "a.proto:4:11: Run is a run handler, deduped by its key, but has the idempotency key `dedupe`. "
            "Take the option off the field, or use another request.",
            "a.proto:17:18: the idempotency key `id` of shop.v1.B1 is also its key. Two calls with one key "
            "are two calls: use another field.",
            "a.proto:21:21: the idempotency key `dedupe` of shop.v1.C1 has the type int64. Use one string field.",
            "a.proto:22:21: shop.v1.C1 has two idempotency keys, `dedupe` and `other`. Keep one of them.",
            "a.proto:26:34: the idempotency key `dedupe` of shop.v1.D1 is in the oneof `one`. Move it out of "
            "the oneof.",
            "a.proto:29:31: the idempotency key `dedupe` of shop.v1.E1 has the type repeated string. Use one "
            "string field.",
        ],
    ),
    "state that is not there": (
        """\
service A {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).state = "CartState";
  rpc Add(Key) returns (Void);
}
service B {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).state = ".shop.v1.CartState";
  rpc Add(Key) returns (Void);
}
service C {
  option (restate.v1.service) = {
    kind: VIRTUAL_OBJECT
    state: "shop.v1.Nothing"
  };
  rpc Add(Key) returns (Void);
}
service D {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).state = "shop.v1.Kind";
  rpc Add(Key) returns (Void);
}
service E {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).state = "shop.v1.A";
  rpc Add(Key) returns (Void);
}
service F {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).state = "restate.v1.RetryPolicy";
  rpc Add(Key) returns (Void);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
message CartState { int32 count = 1; }
enum Kind { KIND_UNSPECIFIED = 0; }
""",
        [
            'a.proto:4:3: `state` names "CartState", which is no message in the input. Write its full name: '
            '"shop.v1.CartState".',
            'a.proto:9:3: `state` names ".shop.v1.CartState", with a leading dot. Write "shop.v1.CartState".',
            'a.proto:13:3: `state` names "shop.v1.Nothing", which is no message in the input. Give its full '
            "name, such as shop.v1.CartState.",
            'a.proto:21:3: `state` names "shop.v1.Kind", which is an enum. Name a message.',
            'a.proto:26:3: `state` names "shop.v1.A", which is a service. Name a message.',
            "a.proto:31:3: `state` names restate.v1.RetryPolicy, which is in restate/v1/options.proto and "
            "not in a file of yours. Define a message of your own that has it as a field, or add that file "
            "to the input.",
        ],
    ),
    "promises that are not there": (
        """\
service A {
  option (restate.v1.service).kind = WORKFLOW;
  option (restate.v1.service).promises = "shop.v1.Nothing";
  rpc Run(Key) returns (Void);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            'a.proto:4:3: `promises` names "shop.v1.Nothing", which is no message in the input. Give its full '
            "name, such as shop.v1.CheckoutPromises.",
        ],
    ),
    "oneof in state and promises": (
        """\
service Pay {
  option (restate.v1.service) = { kind: WORKFLOW state: "shop.v1.State" promises: "shop.v1.Promises" };
  rpc Run(Key) returns (Void);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
message State { optional int32 fine = 3; oneof one { int32 a = 1; string b = 2; } }
message Promises { oneof two { int32 a = 1; } }
""",
        [
            "a.proto:8:60: shop.v1.State is a `state` message but has the oneof `one`. Each field is an "
            "entry of its own: take it out of the oneof, or put the oneof into a message field.",
            "a.proto:9:38: shop.v1.Promises is a `promises` message but has the oneof `two`. Each field is "
            "an entry of its own: take it out of the oneof, or put the oneof into a message field.",
        ],
    ),
    "state and promises where they do not belong": (
        """\
service A {
  option (restate.v1.service).state = "shop.v1.State";
  option (restate.v1.service).promises = "shop.v1.State";
  option (restate.v1.service).lazy_state = true;
  option (restate.v1.service).workflow_retention.seconds = 1;
  rpc Add(Key) returns (Void) { option (restate.v1.handler).lazy_state = false; }
}
service B {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  option (restate.v1.service).promises = "shop.v1.State";
  rpc Add(Key) returns (Void) { option (restate.v1.handler).workflow_retention.seconds = 5; }
}
service C {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Run(Key) returns (Void) { option (restate.v1.handler).idempotency_retention.seconds = 5; }
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
message State { int32 a = 1; }
""",
        [
            "a.proto:3:3: `state` on shop.v1.A, which is a plain service. Remove it, or give the service "
            "`kind: VIRTUAL_OBJECT` or `kind: WORKFLOW`.",
            "a.proto:4:3: `promises` on shop.v1.A, which is not a workflow. Remove it, or give the service "
            "`kind: WORKFLOW`.",
            "a.proto:5:3: `lazy_state` on shop.v1.A, which is a plain service. Remove it, or give the "
            "service `kind: VIRTUAL_OBJECT` or `kind: WORKFLOW`.",
            "a.proto:6:3: `workflow_retention` on shop.v1.A, which is not a workflow. Remove it, or give the "
            "service `kind: WORKFLOW`.",
            "a.proto:7:33: `lazy_state` on Add, which is a handler of a plain service. Remove it.",
            "a.proto:11:3: `promises` on shop.v1.B, which is not a workflow. Remove it, or give the service "
            "`kind: WORKFLOW`.",
            "a.proto:12:33: `workflow_retention` on Add, which is not the run handler of a workflow. Remove it.",
            "a.proto:16:33: `idempotency_retention` on Run, which is a run handler, deduped by its key. Use "
            "`workflow_retention`.",
        ],
    ),
    "a kind that does not exist": (
        """\
service A {
  option (restate.v1.service) = { kind: 7 };
  rpc Add(Void) returns (Void);
}
message Void {}
""",
        [
            "a.proto:3:3: `kind` of shop.v1.A is 7, which has no meaning. Write SERVICE, VIRTUAL_OBJECT or WORKFLOW.",
        ],
    ),
    "errors that are not there": (
        """\
service A {
  rpc Add(Void) returns (Void) {
    option (restate.v1.handler).errors = "shop.v1.Gone";
    option (restate.v1.handler).errors = "SoldOut";
    option (restate.v1.handler).errors = ".shop.v1.SoldOut";
    option (restate.v1.handler).errors = "shop.v1.SoldOut";
    option (restate.v1.handler).errors = "shop.v1.SoldOut";
    option (restate.v1.handler).errors = "google.protobuf.FileOptions";
    option (restate.v1.handler).errors = "";
  }
}
message Void {}
message SoldOut {}
""",
        [
            'a.proto:4:5: `errors` names "shop.v1.Gone", which is no message in the input. Give its full '
            "name, such as shop.v1.SoldOut.",
            'a.proto:5:5: `errors` names "SoldOut", which is no message in the input. Write its full name: '
            '"shop.v1.SoldOut".',
            'a.proto:6:5: `errors` names ".shop.v1.SoldOut", with a leading dot. Write "shop.v1.SoldOut".',
            "a.proto:8:5: `errors` names shop.v1.SoldOut twice. Name it once.",
            "a.proto:9:5: `errors` names google.protobuf.FileOptions, which is in "
            "google/protobuf/descriptor.proto and not in a file of yours. Define a message of your own that "
            "has it as a field, or add that file to the input.",
            'a.proto:10:5: `errors` names "", which is no message in the input. Give its full name, such as '
            "shop.v1.SoldOut.",
        ],
    ),
    "a workflow without run handler": (
        """\
service Pay {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Start(Key) returns (Void);
}
service NotThatRun {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Run(Key) returns (Void) { option (restate.v1.handler).run = false; }
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            "a.proto:2:9: the workflow shop.v1.Pay has no run handler. Name one rpc Run, or mark it with "
            "`option (restate.v1.handler).run = true`.",
            "a.proto:6:9: the workflow shop.v1.NotThatRun has no run handler. Name one rpc Run, or mark it "
            "with `option (restate.v1.handler).run = true`.",
        ],
    ),
    "a workflow with two run handlers": (
        """\
service Pay {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Start(Key) returns (Void) { option (restate.v1.handler).run = true; }
  rpc Begin(Key) returns (Void) { option (restate.v1.handler).run = true; }
  rpc Run(Key) returns (Void);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            "a.proto:5:35: the workflow shop.v1.Pay has two run handlers, Start and Begin. Keep `run` on one of them.",
        ],
    ),
    "run and shared where they do not belong": (
        """\
service Plain {
  rpc A(Void) returns (Void) { option (restate.v1.handler).run = true; }
  rpc B(Void) returns (Void) { option (restate.v1.handler).shared = true; }
}
service Object {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc Run(Key) returns (Void) { option (restate.v1.handler).run = true; }
  rpc Read(Key) returns (Void) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (restate.v1.handler).shared = false;
  }
}
service Flow {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Run(Key) returns (Void) { option (restate.v1.handler).shared = true; }
  rpc Signal(Key) returns (Void) { option (restate.v1.handler).shared = false; }
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            "a.proto:3:32: `run` on A, but shop.v1.Plain is not a workflow. Remove it, or give the service "
            "`kind: WORKFLOW`.",
            "a.proto:4:32: `shared` on B, but shop.v1.Plain is a plain service. Remove it, or give the "
            "service `kind: VIRTUAL_OBJECT`.",
            "a.proto:8:33: `run` on Run, but shop.v1.Object is not a workflow. Remove it, or give the "
            "service `kind: WORKFLOW`.",
            "a.proto:11:5: Read says `shared = false` and `idempotency_level = NO_SIDE_EFFECTS`, which means "
            "shared. Remove one of them.",
            "a.proto:16:33: Run is the run handler of shop.v1.Flow and cannot be shared. Remove `shared`.",
            "a.proto:17:36: Signal says `shared = false`, but only the run handler of a workflow is not "
            "shared. Remove it.",
        ],
    ),
    "a run handler without side effects": (
        """\
service Flow {
  option (restate.v1.service).kind = WORKFLOW;
  rpc Run(Key) returns (Void) { option idempotency_level = NO_SIDE_EFFECTS; }
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message Void {}
""",
        [
            "a.proto:4:33: Run is the run handler of shop.v1.Flow and has side effects. Remove "
            "`idempotency_level = NO_SIDE_EFFECTS`.",
        ],
    ),
    "streams": (
        """\
service Plain {
  rpc A(stream Void) returns (Void);
  rpc B(Void) returns (stream Void);
  rpc C(stream Void) returns (stream Void);
}
message Void {}
""",
        [
            "a.proto:3:7: A streams, and durable handlers take one request and give one response. Remove `stream`.",
            "a.proto:4:7: B streams, and durable handlers take one request and give one response. Remove `stream`.",
            "a.proto:5:7: C streams, and durable handlers take one request and give one response. Remove `stream`.",
        ],
    ),
    "an object without rpc": (
        """\
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
}
""",
        [
            "a.proto:2:9: shop.v1.Cart has no rpc. Add one, or remove its options.",
        ],
    ),
    "retry policies": (
        """\
service A {
  option (restate.v1.service).retry = {
    initial_interval: { seconds: 0 }
  };
  rpc A(Void) returns (Void) { option (restate.v1.handler).retry.factor = 0.5; }
  rpc B(Void) returns (Void) { option (restate.v1.handler).retry.factor = nan; }
  rpc C(Void) returns (Void) { option (restate.v1.handler).retry.max_attempts = 0; }
  rpc D(Void) returns (Void) { option (restate.v1.handler).retry.max_interval.seconds = -1; }
  rpc E(Void) returns (Void) { option (restate.v1.handler) = { retry: { on_max_attempts: 4 } }; }
  rpc F(Void) returns (Void) { option (restate.v1.handler).retry = { initial_interval: { seconds: 90 } }; }
}
service B {
  option (restate.v1.service).retry.max_interval.nanos = 100000000;
  rpc A(Void) returns (Void);
  rpc B(Void) returns (Void);
}
message Void {}
""",
        [
            "a.proto:3:3: `retry.initial_interval` is shorter than a millisecond. Write a duration of at "
            "least a millisecond.",
            "a.proto:6:32: `retry.factor` is 0.5. Use 1 for equal intervals, more for growing ones.",
            "a.proto:7:32: `retry.factor` is nan. Use 1 for equal intervals, more for growing ones.",
            "a.proto:8:32: `retry.max_attempts` is 0. It counts the first attempt: write 1 for no retry.",
            "a.proto:9:32: `retry.max_interval` is negative. Write a duration of at least a millisecond.",
            "a.proto:10:32: `retry.on_max_attempts` is 4, which has no meaning. Write PAUSE or KILL.",
            "a.proto:11:32: `retry.max_interval` (60000 ms) is shorter than `retry.initial_interval` (90000 "
            "ms). Raise max_interval or lower initial_interval.",
            "a.proto:14:3: `retry.max_interval` (100 ms) is shorter than `retry.initial_interval` (500 ms). "
            "Raise max_interval or lower initial_interval.",
        ],
    ),
    "durations": (
        """\
service A {
  option (restate.v1.service).inactivity_timeout.seconds = -1;
  rpc A(Void) returns (Void) { option (restate.v1.handler).abort_timeout.nanos = -1; }
  rpc B(Void) returns (Void) { option (restate.v1.handler).journal_retention = { seconds: 1 nanos: -1 }; }
  rpc C(Void) returns (Void) { option (restate.v1.handler).idempotency_retention.seconds = 315576000001; }
  rpc D(Void) returns (Void) { option (restate.v1.handler).execution_timeout = {}; }
  rpc E(Void) returns (Void) { option (restate.v1.handler).inactivity_timeout = {}; }
}
message Void {}
""",
        [
            "a.proto:3:3: `inactivity_timeout` is negative. Write a duration of zero or more.",
            "a.proto:4:32: `abort_timeout` is negative. Write a duration of zero or more.",
            "a.proto:5:32: `journal_retention` is no valid duration (1 s and -1 ns). Write a duration of zero or more.",
            "a.proto:6:32: `idempotency_retention` is no valid duration (315576000001 s and 0 ns). Write a "
            "duration of zero or more.",
            "a.proto:7:32: `execution_timeout` is shorter than a millisecond. Write a duration of at least a "
            "millisecond.",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_misuse_is_told_with_its_place_and_its_mend(name: str, compile_text: Compile) -> None:
    text, expected = CASES[name]
    with pytest.raises(ContractError) as caught:
        read_contract(compile_text(HEAD + text))
    assert [str(one) for one in caught.value.problems] == expected
