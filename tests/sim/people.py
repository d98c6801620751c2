"""Everybody outside: callers, whoever has an awakeable's id or sends a signal, and the operator.

They insist: while the runtime is down or does not answer they ask again, as a client with an idempotency key may.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from restate_protocol.errors import TerminalError
from restate_protocol.journal import Failure, Result, Value
from restate_protocol.status import StatusCode
from restate_runtime.core.records import Status
from restate_runtime.engine.api import Accepted, Submission
from restate_runtime.store.base import InvocationFilter
from restate_runtime.testing.node import Node

from tests.sdk.gen.shop.v1.shop_pb import AddRequest, ApproveRequest, OrderRequest, PayRequest

from .invariants import Violation
from .program import Fault, Listen, Promise, Root, Scenario, Wake

#: Seconds that an answer is waited for, and before somebody asks again who got none.
ANSWER_S = 5.0
AGAIN_S = 0.05

T = TypeVar("T")

#: What the answer is to who insists and whose first try worked after all, or came too late.
_TOO_LATE = (StatusCode.FAILED_PRECONDITION, StatusCode.NOT_FOUND)


class People:
    """See the module.

    Args:
        scenario: what they do.
        living: gives the runtime as soon as there is one.

    Attributes:
        accepted: the ids of programs that callers were told, by program.
        results: the results that callers got, by program.
        unsure: programs of callers who asked once and got no answer.
    """

    def __init__(self, scenario: Scenario, living: Callable[[], Awaitable[Node]]) -> None:
        self.accepted: dict[str, bytes] = {}
        self.results: dict[str, Result] = {}
        self.unsure: set[str] = set()
        self._scenario = scenario
        self._living = living

    async def insist(self, ask: Callable[[Node], Coroutine[Any, Any, T]]) -> T:
        """Asks until there is an answer.

        Raises:
            TerminalError: the answer is no.
        """
        while True:
            node = await self._living()
            try:
                return await asyncio.wait_for(ask(node), ANSWER_S)
            except TimeoutError:
                continue
            except TerminalError as error:
                if error.code is not StatusCode.UNAVAILABLE and error.code is not StatusCode.UNIMPLEMENTED:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def call(self, root: Root) -> None:
        await asyncio.sleep(root.at_ms / 1000)
        if not await self._served():
            return
        submission = self._submission(root)
        if root.keyed:
            accepted = await self.insist(lambda node: node.engine.submit(submission, wait=False))
        else:
            found = await self._once(root, submission)
            if found is None:
                return
            accepted = found
        self.accepted[root.program] = accepted.invocation_id
        if root.twice:
            again = await self.insist(lambda node: node.engine.submit(submission, wait=False))
            if again.invocation_id != accepted.invocation_id or again.new:
                raise Violation(f"{root.program} was accepted twice under one idempotency key")
        self.results[root.program] = await self._result(accepted.invocation_id)

    async def _served(self) -> bool:
        """Waits until an endpoint was registered."""
        while not (await self._living()).registry.services():
            await asyncio.sleep(AGAIN_S)
        return True

    async def _once(self, root: Root, submission: Submission) -> Accepted | None:
        """Asks once; without an answer nobody knows whether it was accepted."""
        node = await self._living()
        try:
            return await asyncio.wait_for(node.engine.submit(submission, wait=False), ANSWER_S)
        except (TimeoutError, TerminalError):
            self.unsure.add(root.program)
            return None

    def _submission(self, root: Root) -> Submission:
        name, program = root.program, self._scenario.programs[root.program]
        where: tuple[str, str, str | None, bytes]
        match program.kind:
            case "service":
                where = ("shop.v1.Checkout", "Pay", None, PayRequest(text=name).to_binary())
            case "object":
                request = AddRequest(cart_id=program.key, item=name)
                where = ("shop.v1.Cart", "Add", str(program.key), request.to_binary())
            case _:
                where = ("shop.v1.Order", "Run", name, OrderRequest(order_id=name).to_binary())
        key = f"key-{name}" if root.keyed and program.kind != "workflow" else None
        service, handler, of, payload = where
        return Submission(service, handler, of, payload, idempotency_key=key, delay_ms=root.delay_ms)

    async def _result(self, invocation_id: bytes) -> Result:
        while True:
            accepted = await self.insist(lambda node: node.engine.attach(invocation_id))
            assert accepted.result is not None
            try:
                return await accepted.result
            except TerminalError:
                accepted.close()

    # The outside

    async def wake(self, awakeable_id: str, step: Wake) -> None:
        await asyncio.sleep(step.after_ms / 1000)
        result: Result = Failure(StatusCode.UNKNOWN, "woken") if step.rejected else Value(b'"woken"', "json")
        try:
            await self.insist(lambda node: node.engine.complete_awakeable(awakeable_id, result))
        except TerminalError as error:
            if error.code not in _TOO_LATE:
                raise

    async def signal(self, invocation_id: bytes, step: Listen) -> None:
        await asyncio.sleep(step.after_ms / 1000)
        value = Value(json.dumps(step.name).encode(), "json")
        try:
            await self.insist(lambda node: node.engine.send_signal(invocation_id, step.name, value))
        except TerminalError as error:
            if error.code not in _TOO_LATE:
                raise

    async def approve(self, workflow: str, step: Promise) -> None:
        await asyncio.sleep(step.after_ms / 1000)
        payload = ApproveRequest(order_id=workflow).to_binary()
        submission = Submission("shop.v1.Order", "Approve", workflow, payload, idempotency_key="approve")
        await self.insist(lambda node: node.engine.submit(submission, wait=False))

    async def pause(self, fault: Fault, chance: random.Random) -> None:
        """The operator pauses an invocation, and resumes it a while later."""
        node = await self._living()
        found = await node.store.list_invocations(InvocationFilter(limit=100))
        going_on = [one.id for one in found if one.status is not Status.COMPLETED]
        if not going_on:
            return
        invocation_id = chance.choice(going_on)
        await self._steer(lambda node: node.engine.pause(invocation_id))
        await asyncio.sleep(fault.size / 1000)
        await self._steer(lambda node: node.engine.resume(invocation_id))

    async def _steer(self, ask: Callable[[Node], Coroutine[Any, Any, None]]) -> None:
        try:
            await self.insist(ask)
        except TerminalError as error:
            if error.code not in _TOO_LATE:
                raise
