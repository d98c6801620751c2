"""The database file before SQLite opens it: is it ours to use? Nothing here changes it.

Invariant: one runtime per file, by a lock on `<file>.lock` beside it. The system drops the lock when the process
ends, however it ends, so the lock file may stay behind and means nothing by itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from restate_runtime.store.base import StoreUnavailable

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100


class FileLock:
    """The right to use one database file, held until `release`."""

    def __init__(self, path: Path) -> None:
        self._database = path
        self._path = path.with_name(path.name + ".lock")
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes the lock and writes this process's id into it.

        Raises:
            StoreUnavailable: another runtime has it, or the folder cannot be written.
        """
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path}: the lock of the database cannot be taken ({error.strerror}). "
                f"Give the runtime's user the right to write in {self._path.parent}"
            ) from error
        if not _try_lock(file):
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise StoreUnavailable(
                f"{self._database}: another runtime uses this database (pid {holder}). "
                "Stop it first, or give this runtime a file of its own"
            )
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Lets go of the lock. Doing it twice is fine."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _try_lock(file: int) -> bool:
    import fcntl  # not at the top: the module can be imported, and typed, where there is no fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_place(path: Path) -> None:
    """Whether a database can be at `path`.

    Raises:
        StoreUnavailable: it cannot; the message says why.
    """
    if not path.parent.is_dir():
        raise StoreUnavailable(f"{path}: the folder {path.parent} does not exist. Create it, or choose another place")
    if path.is_dir():
        raise StoreUnavailable(f"{path}: this is a folder. Name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise StoreUnavailable(
            f"{path}: the folder {path.parent} is read-only. Give the runtime's user the right to write in it"
        )
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnavailable(f"{path}: the file is read-only. Give the runtime's user the right to write it")


def check_header(path: Path) -> None:
    """Whether the file, if there is one, begins as a SQLite database does.

    Raises:
        StoreUnavailable: it is something else, or not even a beginning.
    """
    header = b""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        return  # SQLite makes a database of an empty file
    if not header.startswith(_MAGIC[: len(header)]):
        raise StoreUnavailable(f"{path}: this is not a SQLite database. Point the runtime to another file")
    if len(header) < _HEADER_BYTES:
        raise StoreUnavailable(f"{path}: the file is cut short, so the database is lost. Restore a backup")
