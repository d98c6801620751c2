"""What only the SQLite store has: indexes, packed rows, the log, migrations."""

from __future__ import annotations

import asyncio
import itertools
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from restate_runtime.core.decision import (
    AddWaiter,
    AppendEntry,
    CreateInvocation,
    DeleteTimer,
    PutState,
    PutTimer,
    SaveInvocation,
)
from restate_runtime.core.records import Timer, TimerKind
from restate_runtime.store.base import InvocationFilter, StoreInvalid
from restate_runtime.store.sqlite import SqliteStore, checkpoint
from restate_runtime.store.sqlite.batch import SLOTS, statements
from restate_runtime.store.sqlite.connect import open_writer
from restate_runtime.store.sqlite.parts import SLOT
from restate_runtime.store.sqlite.queries import migrations, queries

from .samples import NOW_MS, id_of, record


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_writer(tmp_path / "plain.db")
    yield opened
    opened.close()


def plan(connection: sqlite3.Connection, query: str) -> list[str]:
    """The steps SQLite takes, as it tells them."""
    text = queries()[query]
    parameters: object = dict.fromkeys(re.findall(r":(\w+)", text)) if ":" in text else (None,) * text.count("?")
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]  # type: ignore[arg-type]


BY_INDEX = {
    "invocation": "SEARCH invocations USING INDEX sqlite_autoindex_invocations_1 (id=?)",
    "journal": "SEARCH journal USING INDEX sqlite_autoindex_journal_1 (invocation=? AND idx>? AND idx<?)",
    "state": "SEARCH state USING PRIMARY KEY (service=? AND key=?)",
    "state_entry": "SEARCH state USING PRIMARY KEY (service=? AND key=? AND number=?)",
    "state_numbers": "SEARCH state USING PRIMARY KEY (service=? AND key=?)",
    "attempts": "SEARCH attempts USING PRIMARY KEY (invocation=?)",
    "waiters": "SEARCH waiters USING COVERING INDEX sqlite_autoindex_waiters_1 (target=?)",
    "first_timers": "SCAN timers",
    "timers_after": "SEARCH timers USING PRIMARY KEY ((due_ms,invocation_id,command,kind)>(?,?,?,?))",
    "active_invocations": "SEARCH invocations USING INDEX invocations_active (id>?)",
    "key_holders": "SEARCH invocations USING INDEX invocations_parked_on_key (queue_seq>?)",
    "expired": "SEARCH invocations USING INDEX invocations_expiring (expires_ms>? AND expires_ms<?)",
    "list_all": "SCAN invocations",
    "list_by_service": "SEARCH invocations USING INDEX invocations_by_service (service=?)",
    "list_active": "SCAN invocations USING INDEX invocations_active",
    "list_parked": "SEARCH invocations USING INDEX invocations_parked (status=?)",
    "list_completed": "SCAN invocations",
    "list_completed_by_service": "SEARCH invocations USING INDEX invocations_by_service (service=?)",
    "counts": "SEARCH invocations USING COVERING INDEX invocations_parked (status=?)",
    "descriptor_set": "SEARCH descriptor_sets USING INDEX sqlite_autoindex_descriptor_sets_1 (hash=?)",
}

#: These sort what is few or wanted as a whole: the active, who waits for one target, the live exclusive ones.
SORTED = {"list_active", "waiters", "key_holders"}


@pytest.mark.parametrize("query", BY_INDEX)
def test_reads_are_served_by_an_index_and_need_no_sort(connection: sqlite3.Connection, query: str) -> None:
    steps = plan(connection, query)
    assert any(step.startswith(BY_INDEX[query]) for step in steps), steps
    assert query in SORTED or not any("TEMP B-TREE" in step for step in steps), steps


def full_scans(connection: sqlite3.Connection, query: str) -> list[int]:
    """Root pages of the tables and indexes that a statement, with its triggers, walks from one end.

    EXPLAIN QUERY PLAN does not tell of triggers, so this reads the programs: each begins at address 0.
    """
    text = queries()[query] + (queries()["and_entry"] if query == "apply_batch" else "")
    scanned: list[int] = []
    opened: dict[int, int] = {}
    for address, opcode, cursor, root, database, *_ in connection.execute(f"EXPLAIN {text}", (None,) * text.count("?")):
        if address == 0:
            opened = {}
        if opcode in ("OpenRead", "OpenWrite") and database == 0:
            opened[cursor] = root
        elif opcode in ("Rewind", "Last") and cursor in opened:
            scanned.append(opened[cursor])
    return scanned


@pytest.mark.parametrize("query", ["apply_batch", "apply_purge"])
def test_commits_find_every_row_they_change_by_an_index(connection: sqlite3.Connection, query: str) -> None:
    assert full_scans(connection, query) == []


def test_a_full_scan_would_be_noticed(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TEMP TRIGGER careless INSTEAD OF INSERT ON batch BEGIN DELETE FROM state WHERE value = 1; END"
    )
    assert len(full_scans(connection, "apply_batch")) == 1


def test_every_query_compiles(connection: sqlite3.Connection) -> None:
    for query in queries():
        if not query.startswith(("create_", "and_")):
            plan(connection, query)


