"""The admin API over a real gRPC server: what it shows, what it does, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from restate_protocol import journal as j
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.gen.restate.protocol.v1.session_pb import Failed
from restate_protocol.ids import awakeable_id_text, child_invocation_id, invocation_id_text
from restate_protocol.services import HandlerMode
from restate_runtime.core.decision import RecordAttempt
from restate_runtime.core.records import Attempt, AttemptOutcome, Invocation, Status
from restate_runtime.core.spans import step_traceparent

from tests.runtime.admin.calls import ID, TEXT, call, cart, journal, put, refusal
from tests.runtime.admin.conftest import SERVICES, Rig

# Deployments.


async def test_registering_gives_the_deployment_with_its_services(rig: Rig) -> None:
    request = pb.RegisterDeploymentRequest(address="localhost:9080", force=True)
    answer = await call(rig, "RegisterDeployment", request, pb.RegisterDeploymentResponse)
    assert rig.deployments.registered == [("localhost:9080", True)]
    assert answer.created
    assert answer.deployment is not None
    assert [(one.name, one.kind) for one in answer.deployment.services] == [
        (SERVICES[0], "virtual_object"),
        (SERVICES[1], "workflow"),
    ]
    (add,) = answer.deployment.services[0].handlers
    assert (add.name, add.mode, add.request_type, add.response_type, add.private) == (
        "Add",
        "exclusive",
        "shop.v1.AddRequest",
        "shop.v1.AddResponse",
        False,
    )


async def test_registering_nothing_or_nobody_is_refused(rig: Rig) -> None:
    code, message = await refusal(rig, "RegisterDeployment", pb.RegisterDeploymentRequest())
    assert (code, "host:port" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    code, message = await refusal(rig, "RegisterDeployment", pb.RegisterDeploymentRequest(address="nowhere:1"))
    assert (code, message) == (grpc.StatusCode.UNAVAILABLE, "nobody answers at nowhere:1")


async def test_deployments_are_listed_with_their_sessions(rig: Rig) -> None:
    answer = await call(rig, "ListDeployments", pb.ListDeploymentsRequest(), pb.ListDeploymentsResponse)
    assert [(one.id, one.address, one.sessions) for one in answer.deployments] == [("dep_1", "localhost:9080", 2)]


# Invocations.


async def test_an_invocation_is_shown_in_full(rig: Rig) -> None:
    failed = Failed(
        failure=j.failure_to_pb(j.Failure(2, "boom")), command=3, command_type="run", command_name="charge"
    ).to_binary()
    parent = bytes(range(1, 17))
    record = cart(retry_count=2, epoch=3, next_retry_ms=9_000, last_failure=failed, parent_id=parent, parent_command=1)
    await put(rig, record)
    shown = (await call(rig, "GetInvocation", pb.GetInvocationRequest(id=TEXT), pb.GetInvocationResponse)).invocation
    assert shown is not None
    assert (shown.id, shown.service, shown.handler, shown.key) == (TEXT, "shop.v1.Cart", "Add", "ada")
    assert (shown.status, shown.epoch, shown.retry_count, shown.next_retry_at_ms) == ("backing-off", 3, 2, 9_000)
    assert shown.last_failure is not None
    assert (shown.last_failure.code, shown.last_failure.command) == ("UNKNOWN", "run charge (command 3)")
    assert shown.parent_id == invocation_id_text(parent)
    assert len(shown.trace_id) == 32
    assert shown.error is None


async def test_a_restarted_invocation_shows_where_it_comes_from_and_no_caller(rig: Rig) -> None:
    origin = bytes(range(1, 17))
    await put(rig, cart(parent_id=origin))
    shown = (await call(rig, "GetInvocation", pb.GetInvocationRequest(id=TEXT), pb.GetInvocationResponse)).invocation
    assert shown is not None
    assert (shown.parent_id, shown.restarted_from) == ("", invocation_id_text(origin))


async def test_a_completed_invocation_shows_its_error(rig: Rig) -> None:
    result = j.result_to_pb(j.Failure(9, "none left", "shop.v1.SoldOut", b"\n\x01x")).to_binary()
    await put(rig, cart(status=Status.COMPLETED, completed_ms=2_000, result=result, retention_ms=3_000))
    shown = (await call(rig, "GetInvocation", pb.GetInvocationRequest(id=TEXT), pb.GetInvocationResponse)).invocation
    assert shown is not None
    assert shown.error is not None
    assert (shown.status, shown.error.code, shown.error.detail_type) == (
        "completed",
        "FAILED_PRECONDITION",
        "shop.v1.SoldOut",
    )
    assert (shown.completed_at_ms, shown.expires_at_ms) == (2_000, 5_000)


async def test_what_is_active_is_shown_as_the_engine_says(rig: Rig) -> None:
    ids = [bytes([number]) * 16 for number in range(1, 4)]
    for one in ids:
        await put(rig, cart(one, mode=HandlerMode.SHARED))
    rig.live[ids[0]] = "running"
    rig.live[ids[1]] = "backing-off"
    answer = await call(rig, "ListInvocations", pb.ListInvocationsRequest(), pb.ListInvocationsResponse)
    assert [one.status for one in answer.invocations] == ["ready", "backing-off", "running"]
    only = pb.ListInvocationsRequest(status="running")
    answer = await call(rig, "ListInvocations", only, pb.ListInvocationsResponse)
    assert [one.id for one in answer.invocations] == [invocation_id_text(ids[0])]


async def test_the_list_is_filtered_and_limited(rig: Rig) -> None:
    for number in range(3):
        await put(rig, cart(bytes([number]) * 16, mode=HandlerMode.SHARED, status=Status.SUSPENDED))
    request = pb.ListInvocationsRequest(service="shop.v1.Cart", status="suspended", limit=2)
    assert len((await call(rig, "ListInvocations", request, pb.ListInvocationsResponse)).invocations) == 2
    request = pb.ListInvocationsRequest(service="shop.v1.Checkout")
    assert (await call(rig, "ListInvocations", request, pb.ListInvocationsResponse)).invocations == []


async def test_a_list_of_no_status_or_too_much_is_refused(rig: Rig) -> None:
    code, message = await refusal(rig, "ListInvocations", pb.ListInvocationsRequest(status="sleepy"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "scheduled, queued, ready, running, backing-off, suspended, paused, completed" in message
    assert "active" not in message
    code, _ = await refusal(rig, "ListInvocations", pb.ListInvocationsRequest(limit=1_001))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("GetInvocation", pb.GetInvocationRequest),
        ("GetJournal", pb.GetJournalRequest),
        ("GetTrace", pb.GetTraceRequest),
    ],
)
async def test_an_unknown_or_malformed_id_is_refused(rig: Rig, method: str, request_type: Any) -> None:
    code, message = await refusal(rig, method, request_type(id=TEXT))
    assert (code, TEXT in message) == (grpc.StatusCode.NOT_FOUND, True)
    code, message = await refusal(rig, method, request_type(id="inv_x"))
    assert (code, "inv_x" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_bytes_that_are_no_request_are_refused(rig: Rig) -> None:
    code, message = await refusal(rig, "GetInvocation", b"\xff")
    assert (code, "GetInvocationRequest" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)


async def test_a_closed_store_is_unavailable(rig: Rig) -> None:
    await rig.store.close()
    code, _ = await refusal(rig, "ListInvocations", pb.ListInvocationsRequest())
    assert code is grpc.StatusCode.UNAVAILABLE


# Journals, decoded.


async def test_payloads_results_state_and_errors_are_decoded_by_the_contract(rig: Rig) -> None:
    schema = rig.schema
    state = schema.from_json("shop.v1.CartState", '{"itemCount":"0"}')
    checkout = child_invocation_id(ID, 4)
    detail = schema.from_json("shop.v1.SoldOut", '{"ticketId":"t"}')
    await put(
        rig,
        cart(),
        j.Input(schema.from_json("shop.v1.AddRequest", '{"userId":"ada"}'), (("x-tenant", b"acme"),)),
        j.GetState(1, j.Value(b"\x08\x02")),
        j.Run("charge"),
        j.Completion(2, j.Value(b'{"ok": true}', j.JSON)),
        j.SetState(1, state or b"\x08\x00"),
        j.Call("shop.v1.Checkout", "Run", "42", schema.from_json("shop.v1.CheckoutRequest", '{"id":"42"}'), checkout),
        j.Completion(4, j.Value(schema.from_json("shop.v1.CheckoutResponse", '{"paid":true}'))),
        j.Run("blob"),
        j.Completion(5, j.Value(b"\x00\x01", j.BYTES)),
        j.Output(j.Failure(9, "none left", "shop.v1.SoldOut", detail)),
    )
    shown = [(one.type, one.command, one.name, json.loads(one.json)) for one in await journal(rig)]
    assert shown == [
        ("input", 0, "", {"payload": {"userId": "ada"}, "headers": {"x-tenant": "acme"}}),
        ("get_state", 1, "item_count", {"name": "item_count", "value": "2"}),
        ("run", 2, "charge", {"name": "charge"}),
        ("completion", 2, "", {"command": 2, "value": {"ok": True}}),
        ("set_state", 3, "item_count", {"name": "item_count", "value": "0"}),
        (
            "call",
            4,
            "shop.v1.Checkout/Run",
            {
                "service": "shop.v1.Checkout",
                "handler": "Run",
                "key": "42",
                "invocationId": invocation_id_text(checkout),
                "payload": {"id": "42"},
            },
        ),
        ("completion", 4, "", {"command": 4, "value": {"paid": True}}),
        ("run", 5, "blob", {"name": "blob"}),
        ("completion", 5, "", {"command": 5, "value": {"base64": "AAE="}}),
        (
            "output",
            6,
            "",
            {
                "failure": {
                    "code": "FAILED_PRECONDITION",
                    "message": "none left",
                    "detailType": "shop.v1.SoldOut",
                    "detail": {"ticketId": "t"},
                }
            },
        ),
    ]


async def test_promises_are_decoded_by_name(rig: Rig) -> None:
    yes = rig.schema.from_json("shop.v1.CheckoutPromises", '{"paymentSuccess":true}')
    run = Invocation(ID, "shop.v1.Checkout", "Run", "42", HandlerMode.RUN, 1_000, deployment_id="dep_1")
    await put(
        rig,
        run,
        j.Input(b"\n\x0242"),
        j.GetPromise(1),
        j.Completion(1, j.Value(yes)),
        j.CompletePromise(1, j.Value(yes)),
        j.PeekPromise(1),
        j.Completion(3, j.Void()),
    )
    assert [json.loads(one.json) for one in (await journal(rig))[1:]] == [
        {"name": "payment_success"},
        {"command": 1, "value": True},
        {"name": "payment_success", "value": True},
        {"name": "payment_success"},
        {"command": 3, "void": {}},
    ]


async def test_state_that_was_read_on_demand_is_shown_by_name(rig: Rig) -> None:
    keys = journal_pb.StateKeys(numbers=[1, 9]).to_binary()
    await put(rig, cart(), j.Input(b""), j.GetStateKeys(), j.Completion(1, j.Value(keys)), j.GetState(1))
    assert [json.loads(one.json) for one in (await journal(rig))[1:]] == [
        {},
        {"command": 1, "keys": ["item_count", 9]},
        {"name": "item_count"},
    ]


async def test_the_other_entries_are_shown_with_what_they_are_about(rig: Rig) -> None:
    child, awakeable = bytes(16), awakeable_id_text(bytes(16), 1)
    await put(
        rig,
        cart(),
        j.Input(b""),
        j.Sleep(5_000, "nap"),
        j.Send("shop.v1.Cart", "Add", "bob", b"", child, "idem", (), 7_000),
        j.Awakeable(1, "shop.v1.SoldOut"),
        j.Signal(1, j.Value(b"\n\x01t", "shop.v1.SoldOut")),
        j.Signal("go", j.Void()),
        j.CompleteAwakeable(awakeable, j.Value(b"null", j.JSON)),
        j.ClearState(2),
        j.ClearAllState(),
        j.GetStateKeys((1, 9)),
        j.Attach(child),
        j.Cancel(child),
        j.SendSignal(child, "approve", j.Value(b'{"by": "ada"}', j.JSON)),
    )
    shown = [json.loads(one.json) for one in (await journal(rig))[1:]]
    assert shown == [
        {"wakeAtMs": 5_000, "name": "nap"},
        {
            "service": "shop.v1.Cart",
            "handler": "Add",
            "key": "bob",
            "invocationId": invocation_id_text(child),
            "payload": {},
            "idempotencyKey": "idem",
            "executeAtMs": 7_000,
        },
        {"number": 1, "type": "shop.v1.SoldOut"},
        {"target": 1, "value": {"ticketId": "t"}},
        {"target": "go", "void": {}},
        {"awakeableId": awakeable, "value": None},
        {"name": "tickets"},
        {},
        {"keys": ["item_count", 9]},
        {"invocationId": invocation_id_text(child)},
        {"invocationId": invocation_id_text(child)},
        {"invocationId": invocation_id_text(child), "name": "approve", "value": {"by": "ada"}},
    ]


async def test_failed_tries_and_cancellations_are_shown(rig: Rig) -> None:
    boom = j.Failure(14, "provider is down")
    await put(
        rig,
        cart(),
        j.Input(b""),
        j.Run("charge"),
        j.RunFailed(1, 2, boom, first_try_at_ms=1_000, retry_at_ms=9_000),
        j.RunDue(1, 2),
        j.Signal("approve", j.Failure(9, "not now")),
        j.Cancelled(1, "enough"),
    )
    shown = [(one.type, one.command, one.name, json.loads(one.json)) for one in (await journal(rig))[2:]]
    failure = {"code": "UNAVAILABLE", "message": "provider is down"}
    assert shown == [
        (
            "run_failed",
            1,
            "",
            {"command": 1, "failures": 2, "failure": failure, "firstTryAtMs": 1_000, "retryAtMs": 9_000},
        ),
        ("run_due", 1, "", {"command": 1, "failures": 2}),
        (
            "signal",
            0,
            "approve",
            {"target": "approve", "failure": {"code": "FAILED_PRECONDITION", "message": "not now"}},
        ),
        ("cancelled", 0, "", {"code": "CANCELLED", "message": "enough"}),
    ]


async def test_what_cannot_be_decoded_is_shown_as_base64_with_the_reason(rig: Rig) -> None:
    await put(rig, cart(), j.Input(b"\xff"), j.Call("other.v1.Service", "Do", None, b"\x01", bytes(16)))
    first, second = [json.loads(one.json) for one in await journal(rig)]
    assert first["payload"]["base64"] == "/w=="
    assert "shop.v1.AddRequest" in first["payload"]["problem"]
    assert second["payload"] == {"base64": "AQ=="}


async def test_what_a_serde_of_a_handler_made_is_shown_with_its_tag_and_is_no_problem(rig: Rig) -> None:
    await put(rig, cart(), j.Input(b""), j.Run("step"), j.Completion(1, j.Value(b"\x80\x04", "pickle")))
    shown = [json.loads(one.json) for one in await journal(rig)]
    assert shown[2] == {"command": 1, "value": {"base64": "gAQ=", "type": "pickle"}}


async def test_without_its_deployment_a_journal_is_still_shown(rig: Rig) -> None:
    await put(rig, cart(service="gone.v1.Service", deployment_id="dep_gone"), j.Input(b"\x01"), j.SetState(3, b"\x01"))
    shown = [json.loads(one.json) for one in await journal(rig)]
    assert shown == [{"payload": {"base64": "AQ=="}}, {"number": 3, "value": {"base64": "AQ=="}}]


# Traces.


async def test_a_trace_goes_on_into_what_was_called(rig: Rig) -> None:
    called, sent = child_invocation_id(ID, 1), child_invocation_id(ID, 2)
    parent = cart(epoch=2, attempt_started_ms=3_000)
    await put(
        rig,
        parent,
        j.Input(b""),
        j.Call("shop.v1.Checkout", "Run", "42", b"", called),
        j.Send("shop.v1.Checkout", "Run", "43", b"", sent),
        j.SetState(1, b""),
    )
    for number, (child, reply) in enumerate([(called, True), (sent, False)], start=1):
        record = Invocation(child, "shop.v1.Checkout", "Run", str(number), HandlerMode.RUN, 1_500)
        record.parent_id, record.parent_command, record.reply = ID, number, reply
        record.traceparent = step_traceparent(parent, number)
        await put(rig, record)
    await rig.store.commit([RecordAttempt(Attempt(ID, 1, 1_000, 2_000, AttemptOutcome.SUSPENDED))])
    spans = (await call(rig, "GetTrace", pb.GetTraceRequest(id=TEXT), pb.GetTraceResponse)).spans
    names = [one.name for one in spans]
    assert names == [
        "shop.v1.Cart/Add",
        "attempt 1",
        "call shop.v1.Checkout/Run",
        "send shop.v1.Checkout/Run",
        "set_state item_count",
        "attempt 2",
        "shop.v1.Checkout/Run",
    ]
    by_name = dict(zip(names, spans, strict=True))
    assert len({one.trace_id for one in spans}) == 1
    assert by_name["shop.v1.Checkout/Run"].parent_span_id == by_name["call shop.v1.Checkout/Run"].span_id
    assert not by_name["attempt 2"].has_field("end_ms")
    assert by_name["attempt 2"].attributes["restate.attempt.epoch"] == "2"
