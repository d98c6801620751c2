"""GET /openapi.json: valid by a validator of others, true about ProtoJSON, and in step with registrations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from restate_runtime.deployments.schema import Schema
from restate_runtime.ingress.admission import Admission, Limits
from restate_runtime.ingress.http import HttpApp
from restate_runtime.ingress.waiting import Waiting

from tests.runtime.ingress.conftest import FakeRoutes

Compile = Callable[[Mapping[str, str]], bytes]

KINDS = """
syntax = "proto3";
package kinds.v1;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
service Kinds {
  rpc Look(Everything) returns (Everything) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Old(Ruled) returns (Ruled) { option deprecated = true; }
}
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
message Everything {
  int64 big = 1;
  uint64 biggest = 2;
  int32 small = 3;
  uint32 count = 4;
  double ratio = 5;
  bool flag = 6;
  bytes data = 7;
  Color color = 8;
  repeated Everything children = 9;
  map<int32, string> names = 10;
  map<bool, Color> colors = 11;
  optional string maybe_there = 12;
  oneof choice { string word = 13; Everything other = 14; bool none = 15; }
  google.protobuf.Timestamp at = 16;
  google.protobuf.Duration length = 17;
  google.protobuf.FieldMask mask = 18;
  google.protobuf.Struct struct = 19;
  google.protobuf.Value value = 20;
  google.protobuf.Any any = 21;
  google.protobuf.Int64Value boxed = 22;
  float half = 23;
  string other_name = 24 [json_name = "anders", deprecated = true];
}
message Ruled {
  string name = 1 [(buf.validate.field).required = true, (buf.validate.field).string = {min_len: 2, max_len: 9}];
  string code = 2 [(buf.validate.field).string.pattern = "^[a-z]+$"];
  string odd = 3 [(buf.validate.field).string.pattern = "(?i)a"];
  int32 amount = 4 [(buf.validate.field).int32 = {gte: 1, lt: 10}];
  int32 outside = 5 [(buf.validate.field).int32 = {lt: 1, gt: 10}];
  repeated string tags = 6 [(buf.validate.field).repeated = {max_items: 2, unique: true, items: {string: {len: 3}}}];
  map<string, int32> ages = 7 [(buf.validate.field).map.min_pairs = 1];
  string mail = 8 [(buf.validate.field).string.email = true];
  int32 unless = 9 [(buf.validate.field).int32.gte = 1, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
  double share = 10 [(buf.validate.field).double = {gt: 0, lte: 1}];
}
"""


@pytest.fixture
def app(routes: FakeRoutes, engine: Any, compile_protos: Compile) -> HttpApp:
    routes.register(compile_protos({"kinds/v1/kinds.proto": KINDS}))
    return HttpApp(Admission(routes, Limits()), engine, Waiting())


@pytest.fixture
async def client(app: HttpApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://runtime") as client:
        yield client


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    reply = await client.get("/openapi.json")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = reply.json()
    return found


def schema_of(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def test_a_validator_of_others_accepts_it(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_public_handlers_are_there_and_private_ones_are_not(document: dict[str, Any]) -> None:
    paths = set(document["paths"])
    assert {"/shop.v1.Cart/AddTicket", "/shop.v1.Checkout/Run", "/kinds.v1.Kinds/Look"} < paths
    assert "/shop.v1.Cart/Expire" not in paths
    ours = {path.rpartition("/")[2] for path in paths if path.startswith("/restate.ingress.v1.Ingress/")}
    assert {"Call", "Send", "Attach", "ResolveAwakeable"} < ours
    assert "Session" not in ours
    assert {tag["name"] for tag in document["tags"]} == {path[1:].partition("/")[0] for path in paths}


def test_an_operation_says_what_goes_with_it(document: dict[str, Any]) -> None:
    add = document["paths"]["/shop.v1.Cart/AddTicket"]["post"]
    assert add["operationId"] == "shop.v1.Cart.AddTicket"
    assert add["x-restate-errors"] == [{"$ref": "#/components/schemas/shop.v1.SoldOut"}]
    assert "shop.v1.SoldOut" in document["components"]["schemas"]
    names = [one["$ref"].rpartition("/")[2] for one in add["parameters"]]
    assert names == ["idempotency-key", "restate-send", "restate-delay", "connect-timeout-ms"]
    assert set(add["responses"]["200"]["headers"]) == {"restate-invocation-id", "restate-status"}
    assert "restate-error-source" in add["responses"]["default"]["headers"]
    body = add["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/shop.v1.AddTicketRequest", "required": ["userId"]}
    run = document["paths"]["/shop.v1.Checkout/Run"]["post"]
    assert "idempotency-key" not in str(run["parameters"])


def test_get_is_there_for_what_has_no_side_effects_only(document: dict[str, Any]) -> None:
    assert {path for path, item in document["paths"].items() if "get" in item} == {"/kinds.v1.Kinds/Look"}
    assert "query.message" in str(document["paths"]["/kinds.v1.Kinds/Look"]["get"]["parameters"])
    assert document["paths"]["/kinds.v1.Kinds/Old"]["post"]["deprecated"] is True


FITS: list[dict[str, Any]] = [
    {},
    {"big": "-9007199254740993", "biggest": "18446744073709551615", "small": -5, "count": 4294967295, "ratio": 0.5},
    {"ratio": "NaN", "half": "-Infinity", "flag": True, "data": "AAH+/w==", "color": "COLOR_RED"},
    {"children": [{"children": [{"small": 1}]}], "names": {"-1": "a"}, "colors": {"true": "COLOR_RED"}},
    {"maybeThere": "", "word": "a", "at": "2026-11-22T10:00:00Z", "length": "1.5s", "mask": "a,b.c"},
    {"struct": {"a": [1, None]}, "value": None, "any": {"@type": "type.googleapis.com/kinds.v1.Ruled", "name": "ab"}},
    {"boxed": "1", "other": {}, "anders": "b", "any": {}},
]
FITS_NOT: list[dict[str, Any]] = [
    {"big": 1.5},
    {"big": "x"},
    {"biggest": "-1"},
    {"small": 2**31},
    {"count": -1},
    {"ratio": "nan"},
    {"flag": "true"},
    {"color": "RED"},
    {"children": {}},
    {"names": {"a": "b"}},
    {"colors": {"yes": "COLOR_RED"}},
    {"word": "a", "none": True},
    {"children": [{}, {"none": False, "other": {}}]},
    {"length": "1"},
    {"boxed": {"value": "1"}},
]


@pytest.mark.parametrize("value", FITS)
async def test_what_the_ingress_takes_and_answers_fits(
    client: httpx.AsyncClient, document: dict[str, Any], value: dict[str, Any]
) -> None:
    schema = schema_of(document, "kinds.v1.Everything")
    schema.validate(value)
    reply = await client.post("/kinds.v1.Kinds/Look", json=value)
    assert reply.status_code == 200, reply.text
    schema.validate(reply.json())


@pytest.mark.parametrize("value", FITS_NOT)
async def test_what_the_ingress_refuses_does_not_fit(
    client: httpx.AsyncClient, document: dict[str, Any], value: dict[str, Any]
) -> None:
    assert not schema_of(document, "kinds.v1.Everything").is_valid(value)
    assert (await client.post("/kinds.v1.Kinds/Look", json=value)).status_code == 400


def test_rules_are_there_as_far_as_json_schema_can_say_them(document: dict[str, Any]) -> None:
    node = document["components"]["schemas"]["kinds.v1.Ruled"]
    properties = node["properties"]
    assert node["required"] == ["name"]
    assert properties["name"] == {"type": "string", "minLength": 2, "maxLength": 9}
    assert properties["code"]["pattern"] == "^[a-z]+$"
    assert "pattern" not in properties["odd"]
    assert (properties["amount"]["minimum"], properties["amount"]["exclusiveMaximum"]) == (1, 10)
    assert (properties["outside"]["minimum"], properties["outside"]["maximum"]) == (-(2**31), 2**31 - 1)
    tags = properties["tags"]
    assert (tags["maxItems"], tags["uniqueItems"]) == (2, True)
    assert tags["items"] == {"type": "string", "minLength": 3, "maxLength": 3}
    assert properties["ages"]["minProperties"] == 1
    assert properties["mail"]["format"] == "email"
    assert properties["unless"]["minimum"] == -(2**31)
    assert properties["share"]["exclusiveMinimum"] == 0


async def test_an_error_fits_its_schema(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    reply = await client.post("/kinds.v1.Kinds/Old", json={"name": "a"})
    assert reply.status_code == 400
    schema_of(document, "connect.Error").validate(reply.json())


async def test_one_service_alone(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json?service=shop.v1.Echo")).json()
    OpenAPIV31SpecValidator(document).validate()
    assert set(document["paths"]) == {"/shop.v1.Echo/Say", "/shop.v1.Echo/Pay"}
    assert set(document["components"]["schemas"]) == {
        "connect.Error", "connect.ErrorDetail", "shop.v1.EchoRequest", "shop.v1.PayRequest"
    }  # fmt: skip
    ours = (await client.get("/openapi.json?service=restate.ingress.v1.Ingress")).json()
    assert {path.split("/")[1] for path in ours["paths"]} == {"restate.ingress.v1.Ingress"}
    unknown = await client.get("/openapi.json?service=shop.v1.Nope")
    assert (unknown.status_code, unknown.json()["message"]) == (404, "no deployment serves shop.v1.Nope")


async def test_it_follows_registrations_and_is_asked_for_by_its_tag(
    client: httpx.AsyncClient, routes: FakeRoutes, compile_protos: Compile
) -> None:
    first = await client.get("/openapi.json")
    tag = first.headers["etag"]
    for known in (tag, f'"x", W/{tag}'):
        again = await client.get("/openapi.json", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    routes.register(
        compile_protos({"n.proto": 'syntax = "proto3"; package n.v1; service N { rpc M(R) returns (R); } message R {}'})
    )
    later = await client.get("/openapi.json", headers={"if-none-match": tag})
    assert later.status_code == 200
    assert "/n.v1.N/M" in later.json()["paths"]
    assert later.json()["info"]["version"] != first.json()["info"]["version"]
    assert (await client.head("/openapi.json")).headers["etag"] == later.headers["etag"]
    assert (await client.post("/openapi.json")).headers["allow"] == "GET, HEAD"


async def test_two_deployments_may_mean_different_things_by_one_name(
    client: httpx.AsyncClient, routes: FakeRoutes, compile_protos: Compile
) -> None:
    text = 'syntax = "proto3"; package %s; import "s.proto"; service S { rpc M(s.Same) returns (s.Same); }'
    same = 'syntax = "proto3"; package s; message Same { %s a = 1; Inner inner = 2; } message Inner { string b = 1; }'
    routes.register(compile_protos({"one.proto": text % "one", "s.proto": same % "string"}))
    routes.register(compile_protos({"two.proto": text % "two", "s.proto": same % "bool"}))
    document = (await client.get("/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    kinds = {}
    for path in ("/one.S/M", "/two.S/M"):
        reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        node = document["components"]["schemas"][reference.rpartition("/")[2]]
        kinds[path] = node["properties"]["a"]["type"]
    assert kinds == {"/one.S/M": "string", "/two.S/M": "boolean"}


async def test_comments_are_descriptions_where_they_are_stored(
    client: httpx.AsyncClient, routes: FakeRoutes, commented_set: bytes
) -> None:
    assert Schema(commented_set).registry.service("talk.v1.Talk") is not None
    routes.register(commented_set)
    document = (await client.get("/openapi.json?service=talk.v1.Talk")).json()
    assert document["tags"] == [{"name": "talk.v1.Talk", "description": "People who talk."}]
    assert document["paths"]["/talk.v1.Talk/Say"]["post"]["description"] == "Says a word,\nand no more."
    node = document["components"]["schemas"]["talk.v1.Word"]
    assert (node["description"], node["properties"]["text"]["description"]) == ("One word.", "As it is written.")


@pytest.fixture
def commented_set(compile_protos: Compile) -> bytes:
    """A set that has the comments of its source, as protoc gives it when it is asked to."""
    from protobuf.wkt import FileDescriptorSet
    from protobuf.wkt.google.protobuf.descriptor_pb import SourceCodeInfo

    text = """
    syntax = "proto3";
    package talk.v1;
    service Talk { rpc Say(Word) returns (Word); }
    message Word { string text = 1; }
    """
    found = FileDescriptorSet.from_binary(compile_protos({"talk.proto": text}))
    location = SourceCodeInfo.Location
    found.file[-1].source_code_info = SourceCodeInfo(
        location=[
            location(path=[6, 0], span=[3, 4, 50], leading_comments=" People who talk.\n"),
            location(path=[6, 0, 2, 0], span=[3, 19, 44], leading_comments=" Says a word,\n and no more.\n"),
            location(path=[4, 0], span=[4, 4, 37], leading_comments=" One word.\n"),
            location(path=[4, 0, 2, 0], span=[4, 19, 35], trailing_comments=" As it is written.\n"),
        ]
    )
    return found.to_binary()
