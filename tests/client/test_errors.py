"""Errors: who said it, which class it becomes, what it carries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import restate_client
from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.wrappers_pb import BoolValue, Int32Value, StringValue
from restate_client import FieldViolation, IngressError, StatusCode, TerminalError, TypedError
from restate_protocol import ids
from restate_protocol.gen.google.rpc import error_details_pb as details_pb

from tests.client.fake_ingress import Garbage

if TYPE_CHECKING:
    from tests.client.fake_ingress import FakeIngress, Incoming

BUY = "/echo.v1.Echo/Buy"


def fail(ingress: FakeIngress, code: grpc.StatusCode, source: str, *details: object, message: str = "why") -> None:
    async def answer(incoming: Incoming) -> bytes:
        return await incoming.fail(code, message, source=source, details=details)

    ingress.on(BUY, answer)


async def caught(echo: Any) -> Exception:
    with pytest.raises(restate_client.RestateError) as info:
        await echo.buy(StringValue())
    return info.value


async def test_a_declared_error_comes_back_as_its_generated_class(ingress: FakeIngress, echo: Any) -> None:
    info = details_pb.ErrorInfo(metadata={"shop": "berlin"})
    fail(ingress, grpc.StatusCode.ABORTED, "handler", info, Int32Value(value=3))
    error = await caught(echo)
    assert isinstance(error, TypedError)
    assert type(error).__name__ == "SoldOutError"
    assert (error.detail, error.message, error.code) == (Int32Value(value=3), "why", StatusCode.ABORTED)
    assert error.metadata == {"shop": "berlin"}


async def test_a_handlers_error_without_detail_is_a_terminal_error(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.NOT_FOUND, "handler")
    error = await caught(echo)
    assert type(error) is TerminalError
    assert (error.message, error.code) == ("why", StatusCode.NOT_FOUND)


async def test_a_detail_that_was_not_declared_is_a_terminal_error(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.ABORTED, "handler", BoolValue(value=True))
    assert type(await caught(echo)) is TerminalError


async def test_a_detail_that_cannot_be_read_does_not_hide_the_failure(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.ABORTED, "handler", Garbage("google.protobuf.Int32Value"))
    error = await caught(echo)
    assert type(error) is TerminalError
    assert error.code is StatusCode.ABORTED


RETRY = details_pb.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
INVOCATION = ids.invocation_id_text(bytes(16))


@pytest.mark.parametrize(
    ("code", "details", "cls"),
    [
        ("INVALID_ARGUMENT", (), restate_client.InvalidRequest),
        ("UNIMPLEMENTED", (), restate_client.UnknownHandler),
        ("PERMISSION_DENIED", (), restate_client.PrivateHandler),
        ("ALREADY_EXISTS", (), restate_client.IdempotencyKeyReused),
        ("NOT_FOUND", (), restate_client.InvocationNotFound),
        ("RESOURCE_EXHAUSTED", (RETRY,), restate_client.Overloaded),
        ("RESOURCE_EXHAUSTED", (), restate_client.MessageTooLong),
        ("DEADLINE_EXCEEDED", (), restate_client.CallTimeout),
        ("UNAVAILABLE", (), restate_client.RuntimeStopping),
        ("INTERNAL", (), restate_client.RuntimeFailed),
        ("FAILED_PRECONDITION", (), IngressError),
        ("ABORTED", (), IngressError),
        ("UNAUTHENTICATED", (), IngressError),
    ],
)
async def test_each_refusal_of_the_ingress_has_its_class(
    ingress: FakeIngress, echo: Any, code: str, details: tuple[object, ...], cls: type[IngressError]
) -> None:
    info = details_pb.ErrorInfo(reason="BECAUSE_OF_IT", domain="restate.ingress.v1")
    fail(ingress, grpc.StatusCode[code], "ingress", info, *details)
    error = await caught(echo)
    assert type(error) is cls
    assert error.reason == "because_of_it"
    assert isinstance(error, IngressError)
    assert not isinstance(error, TerminalError)
    assert error.code.name == code
    assert error.message.startswith("why")
    assert getattr(error, "violations", ()) == ()
    assert getattr(error, "retry_after", None) == (timedelta(seconds=1.5) if details else None)


async def test_a_workflow_that_was_started_before_is_not_a_reused_key(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.ALREADY_EXISTS, "started before", invocation_id=INVOCATION)

    ingress.on("/echo.v1.Flow/Run", answer)
    with pytest.raises(restate_client.WorkflowAlreadyStarted, match="started before") as info:
        await echo.run(StringValue(value="w"))
    assert info.value.invocation_id == INVOCATION


async def test_a_key_that_belongs_to_another_request_names_the_invocation(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        return await incoming.fail(grpc.StatusCode.ALREADY_EXISTS, "another request", invocation_id=INVOCATION)

    ingress.on(BUY, answer)
    with pytest.raises(restate_client.IdempotencyKeyReused, match="another request") as info:
        await echo.buy(StringValue(), idempotency_key="1")
    assert info.value.invocation_id == INVOCATION


async def test_the_same_code_of_a_handler_is_a_terminal_error(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.UNAVAILABLE, "handler")
    assert type(await caught(echo)) is TerminalError


async def test_an_invalid_request_names_the_fields(ingress: FakeIngress, echo: Any) -> None:
    violation = details_pb.BadRequest.FieldViolation(field="seat.row", description="must be positive")
    fail(ingress, grpc.StatusCode.INVALID_ARGUMENT, "ingress", details_pb.BadRequest(field_violations=[violation]))
    error = await caught(echo)
    assert isinstance(error, restate_client.InvalidRequest)
    assert error.violations == (FieldViolation("seat.row", "must be positive"),)


async def test_an_error_from_some_other_server_names_the_address(ingress: FakeIngress, echo_client: Any) -> None:
    fail(ingress, grpc.StatusCode.UNIMPLEMENTED, "")
    async with restate_client.connect(ingress.address) as connection:
        await _names_the_address(ingress, echo_client(connection))


async def _names_the_address(ingress: FakeIngress, echo: Any) -> None:
    error = await caught(echo)
    assert type(error) is IngressError
    assert f"{ingress.address} is no Restate ingress" in str(error)


async def test_an_answer_that_is_not_the_response_says_so(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        return b"\x0a\xff"

    ingress.on(BUY, answer)
    error = await caught(echo)
    assert isinstance(error, IngressError)
    assert "is not a StringValue" in str(error)
