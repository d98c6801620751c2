"""Names that cannot be told apart in Python, or that Python keeps: refused with place and mend."""

from __future__ import annotations

import pytest
from restate_codegen.generate import Options, generate
from restate_protocol.contract.problems import ContractError

from tests.codegen.harness import Compile

HEAD = 'syntax = "proto3"; package shop.v1; import "restate/v1/options.proto";\n'

CASES: dict[str, tuple[str, list[str]]] = {
    "two rpcs": (
        """\
service Cart {
  rpc AddTicket(Void) returns (Void);
  rpc add_ticket(Void) returns (Void);
  rpc Add_Ticket(Void) returns (Void);
}
message Void {}
""",
        [
            "a.proto:4:7: add_ticket and AddTicket would both be `add_ticket` in Python. Rename one of them.",
            "a.proto:5:7: Add_Ticket and AddTicket would both be `add_ticket` in Python. Rename one of them.",
        ],
    ),
    "a service called like another and a suffix of ours": (
        """\
service Cart {
  option (restate.v1.service).kind = VIRTUAL_OBJECT;
  rpc Add(Key) returns (Key);
}
service CartShared {
  rpc Add(Key) returns (Key);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
""",
        [
            "a.proto:6:9: shop.v1.CartShared and shop.v1.Cart would both be `CartSharedContext` in Python. "
            "Rename one of them.",
        ],
    ),
    "two services in capitals": (
        """\
service CartItem {
  rpc Add(Void) returns (Void);
}
service Cart_Item {
  rpc Add(Void) returns (Void);
}
message Void {}
""",
        [
            "a.proto:5:9: shop.v1.Cart_Item and shop.v1.CartItem would both be `CART_ITEM` in Python. "
            "Rename one of them.",
        ],
    ),
    "two errors": (
        """\
service Cart {
  rpc Add(Void) returns (Void) {
    option (restate.v1.handler).errors = "shop.v1.Full";
    option (restate.v1.handler).errors = "shop.v1.FullError";
  }
}
message Void {}
message Full {}
message FullError {}
""",
        ["a.proto:10:9: shop.v1.FullError and shop.v1.Full would both be `FullError` in Python. Rename one of them."],
    ),
    "a state field that begins with an underscore": (
        """\
service Cart {
  option (restate.v1.service) = { kind: VIRTUAL_OBJECT state: "shop.v1.State" };
  rpc Add(Key) returns (Key);
}
message Key { string id = 1 [(restate.v1.field).key = true]; }
message State {
  int32 _hidden = 1;
}
""",
        [
            "a.proto:8:9: _hidden begins with an underscore, which Python keeps for private names. Rename it.",
        ],
    ),
    "an rpc that begins with an underscore": (
        """\
service Cart {
  rpc _Add(Void) returns (Void);
}
message Void {}
""",
        ["a.proto:3:7: _Add begins with an underscore, which Python keeps for private names. Rename it."],
    ),
    "a service that begins with an underscore": (
        """\
service _Cart {
  rpc Add(Void) returns (Void);
}
message Void {}
""",
        ["a.proto:2:9: _Cart begins with an underscore, which Python keeps for private names. Rename it."],
    ),
    "names and the contract at once": (
        """\
service Cart {
  rpc Add(stream Void) returns (Void);
  rpc add(Void) returns (Void);
}
message Void {}
""",
        [
            "a.proto:3:7: Add streams, and durable handlers take one request and give one response. Remove `stream`.",
            "a.proto:4:7: add and Add would both be `add` in Python. Rename one of them.",
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_names_that_python_cannot_have_are_refused(name: str, compile_text: Compile) -> None:
    text, expected = CASES[name]
    with pytest.raises(ContractError) as caught:
        generate(compile_text(HEAD + text), ["a.proto"], Options())
    assert [str(one) for one in caught.value.problems] == expected


def test_two_files_that_would_be_one_module_are_refused(compile_text: Compile) -> None:
    texts = {"a-b.proto": 'syntax = "proto3"; package a;', "a_b.proto": 'syntax = "proto3"; package b;'}
    with pytest.raises(ContractError) as caught:
        generate(compile_text(texts), list(texts), Options())
    expected = "a_b.proto:1:1: a_b.proto and a-b.proto would both be `.a_b_pb` in Python. Rename one of them."
    assert [str(one) for one in caught.value.problems] == [expected]


def test_what_betterproto_cannot_do_is_refused(compile_text: Compile) -> None:
    texts = {
        "a.proto": 'syntax = "proto2";\npackage a;\nmessage A {}\n',
        "b.proto": 'syntax = "proto3";\npackage b.class;\nmessage A {}\n',
        "c.proto": 'syntax = "proto3";\npackage c;\nmessage None {}\nmessage A { message Bc {} }\nmessage ABc {}\n',
    }
    with pytest.raises(ContractError) as caught:
        generate(compile_text(texts), list(texts), Options(messages="betterproto"))
    assert [str(one) for one in caught.value.problems] == [
        "a.proto:1:1: betterproto knows proto3 only, and a.proto is not. Use proto3, or --messages protobuf-py.",
        "b.proto:2:1: the package b.class has a keyword of Python in it, which betterproto does not allow. "
        "Rename it, or use --messages protobuf-py.",
        "c.proto:3:9: c.None is called like a keyword of Python, which betterproto does not allow. "
        "Rename it, or use --messages protobuf-py.",
        "c.proto:5:9: c.ABc and c.A.Bc would both be `ABc` with betterproto. Rename one of them, or use "
        "--messages protobuf-py.",
    ]