def test_writes_to_one_thing_become_one_row() -> None:
    one = record(1)
    timer = Timer(NOW_MS, one.id, 1, TimerKind.SLEEP)
    (statement,) = statements(
        [
            CreateInvocation(one),
            SaveInvocation(one),
            SaveInvocation(one),
            PutState("s", "k", 1, b"first"),
            PutState("s", "k", 1, b"last"),
            PutTimer(timer),
            DeleteTimer(timer),
        ]
    )
    data, *columns = statement.parameters
    used = {
        name: len(rows) // slots // SLOT for (name, slots), rows in zip(SLOTS.items(), columns, strict=True) if rows
    }
    assert used == {"creates": 1, "put_state": 1, "delete_timers": 1}
    assert b"last" in data
    assert b"first" not in data


def test_the_columns_of_a_batch_are_in_the_order_of_its_view(connection: sqlite3.Connection) -> None:
    columns = connection.execute("SELECT * FROM batch").description
    assert [column[0] for column in columns] == ["data", *SLOTS, "invocation_id", "idx", "at_ms", "entry"]


@pytest.mark.parametrize("count", [1, 5, 256, 257, 600])
async def test_any_number_of_entries_is_one_commit(tmp_path: Path, count: int) -> None:
    store = SqliteStore(tmp_path / "one.db")
    await store.open()
    one = record(1)
    await store.commit([CreateInvocation(one), *(AppendEntry(one.id, n, NOW_MS, b"%d" % n) for n in range(count))])
    assert [row.entry for row in await store.journal(one.id)] == [b"%d" % n for n in range(count)]
    await store.close()


async def test_the_greatest_numbers_are_kept_exactly(sqlite: SqliteStore) -> None:
    one = record(1, created_ms=8 * 10**18, queue_seq=2**53 + 1, expires_ms=0)
    await sqlite.commit([CreateInvocation(one)])
    assert await sqlite.invocation(one.id) == one


@pytest.mark.parametrize("number", [-1, 2**63, 10**19])
async def test_a_number_that_cannot_be_kept_is_refused(sqlite: SqliteStore, number: int) -> None:
    with pytest.raises(StoreInvalid, match="a number in these writes"):
        await sqlite.commit([CreateInvocation(record(1, created_ms=number))])
    assert await sqlite.list_invocations(InvocationFilter()) == []


async def test_a_short_id_is_refused(sqlite: SqliteStore) -> None:
    with pytest.raises(StoreInvalid, match="has 3 bytes, not 16"):
        await sqlite.commit([AddWaiter(b"abc", id_of(1), 1)])


async def test_a_large_value_comes_back_whole(sqlite: SqliteStore) -> None:
    value = bytes(range(256)) * 64 * 1024  # 16 MiB
    await sqlite.commit([CreateInvocation(record(1)), AppendEntry(id_of(1), 0, NOW_MS, value)])
    (row,) = await sqlite.journal(id_of(1))
    assert row.entry == value


async def test_the_log_begins_anew_once_it_is_copied_into_the_file(
    tmp_path: Path, sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_BYTES", 256 * 1024)

    def salt() -> bytes:
        return (tmp_path / "store.db-wal").read_bytes()[16:24]

    first = salt()
    numbers = itertools.count()
    while salt() == first:  # the test's timeout is the limit
        await sqlite.commit([CreateInvocation(record(next(numbers), awaiting=b"x" * 50_000))])
    assert await sqlite.invocation(id_of(0)) == record(0, awaiting=b"x" * 50_000)


async def test_reads_go_on_while_a_commit_is_under_way(sqlite: SqliteStore, tmp_path: Path) -> None:
    await sqlite.commit([CreateInvocation(record(1))])
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # the commit waits for this
    commit = asyncio.ensure_future(sqlite.commit([CreateInvocation(record(2))]))
    assert await sqlite.invocation(id_of(1)) == record(1)
    assert not commit.done()
    other.execute("ROLLBACK")
    other.close()
    await commit


def test_a_migration_that_fails_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    open_writer(path).close()
    broken = (*migrations(), "CREATE TABLE more (id); CREATE TABLE invocations (id);")
    monkeypatch.setattr("restate_runtime.store.sqlite.connect.migrations", lambda: broken)
    with pytest.raises(Exception, match="invocations already exists"):
        open_writer(path)
    monkeypatch.undo()
    connection = open_writer(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'more'").fetchone() == (0,)
    connection.close()


def test_a_file_of_an_older_version_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    open_writer(path).close()
    newer = (*migrations(), "CREATE TABLE more (id);")
    monkeypatch.setattr("restate_runtime.store.sqlite.connect.migrations", lambda: newer)
    connection = open_writer(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
    connection.execute("SELECT id FROM more")
    connection.close()


async def test_what_was_kept_before_requests_had_digests_has_none(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(f"{migrations()[0]}\nPRAGMA user_version = 1;")
    columns = "id, service, handler, mode, created_ms, idempotency_key, reply, traceparent, tracestate, retention_ms"
    old.execute(
        f"INSERT INTO invocations ({columns}, status, epoch, retry_count) "
        "VALUES (?, 's', 'h', 'service', 1, 'k', 0, '', '', 5, 'completed', 1, 0)",
        (id_of(1),),
    )
    old.close()
    store = SqliteStore(path)
    await store.open()
    found = await store.invocation(id_of(1))
    assert found is not None
    assert (found.idempotency_key, found.retention_ms, found.request_digest) == ("k", 5, None)
    await store.close()
