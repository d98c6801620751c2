"""restate.ingress.v1.Ingress, all but Session: calls and sends, results, look-ups, awakeables, cancel, signals.

Messages in, messages out; every way in calls it. What a call may and may not is the Admission's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from protobuf import Message
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from ..deployments.schema import InvalidMessage
from ..engine.api import Accepted, EngineApi, Known
from .admission import Admission
from .control_calls import Form, Metadata, call_of, check_own, send_of
from .control_targets import invocation_of
from .control_values import check_awakeable, check_fits, rejection_of, signal_of, value_of
from .errors import Refused
from .reasons import Reason
from .waiting import Waiting, payload_of

SERVICE = "restate.ingress.v1.Ingress"


class Caller(Protocol):
    """Who asks, over whatever protocol."""

    @property
    def metadata(self) -> Metadata:
        """What came with the request."""

    async def accepted(self, accepted: Accepted) -> None:
        """Hears of the invocation, which is durable, before its result. Closes it if nobody can be told."""


@dataclass(frozen=True, slots=True)
class ControlMethod:
    """One rpc: the class of its request, and what it does."""

    request: type[Message[Any]]
    call: Callable[[Any, Caller], Awaitable[Message[Any]]]


class Control:
    """What callers need besides calling handlers by their own paths.

    Every method raises Refused, Failed (the invocation failed) or the engine's TerminalError.
    """

    def __init__(self, engine: EngineApi, waiting: Waiting, admission: Admission) -> None:
        self._engine = engine
        self._admission = admission
        self._waiting = waiting

    def methods(self) -> dict[str, ControlMethod]:
        """The rpcs by path."""
        table: dict[str, ControlMethod] = {
            "Call": ControlMethod(pb.CallRequest, self.call),
            "Send": ControlMethod(pb.SendRequest, self.send),
            "Attach": ControlMethod(pb.AttachRequest, self.attach),
            "GetOutput": ControlMethod(pb.GetOutputRequest, self.get_output),
            "Lookup": ControlMethod(pb.LookupRequest, self.lookup),
            "ResolveAwakeable": ControlMethod(pb.ResolveAwakeableRequest, self.resolve_awakeable),
            "RejectAwakeable": ControlMethod(pb.RejectAwakeableRequest, self.reject_awakeable),
            "Cancel": ControlMethod(pb.CancelRequest, self.cancel),
            "SendSignal": ControlMethod(pb.SendSignalRequest, self.send_signal),
        }
        return {f"/{SERVICE}/{name}": method for name, method in table.items()}

    async def call(self, request: pb.CallRequest, caller: Caller) -> pb.CallResponse:
        """Calls a handler and waits for its result."""
        check_own(caller.metadata)
        asked = call_of(request, self._admission, caller.metadata)
        accepted = await self._engine.submit(asked.order.submission, wait=True)
        await caller.accepted(accepted)
        data = await self._waiting.payload(accepted)
        return call_response(asked.form, accepted.invocation_id, accepted.new, data)

    async def send(self, request: pb.SendRequest, caller: Caller) -> pb.SendResponse:
        """Sends a request to a handler; durable once answered."""
        check_own(caller.metadata)
        asked = send_of(request, self._admission, caller.metadata)
        accepted = await self._engine.submit(asked.order.submission, wait=False)
        await caller.accepted(accepted)
        return send_response(accepted.invocation_id, accepted.new)

    async def attach(self, request: pb.AttachRequest, caller: Caller) -> pb.AttachResponse:
        """Waits for the result of an invocation."""
        invocation_id = invocation_of(request, self._admission)
        # Known before its result: it may be removed as soon as it is completed.
        known = await self._engine.known(invocation_id) if request.json else None
        accepted = await self._engine.attach(invocation_id)
        await caller.accepted(accepted)
        data = await self._waiting.payload(accepted)
        if known is None:
            return attach_response(invocation_id, data)
        text = self._json(await self._pinned(invocation_id, known), data)
        return pb.AttachResponse(json=text, invocation_id=invocation_id_text(invocation_id))

    async def get_output(self, request: pb.GetOutputRequest, _caller: Caller) -> pb.GetOutputResponse:
        """The result if it is there."""
        invocation_id = invocation_of(request, self._admission)
        known = await self._engine.known(invocation_id)
        text = invocation_id_text(invocation_id)
        if known.result is None:
            message = f"{text} is not completed yet; ask again later, or attach to wait for it"
            raise Refused(StatusCode.FAILED_PRECONDITION, message, reason=Reason.NOT_READY)
        data = payload_of(known.result)
        if request.json:
            return pb.GetOutputResponse(json=self._json(known, data), invocation_id=text)
        return pb.GetOutputResponse(payload=data, invocation_id=text)

    async def lookup(self, request: pb.LookupRequest, _caller: Caller) -> pb.LookupResponse:
        """Finds an invocation."""
        invocation_id = invocation_of(request, self._admission)
        known = await self._engine.known(invocation_id)
        return pb.LookupResponse(
            invocation_id=invocation_id_text(invocation_id),
            service=known.service,
            handler=known.handler,
            key=known.key or "",
            completed=known.result is not None,
        )

    async def resolve_awakeable(
        self, request: pb.ResolveAwakeableRequest, _caller: Caller
    ) -> pb.ResolveAwakeableResponse:
        """Completes an awakeable; durable once answered."""
        check_awakeable(request.awakeable_id)
        value = value_of(request)
        made_for = await self._engine.awakeable_type(request.awakeable_id)
        if made_for is not None:
            deployment_id, wanted = made_for
            check_fits(request.awakeable_id, value, wanted, self._admission.routes.schema_of(deployment_id))
        await self._engine.complete_awakeable(request.awakeable_id, value)
        return pb.ResolveAwakeableResponse()

    async def reject_awakeable(self, request: pb.RejectAwakeableRequest, _caller: Caller) -> pb.RejectAwakeableResponse:
        """Fails an awakeable; durable once answered."""
        check_awakeable(request.awakeable_id)
        await self._engine.complete_awakeable(request.awakeable_id, rejection_of(request))
        return pb.RejectAwakeableResponse()

    async def cancel(self, request: pb.CancelRequest, _caller: Caller) -> pb.CancelResponse:
        """Asks an invocation to end; durable once answered."""
        await self._engine.cancel(invocation_of(request, self._admission))
        return pb.CancelResponse()

    async def send_signal(self, request: pb.SendSignalRequest, _caller: Caller) -> pb.SendSignalResponse:
        """Gives a named signal to an invocation; durable once answered."""
        invocation_id = invocation_of(request, self._admission)
        await self._engine.send_signal(invocation_id, request.name, signal_of(request))
        return pb.SendSignalResponse()

    async def _pinned(self, invocation_id: bytes, known: Known) -> Known:
        """With the deployment that it got since, if it had none."""
        if known.deployment_id is not None:
            return known
        try:
            return await self._engine.known(invocation_id)
        except TerminalError:
            return known  # it is removed already; the newest contract has to do

    def _json(self, known: Known, data: bytes) -> str:
        """A response as ProtoJSON by the contract of the deployment that gave it."""
        routes = self._admission.routes
        schema = None if known.deployment_id is None else routes.schema_of(known.deployment_id)
        schema = schema or routes.schema(known.service)
        response = None if schema is None else schema.response_of(known.service, known.handler)
        name = f"{known.service}/{known.handler}"
        if schema is None or response is None:
            message = f"the contract of {name} is not known any more, so there is no JSON; ask without json"
            raise Refused(StatusCode.FAILED_PRECONDITION, message, reason=Reason.OTHER)
        try:
            return schema.to_json(response, data)
        except InvalidMessage as error:
            message = f"{name} answered what JSON cannot hold: {error}; ask without json"
            raise Refused(StatusCode.INTERNAL, message) from None


def call_response(form: Form, invocation_id: bytes, new: bool, data: bytes) -> pb.CallResponse:
    """The answer to a call.

    Raises:
        Refused: INTERNAL, the response has no JSON form.
    """
    return pb.CallResponse(
        invocation_id=invocation_id_text(invocation_id), acceptance=acceptance(new), response=form.response(data)
    )


def send_response(invocation_id: bytes, new: bool) -> pb.SendResponse:
    """The answer to a send."""
    return pb.SendResponse(invocation_id=invocation_id_text(invocation_id), acceptance=acceptance(new))


def attach_response(invocation_id: bytes, data: bytes) -> pb.AttachResponse:
    """The answer to an attach, in binary."""
    return pb.AttachResponse(payload=data, invocation_id=invocation_id_text(invocation_id))


def acceptance(new: bool) -> pb.Acceptance:
    """Whether the request made the invocation."""
    return pb.Acceptance.ACCEPTED if new else pb.Acceptance.PREVIOUSLY_ACCEPTED
