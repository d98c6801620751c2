"""A bench for the core: events in, writes and effects out, journals readable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.contract.model import Handler, KeyField, RetryPolicy
from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.services import HandlerMode
from restate_runtime.core import events as ev
from restate_runtime.core.acceptance import Request
from restate_runtime.core.decision import Decision
from restate_runtime.core.machine import decide
from restate_runtime.core.needs import Need, NeedInvocation, NeedPromises, missing
from restate_runtime.core.records import Promises
from restate_runtime.core.target import Target
from restate_runtime.core.turn import Turn
from restate_runtime.core.world import Hot, PromiseSet, World

E = TypeVar("E")

KEY = KeyField("key", 1, str, False)


def handler(name: str, mode: HandlerMode, retry: RetryPolicy | None = None) -> Handler:
    key = None if mode is HandlerMode.SERVICE else KEY
    return Handler(name, mode, False, "t.Req", "t.Res", key, None, retry=retry or RetryPolicy())


HANDLERS: dict[tuple[str, str], tuple[Handler, bool]] = {
    ("t.Plain", "Do"): (handler("Do", HandlerMode.SERVICE), False),
    ("t.Object", "Do"): (handler("Do", HandlerMode.EXCLUSIVE), False),
    ("t.Object", "Look"): (handler("Look", HandlerMode.SHARED), False),
    ("t.Flow", "Run"): (handler("Run", HandlerMode.RUN), True),
    ("t.Flow", "Tell"): (handler("Tell", HandlerMode.SHARED), True),
}


@dataclass
class Bench:
    """One world and a clock. Needs that are not in memory are answered from `stored`, or as by an empty store."""

    now_ms: int = 1_000
    world: World = field(default_factory=World)
    handlers: dict[tuple[str, str], tuple[Handler, bool]] = field(default_factory=lambda: dict(HANDLERS))
    count: int = 0
    stored: dict[bytes, Hot] = field(default_factory=dict)
    digest: Callable[[bytes], bytes] | None = None

    def resolve(self, service: str, name: str, deployment_id: str | None) -> Target | None:
        found = self.handlers.get((service, name))
        if found is None:
            return None
        return Target(service, found[0], deployment_id or "dep_1", found[1], digest=self.digest)

    def do(self, event: ev.Event) -> Decision:
        while needs := missing(self.world, event):
            assert len(needs) == len(set(needs)), "each need is a read"
            for need in needs:
                self._absent(need)
        turn = Turn(self.world, self.now_ms, self.resolve)
        decide(turn, event)
        self.world.batch += 1
        return turn.out

    def _absent(self, need: Need) -> None:
        match need:
            case NeedInvocation(invocation_id=invocation_id):
                if invocation_id in self.stored:
                    self.world.invocations[invocation_id] = self.stored.pop(invocation_id)
                else:
                    self.world.absent.add(invocation_id)
            case NeedPromises(key=key):
                self.world.promises[key] = PromiseSet(Promises())

    def submit(
        self,
        service: str = "t.Plain",
        name: str = "Do",
        key: str | None = None,
        *,
        idempotency_key: str | None = None,
        wait: bool = True,
        delay_ms: int | None = None,
        payload: bytes = b"in",
    ) -> tuple[bytes, Decision]:
        self.count += 1
        target = self.resolve(service, name, None)
        assert target is not None
        derived = target.mode is HandlerMode.RUN or idempotency_key is not None
        if target.mode is HandlerMode.RUN:
            invocation_id = ids.workflow_invocation_id(service, key or "")
        elif idempotency_key:
            invocation_id = ids.idempotent_invocation_id(service, name, key, idempotency_key)
        else:
            invocation_id = ids.fresh_invocation_id(self.now_ms, self.count.to_bytes(10, "big"))
        due = None if delay_ms is None else self.now_ms + delay_ms
        request = Request(
            invocation_id, service, name, key, payload, idempotency_key=idempotency_key, execute_at_ms=due
        )
        return invocation_id, self.do(ev.Submit(request, target, self.count, wait, derived))

    def hot(self, invocation_id: bytes) -> Hot:
        return self.world.invocations[invocation_id]

    def say(self, invocation_id: bytes, entry: j.Entry, epoch: int | None = None) -> Decision:
        number = self.hot(invocation_id).record.epoch if epoch is None else epoch
        return self.do(ev.CommandSaid(invocation_id, number, entry, j.encode(entry)))

    def propose(self, invocation_id: bytes, command: int, result: j.Result) -> Decision:
        return self.do(ev.RunProposed(invocation_id, self.hot(invocation_id).record.epoch, command, result))

    def end(self, invocation_id: bytes, result: j.Result | None = None) -> Decision:
        output = self.say(invocation_id, j.Output(result or j.Value(b"out")))
        ended = self.do(ev.AttemptEnded(invocation_id, self.hot(invocation_id).record.epoch))
        return Decision(output.writes + ended.writes, output.effects + ended.effects)

    def fail(self, invocation_id: bytes, **fields: Any) -> Decision:
        epoch = self.hot(invocation_id).record.epoch
        frame = pb.Failed(
            invocation_id=invocation_id, epoch=epoch, failure=j.failure_to_pb(j.Failure(2, "boom")), **fields
        )
        return self.do(ev.AttemptFailed(invocation_id, epoch, frame))

    def call(self, caller: bytes, service: str, name: str, key: str | None = None) -> tuple[bytes, Decision]:
        """The caller calls; gives the callee's id."""
        number = self.hot(caller).commands
        target = self.resolve(service, name, None)
        callee = ids.child_invocation_id(caller, number)
        if target is not None and target.mode is HandlerMode.RUN:
            callee = ids.workflow_invocation_id(service, key or "")
        return callee, self.say(caller, j.Call(service, name, key, b"p", callee))

    def journal(self, invocation_id: bytes) -> list[j.Entry]:
        return [j.decode(data) for data in self.hot(invocation_id).entries]


def only(kind: type[E], items: list[Any]) -> list[E]:
    """The items of one class."""
    return [item for item in items if isinstance(item, kind)]
