"""The engine: decides, has committed what was decided, and then acts.

Events are decided at once, one after the other, into the current batch; `flushing` commits the batch and performs its
effects. If a commit fails nothing of it is acknowledged and the engine stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.errors import IdError, TerminalError
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from ..core.acceptance import Request
from ..core.decision import Decision, Forget, Report
from ..core.events import Attach, AwakeableCompleted, Event, Submit, TimerFired
from ..core.failures import decode_result
from ..core.machine import decide
from ..core.needs import NeedInvocation, NeedState, missing
from ..core.records import Status, Timer
from ..core.target import Resolve, Target
from ..core.turn import Turn
from ..core.world import Key, Phase, World
from ..deployments.dispatch import Dispatcher
from ..store.base import Store
from .api import Accepted, Asker, Known, Submission
from .commit_times import CommitTimes
from .effects import Effects
from .flushing import DEFAULT_GATHER_MS, Flusher
from .loading import Loader
from .overload import DEFAULT_LOAD_LIMITS, Doorkeeper, Load, LoadLimits
from .requests import Futures, Requests
from .state_cache import StateCache
from .sweeps import DEFAULT_SWEEP_TIMES, Sweeps, SweepTimes
from .timers import DEFAULT_IN_MEMORY_MAX, Timers
from .verbs import Verbs

# How many workflows' promises are kept in memory.
PROMISES_MAX = 10_000


#: How often a shutdown looks whether the engine came to rest.
_LOOK_AGAIN_SECONDS = 0.002


class Engine(Verbs):
    """See the module. Implements EngineApi.

    Args:
        store: an open store.
        dispatcher: takes attempts to endpoints.
        resolve: gives the handler for a name.
        clock: milliseconds since the epoch.
        report: hears of what operators and traces want to know.
        in_memory_timers_max: how many timers are held in memory.
        sweep_times: how often is looked for what is past its time.
        load_limits: how much work from outside is taken on.
        gather_ms: how long a commit waits for company under load, at most.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        resolve: Resolve,
        clock: Callable[[], int],
        report: Callable[[Report], None],
        in_memory_timers_max: int = DEFAULT_IN_MEMORY_MAX,
        sweep_times: SweepTimes = DEFAULT_SWEEP_TIMES,
        load_limits: LoadLimits = DEFAULT_LOAD_LIMITS,
        gather_ms: int = DEFAULT_GATHER_MS,
    ) -> None:
        self.world = World()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._store = store
        self._resolve = resolve
        self._clock = clock
        self._turn = Turn(self.world, clock(), resolve)
        self._requests = Requests()
        self._loader = Loader(
            self.world,
            store,
            resolve,
            lambda: self._flusher.not_durable(),
            dispatcher.awaits_endpoint,
        )
        self.doorkeeper = Doorkeeper(load_limits, self._requests.__len__, self._queued, lambda: self.world.held_bytes)
        self._timers = Timers(store, clock, self._due, self.spawn, in_memory_timers_max)
        self._states = StateCache()
        self._dispatcher = dispatcher
        self._effects = Effects(self, dispatcher, self._requests, self._timers, self._states, store, report)
        self._held: dict[bytes, deque[Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._flusher = Flusher(
            store, self._turn, self._effects.perform, self._states.apply, self._performed, gather_ms
        )
        self._flushing: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._stopping = False
        self._sweeps = Sweeps(store, dispatcher, self.world, clock, self.post, sweep_times)
        dispatcher.on_event(self.post)
        dispatcher.on_let_go(self.forget_soon)
        dispatcher.use_clock(clock)

    # Life

    async def start(self) -> None:
        """Takes up the work that a store has: queues of keys, timers, active invocations."""
        from .recovery import recover

        self._flushing = self.spawn(self._flusher.run())
        await recover(self, self._store)
        await self._timers.open()
        self._sweeper = self.spawn(self._sweeps.forever())

    async def stop(self) -> None:
        """Commits what is decided, and decides nothing more."""
        self._stopping = True
        self._timers.close()
        self._flusher.stop()
        if self._flushing is not None:
            await asyncio.wait((self._flushing, self.failed), return_when=asyncio.FIRST_COMPLETED)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._requests.fail_all("the runtime is stopping; ask again")

    async def abandon(self) -> None:
        """Ends as a crash does: what is not committed is gone, and nobody hears of it. For tests."""
        self._stopping = True
        self._dispatcher.on_event(lambda event: None)
        self._timers.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._requests.fail_all("the runtime was killed; attach once it is back")

    async def settled(self) -> None:
        """Waits until nothing is left to decide, commit or read; for a shutdown, when little comes in any more."""
        while not (self.quiet or self.failed.done()):  # noqa: ASYNC110 - rest has many parts; only a shutdown asks
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    # The clock of tests

    @property
    def commit_times(self) -> CommitTimes:
        """How long commits took."""
        return self._flusher.times

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to decide, commit or read: only frames, callers and time change that."""
        lasting = sum(task is not None for task in (self._flushing, self._sweeper))
        return self._flusher.quiet and not self._held and len(self._tasks) <= lasting

    def next_due_ms(self) -> int | None:
        """When the next timer in memory is due, in milliseconds since the epoch."""
        return self._timers.next_due_ms()

    def clock_moved(self) -> None:
        """The clock jumped: fires what is due now."""
        self._timers.look()

    # Events

    def post(self, event: Event) -> None:
        """Decides an event, now or as soon as what it needs is in memory; events of one subject keep their order."""
        held = self._held.get(event.subject)
        if held is not None:
            held.append(event)
        elif missing(self.world, event):
            self._held[event.subject] = deque((event,))
            self.spawn(self._load_and_decide(event.subject))
        else:
            self._decide(event)

    def _decide(self, event: Event) -> None:
        if self.failed.done():
            return
        self._turn.now_ms = self._clock()
        try:
            decide(self._turn, event)
        except Exception as error:
            # What is half decided must not be committed: the store is the truth, and a restart reads it.
            self._turn.out = Decision()
            self._fail(error)
            raise
        self._flusher.decided()

    async def _load_and_decide(self, subject: bytes) -> None:
        held = self._held[subject]
        while held:
            event = held[0]
            loaded: set[bytes] = set()
            viewed: set[Key] = set()
            while needs := missing(self.world, event):
                loaded.update(need.invocation_id for need in needs if isinstance(need, NeedInvocation))
                viewed.update(need.key for need in needs if isinstance(need, NeedState))
                await self._loader.load(needs)
            self._decide(event)
            held.popleft()
            self.world.absent -= loaded
            for key in viewed:
                self.world.states.pop(key, None)
            self._turn.out.effects.extend(Forget(one) for one in loaded)
        del self._held[subject]

    def _due(self, timer: Timer) -> None:
        self.post(TimerFired(timer))

    # After the commit

    def _performed(self, batch: int) -> None:
        if len(self.world.promises) > PROMISES_MAX:
            self._forget_promises(batch)

    def _forget_promises(self, batch: int) -> None:
        """Drops what is committed; the store has it."""
        self.world.promises = {key: held for key, held in self.world.promises.items() if held.batch > batch}

    def _fail(self, error: BaseException) -> None:
        """Nothing is acknowledged any more; whoever runs the engine hears of it through `failed`."""
        self._requests.fail_all(f"the runtime failed, nothing was recorded: {error}")
        if not self.failed.done():
            self.failed.set_exception(error)

    async def sweep(self) -> None:
        """Looks for attempts that stand still and for what is past its retention, once."""
        self._sweeps.attempts()
        await self._sweeps.retention()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something beside the loop; if it fails, the engine fails."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fail(error)

    # EngineApi

    async def submit(self, submission: Submission, *, wait: bool) -> Accepted:
        asker = Futures(wait=wait)
        asker.release = self.begin(submission, asker, wait=wait)
        return await asker.accepted_one()

    def begin(self, submission: Submission, asker: Asker, *, wait: bool) -> Callable[[], None]:
        target = self._resolve(submission.service, submission.handler, None)
        if target is None:
            message = f"no deployment serves {submission.service}/{submission.handler}"
            raise TerminalError(message, code=StatusCode.UNIMPLEMENTED)
        self._check_running()
        delayed = bool(submission.delay_ms)
        self.doorkeeper.check_work(submission.service, target.deployment_id, len(submission.payload), delayed=delayed)
        invocation_id, derived = self._id_for(submission, target)
        request = Request(
            id=invocation_id,
            service=submission.service,
            handler=submission.handler,
            key=submission.key,
            payload=submission.payload,
            headers=submission.headers,
            idempotency_key=submission.idempotency_key or None,
            execute_at_ms=None if submission.delay_ms is None else self._clock() + submission.delay_ms,
            traceparent=submission.traceparent,
            tracestate=submission.tracestate,
        )
        token = self._requests.open(asker, wait=wait)
        self.post(Submit(request, target, token, wait, derived))
        return lambda: self.release(token, invocation_id)

    async def attach(self, invocation_id: bytes) -> Accepted:
        asker = Futures(wait=True)
        asker.release = self.begin_attach(invocation_id, asker)
        return await asker.accepted_one()

    def begin_attach(self, invocation_id: bytes, asker: Asker) -> Callable[[], None]:
        self._check_running()
        self.doorkeeper.check_caller()
        token = self._requests.open(asker, wait=True)
        self.post(Attach(invocation_id, token))
        return lambda: self.release(token, invocation_id)

    async def known(self, invocation_id: bytes) -> Known:
        record = await self._store.invocation(invocation_id)
        if record is None:
            message = f"{ids.invocation_id_text(invocation_id)} is unknown: it never was, or its retention is over"
            raise TerminalError(message, code=StatusCode.NOT_FOUND)
        result = decode_result(record.result) if record.status is Status.COMPLETED else None
        return Known(record.service, record.handler, record.key, record.deployment_id, result)

    async def complete_awakeable(self, awakeable_id: str, result: j.Result) -> None:
        invocation_id, number = _parse_awakeable_id(awakeable_id)
        await self.ask(lambda token: AwakeableCompleted(invocation_id, number, result, token))

    async def awakeable_type(self, awakeable_id: str) -> tuple[str, str] | None:
        invocation_id, number = _parse_awakeable_id(awakeable_id)
        record = await self._store.invocation(invocation_id)
        if record is None or record.deployment_id is None:
            return None
        for row in await self._store.journal(invocation_id):
            entry = j.decode(row.entry)
            if isinstance(entry, j.Awakeable) and entry.number == number:
                return record.deployment_id, entry.type
        return None

    async def ask(self, make: Callable[[int], Event]) -> Accepted | None:
        self._check_running()
        asker = Futures(wait=False)
        self.post(make(self._requests.open(asker, wait=False)))
        return await asker.answer

    def live_status(self, invocation_id: bytes) -> str | None:
        """ready, running or backing-off for an active invocation; None for any other."""
        if self._dispatcher.is_parked(invocation_id):
            return "ready"
        hot = self.world.invocations.get(invocation_id)
        if hot is None or hot.record.status is not Status.ACTIVE:
            return None
        if hot.phase is Phase.BACKING_OFF:
            return "backing-off"
        return "running" if self._dispatcher.is_running(invocation_id) else "ready"

    def _check_running(self) -> None:
        if self._stopping or self.failed.done():
            raise TerminalError("the runtime is stopping; ask again", code=StatusCode.UNAVAILABLE)

    def release(self, token: int, invocation_id: bytes) -> None:
        """Whoever holds the token does not wait any more."""
        self._requests.drop(token)
        hot = self.world.invocations.get(invocation_id)
        if hot is not None:
            with contextlib.suppress(ValueError):
                hot.tokens.remove(token)
            if not hot.tokens:
                self.forget_soon([hot.record.id])

    def forget_soon(self, invocation_ids: Iterable[bytes]) -> None:
        """Drops invocations that nothing goes on with, once all that is decided about them is committed."""
        self._turn.out.effects.extend(map(Forget, invocation_ids))
        self._flusher.wake()

    def load(self) -> Load:
        """How much work there is, as far as it is bounded."""
        queued = [*self.world.queued_of.values(), *self._dispatcher.waiting().values()]
        return Load(len(self._requests), max(queued, default=0), self.world.held_bytes)

    def _queued(self, service: str, deployment_id: str) -> int:
        return self.world.queued_of.get(service, 0) + self._dispatcher.backlog(deployment_id)

    def _id_for(self, submission: Submission, target: Target) -> tuple[bytes, bool]:
        if target.mode is HandlerMode.RUN:
            return ids.workflow_invocation_id(submission.service, submission.key or ""), True
        if submission.idempotency_key:
            derived = ids.idempotent_invocation_id(
                submission.service, submission.handler, submission.key, submission.idempotency_key
            )
            return derived, True
        return ids.fresh_invocation_id(self._clock(), os.urandom(10)), False


def _parse_awakeable_id(text: str) -> tuple[bytes, int]:
    try:
        return ids.parse_awakeable_id(text)
    except IdError as error:
        raise TerminalError(str(error), code=StatusCode.INVALID_ARGUMENT) from None
