"""The thread that commits. One at a time, in the order of the calls, each durable before its future is done.

Invariants:
- Statements of one commit are in one transaction. Commits that queue up behind one under way share the next
  transaction, unless one of them is invalid: then each has its own, and only the invalid ones fail.
- After a commit failed for want of a working disk, every later one fails: what is on disk is then unknown until the
  file is opened anew, and nothing may build on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from restate_protocol.immutable import immutable

from restate_runtime.store.base import StoreError, StoreInvalid, StoreUnavailable

from .batch import Statement
from .checkpoint import Checkpointer
from .failures import store_error
from .queries import queries

#: At most so many queued commits share a transaction, to bound what one fsync waits for.
_MAX_GROUP = 64


@immutable
class Job:
    """A commit on its way, and the future of the one who waits for it."""

    statements: Sequence[Statement]
    done: asyncio.Future[None]


class Writer:
    """Owns the connection that writes.

    Args:
        path: the database file, for messages.
        connection: used by nobody else from now on, and closed at the end.
        checkpointer: told of every transaction.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, checkpointer: Checkpointer) -> None:
        self._path = path
        self._connection = connection
        self._checkpointer = checkpointer
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._failure: StoreUnavailable | None = None
        self._thread = threading.Thread(target=self._run, name="restate-store-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def commit(self, statements: Sequence[Statement]) -> asyncio.Future[None]:
        """Executes all statements in one transaction; the future is done once it is on disk.

        It fails with a StoreError: nothing was committed, or, for StoreUnavailable, nothing may be built on it.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._jobs.put(Job(statements, done))
        return done

    async def stop(self) -> None:
        """Returns once all commits under way are done and the connection is closed."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while self._serve():
                pass
        finally:
            self._connection.close()

    def _serve(self) -> bool:
        """Commits what is queued; False once there is nothing more to come."""
        jobs: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == _MAX_GROUP:
                break
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
        self._commit_all(jobs)
        return job is not None

    def _commit_all(self, jobs: Sequence[Job]) -> None:
        error = self._try_commit([statement for job in jobs for statement in job.statements])
        if isinstance(error, StoreInvalid) and len(jobs) > 1:
            for job in jobs:
                _settle([job], self._try_commit(job.statements))
        elif jobs:
            _settle(jobs, error)

    def _try_commit(self, statements: Sequence[Statement]) -> StoreError | None:
        """The error that kept the statements from being committed, or None."""
        if self._failure is not None:
            return StoreUnavailable(f"the store stopped after a commit failed: {self._failure}")
        try:
            self._execute(statements)
        except Exception as raised:
            self._roll_back()
            error = store_error(self._path, raised)
            error.__cause__ = raised
            if isinstance(error, StoreUnavailable):
                self._failure = error
            return error
        self._checkpointer.committed(self._connection, statements)
        return None

    def _execute(self, statements: Sequence[Statement]) -> None:
        execute, named = self._connection.execute, queries()
        if len(statements) == 1:
            # A statement alone is a transaction.
            execute(statements[0].sql(named), statements[0].parameters)
            return
        execute("BEGIN IMMEDIATE")
        for statement in statements:
            execute(statement.sql(named), statement.parameters)
        execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


def _settle(jobs: Sequence[Job], error: StoreError | None) -> None:
    """Tells those who wait, each on the loop of its future."""

    def tell() -> None:
        for job in jobs:
            if job.done.done():
                continue  # the waiter was cancelled
            if error is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        jobs[0].done.get_loop().call_soon_threadsafe(tell)
