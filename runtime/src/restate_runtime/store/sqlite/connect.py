"""Connections to the database file: how they are set up, and what must be true before one is used.

Invariant: a connection that `open_writer` returns is to a file of our schema, of the version of this runtime.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import aiosqlite

from restate_runtime.store.base import StoreUnavailable

from .failures import store_error
from .files import check_header
from .queries import migrations, queries

#: `PRAGMA application_id` of our files, set by the first migration: "rstg".
APPLICATION_ID = 0x72737467

#: STRICT tables came with it.
_OLDEST_SQLITE = (3, 37, 0)

#: A file up to this size is checked whole when it is opened, which takes some milliseconds.
_CHECK_WHOLE_BYTES = 16 * 1024 * 1024

#: Queries that set up what commits are written to, in order.
_VIEWS = (
    "create_batch",
    "create_invocations_trigger",
    "create_entries_trigger",
    "create_timers_trigger",
    "create_state_trigger",
    "create_waiters_trigger",
    "create_purge",
    "create_purge_trigger",
)

_BUSY_TIMEOUT_S = 2.0

_PAGE_BYTES = 4096

_EVERY_CONNECTION = "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0;"


def open_writer(path: Path) -> sqlite3.Connection:
    """Opens, checks and migrates the database, and sets up the batch views. Blocks.

    Raises:
        StoreUnavailable: the file cannot be used; the message says why.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreUnavailable(
            f"this Python has SQLite {sqlite3.sqlite_version}, and the runtime needs 3.37 or newer. Use another Python"
        )
    check_header(path)
    connection = connect(path)
    try:
        _check(path, connection)
        _migrate(path, connection)
        for name in _VIEWS:
            connection.execute(queries()[name])
    except Exception as error:
        connection.close()
        raise store_error(path, error) from error
    return connection


async def open_reader(path: Path, cache_kib: int) -> aiosqlite.Connection:
    """A connection that only reads, on a thread of its own."""
    reader = await aiosqlite.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    await reader.executescript(f"PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{cache_kib};")
    return reader


def connect(path: Path) -> sqlite3.Connection:
    """A connection that writes, for use by one thread at a time. Blocks."""
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.executescript(f"PRAGMA page_size = {_PAGE_BYTES}; {_EVERY_CONNECTION} PRAGMA cache_size = -32768;")
    return connection


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Refuses files that are foreign, newer or damaged, as far as that can be seen without reading all of a big one.

    SQLite itself refuses one that is shorter than its header says.
    """
    application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    (tables,) = connection.execute(queries()["count_tables"]).fetchone()
    if application != APPLICATION_ID and (tables or application or version):
        raise StoreUnavailable(
            f"{path}: this SQLite database belongs to another program. Point the runtime to another file"
        )
    if version > len(migrations()):
        raise StoreUnavailable(
            f"{path}: the database has schema version {version}, and this runtime knows versions up to "
            f"{len(migrations())}. Start the newer runtime that wrote it"
        )
    pages, page_size = _pragma(connection, "page_count"), _pragma(connection, "page_size")
    if pages * page_size <= _CHECK_WHOLE_BYTES:
        _check_whole(path, connection)


def _check_whole(path: Path, connection: sqlite3.Connection) -> None:
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise StoreUnavailable(f"{path}: the file is corrupt ({finding}). Restore a backup, or try `sqlite3 .recover`")


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    """Brings the schema to the newest version, each step in a transaction of its own."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable(f"{path}: this file system has no write-ahead log ({mode}). Use a local disk")
    current = _pragma(connection, "user_version")
    for version, script in enumerate(migrations()[current:], start=current + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
