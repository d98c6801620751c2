"""What a right contract reads as, and what is refused about descriptor sets as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from protobuf.wkt import FileDescriptorSet
from restate_protocol.contract.model import (
    Contract,
    Defaults,
    Field,
    Handler,
    KeyField,
    OnMaxAttempts,
    RetryPolicy,
    Service,
)
from restate_protocol.contract.problems import ContractError, Problem
from restate_protocol.contract.read import examine, read_contract
from restate_protocol.services import HandlerMode, ServiceKind

from tests.codegen.harness import Compile

HEAD = 'syntax = "proto3"; package shop.v1; import "restate/v1/options.proto";\n'

GREETER = (
    HEAD
    + """
service Greeter {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT, state: "shop.v1.GreeterState" };
  rpc Greet(GreetRequest) returns (GreetResponse);
  rpc Count(GreetRequest) returns (GreetResponse) { option (restate.v1.handler).shared = true; }
  rpc Peek(GreetRequest) returns (GreetResponse) { option idempotency_level = NO_SIDE_EFFECTS; }
}
message GreetRequest {
  string name = 1 [(restate.v1.field).key = true];
  string once = 2 [(restate.v1.field).idempotency_key = true];
}
message GreetResponse {}
message GreeterState {
  int64 count = 1;
  optional string title = 3;
  repeated string names = 4;
  map<string, GreetResponse> replies = 5;
  GreetResponse last = 6;
}
"""
)


def handler(text: str, compile_text: Compile) -> Handler:
    contract = read_contract(compile_text(HEAD + text + "message Void {}\n"))
    return contract.services[0].handlers[0]


def test_an_object_reads_with_keys_modes_and_state(compile_text: Compile) -> None:
    key = KeyField("name", 1, str, optional=False)
    common: dict[str, Any] = {"private": False, "request": "shop.v1.GreetRequest", "response": "shop.v1.GreetResponse"}
    common |= {"key": key, "idempotency": "once"}
    assert read_contract(compile_text(GREETER)) == Contract(
        (
            Service(
                name="shop.v1.Greeter",
                kind=ServiceKind.VIRTUAL_OBJECT,
                file="a.proto",
                handlers=(
                    Handler(name="Greet", mode=HandlerMode.EXCLUSIVE, **common),
                    Handler(name="Count", mode=HandlerMode.SHARED, **common),
                    Handler(name="Peek", mode=HandlerMode.SHARED, no_side_effects=True, **common),
                ),
                key_type=str,
                state="shop.v1.GreeterState",
                state_fields=(
                    Field("count", 1, "int64", default=True),
                    Field("title", 3, "string", default=False),
                    Field("names", 4, "repeated string", default=True),
                    Field("replies", 5, "map<string, shop.v1.GreetResponse>", default=True),
                    Field("last", 6, "shop.v1.GreetResponse", default=False),
                ),
            ),
        )
    )


def test_a_workflow_runs_the_method_that_is_marked_or_named_run(compile_text: Compile) -> None:
    text = """
    service Named {
      option (restate.v1.service).kind = WORKFLOW;
      rpc Signal(Key) returns (Key);
      rpc Run(Key) returns (Key);
    }
    service Marked {
      option (restate.v1.service) = { kind: WORKFLOW promises: "shop.v1.Key" };
      rpc Run(Key) returns (Key);
      rpc Start(Key) returns (Key) { option (restate.v1.handler).run = true; }
    }
    message Key { optional uint32 id = 1 [(restate.v1.field).key = true]; }
    """
    named, marked = read_contract(compile_text(HEAD + text)).services
    assert [one.mode for one in named.handlers] == [HandlerMode.SHARED, HandlerMode.RUN]
    assert [one.mode for one in marked.handlers] == [HandlerMode.SHARED, HandlerMode.RUN]
    assert marked.promise_fields == (Field("id", 1, "uint32", default=False),)
    assert marked.key_type is int
    assert marked.handlers[0].key == KeyField("id", 1, int, optional=True)


def test_a_plain_service_ignores_the_key_of_a_message_it_shares(compile_text: Compile) -> None:
    text = """
    service Plain { rpc Add(Key) returns (Void); }
    message Key { bool id = 1 [(restate.v1.field).key = true]; }
    """
    read = handler(text, compile_text)
    assert (read.mode, read.key) == (HandlerMode.SERVICE, None)


def test_defaults_hold_where_nothing_is_said(compile_text: Compile) -> None:
    read = handler("service Plain { rpc Add(Void) returns (Void); }", compile_text)
    assert read.retry == RetryPolicy(500, 2.0, 60_000, 70, OnMaxAttempts.PAUSE)
    assert (read.inactivity_ms, read.abort_ms, read.execution_timeout_ms) == (60_000, 600_000, None)
    assert read.journal_retention_ms == read.idempotency_retention_ms == read.workflow_retention_ms == 86_400_000
    assert not read.private
    assert not read.lazy_state


def test_the_defaults_of_the_reader_hold_where_neither_handler_nor_service_says_anything(compile_text: Compile) -> None:
    text = """
    service Cart {
      option (restate.v1.service) = {
        kind: VIRTUAL_OBJECT
        journal_retention: { seconds: 60 }
        retry: { factor: 3 }
        lazy_state: false
      };
      rpc Add(Key) returns (Void) {
        option (restate.v1.handler) = { abort_timeout: { seconds: 4 } retry: { max_attempts: 9 } };
      }
    }
    service Lazy { option (restate.v1.service) = { kind: VIRTUAL_OBJECT }; rpc Add(Key) returns (Void); }
    service Plain { rpc Add(Void) returns (Void); }
    message Key { string id = 1 [(restate.v1.field).key = true]; }
    message Void {}
    """
    ours = Defaults(RetryPolicy(1, 1.5, 2, 3, OnMaxAttempts.KILL), 10, 20, 30, 40, 50, lazy_state=True)
    services = read_contract(compile_text(HEAD + text), defaults=ours).services
    add, lazy, plain = (service.handlers[0] for service in services)
    assert add.retry == RetryPolicy(1, 3.0, 2, 9, OnMaxAttempts.KILL)
    assert (add.inactivity_ms, add.abort_ms, add.journal_retention_ms) == (10, 4_000, 60_000)
    assert (add.idempotency_retention_ms, add.workflow_retention_ms, add.execution_timeout_ms) == (40, 50, None)
    assert [add.lazy_state, lazy.lazy_state, plain.lazy_state] == [False, True, False]


def test_a_handlers_own_option_wins_over_its_services(compile_text: Compile) -> None:
    text = """
    service Plain {
      option (restate.v1.service) = {
        private: true
        inactivity_timeout: { seconds: 2 }
        abort_timeout: { seconds: 3 }
        retry: { initial_interval: { nanos: 20000000 } max_attempts: 5 on_max_attempts: KILL }
      };
      rpc Add(Void) returns (Void) {
        option (restate.v1.handler) = {
          private: false
          inactivity_timeout: {}
          execution_timeout: { seconds: 9 nanos: 1500000 }
          retry: { factor: 1 max_attempts: 7 }
        };
      }
    }
    """
    read = handler(text, compile_text)
    assert not read.private
    assert (read.inactivity_ms, read.abort_ms, read.execution_timeout_ms) == (0, 3000, 9001)
    assert read.retry == RetryPolicy(20, 1.0, 60_000, 7, OnMaxAttempts.KILL)


def test_only_the_services_asked_for_are_read_and_checked(compile_text: Compile) -> None:
    text = """
    service Good { rpc Add(Void) returns (Void); }
    service Bad { rpc Add(stream Void) returns (Void); }
    message Void {}
    """
    contract = read_contract(compile_text(HEAD + text), ["shop.v1.Good"])
    assert [one.name for one in contract.services] == ["shop.v1.Good"]


def test_a_service_that_is_not_there_is_a_problem(compile_text: Compile) -> None:
    with pytest.raises(ContractError, match=r"there is no service shop\.v1\.Nope in the descriptor set"):
        read_contract(compile_text(GREETER), ["shop.v1.Nope"])


def test_files_that_are_not_the_users_are_no_contract(compile_text: Compile) -> None:
    texts = {
        "a.proto": HEAD + 'import "b.proto"; service A { rpc Do(Void) returns (Void); }',
        "b.proto": HEAD + "message Void {} service B { rpc Do(stream Void) returns (Void); }",
    }
    contract, reading = examine(compile_text(texts), files=["a.proto"])
    assert [one.name for one in contract.services] == ["shop.v1.A"]
    assert not reading.problems


def test_messages_named_by_options_need_no_import(compile_text: Compile) -> None:
    texts = {
        "a.proto": HEAD + 'service A { rpc Do(Void) returns (Void) { option (restate.v1.handler).errors = "b.Oh"; } }'
        "message Void {}",
        "b.proto": 'syntax = "proto3"; package b; message Oh {}',
    }
    assert read_contract(compile_text(texts)).services[0].handlers[0].errors == ("b.Oh",)


@pytest.mark.parametrize("package", ["restate", "restate.v2", "grpc.health.v1", "grpc"])
def test_packages_that_are_taken_are_refused(package: str, compile_text: Compile) -> None:
    with pytest.raises(ContractError) as caught:
        read_contract(compile_text(f'syntax = "proto3";\npackage {package};\nmessage Void {{}}\n'))
    root = package.partition(".")[0]
    expected = (
        f"a.proto:2:1: the package {package} begins with `{root}`, which is taken. Use a package name of your own."
    )
    assert [str(one) for one in caught.value.problems] == [expected]


def test_a_required_field_in_an_answer_is_refused_at_any_depth(compile_text: Compile) -> None:
    texts = {
        "a.proto": 'syntax = "proto3"; package a;\nimport "b.proto";\nservice A { rpc Do(b.Outer) returns (b.Outer); }',
        "b.proto": 'syntax = "proto2"; package b; message Outer { map<string, Inner> inner = 1; }'
        "message Inner { required string text = 1; optional Outer outer = 2; }",
    }
    with pytest.raises(ContractError) as caught:
        read_contract(compile_text(texts))
    expected = "a.proto:3:38: the response b.Outer has the required field `text`. Make it optional."
    assert [str(one) for one in caught.value.problems] == [expected]


def test_a_required_state_field_is_refused(compile_text: Compile) -> None:
    text = """syntax = "proto2"; package a; import "restate/v1/options.proto";
    service A {
      option (restate.v1.service) = { kind: VIRTUAL_OBJECT state: "a.State" };
      rpc Do(Key) returns (Void);
    }
    message Key { required string id = 1 [(restate.v1.field).key = true]; }
    message Void {}
    message State { required string a = 1; optional string b = 2; }
    """
    with pytest.raises(ContractError) as caught:
        read_contract(compile_text(text))
    assert [one.message for one in caught.value.problems] == [
        "a.State is a `state` message but its field `a` is required"
    ]


def test_two_services_of_one_name_are_refused(compile_text: Compile) -> None:
    text = 'syntax = "proto3"; package a; message %s {} service A { rpc Do(%s) returns (%s); }'
    first = FileDescriptorSet.from_binary(compile_text({"x.proto": text.replace("%s", "X")}))
    second = FileDescriptorSet.from_binary(compile_text({"y.proto": text.replace("%s", "Y")}))
    both = FileDescriptorSet(file=[*first.file, *second.file])
    with pytest.raises(ContractError) as caught:
        read_contract(both.to_binary())
    expected = "y.proto:1:52: the service a.A is also defined in x.proto. Rename one of them."
    assert [str(one) for one in caught.value.problems] == [expected]


def test_without_positions_a_problem_names_the_file(compile_text: Compile) -> None:
    files = FileDescriptorSet.from_binary(compile_text(GREETER.replace(".key = true", ".key = false")))
    for file in files.file:
        file.clear_field("source_code_info")
    with pytest.raises(ContractError) as caught:
        read_contract(files.to_binary())
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (0, 0)
    assert str(problem).startswith("a.proto: shop.v1.GreetRequest has no key, but")


def test_positions_make_no_difference_to_what_is_read(compile_text: Compile) -> None:
    files = FileDescriptorSet.from_binary(compile_text(GREETER))
    for file in files.file:
        file.clear_field("source_code_info")
    assert read_contract(files.to_binary()) == read_contract(compile_text(GREETER))


@pytest.mark.parametrize("broken", ["bytes", "import"])
def test_a_descriptor_set_that_cannot_be_read_is_a_contract_error(broken: str, compile_text: Compile) -> None:
    data = b"\xff\xff"
    if broken == "import":
        data = FileDescriptorSet(file=FileDescriptorSet.from_binary(compile_text(GREETER)).file[-1:]).to_binary()
    with pytest.raises(ContractError, match="the descriptor set cannot be read"):
        read_contract(data)


def test_problems_come_in_the_order_of_the_source_each_once() -> None:
    second, first = Problem("a.proto", 10, 1, "b", "c"), Problem("a.proto", 9, 1, "b", "c")
    assert ContractError([second, first, second]).problems == (first, second)
