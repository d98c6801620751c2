"""Connections of a test's runtime, for generated clients: straight into the ingress's rules, or through its gRPC port.

Both count the calls that are under way, which is how the environment knows whether somebody waits for time to pass.
What a call may and may not is said by the ingress (`Admission`, `Control`); errors are those of a real connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from restate_client import Connection, connect
from restate_client import wire as client_wire
from restate_client.failures import Failure, error_of, failure_of_status
from restate_client.outgoing import Outgoing
from restate_client.replies import Reply, read_unary
from restate_client.settings import Settings
from restate_protocol.errors import RestateError, TerminalError
from restate_protocol.ids import invocation_id_text
from restate_protocol.status import StatusCode

from ..engine.api import Accepted
from ..ingress.admission import ACCEPTED, INVOCATION_ID, PREVIOUSLY_ACCEPTED, STATUS
from ..ingress.control import Control
from ..ingress.errors import SOURCE, Answer, Failed, Refused, answer_of
from ..ingress.grpc import DETAILS
from .clock import VirtualClock
from .node import Node

ADDRESS = "the test's runtime"


class CountedConnection(Connection):
    """A connection that knows how many of its calls are under way.

    Args:
        changed: called when a call begins.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__(Settings(ADDRESS, retry=None), session=False)
        self._changed = changed
        self.under_way = 0

    async def _exchange(self, outgoing: Outgoing) -> Reply:
        self.under_way += 1
        self._changed()
        try:
            return await self._carry(outgoing)
        finally:
            self.under_way -= 1

    async def _carry(self, outgoing: Outgoing) -> Reply:
        """Takes the call to the runtime."""
        raise RestateError("this connection leads nowhere")


class DirectConnection(CountedConnection):
    """Hands calls to the ingress's rules without a socket. Timeouts are counted by the test's clock.

    Args:
        node: gives the runtime of the moment.
        clock: the test's clock.
    """

    def __init__(self, changed: Callable[[], None], node: Callable[[], Node], clock: VirtualClock) -> None:
        super().__init__(changed)
        self._node = node
        self._time = clock

    async def _carry(self, outgoing: Outgoing) -> Reply:
        call = _Call(self._node(), outgoing)
        work = asyncio.get_running_loop().create_task(call.perform())
        timeout_s = self._settings.wait_s(outgoing)
        if timeout_s is not None:
            self._time.alarm(timedelta(seconds=timeout_s), call.too_late(work))
        try:
            return read_unary(outgoing, await work, call.initial)
        except (Refused, Failed, TerminalError) as error:
            gone = self._node() is not call.node
            failure = _failure(call.initial, answer_of(error), gone=gone)
            raise error_of(ADDRESS, outgoing, failure) from None
        except asyncio.CancelledError:
            if not call.late:
                work.cancel()
                raise
            answer = Answer("", StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            raise error_of(ADDRESS, outgoing, _failure(call.initial, answer, gone=False)) from None


class _Call:
    """One call at one node."""

    def __init__(self, node: Node, outgoing: Outgoing) -> None:
        self.node = node
        self.initial: client_wire.Metadata = ()
        self.late = False
        self._outgoing = outgoing

    def too_late(self, work: asyncio.Task[bytes]) -> Callable[[], None]:
        """What ends the call once its time is up."""

        def ring() -> None:
            self.late = not work.done()
            work.cancel()

        return ring

    async def perform(self) -> bytes:
        """Does what the gRPC ingress does with a call."""
        node, outgoing = self.node, self._outgoing
        control = Control(node.engine, node.waiting, node.admission).methods().get(outgoing.path)
        if control is not None:
            return (await control.call(control.request.from_binary(outgoing.data), self)).to_binary()
        door = node.admission.door(outgoing.path)
        wanted = node.admission.order(door, outgoing.data, outgoing.metadata)
        accepted = await node.engine.submit(wanted.submission, wait=wanted.wait)
        await self.accepted(accepted)
        return await node.waiting.payload(accepted)

    @property
    def metadata(self) -> client_wire.Metadata:
        """What came with the call."""
        return self._outgoing.metadata

    async def accepted(self, accepted: Accepted) -> None:
        """The invocation is durable."""
        status = ACCEPTED if accepted.new else PREVIOUSLY_ACCEPTED
        self.initial = ((INVOCATION_ID, invocation_id_text(accepted.invocation_id)), (STATUS, status))


def _failure(initial: client_wire.Metadata, answer: Answer, *, gone: bool) -> Failure:
    """The failure as gRPC would tell it; `gone`: the runtime was killed, so nobody tells anything."""
    if gone:
        return failure_of_status(StatusCode.UNAVAILABLE, "the runtime was killed", initial=initial)
    trailing: client_wire.Metadata = ((SOURCE, answer.source),)
    if answer.invocation_id:
        trailing += ((INVOCATION_ID, answer.invocation_id),)
    if answer.details:
        details = [one.as_any() for one in answer.details]
        status = Status(code=answer.code, message=answer.message, details=details)
        trailing += ((DETAILS, status.SerializeToString()),)
    return failure_of_status(answer.code, answer.message, trailing=trailing, initial=initial)


class GrpcConnection(CountedConnection):
    """Calls the runtime's gRPC port, wherever it is at the moment. Timeouts are real ones.

    Args:
        address: gives host:port of the moment.
    """

    def __init__(self, changed: Callable[[], None], address: Callable[[], str]) -> None:
        super().__init__(changed)
        self._address = address
        self._current: tuple[str, Connection] | None = None

    async def _carry(self, outgoing: Outgoing) -> Reply:
        address = self._address()
        if self._current is None or self._current[0] != address:
            await self._hang_up()
            # One by one: the environment counts who waits, and asks on a session are not among the ingress's waiters.
            self._current = (address, connect(address, session=False))
        return await self._current[1]._exchange(outgoing)

    async def _hang_up(self) -> None:
        if self._current is not None:
            await self._current[1].close()

    async def close(self) -> None:
        """Ends the connection and the calls that wait on it."""
        await self._hang_up()
        await super().close()


__all__ = ["ADDRESS", "CountedConnection", "DirectConnection", "GrpcConnection"]
