"""Comparing payloads by value: what is equal though the bytes differ, and how a difference is told."""

from __future__ import annotations

import pytest
from restate_protocol import codec
from restate_sdk.compare import compare_payloads

from .gen.shop.v1.shop_pb import AddResponse, Address, CartState, PayRequest

UNKNOWN = b"\x98\x06\x01"  # field 99, a number this contract does not have


@pytest.mark.parametrize(
    ("recorded", "attempted"),
    [
        (b"\x0a\x01a\x10\x05", b"\x10\x05\x0a\x01a"),
        (
            codec.encode(PayRequest(prices={"a": 1.0, "b": 2.0})),
            codec.encode(PayRequest(prices={"b": 2.0, "a": 1.0})),
        ),
        (codec.encode(PayRequest(prices={"a": float("nan")})), codec.encode(PayRequest(prices={"a": float("nan")}))),
        (b"\x10\x05" + UNKNOWN, UNKNOWN + b"\x10\x05"),
    ],
    ids=["order of fields", "order of a map", "nan", "unknown fields"],
)
def test_these_are_equal(recorded: bytes, attempted: bytes) -> None:
    assert compare_payloads(PayRequest, recorded, attempted) == []


@pytest.mark.parametrize(
    ("recorded", "attempted", "differences"),
    [
        (PayRequest(text="a"), PayRequest(text="b"), [("text", '"a"', '"b"')]),
        (PayRequest(text="a"), PayRequest(), [("text", '"a"', "absent")]),
        (PayRequest(prices={"a": 1.0}), PayRequest(prices={"a": 2.0}), [("prices.a", "1.0", "2.0")]),
        (CartState(address=Address(street="a")), CartState(address=Address()), [("address.street", '"a"', "absent")]),
        (AddResponse(items=["a", "b"]), AddResponse(items=["a", "c"]), [("items[1]", '"b"', '"c"')]),
        (AddResponse(items=["a"]), AddResponse(items=["a", "c"]), [("items", '["a"]', '["a", "c"]')]),
    ],
)
def test_a_difference_names_the_field(
    recorded: object, attempted: object, differences: list[tuple[str, str, str]]
) -> None:
    assert compare_payloads(type(recorded), codec.encode(recorded), codec.encode(attempted)) == differences


def test_unknown_fields_count() -> None:
    found = compare_payloads(PayRequest, b"\x10\x05" + UNKNOWN, b"\x10\x05")
    assert [path for path, _, _ in found] == ["unknown field 99"]


@pytest.mark.parametrize(
    ("cls", "recorded", "attempted", "equal"),
    [
        (None, b'{"a":1,"b":2}', b'{"b": 2, "a": 1}', True),
        (None, b"\xff", b"\xfe", False),
        (PayRequest, b"\xff", b"\xfe", False),
        (None, b"1", b"true", False),
    ],
)
def test_other_payloads_are_compared_as_json_or_bytes(
    cls: type[object] | None, recorded: bytes, attempted: bytes, equal: bool
) -> None:
    assert (compare_payloads(cls, recorded, attempted) == []) is equal


def test_long_differences_are_cut() -> None:
    found = compare_payloads(PayRequest, codec.encode(PayRequest(text="a" * 1000)), b"")
    assert len(found[0][1]) < 200
