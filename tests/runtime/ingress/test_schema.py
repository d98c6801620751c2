"""Schema: what it accepts, what it refuses and where it says the fault is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf.wkt import FileDescriptorSet
from restate_protocol.contract.model import Handler
from restate_protocol.contract.read import read_contract
from restate_runtime.deployments.json_problems import MAX_JSON_DEPTH, too_deep
from restate_runtime.deployments.schema import InvalidMessage, Schema, SchemaError

ADD = "shop.v1.AddTicketRequest"


@pytest.fixture(scope="module")
def schema(shop_set: bytes) -> Schema:
    return Schema(shop_set)


@pytest.fixture(scope="module")
def handler(shop_set: bytes) -> Callable[[str, str], Handler]:
    contract = read_contract(shop_set)

    def find(service: str, name: str) -> Handler:
        found = contract.service(service)
        assert found is not None
        one = found.handler(name)
        assert one is not None
        return one

    return find


def test_json_becomes_bytes_and_bytes_become_json(schema: Schema) -> None:
    data = schema.from_json(ADD, '{"userId": "ada", "count": 2, "at": "2026-01-01T00:00:00Z"}')
    assert schema.to_json(ADD, data) == '{"userId":"ada","count":2,"at":"2026-01-01T00:00:00Z"}'


def test_any_resolves_within_the_set(schema: Schema) -> None:
    text = '{"extra":{"@type":"type.googleapis.com/shop.v1.Ticket","price":3}}'
    assert schema.to_json(ADD, schema.from_json(ADD, text)) == text


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"count": "x"}', "count"),
        ('{"count": 99999999999}', "count"),
        ('{"nope": 1}', "nope"),
        ('{"tickets": [{"price": 1}, {"price": "x"}]}', "tickets[1].price"),
        ('{"tickets": [{"upgrade": {"upgrade": {"nope": 1}}}]}', "tickets[0].upgrade.upgrade.nope"),
        ('{"bySeat": {"1A": {"price": true}}}', 'bySeat["1A"].price'),
        ('{"tickets": 3}', "tickets"),
        ('{"tickets": [null]}', "tickets[0]"),
        ('{"at": "yesterday"}', "at"),
        ("[]", ""),
        ("null", ""),
        ("{", ""),
        ('{"userId": "\\ud800"}', ""),
    ],
)
def test_bad_json_names_the_field(schema: Schema, text: str, path: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        schema.from_json(ADD, text)
    assert [one.field for one in caught.value.violations] == [path]
    assert caught.value.violations[0].description


@pytest.mark.parametrize("opening", ["[", '{"tickets":[', '{"nope":{"nope":[['])
def test_json_nested_too_deep_is_refused_before_the_native_parser_sees_it(schema: Schema, opening: str) -> None:
    with pytest.raises(InvalidMessage, match="nested deeper"):
        schema.from_json(ADD, opening * 100_000)


def test_only_nesting_counts_and_not_brackets_within_strings_or_side_by_side() -> None:
    many = 10 * MAX_JSON_DEPTH
    assert not too_deep('{"a": "' + "[" * many + '\\"[["}')
    assert not too_deep("[" + "[[]]," * many + '[{"a": []}]]')
    assert not too_deep("[" * 200 + "]" * 200)
    assert not too_deep('"' + '\\"' * many + "[" * many)
    assert too_deep("[" * many)
    assert too_deep("[" * many + "]" * many)
    assert too_deep(b'{"a":[' * many + b"]}" * many)


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05a", b"\x0a\x01\xff", b"\x00", b"\x9b\x06" * 200])
def test_bytes_that_are_no_message_are_refused(schema: Schema, data: bytes) -> None:
    with pytest.raises(InvalidMessage, match=ADD):
        schema.check(ADD, data)


@given(data=st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_accepted_or_refused_with_a_reason(shop_set: bytes, data: bytes) -> None:
    schema = _cached(shop_set)
    with contextlib.suppress(InvalidMessage):
        schema.validate(ADD, data)
        schema.to_json(ADD, data)


_SCHEMAS: dict[bytes, Schema] = {}


def _cached(data: bytes) -> Schema:
    if data not in _SCHEMAS:
        _SCHEMAS[data] = Schema(data)
    return _SCHEMAS[data]


def test_broken_rules_give_the_paths_of_fields(schema: Schema) -> None:
    text = '{"count": -1, "tickets": [{}, {"price": -2}], "bySeat": {"1A": {"price": -3}}}'
    with pytest.raises(InvalidMessage) as caught:
        schema.validate(ADD, schema.from_json(ADD, text))
    assert {one.field for one in caught.value.violations} == {"count", "tickets[1].price", 'by_seat["1A"].price'}


def test_keys_are_canonical(schema: Schema, handler: Callable[[str, str], Handler]) -> None:
    add = handler("shop.v1.Cart", "AddTicket")
    count = handler("shop.v1.Counter", "Add")
    assert schema.key_of(add, b"\x0a\x03ada") == "ada"
    assert schema.key_of(count, b"\x08\x2a") == "42"
    assert schema.key_of(count, b"\x08\x00") == "0"
    assert schema.key_of(handler("shop.v1.Echo", "Say"), b"") is None


@pytest.mark.parametrize(
    ("service", "name", "data"),
    [("shop.v1.Cart", "AddTicket", b""), ("shop.v1.Counter", "Add", b""), ("shop.v1.Checkout", "Run", b"\x0a\x00")],
)
def test_a_missing_or_empty_key_is_refused(
    schema: Schema, handler: Callable[[str, str], Handler], service: str, name: str, data: bytes
) -> None:
    with pytest.raises(InvalidMessage, match="the key is missing or empty"):
        schema.key_of(handler(service, name), data)


def test_the_annotated_field_is_the_idempotency_key(schema: Schema, handler: Callable[[str, str], Handler]) -> None:
    reader = schema.reader(handler("shop.v1.Echo", "Pay"))
    assert reader.read(schema.from_json("shop.v1.PayRequest", '{"paymentId": "p1"}')).idempotency_key == "p1"
    assert reader.read(b"").idempotency_key is None


def test_a_field_is_read_by_its_name_in_the_contract(schema: Schema) -> None:
    assert schema.field("shop.v1.CountRequest", b"\x08\x2a", "from") == 42
    assert schema.field(ADD, b"", "user_id") == ""
    with pytest.raises(SchemaError, match="no field nope"):
        schema.field(ADD, b"", "nope")


@pytest.mark.parametrize(
    "symbol",
    ["shop.v1.Cart", "shop.v1.Cart.AddTicket", ADD, "shop.v1.Ticket.price", "shop.v1.AddTicketRequest.by_seat"],
)
def test_a_symbol_leads_to_its_file(schema: Schema, symbol: str) -> None:
    found = schema.file_of(symbol)
    assert found is not None
    assert found.name == "shop/v1/shop.proto"


def test_unknown_names_lead_nowhere(schema: Schema) -> None:
    assert schema.file_of("shop.v1.Cart.Nope") is None
    assert schema.file_of("") is None
    assert schema.file("nope.proto") is None
    with pytest.raises(SchemaError, match=r"shop\.v1\.Nope"):
        schema.decode("shop.v1.Nope", b"")


def test_the_order_of_files_does_not_matter(shop_set: bytes) -> None:
    files = FileDescriptorSet.from_binary(shop_set).file
    turned = FileDescriptorSet(file=list(reversed(files))).to_binary()
    assert Schema(turned).registry.service("shop.v1.Cart") is not None


def test_an_incomplete_set_is_refused(shop_set: bytes) -> None:
    files = FileDescriptorSet.from_binary(shop_set).file
    kept = [file for file in files if file.name != "google/protobuf/any.proto"]
    with pytest.raises(SchemaError, match=r"imports google/protobuf/any\.proto"):
        Schema(FileDescriptorSet(file=kept).to_binary())
    with pytest.raises(SchemaError, match="not a google"):
        Schema(b"\xff")


def test_rules_that_do_not_compile_are_told_at_registration(
    compile_protos: Callable[[Mapping[str, str]], bytes],
) -> None:
    source = """
        syntax = "proto3";
        package bad.v1;
        import "buf/validate/validate.proto";
        message Bad { string a = 1 [(buf.validate.field).cel = {id: "x", expression: "this ++ 1"}]; }
        message Good { string a = 1; }
    """
    schema = Schema(compile_protos({"bad/v1/bad.proto": source}))
    schema.check_rules("bad.v1.Good")
    with pytest.raises(SchemaError, match=r"bad\.v1\.Bad do not compile"):
        schema.check_rules("bad.v1.Bad")


def test_two_schemas_may_define_one_name_differently(compile_protos: Callable[[Mapping[str, str]], bytes]) -> None:
    one = Schema(compile_protos({"a.proto": 'syntax = "proto3"; package p; message M { string a = 1; }'}))
    two = Schema(compile_protos({"a.proto": 'syntax = "proto3"; package p; message M { int32 b = 1; }'}))
    assert one.to_json("p.M", b"\x0a\x01x") == '{"a":"x"}'
    assert two.to_json("p.M", b"\x08\x01") == '{"b":1}'
