"""restate.ingress.v1.Ingress over gRPC, called with raw stubs over a real socket."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import awakeable_id_text, invocation_id_text
from restate_protocol.journal import JSON, Failure, Value, Void

from tests.runtime.ingress.raw_grpc import Client

INGRESS = "/restate.ingress.v1.Ingress/"
KNOWN = (7).to_bytes(16, "big")
AWAKEABLE = awakeable_id_text(KNOWN, 1)


async def test_attach_gives_the_result(client: Client, engine: Any) -> None:
    engine.outputs[KNOWN] = Value(b"result")
    reply = await client.call(INGRESS + "Attach", pb.AttachRequest(invocation_id=invocation_id_text(KNOWN)).to_binary())
    assert reply.payload is not None
    assert pb.AttachResponse.from_binary(reply.payload).payload == b"result"


async def test_attach_waits_and_is_released_when_the_caller_goes(client: Client, engine: Any) -> None:
    engine.outputs[KNOWN] = None
    call = client.start(INGRESS + "Attach", pb.AttachRequest(invocation_id=invocation_id_text(KNOWN)).to_binary())
    await engine.accepted.get()
    call.cancel()
    assert await engine.closed.get() == KNOWN


@pytest.mark.parametrize("method", ["Attach", "GetOutput"])
async def test_a_failed_invocation_is_the_status_of_the_call(client: Client, engine: Any, method: str) -> None:
    engine.outputs[KNOWN] = Failure(10, "killed")
    request = pb.AttachRequest(invocation_id=invocation_id_text(KNOWN)).to_binary()
    reply = await client.call(INGRESS + method, request)
    assert (reply.code, reply.message) == (grpc.StatusCode.ABORTED, "killed")
    assert reply.trailing["restate-error-source"] == "handler"


async def test_output_is_there_or_not(client: Client, engine: Any) -> None:
    request = pb.GetOutputRequest(invocation_id=invocation_id_text(KNOWN)).to_binary()
    assert (await client.call(INGRESS + "GetOutput", request)).code is grpc.StatusCode.NOT_FOUND
    engine.outputs[KNOWN] = None
    reply = await client.call(INGRESS + "GetOutput", request)
    assert reply.code is grpc.StatusCode.FAILED_PRECONDITION
    assert reply.trailing["restate-error-source"] == "ingress"
    engine.outputs[KNOWN] = Void()
    payload = (await client.call(INGRESS + "GetOutput", request)).payload
    assert pb.GetOutputResponse.from_binary(payload or b"?").payload == b""


async def test_an_awakeable_is_resolved_with_bytes_or_json(client: Client, engine: Any) -> None:
    binary = pb.ResolveAwakeableRequest.from_json(f'{{"awakeableId": "{AWAKEABLE}", "payload": "AAE="}}')
    text = pb.ResolveAwakeableRequest.from_json(f'{{"awakeableId": "{AWAKEABLE}", "json": "[1]"}}')
    nothing = pb.ResolveAwakeableRequest(awakeable_id=AWAKEABLE)
    for request in (binary, text, nothing):
        assert (await client.call(INGRESS + "ResolveAwakeable", request.to_binary())).payload == b""
    assert engine.completed == [
        (AWAKEABLE, Value(b"\x00\x01")),
        (AWAKEABLE, Value(b"[1]", JSON)),
        (AWAKEABLE, Value(b"")),
    ]


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        ("shop.v1.SoldOut", {"json": '{"nope": 1}'}),
        ("shop.v1.SoldOut", {"json": "7"}),
        ("shop.v1.SoldOut", {"payload": "/////w=="}),
        ("application/json", {"payload": "/////w=="}),
    ],
)
async def test_a_value_that_the_awakeable_was_not_made_for_leaves_it_open(
    client: Client, engine: Any, wanted: str, value: dict[str, str]
) -> None:
    engine.awakeable_types[AWAKEABLE] = ("dep_x", wanted)
    request = pb.ResolveAwakeableRequest.from_json(json.dumps({"awakeableId": AWAKEABLE, **value}))
    reply = await client.call(INGRESS + "ResolveAwakeable", request.to_binary())
    assert reply.code is grpc.StatusCode.INVALID_ARGUMENT
    assert reply.trailing["restate-error-source"] == "ingress"
    assert engine.completed == []


@pytest.mark.parametrize("value", [{"json": '{"eventId": "e"}'}, {"payload": "CgFl"}])
async def test_a_value_that_the_awakeable_was_made_for_is_taken(
    client: Client, engine: Any, value: dict[str, str]
) -> None:
    engine.awakeable_types[AWAKEABLE] = ("dep_x", "shop.v1.SoldOut")
    request = pb.ResolveAwakeableRequest.from_json(json.dumps({"awakeableId": AWAKEABLE, **value}))
    await client.call(INGRESS + "ResolveAwakeable", request.to_binary())
    assert len(engine.completed) == 1


async def test_an_awakeable_is_rejected_with_a_code(client: Client, engine: Any) -> None:
    plain = pb.RejectAwakeableRequest(awakeable_id=AWAKEABLE, message="no")
    coded = pb.RejectAwakeableRequest(awakeable_id=AWAKEABLE, message="no", code=9)
    for request in (plain, coded):
        assert (await client.call(INGRESS + "RejectAwakeable", request.to_binary())).payload == b""
    assert engine.completed == [(AWAKEABLE, Failure(2, "no")), (AWAKEABLE, Failure(9, "no"))]


async def test_an_invocation_is_cancelled(client: Client, engine: Any) -> None:
    engine.outputs[KNOWN] = None
    request = pb.CancelRequest(invocation_id=invocation_id_text(KNOWN)).to_binary()
    assert (await client.call(INGRESS + "Cancel", request)).payload == b""
    assert engine.cancelled == [KNOWN]


async def test_a_signal_carries_bytes_json_or_a_rejection(client: Client, engine: Any) -> None:
    engine.outputs[KNOWN] = None
    values = [{"payload": "AAE="}, {"json": "[1]"}, {"reject": "not now"}, {}]
    for value in values:
        fields = {"invocationId": invocation_id_text(KNOWN), "name": "approve", **value}
        request = pb.SendSignalRequest.from_json(json.dumps(fields)).to_binary()
        assert (await client.call(INGRESS + "SendSignal", request)).payload == b""
    assert engine.signals == [
        (KNOWN, "approve", Value(b"\x00\x01")),
        (KNOWN, "approve", Value(b"[1]", JSON)),
        (KNOWN, "approve", Failure(2, "not now")),
        (KNOWN, "approve", Value(b"")),
    ]


@pytest.mark.parametrize(
    ("method", "request_type"), [("Cancel", pb.CancelRequest), ("SendSignal", pb.SendSignalRequest)]
)
async def test_who_is_over_or_unknown_cannot_be_steered(
    client: Client, engine: Any, method: str, request_type: Any
) -> None:
    request = request_type(invocation_id=invocation_id_text(KNOWN)).to_binary()
    reply = await client.call(INGRESS + method, request)
    assert (reply.code, reply.trailing["restate-error-source"]) == (grpc.StatusCode.NOT_FOUND, "ingress")
    engine.outputs[KNOWN] = Value(b"")
    reply = await client.call(INGRESS + method, request)
    assert (reply.code, reply.message) == (grpc.StatusCode.FAILED_PRECONDITION, "it is completed")


BAD_CONTROL: dict[str, tuple[str, Any, str]] = {
    "no id": ("Attach", pb.AttachRequest(), "invocation_id: give invocation_id or target"),
    "wrong id": ("GetOutput", pb.GetOutputRequest(invocation_id=AWAKEABLE), "does not begin with inv_"),
    "nobody to cancel": ("Cancel", pb.CancelRequest(), "invocation_id: give invocation_id or target"),
    "nobody to signal": ("SendSignal", pb.SendSignalRequest(name="go"), "invocation_id: give invocation_id or target"),
    "signal without JSON": (
        "SendSignal",
        pb.SendSignalRequest.from_json(json.dumps({"invocationId": invocation_id_text(KNOWN), "json": "{"})),
        "json is not JSON",
    ),
    "wrong awakeable": ("RejectAwakeable", pb.RejectAwakeableRequest(awakeable_id="awk_x"), "awakeable_id: 'awk_x'"),
    "code OK": ("RejectAwakeable", pb.RejectAwakeableRequest(awakeable_id=AWAKEABLE, code=0), "code is 0"),
    "no JSON": (
        "ResolveAwakeable",
        pb.ResolveAwakeableRequest.from_json(f'{{"awakeableId": "{AWAKEABLE}", "json": "{{"}}'),
        "json is not JSON",
    ),
    "a name twice": (
        "ResolveAwakeable",
        pb.ResolveAwakeableRequest.from_json(
            json.dumps({"awakeableId": AWAKEABLE, "json": '{"paid": true, "by": {"a": 1, "a": 2}}'})
        ),
        'json is not JSON: the name "a" is there twice in one object',
    ),
    "deep JSON": (
        "ResolveAwakeable",
        pb.ResolveAwakeableRequest.from_json(f'{{"awakeableId": "{AWAKEABLE}", "json": "{"[" * 20_000}"}}'),
        "json is not JSON",
    ),
}


@pytest.mark.parametrize("case", BAD_CONTROL)
async def test_bad_ids_and_values_are_refused(client: Client, engine: Any, case: str) -> None:
    method, request, message = BAD_CONTROL[case]
    reply = await client.call(INGRESS + method, request.to_binary())
    assert reply.code is grpc.StatusCode.INVALID_ARGUMENT
    assert message in reply.message
    assert engine.completed == []


async def test_bytes_that_are_no_control_request_are_refused(client: Client) -> None:
    reply = await client.call(INGRESS + "Attach", b"\xff")
    assert reply.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "restate.ingress.v1.AttachRequest" in reply.message
