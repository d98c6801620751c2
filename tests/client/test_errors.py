"""Errors: who said it, which class it becomes, what it carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import restate_client
from protobuf.wkt.google.protobuf.duration_pb import Duration
from protobuf.wkt.google.protobuf.wrappers_pb import BoolValue, Int32Value, StringValue
from restate_client import FieldViolation, IngressError, StatusCode, TerminalError, TypedError
from restate_protocol.gen.google.rpc import error_details_pb as details_pb

if TYPE_CHECKING:
    from .conftest import FakeIngress, Incoming

BUY = "/echo.v1.Echo/Buy"


@pytest.fixture
async def echo(ingress: FakeIngress, echo_client: Any) -> AsyncIterator[Any]:
    async with restate_client.connect(ingress.address) as connection:
        yield echo_client(connection)


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
    async def answer(incoming: Incoming) -> bytes:
        trailing = (("restate-error-source", "handler"), ("grpc-status-details-bin", b"\xff\xff"))
        await incoming.context.abort(grpc.StatusCode.ABORTED, "why", trailing)
        raise AssertionError

    ingress.on(BUY, answer)
    error = await caught(echo)
    assert type(error) is TerminalError
    assert error.code is StatusCode.ABORTED


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, restate_client.InvalidRequest),
        (grpc.StatusCode.UNIMPLEMENTED, restate_client.UnknownHandler),
        (grpc.StatusCode.PERMISSION_DENIED, restate_client.PrivateHandler),
        (grpc.StatusCode.ALREADY_EXISTS, restate_client.WorkflowAlreadyStarted),
        (grpc.StatusCode.NOT_FOUND, restate_client.InvocationNotFound),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, restate_client.Overloaded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, restate_client.CallTimeout),
        (grpc.StatusCode.FAILED_PRECONDITION, IngressError),
        (grpc.StatusCode.UNAVAILABLE, IngressError),
        (grpc.StatusCode.INTERNAL, IngressError),
    ],
)
async def test_what_the_ingress_says_is_never_a_terminal_error(
    ingress: FakeIngress, echo: Any, code: grpc.StatusCode, cls: type[IngressError]
) -> None:
    fail(ingress, code, "ingress")
    error = await caught(echo)
    assert type(error) is cls
    assert error.code == code.value[0]


async def test_the_same_code_of_a_handler_is_a_terminal_error(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.UNAVAILABLE, "handler")
    assert type(await caught(echo)) is TerminalError


async def test_an_invalid_request_names_the_fields(ingress: FakeIngress, echo: Any) -> None:
    violation = details_pb.BadRequest.FieldViolation(field="seat.row", description="must be positive")
    fail(ingress, grpc.StatusCode.INVALID_ARGUMENT, "ingress", details_pb.BadRequest(field_violations=[violation]))
    error = await caught(echo)
    assert isinstance(error, restate_client.InvalidRequest)
    assert error.violations == (FieldViolation("seat.row", "must be positive"),)


async def test_an_overload_says_when_to_try_again(ingress: FakeIngress, echo: Any) -> None:
    retry = details_pb.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    fail(ingress, grpc.StatusCode.RESOURCE_EXHAUSTED, "ingress", retry)
    error = await caught(echo)
    assert isinstance(error, restate_client.Overloaded)
    assert error.retry_after == timedelta(seconds=1.5)


async def test_an_error_from_some_other_server_names_the_address(ingress: FakeIngress, echo: Any) -> None:
    fail(ingress, grpc.StatusCode.UNIMPLEMENTED, "")
    error = await caught(echo)
    assert type(error) is IngressError
    assert f"{ingress.address} is no Restate ingress" in str(error)


async def test_a_connection_that_breaks_after_acceptance_names_the_invocation(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        await incoming.accepted("inv_1")
        return await incoming.fail(grpc.StatusCode.UNAVAILABLE, "gone")

    ingress.on(BUY, answer)
    error = await caught(echo)
    assert isinstance(error, restate_client.ConnectionFailed)
    assert error.invocation_id == "inv_1"


async def test_an_answer_that_is_not_the_response_says_so(ingress: FakeIngress, echo: Any) -> None:
    async def answer(incoming: Incoming) -> bytes:
        return b"\x0a\xff"

    ingress.on(BUY, answer)
    error = await caught(echo)
    assert isinstance(error, IngressError)
    assert "is not a StringValue" in str(error)
