"""Performing what was decided, after its commit: start attempts, answer callers, arm timers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from restate_protocol.gen.restate.protocol.v1 import session_pb as pb
from restate_protocol.services import HandlerMode

from ..core.decision import (
    AbortAttempt,
    AckRun,
    AnswerAccepted,
    AnswerDone,
    AnswerRefused,
    AnswerResult,
    ArmTimer,
    DisarmTimer,
    Effect,
    Forget,
    ForgetState,
    NotifyAttempt,
    Report,
    StartAttempt,
    SuspendAttempt,
)
from ..core.trace_context import attempt_traceparent
from ..core.turn import key_of
from ..core.world import Hot, Phase
from ..deployments.dispatch import Dispatcher
from ..store.base import Store
from .requests import Requests
from .state_cache import StateCache
from .timers import Timers

if TYPE_CHECKING:
    from .loop import Engine

_WRITERS = (HandlerMode.EXCLUSIVE, HandlerMode.RUN)


class Effects:
    """Performs effects in the order given."""

    def __init__(
        self,
        engine: Engine,
        dispatcher: Dispatcher,
        requests: Requests,
        timers: Timers,
        states: StateCache,
        store: Store,
        report: Callable[[Report], None],
    ) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._requests = requests
        self._timers = timers
        self._states = states
        self._store = store
        self._report = report

    def perform(self, effect: Effect, batch: int) -> None:
        """Performs one effect of a batch that is committed."""
        match effect:
            case AckRun(invocation_id=invocation_id, epoch=epoch, command=command):
                self._dispatcher.ack(invocation_id, epoch, command)
            case NotifyAttempt(invocation_id=invocation_id, epoch=epoch, entry=entry):
                self._dispatcher.notify(invocation_id, epoch, entry)
            case StartAttempt():
                self._start(effect, batch)
            case AnswerAccepted(token=token, invocation_id=invocation_id, new=new):
                self._requests.accept(token, invocation_id, new)
            case AnswerResult(token=token, result=result):
                self._requests.resolve(token, result)
            case Forget(invocation_id=invocation_id):
                self._forget(invocation_id, batch)
            case Report():
                self._report(effect)
            case ArmTimer(timer=timer):
                self._timers.arm(timer)
            case ForgetState(service=service, key=key):
                self._states.drop((service, key))
            case DisarmTimer(timer=timer):
                self._timers.disarm(timer)
            case AbortAttempt(invocation_id=invocation_id, epoch=epoch, reason=reason):
                self._dispatcher.abort(invocation_id, epoch, reason)
            case SuspendAttempt(invocation_id=invocation_id, epoch=epoch):
                self._dispatcher.suspend(invocation_id, epoch)
            case AnswerDone(token=token):
                self._requests.done(token)
            case AnswerRefused(token=token, failure=failure):
                self._requests.refuse(token, failure)

    def _forget(self, invocation_id: bytes, batch: int) -> None:
        hot = self._engine.world.invocations.get(invocation_id)
        if hot is None or hot.batch > batch or hot.tokens:
            return
        if hot.phase is Phase.IDLE or self._dispatcher.is_parked(invocation_id):
            self._engine.world.forget(hot)

    def _start(self, effect: StartAttempt, batch: int) -> None:
        record = effect.invocation
        hot = self._engine.world.invocations.get(record.id)
        if hot is None or hot.phase is not Phase.ATTEMPT or hot.record.epoch != effect.epoch:
            return  # it ended before it began
        if not self._dispatcher.wants(record.deployment_id or "", record.id, effect.epoch):
            self._let_go(hot, batch)
            return
        if record.mode is HandlerMode.SERVICE:
            self._dispatch(hot, effect, {})
            return
        key = key_of(record)
        if hot.target is not None and hot.target.handler.lazy_state:
            self._dispatch(hot, effect, {}, partial=True)
            return
        state = self._states.get(key)
        if state is not None:
            self._dispatch(hot, effect, state)
            return
        self._dispatcher.expect(record.id, effect.epoch)
        self._engine.spawn(self._read_and_dispatch(hot, effect))

    def _let_go(self, hot: Hot, batch: int) -> None:
        """Its attempt is parked: it needs no memory once all of it is committed."""
        if hot.batch > batch:
            self._engine.forget_soon([hot.record.id])
        else:
            self._forget(hot.record.id, batch)

    async def _read_and_dispatch(self, hot: Hot, effect: StartAttempt) -> None:
        record = effect.invocation
        key = key_of(record)
        state = await self._store.state(*key)
        if hot.phase is not Phase.ATTEMPT or hot.record.epoch != effect.epoch:
            return  # it was stopped meanwhile
        if record.mode in _WRITERS:
            self._states.fill(key, state)
        self._dispatch(hot, effect, state)

    def _dispatch(self, hot: Hot, effect: StartAttempt, state: dict[int, bytes], *, partial: bool = False) -> None:
        record = effect.invocation
        frame = pb.Start(
            invocation_id=record.id,
            epoch=effect.epoch,
            service=record.service,
            handler=record.handler,
            entries=list(effect.entries),
            journal_length=effect.journal_length,
            state=[pb.StateEntry(number=number, value=value) for number, value in state.items()],
            partial_state=partial,
            random_seed=random_seed(record.restarted_from or record.id),
            retry_count=effect.retry_count,
            inactivity_timeout_ms=hot.target.handler.inactivity_ms if hot.target else 60_000,
            traceparent=attempt_traceparent(record, effect.epoch),
            tracestate=record.tracestate,
        )
        if record.key is not None:
            frame.key = record.key
        if not self._dispatcher.start(record.deployment_id or "", frame):
            self._engine.forget_soon([record.id])


def random_seed(invocation_id: bytes) -> int:
    """The seed of ctx.random: the same in every attempt."""
    return int.from_bytes(hashlib.sha256(b"random" + invocation_id).digest()[:8], "big")
