"""restate.admin.v1.Admin on grpc.aio: raw bytes in and out, decoded with our own stubs.

What operators read comes from the store; what they change goes through the engine and is durable when the call
returns. Every error has a gRPC status code and says what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import structlog
from protobuf import Message
from restate_protocol.contract.problems import ContractError
from restate_protocol.errors import FrameError, IdError, TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.status import StatusCode

from restate_runtime.core.records import Deployment
from restate_runtime.deployments.contracts import Contracts
from restate_runtime.deployments.stored_traces import StoredTraces
from restate_runtime.store.base import Store, StoreError

from . import messages
from .ports import Deployments, LiveStatus, Operations
from .reading import Reading
from .selection import Selection
from .steering import Steering

SERVICE = "restate.admin.v1.Admin"
#: Trailing metadata of every error, so that a caller can tell our UNAVAILABLE from that of a dead connection.
ERROR_SOURCE = "restate-error-source"

Req = TypeVar("Req", bound=Message[Any])
Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Unary: TypeAlias = Callable[[bytes, Context], Awaitable[bytes]]

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_log = structlog.get_logger("restate.admin")


class Admin:
    """The methods of the service, on messages.

    Args:
        store: everything that is shown comes from it.
        engine: does what operators want of invocations.
        deployments: registers, and knows the sessions.
        live_status: what ACTIVE invocations do right now.
    """

    def __init__(self, store: Store, engine: Operations, deployments: Deployments, live_status: LiveStatus) -> None:
        self._store = store
        self._deployments = deployments
        self._contracts = Contracts(store)
        self._traces = StoredTraces(store, self._contracts)
        self._reading = Reading(store, self._contracts, live_status)
        self._steering = Steering(engine, Selection(self._reading))

    async def register_deployment(self, request: pb.RegisterDeploymentRequest) -> pb.RegisterDeploymentResponse:
        """Dials an endpoint and routes new invocations to it."""
        if not request.address:
            raise TerminalError(
                "address is empty; give host:port of a service endpoint", code=StatusCode.INVALID_ARGUMENT
            )
        record, created = await self._deployments.register(request.address, request.force)
        return pb.RegisterDeploymentResponse(deployment=await self._deployment(record), created=created)

    async def list_deployments(self, _: pb.ListDeploymentsRequest) -> pb.ListDeploymentsResponse:
        """Every deployment, in the order of registration."""
        records = await self._store.deployments()
        return pb.ListDeploymentsResponse(deployments=[await self._deployment(one) for one in records])

    async def _deployment(self, record: Deployment) -> pb.Deployment:
        reader = await self._contracts.of(record)
        services = () if reader is None else reader.contract.services
        return messages.deployment(
            record, services, self._deployments.sessions(record.id), self._deployments.last_error(record.id)
        )

    async def list_invocations(self, request: pb.ListInvocationsRequest) -> pb.ListInvocationsResponse:
        """Invocations, newest first."""
        found = await self._reading.invocations(request)
        return pb.ListInvocationsResponse(invocations=found)

    async def get_invocation(self, request: pb.GetInvocationRequest) -> pb.GetInvocationResponse:
        """One invocation."""
        record = await self._reading.invocation(request.id)
        shown = messages.invocation(record, self._reading.status(record))
        shown.run_retries = await self._reading.run_retries(record)
        return pb.GetInvocationResponse(invocation=shown)

    async def get_journal(self, request: pb.GetJournalRequest) -> pb.GetJournalResponse:
        """Its journal."""
        record = await self._reading.invocation(request.id)
        return pb.GetJournalResponse(entries=await self._reading.journal(record))

    async def get_trace(self, request: pb.GetTraceRequest) -> pb.GetTraceResponse:
        """Its spans, and those of what it called."""
        spans = await self._traces.whole(await self._reading.invocation(request.id))
        return pb.GetTraceResponse(spans=[messages.span(one) for one in spans])

    def handler(self) -> grpc.GenericRpcHandler:
        """What `grpc.aio.Server.add_generic_rpc_handlers` takes."""
        steering = self._steering
        methods = {
            "RegisterDeployment": _unary(pb.RegisterDeploymentRequest, self.register_deployment),
            "ListDeployments": _unary(pb.ListDeploymentsRequest, self.list_deployments),
            "ListInvocations": _unary(pb.ListInvocationsRequest, self.list_invocations),
            "GetInvocation": _unary(pb.GetInvocationRequest, self.get_invocation),
            "GetJournal": _unary(pb.GetJournalRequest, self.get_journal),
            "GetTrace": _unary(pb.GetTraceRequest, self.get_trace),
            "CancelInvocation": _unary(pb.CancelInvocationRequest, steering.cancel),
            "KillInvocation": _unary(pb.KillInvocationRequest, steering.kill),
            "PauseInvocation": _unary(pb.PauseInvocationRequest, steering.pause),
            "ResumeInvocation": _unary(pb.ResumeInvocationRequest, steering.resume),
            "RestartInvocation": _unary(pb.RestartInvocationRequest, steering.restart),
            "PurgeInvocation": _unary(pb.PurgeInvocationRequest, steering.purge),
            "PurgeJournal": _unary(pb.PurgeJournalRequest, steering.purge_journal),
            "BatchInvocations": _unary(pb.BatchInvocationsRequest, steering.batch),
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _unary(request_type: type[Req], method: Callable[[Req], Awaitable[Message[Any]]]) -> Unary:
    async def serve(data: bytes, context: Context) -> bytes:
        try:
            request = request_type.from_binary(data)
        except Exception as error:
            await _abort(context, StatusCode.INVALID_ARGUMENT, f"not a {request_type.__name__}: {error}")
        try:
            return (await method(request)).to_binary()
        except Exception as error:
            code, message = _explain(error)
            if code is StatusCode.INTERNAL:
                _log.exception("admin call failed", request=request_type.__name__)
            await _abort(context, code, message)

    return serve


def _explain(error: Exception) -> tuple[StatusCode, str]:
    match error:
        case TerminalError():
            return error.code, error.message
        case IdError() | ContractError():
            return StatusCode.INVALID_ARGUMENT, str(error)
        case StoreError():
            return StatusCode.UNAVAILABLE, str(error)
        case FrameError():
            return StatusCode.DATA_LOSS, f"the journal cannot be read: {error}"
        case _:
            return StatusCode.INTERNAL, f"{type(error).__name__}: {error}. The runtime's log has the details."


async def _abort(context: Context, code: StatusCode, message: str) -> NoReturn:
    await context.abort(_CODES[int(code)], message, ((ERROR_SOURCE, "admin"),))
    raise AssertionError("abort raises")
