"""Moves committed pages from the write-ahead log into the database file, off the path of commits.

A thread copies the bulk while commits go on. Then the writer copies the few pages that came meanwhile, between two
commits; only with nothing left to copy does the log start again from its beginning.

Invariant: nothing here decides what is durable. A crash at any point costs a longer log at most.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from .batch import Statement
from .connect import connect

#: The log is copied after about so many bytes of new log.
CHECKPOINT_BYTES = 16 * 1024 * 1024

#: What a transaction adds to the log besides its data: some pages of tables and indexes.
_BYTES_PER_COMMIT = 32 * 1024

_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpointer:
    """Owns the connection that copies.

    Args:
        path: the database file, which the writer has opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0
        self._wanted = threading.Semaphore(0)
        self._stopping = False
        self._under_way = False
        self._bulk_done = False
        self._thread = threading.Thread(target=self._run, name="restate-store-checkpoint", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Blocks until the copy under way is done."""
        self._stopping = True
        self._wanted.release()
        self._thread.join()

    def committed(self, writer: sqlite3.Connection, statements: Sequence[Statement]) -> None:
        """Called by the writer, on its thread, after every transaction."""
        self._written += _BYTES_PER_COMMIT + sum(statement.size for statement in statements)
        if self._bulk_done:
            self._bulk_done = self._under_way = False
            _checkpoint(writer)
        elif self._written >= CHECKPOINT_BYTES and not self._under_way:
            self._written = 0
            self._under_way = True
            self._wanted.release()

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            if self._stopping:
                break
            # Not kept open: the log is copied seldom, and this way nothing is left to close.
            with contextlib.closing(connect(self._path)) as connection:
                _checkpoint(connection)
            self._bulk_done = True


def _checkpoint(connection: sqlite3.Connection) -> None:
    # A failure here loses nothing. If the disk fails, the next commit says so.
    with contextlib.suppress(sqlite3.Error):
        connection.execute(_CHECKPOINT).fetchone()
