"""Random commits from a seed: mostly valid, over few ids and keys so that they meet. Equal seeds, equal commits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from restate_protocol.services import HandlerMode
from restate_runtime.core import decision as d
from restate_runtime.core.records import (
    Attempt,
    AttemptOutcome,
    Deployment,
    Invocation,
    Status,
    Timer,
    TimerKind,
)

from .samples import NOW_MS, Scope, id_of, record

IDS = tuple(id_of(number) for number in range(12))
OBJECTS = tuple((service, key) for service in ("a.v1.A", "b.v1.B") for key in ("", "k", "k\x00\u00e9"))
HASHES = ("aa", "bb")
SCOPE = Scope(IDS, OBJECTS, HASHES)
BLOBS = (b"", b"\x00", b"\xff\xfe\x00", b"value", b"x" * 5000)


class Stream:
    """Commits one after another, and what makes the next of them valid.

    Args:
        seed: equal seeds give equal commits.
        invalid: how often a write makes no sense, from 0 to 1.
    """

    def __init__(self, seed: int, invalid: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._invalid = invalid
        self._records: dict[bytes, Invocation] = {}
        self._lengths: dict[bytes, int] = {}
        self._epochs: dict[bytes, int] = {}
        self._completed: set[tuple[str, str, int]] = set()
        self._makers: list[Callable[[], d.Write | None]] = [
            self._create,
            self._create,
            self._save,
            self._save,
            self._append,
            self._append,
            self._append,
            self._attempt,
            self._purge,
            self._put_state,
            self._put_state,
            self._clear_state,
            self._put_timer,
            self._delete_timer,
            self._put_promise,
            self._purge_journal,
            self._add_promise_waiter,
            self._remove_promise_waiters,
            self._add_waiter,
            self._remove_waiters,
            self._deployment,
            self._descriptor_set,
        ]

    def commits(self, count: int) -> Iterator[list[d.Write]]:
        """So many commits, none empty. Records in them change again in later ones, as the core's do."""
        for _ in range(count):
            writes: list[d.Write] = []
            while not writes:
                made = (self._random.choice(self._makers)() for _ in range(self._random.randint(1, 12)))
                writes = [write for write in made if write is not None]
            yield writes

    def _nonsense(self) -> bool:
        return self._random.random() < self._invalid

    def _id(self) -> bytes:
        return self._random.choice(IDS)

    def _blob(self) -> bytes:
        return self._random.choice(BLOBS)

    def _maybe(self, value: int) -> int | None:
        return self._random.choice((None, value))

    def _known(self) -> bytes | None:
        if self._nonsense():
            return self._id()
        return self._random.choice(list(self._records)) if self._records else None

    def _create(self) -> d.Write | None:
        free = [one for one in IDS if one not in self._records or self._nonsense()]
        if not free:
            return None
        service, key = self._random.choice(OBJECTS)
        one = record(
            IDS.index(self._random.choice(free)),
            service=service,
            key=self._random.choice((None, key)),
            mode=self._random.choice(list(HandlerMode)),
            created_ms=NOW_MS - self._random.randint(0, 50),
            parent_id=self._random.choice((None, self._id())),
            reply=self._random.random() < 0.5,
            tracestate=key,
        )
        self._change(one)
        if one.id not in self._records:
            self._records[one.id], self._lengths[one.id], self._epochs[one.id] = one, 0, 0
        return d.CreateInvocation(one)

    def _change(self, one: Invocation) -> None:
        one.status = self._random.choice(list(Status))
        one.deployment_id = self._random.choice((None, "dep_1"))
        one.queue_seq = self._maybe(self._random.randint(0, 1000)) if one.mode is HandlerMode.EXCLUSIVE else None
        one.epoch = self._random.randint(0, 9)
        one.retry_count = self._random.randint(0, 9)
        one.next_retry_ms = self._maybe(NOW_MS)
        one.awaiting = self._random.choice((None, self._blob()))
        one.result = self._random.choice((None, self._blob()))
        one.expires_ms = self._maybe(NOW_MS + self._random.randint(0, 9))

    def _save(self) -> d.Write | None:
        known = self._known()
        if known is None:
            return None
        one = self._records.get(known) or record(IDS.index(known))
        self._change(one)
        return d.SaveInvocation(one)

    def _append(self) -> d.Write | None:
        known = self._known()
        if known is None:
            return None
        index = self._lengths.get(known, 0) + (self._random.randint(-1, 1) if self._nonsense() else 0)
        self._lengths[known] = max(index, 0) + 1
        return d.AppendEntry(known, max(index, 0), NOW_MS, self._blob())

    def _attempt(self) -> d.Write | None:
        known = self._known()
        if known is None:
            return None
        epoch = self._epochs.get(known, 0) + (0 if self._nonsense() else 1)
        self._epochs[known] = epoch
        failure = self._random.choice((None, self._blob()))
        outcome = self._random.choice(list(AttemptOutcome))
        return d.RecordAttempt(Attempt(known, epoch, NOW_MS, NOW_MS + 1, outcome, "dep_1", failure))

    def _purge(self) -> d.Write:
        one = self._id()
        gone = self._records.pop(one, None)
        if gone is not None and gone.mode is HandlerMode.RUN:
            self._completed = {promise for promise in self._completed if promise[:2] != (gone.service, gone.key)}
        return d.PurgeInvocation(one)

    def _purge_journal(self) -> d.Write:
        one = self._id()
        self._lengths[one] = 0
        return d.PurgeJournal(one)

    def _put_state(self) -> d.Write:
        value = self._random.choice((None, self._blob(), self._blob()))
        return d.PutState(*self._random.choice(OBJECTS), self._random.randint(1, 3), value)

    def _clear_state(self) -> d.Write:
        return d.ClearState(*self._random.choice(OBJECTS))

    def _timer(self) -> Timer:
        due = NOW_MS + self._random.randint(0, 3)
        return Timer(due, self._id(), self._random.randint(0, 1), self._random.choice(list(TimerKind)))

    def _put_timer(self) -> d.Write:
        return d.PutTimer(self._timer())

    def _delete_timer(self) -> d.Write:
        return d.DeleteTimer(self._timer())

    def _put_promise(self) -> d.Write | None:
        promise = (*self._random.choice(OBJECTS), self._random.randint(1, 3))
        if promise in self._completed and not self._nonsense():
            return None
        self._completed.add(promise)
        return d.PutPromise(*promise, self._blob())

    def _add_promise_waiter(self) -> d.Write:
        return d.AddPromiseWaiter(*self._random.choice(OBJECTS), self._random.randint(1, 2), self._id(), 1)

    def _remove_promise_waiters(self) -> d.Write:
        return d.RemovePromiseWaiters(*self._random.choice(OBJECTS), self._random.randint(1, 2))

    def _add_waiter(self) -> d.Write:
        return d.AddWaiter(self._id(), self._id(), self._random.randint(0, 1))

    def _remove_waiters(self) -> d.Write:
        return d.RemoveWaiters(self._id())

    def _deployment(self) -> d.Write:
        revision = self._random.randint(1, 9)
        return d.PutDeployment(Deployment(f"dep_{revision % 3}", "host:1", "", "aa", ("a.v1.A",), NOW_MS, revision))

    def _descriptor_set(self) -> d.Write:
        return d.PutDescriptorSet(self._random.choice(HASHES), b"descriptors")
