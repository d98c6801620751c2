"""restate.ingress.v1.Ingress: which invocation a request means."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import idempotent_invocation_id, invocation_id_text, workflow_invocation_id
from restate_protocol.journal import Failure, Value

from tests.runtime.ingress.raw_grpc import Client

INGRESS = "/restate.ingress.v1.Ingress/"
KNOWN = (7).to_bytes(16, "big")

RUN = pb.Target(service="shop.v1.Checkout", handler="Run", key="o1")
CART = pb.Target(service="shop.v1.Cart", handler="AddTicket", key="ada", idempotency_key="k")
ECHO = pb.Target(service="shop.v1.Echo", handler="Say", idempotency_key="k")
COUNTER = pb.Target(service="shop.v1.Counter", handler="Add", key="-7", idempotency_key="k")
STATUS = pb.Target(service="shop.v1.Checkout", handler="Status", key="o1", idempotency_key="k")
PRIVATE = pb.Target(service="shop.v1.Cart", handler="Expire", key="ada", idempotency_key="k")

FOUND: list[tuple[pb.Target, bytes]] = [
    (RUN, workflow_invocation_id("shop.v1.Checkout", "o1")),
    (CART, idempotent_invocation_id("shop.v1.Cart", "AddTicket", "ada", "k")),
    (ECHO, idempotent_invocation_id("shop.v1.Echo", "Say", None, "k")),
    (COUNTER, idempotent_invocation_id("shop.v1.Counter", "Add", "-7", "k")),
    (STATUS, idempotent_invocation_id("shop.v1.Checkout", "Status", "o1", "k")),
    (PRIVATE, idempotent_invocation_id("shop.v1.Cart", "Expire", "ada", "k")),
]

REQUESTS: dict[str, Any] = {
    "Attach": pb.AttachRequest,
    "GetOutput": pb.GetOutputRequest,
    "Lookup": pb.LookupRequest,
    "Cancel": pb.CancelRequest,
    "SendSignal": pb.SendSignalRequest,
}


@pytest.mark.parametrize(("target", "invocation_id"), FOUND, ids=lambda one: getattr(one, "handler", ""))
async def test_a_target_finds_what_a_call_with_these_keys_makes(
    client: Client, engine: Any, target: pb.Target, invocation_id: bytes
) -> None:
    engine.outputs[invocation_id] = Value(b"")
    reply = await client.call(INGRESS + "Lookup", pb.LookupRequest(target=target).to_binary())
    assert reply.payload is not None
    assert pb.LookupResponse.from_binary(reply.payload).invocation_id == invocation_id_text(invocation_id)
    request = pb.AttachRequest(target=target).to_binary()
    attached = pb.AttachResponse.from_binary((await client.call(INGRESS + "Attach", request)).payload or b"")
    assert attached.invocation_id == invocation_id_text(invocation_id)


async def test_a_lookup_says_what_is_known(client: Client, engine: Any) -> None:
    for result, completed in ((None, False), (Value(b""), True), (Failure(10, "killed"), True)):
        engine.outputs[KNOWN] = result
        request = pb.LookupRequest(invocation_id=invocation_id_text(KNOWN)).to_binary()
        reply = await client.call(INGRESS + "Lookup", request)
        assert pb.LookupResponse.from_binary(reply.payload or b"") == pb.LookupResponse(
            invocation_id=invocation_id_text(KNOWN),
            service="shop.v1.Cart",
            handler="AddTicket",
            key="ada",
            completed=completed,
        )


async def test_signals_and_cancels_reach_a_target(client: Client, engine: Any) -> None:
    found = workflow_invocation_id("shop.v1.Checkout", "o1")
    engine.outputs[found] = None
    await client.call(INGRESS + "SendSignal", pb.SendSignalRequest(target=RUN, name="go").to_binary())
    await client.call(INGRESS + "Cancel", pb.CancelRequest(target=RUN).to_binary())
    assert (engine.signals, engine.cancelled) == ([(found, "go", Value(b""))], [found])


@pytest.mark.parametrize("method", REQUESTS)
async def test_what_never_was_is_not_found(client: Client, method: str) -> None:
    request = REQUESTS[method](target=CART)
    if method == "SendSignal":
        request.name = "go"
    assert (await client.call(INGRESS + method, request.to_binary())).code is grpc.StatusCode.NOT_FOUND


def target(**fields: str) -> pb.Target:
    return pb.Target(
        **{"service": "shop.v1.Cart", "handler": "AddTicket", "key": "a", "idempotency_key": "k", **fields}
    )


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "neither": ({}, "invocation_id", "both are missing"),
    "both": ({"invocation_id": invocation_id_text(KNOWN), "target": CART}, "target", "not both"),
    "empty target": ({"target": pb.Target()}, "target.service", "it is missing"),
    "no handler": ({"target": target(handler="")}, "target.handler", "it is missing"),
    "no key": ({"target": target(key="")}, "target.key", "it is missing; shop.v1.Cart/AddTicket has one"),
    "no idempotency key": ({"target": target(idempotency_key="")}, "target.idempotency_key", "only be found by its"),
    "key of a service": (
        {"target": pb.Target(service="shop.v1.Echo", handler="Say", key="x", idempotency_key="k")},
        "target.key",
        "shop.v1.Echo/Say has no keys",
    ),
    "idempotency key of a run": (
        {"target": pb.Target(service="shop.v1.Checkout", handler="Run", key="x", idempotency_key="k")},
        "target.idempotency_key",
        "runs once for each key",
    ),
    **{
        f"integer key {key}": (
            {"target": pb.Target(service="shop.v1.Counter", handler="Add", key=key, idempotency_key="k")},
            "target.key",
            "is no integer in decimal digits",
        )
        for key in ("07", "-0", "+7", " 7", "seven", "7.0", "\u0667", "1" * 40)
    },
    "an id that is none": ({"invocation_id": "inv_x"}, "invocation_id", "is not an invocation id"),
}


@pytest.mark.parametrize("method", REQUESTS)
@pytest.mark.parametrize("case", BAD)
async def test_a_request_that_means_no_invocation_is_refused_with_the_field(
    client: Client, method: str, case: str
) -> None:
    fields, path, text = BAD[case]
    reply = await client.call(INGRESS + method, REQUESTS[method](**fields).to_binary())
    assert (reply.code, reply.trailing["restate-error-source"]) == (grpc.StatusCode.INVALID_ARGUMENT, "ingress")
    assert reply.message.startswith(f"{path}: ")
    assert text in reply.message
    assert path.encode() in reply.details().details[0].value


@pytest.mark.parametrize(
    ("service", "handler", "text"),
    [
        ("shop.v1.Cart", "Nope", "service shop.v1.Cart has no method Nope"),
        ("shop.v1.Crat", "AddTicket", "did you mean shop.v1.Cart?"),
    ],
)
async def test_a_target_that_nobody_serves_is_unimplemented(
    client: Client, service: str, handler: str, text: str
) -> None:
    request = pb.LookupRequest(target=pb.Target(service=service, handler=handler)).to_binary()
    reply = await client.call(INGRESS + "Lookup", request)
    assert reply.code is grpc.StatusCode.UNIMPLEMENTED
    assert text in reply.message


@pytest.mark.parametrize("method", ["Attach", "GetOutput"])
async def test_a_result_is_json_by_the_contract_of_its_deployment(client: Client, engine: Any, method: str) -> None:
    engine.outputs[KNOWN] = Value(b"\x08\x05")
    request = REQUESTS[method](invocation_id=invocation_id_text(KNOWN), json=True)
    reply = await client.call(INGRESS + method, request.to_binary())
    response = getattr(pb, f"{method}Response").from_binary(reply.payload)
    assert (response.json, response.payload) == ('{"totalCount":5}', b"")
    engine.outputs[KNOWN] = Failure(9, "no")
    reply = await client.call(INGRESS + method, request.to_binary())
    assert (reply.code, reply.trailing["restate-error-source"]) == (grpc.StatusCode.FAILED_PRECONDITION, "handler")


@pytest.mark.parametrize("method", ["Attach", "GetOutput"])
async def test_bytes_that_have_no_json_are_an_error(client: Client, engine: Any, method: str) -> None:
    engine.outputs[KNOWN] = Value(b"\xff")
    request = REQUESTS[method](invocation_id=invocation_id_text(KNOWN), json=True)
    reply = await client.call(INGRESS + method, request.to_binary())
    assert reply.code is grpc.StatusCode.INTERNAL
    assert "ask without json" in reply.message
