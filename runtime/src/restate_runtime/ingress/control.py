"""restate.ingress.v1.Ingress: attach, output, awakeables, cancel, signals.

Messages in, messages out; both protocols call it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from protobuf import Message
from restate_protocol.errors import IdError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import parse_awakeable_id, parse_invocation_id
from restate_protocol.journal import BYTES, JSON, Failure, Value
from restate_protocol.status import StatusCode

from ..deployments.json_text import parse
from ..deployments.schema import Schema
from ..engine.api import EngineApi
from .admission import Routes
from .errors import Refused
from .waiting import Waiting, payload_of

SERVICE = "restate.ingress.v1.Ingress"


@dataclass(frozen=True, slots=True)
class ControlMethod:
    """One rpc: the class of its request, and what it does."""

    request: type[Message[Any]]
    call: Callable[[Any], Awaitable[Message[Any]]]


class Control:
    """What callers need besides calling handlers.

    Every method raises Refused, Failed (the invocation failed) or the engine's TerminalError.
    """

    def __init__(self, engine: EngineApi, waiting: Waiting, routes: Routes) -> None:
        self._engine = engine
        self._routes = routes
        self._waiting = waiting

    def methods(self) -> dict[str, ControlMethod]:
        """The rpcs by path."""
        table: dict[str, ControlMethod] = {
            "Attach": ControlMethod(pb.AttachRequest, self.attach),
            "GetOutput": ControlMethod(pb.GetOutputRequest, self.get_output),
            "ResolveAwakeable": ControlMethod(pb.ResolveAwakeableRequest, self.resolve_awakeable),
            "RejectAwakeable": ControlMethod(pb.RejectAwakeableRequest, self.reject_awakeable),
            "Cancel": ControlMethod(pb.CancelRequest, self.cancel),
            "SendSignal": ControlMethod(pb.SendSignalRequest, self.send_signal),
        }
        return {f"/{SERVICE}/{name}": method for name, method in table.items()}

    async def attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """Waits for the result of an invocation."""
        accepted = await self._engine.attach(_invocation_id(request.invocation_id))
        return pb.AttachResponse(payload=await self._waiting.payload(accepted))

    async def get_output(self, request: pb.GetOutputRequest) -> pb.GetOutputResponse:
        """The result if it is there."""
        result = await self._engine.output(_invocation_id(request.invocation_id))
        if result is None:
            message = f"{request.invocation_id} is not completed yet; ask again later, or attach to wait for it"
            raise Refused(StatusCode.FAILED_PRECONDITION, message)
        return pb.GetOutputResponse(payload=payload_of(result))

    async def resolve_awakeable(self, request: pb.ResolveAwakeableRequest) -> pb.ResolveAwakeableResponse:
        """Completes an awakeable; durable once answered."""
        _check_awakeable(request.awakeable_id)
        value = _value(request)
        await self._check_fits(request.awakeable_id, value)
        await self._engine.complete_awakeable(request.awakeable_id, value)
        return pb.ResolveAwakeableResponse()

    async def _check_fits(self, awakeable_id: str, value: Value) -> None:
        """Refuses what the waiting handler could not read: it would use up the awakeable and fail the invocation."""
        known = await self._engine.awakeable_type(awakeable_id)
        if known is None:
            return
        deployment_id, wanted = known
        try:
            if wanted == JSON:
                parse(value.data)
            elif wanted not in ("", BYTES):
                _check_message(value, wanted, self._routes.schema_of(deployment_id))
        except (ValueError, RecursionError) as error:
            message = f"{awakeable_id} waits for {wanted}, and the value is none: {error}"
            raise Refused(StatusCode.INVALID_ARGUMENT, message) from None

    async def reject_awakeable(self, request: pb.RejectAwakeableRequest) -> pb.RejectAwakeableResponse:
        """Fails an awakeable; durable once answered."""
        _check_awakeable(request.awakeable_id)
        code = request.code if request.has_field("code") else StatusCode.UNKNOWN.value
        if not 1 <= code <= 16:
            raise Refused(StatusCode.INVALID_ARGUMENT, f"code is {code}; an error has a gRPC code from 1 to 16")
        await self._engine.complete_awakeable(request.awakeable_id, Failure(code, request.message))
        return pb.RejectAwakeableResponse()

    async def cancel(self, request: pb.CancelRequest) -> pb.CancelResponse:
        """Asks an invocation to end; durable once answered."""
        await self._engine.cancel(_invocation_id(request.invocation_id))
        return pb.CancelResponse()

    async def send_signal(self, request: pb.SendSignalRequest) -> pb.SendSignalResponse:
        """Gives a named signal to an invocation; durable once answered."""
        invocation_id = _invocation_id(request.invocation_id)
        await self._engine.send_signal(invocation_id, request.name, _signal(request))
        return pb.SendSignalResponse()


def _check_message(value: Value, full_name: str, schema: Schema | None) -> None:
    if schema is None or not schema.has(full_name):
        return
    if value.type == JSON:
        schema.from_json(full_name, value.data)
    else:
        schema.check(full_name, value.data)


def _value(request: pb.ResolveAwakeableRequest | pb.SendSignalRequest) -> Value:
    """What is given; no value at all counts as empty bytes."""
    match request.value:
        case None:
            return Value(b"")
        case one if one.field == "payload":
            return Value(one.value)
        case one:
            return Value(_checked_json(one.value), JSON)


def _signal(request: pb.SendSignalRequest) -> Value | Failure:
    """A value, or the failure of the one who waits."""
    one = request.value
    if one is not None and one.field == "reject":
        return Failure(StatusCode.UNKNOWN, one.value)
    return _value(request)


def _checked_json(text: str) -> bytes:
    try:
        parse(text)
    except (ValueError, RecursionError) as error:
        raise Refused(StatusCode.INVALID_ARGUMENT, f"json is not JSON: {error}") from None
    return text.encode()


def _invocation_id(text: str) -> bytes:
    try:
        return parse_invocation_id(text)
    except IdError as error:
        raise Refused(StatusCode.INVALID_ARGUMENT, f"invocation_id: {error}") from None


def _check_awakeable(text: str) -> None:
    try:
        parse_awakeable_id(text)
    except IdError as error:
        raise Refused(StatusCode.INVALID_ARGUMENT, f"awakeable_id: {error}") from None
