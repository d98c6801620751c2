"""What SQLite says went wrong -> StoreConflict, StoreInvalid or StoreUnavailable, with what to do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from restate_runtime.store.base import StoreConflict, StoreError, StoreInvalid, StoreUnavailable

_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT}

#: By primary result code; the text follows "{path}: ".
_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full. Free some space and start the runtime again. Nothing acknowledged is lost",
    sqlite3.SQLITE_IOERR: "reading or writing failed. Check the disk and the system log, then start the runtime again",
    sqlite3.SQLITE_CORRUPT: "the file is corrupt or cut short. Restore a backup, or try `sqlite3 .recover`",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database. Point the runtime to another file",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only. Give the runtime's user the right to write both",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened. Check that its folder exists and may be written",
    sqlite3.SQLITE_NOMEM: "there is not enough memory. Give the runtime more",
}

#: What the constraints of the schema mean, by what SQLite's message holds.
_INVALID = {
    "journal gap": "a journal entry was appended that does not follow the last one",
    "UNIQUE constraint failed: journal.": "a journal entry was appended at an index that is taken",
    "NOT NULL constraint failed: journal.invocation": "a journal entry was appended to an unknown invocation",
    "UNIQUE constraint failed: invocations.id": "an invocation was created that exists",
    "unknown invocation saved": "an invocation was saved that is not known",
    "UNIQUE constraint failed: attempts.": "an attempt was recorded twice",
    "NOT NULL constraint failed: attempts.invocation": "an attempt of an unknown invocation was recorded",
    "UNIQUE constraint failed: promises.": "a promise was completed twice",
}


def store_error(path: Path, error: Exception) -> StoreError:
    """The error to raise for what SQLite, or the system under it, raised."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, sqlite3.IntegrityError):
        return StoreInvalid(f"nothing was committed: {_meaning(str(error))}")
    if isinstance(error, sqlite3.InterfaceError | sqlite3.DataError | sqlite3.ProgrammingError | OverflowError):
        return StoreInvalid(f"nothing was committed: SQLite does not take the values: {error}")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _TRANSIENT:
        return StoreConflict(f"{path}: another program holds the database ({error}). Nothing was committed; try again")
    return StoreUnavailable(f"{path}: {_UNAVAILABLE.get(code, 'the database failed')} ({error})")


def _meaning(message: str) -> str:
    for part, meaning in _INVALID.items():
        if part in message:
            return meaning
    return message
