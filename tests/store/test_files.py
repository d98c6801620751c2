"""Files that cannot be used, disks that fail: what happened, and what to do about it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from restate_runtime.core.decision import AppendEntry, CreateInvocation, PutState
from restate_runtime.store.base import StoreConflict, StoreUnavailable
from restate_runtime.store.sqlite import SqliteStore
from restate_runtime.store.sqlite.queries import migrations

from .samples import NOW_MS, id_of, record


async def filled(path: Path) -> None:
    """A store with something in it, closed."""
    store = SqliteStore(path)
    await store.open()
    await store.commit(
        [
            CreateInvocation(record(1)),
            *(AppendEntry(id_of(1), index, NOW_MS, b"x" * 3000) for index in range(60)),
        ]
    )
    await store.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def foreign_and_empty(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 7")
    connection.execute("VACUUM")
    connection.close()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "not SQLite": (lambda path: path.write_text("hello, I am a diary\n" * 500), "not a SQLite database.*another file"),
    "short and not SQLite": (lambda path: path.write_text("hello"), "not a SQLite database"),
    "only the beginning of a header": (lambda path: os.truncate(path, 50), "cut short.*backup"),
    "half of it": (lambda path: os.truncate(path, path.stat().st_size // 2), "corrupt or cut short.*backup"),
    "rubbish in the schema": (lambda path: overwrite(path, 100, b"\xa5" * 3000), "corrupt"),
    "rubbish in a table": (lambda path: overwrite(path, 8 * 4096, b"\xa5" * 4096), "corrupt"),
    "of another program": (foreign, "belongs to another program.*another file"),
    "of another program, still empty": (foreign_and_empty, "belongs to another program"),
    "newer": (newer, rf"version 999.*up to {len(migrations())}.*newer runtime"),
    "a folder": (folder, "this is a folder"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_file_that_cannot_be_used_is_refused_and_says_why(tmp_path: Path, what: str) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    spoil, message = BAD[what]
    spoil(path)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match=message) as raised:
        await store.open()
    assert str(path) in str(raised.value)
    with pytest.raises(StoreUnavailable, match=message):  # the lock was let go
        await store.open()


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"the folder .*/missing does not exist. Create it"):
        await SqliteStore(tmp_path / "missing" / "store.db").open()


@pytest.mark.parametrize(("target", "message"), [("store.db", "the file is read-only"), ("", "the folder .*read-only")])
async def test_a_read_only_file_or_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, message: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    await filled(folder / "store.db")
    (folder / target).chmod(0o444 if target else 0o555)
    # root may write everything, so what the system would say is taken from the mode.
    monkeypatch.setattr(
        os, "access", lambda path, mode: not mode & os.W_OK or bool(os.stat(path).st_mode & stat.S_IWUSR)
    )
    with pytest.raises(StoreUnavailable, match=message):
        await SqliteStore(folder / "store.db").open()


async def test_a_second_runtime_is_refused_and_told_who_has_the_file(tmp_path: Path, sqlite: SqliteStore) -> None:
    with pytest.raises(StoreUnavailable, match=rf"another runtime uses this database \(pid {os.getpid()}\). Stop it"):
        await SqliteStore(tmp_path / "store.db").open()
    await sqlite.commit([CreateInvocation(record(1))])  # the first is not disturbed


async def test_a_lock_file_left_behind_by_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "store.db.lock").write_text("4294967\n")
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    assert (tmp_path / "store.db.lock").read_text() == f"{os.getpid()}\n"
    await store.close()


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    await filled(tmp_path / "store.db")
    assert (tmp_path / "store.db").read_bytes().startswith(b"SQLite format 3")


async def test_a_closed_store_is_one_file_and_its_lock(tmp_path: Path) -> None:
    await filled(tmp_path / "store.db")
    assert sorted(os.listdir(tmp_path)) == ["store.db", "store.db.lock"]


async def test_another_program_that_holds_the_file_makes_a_conflict_and_nothing_is_lost(
    tmp_path: Path, sqlite: SqliteStore
) -> None:
    assert sqlite._writer is not None
    sqlite._writer._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreConflict, match=r"another program holds the database.*try again"):
        await sqlite.commit([CreateInvocation(record(1))])
    other.execute("ROLLBACK")
    other.close()
    await sqlite.commit([CreateInvocation(record(1))])
    assert await sqlite.invocation(id_of(1)) == record(1)


async def test_a_full_disk_fails_the_commit_and_every_one_after_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    await store.commit([CreateInvocation(record(1))])
    assert store._writer is not None
    store._writer._connection.execute("PRAGMA max_page_count = 40")  # a disk this small
    with pytest.raises(StoreUnavailable, match=r"disk is full. Free some space"):
        await store.commit([PutState("s", "k", 1, b"x" * 200_000)])
    with pytest.raises(StoreUnavailable, match=r"stopped after a commit failed.*disk is full"):
        await store.commit([PutState("s", "k", 1, b"small")])
    assert await store.invocation(id_of(1)) == record(1)
    await store.close()
    await store.open()
    assert await store.invocation(id_of(1)) == record(1)
    assert await store.state("s", "k") == {}
    await store.close()


FAILING_DISK = """
import asyncio, resource, signal, sys
from restate_runtime.core.decision import PutState
from restate_runtime.store.base import StoreUnavailable
from restate_runtime.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    await store.commit([PutState("s", "k", 1, b"before")])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for number in range(2, 100):
        try:
            await store.commit([PutState("s", "k", number, b"x" * 10_000)])
        except StoreUnavailable as error:
            print(number, error)
            break
    try:
        await store.commit([PutState("s", "k", 100, b"after")])
    except StoreUnavailable as error:
        print(error)
    await store.close()

asyncio.run(main())
"""


async def test_a_disk_that_fails_stops_the_store_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    first, second = run(FAILING_DISK, path).splitlines()
    failed = int(first.split()[0])
    assert "reading or writing failed. Check the disk" in first
    assert "stopped after a commit failed" in second
    store = SqliteStore(path)
    await store.open()
    state = await store.state("s", "k")
    await store.close()
    assert set(state) in (set(range(1, failed)), set(range(1, failed + 1)))


def run(program: str, path: Path) -> str:
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True).stdout
