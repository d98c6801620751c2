"""A SQLite store that died: everything acknowledged is there, nothing is there in part."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from restate_runtime.store.memory import MemoryStore
from restate_runtime.store.sqlite import SqliteStore

from .samples import contents
from .streams import SCOPE, Stream

ROOT = Path(__file__).parents[2]
COMMITS = 400


async def oracle_after(seed: int, counts: range) -> list[dict[str, Any]]:
    """What a store holds after so many commits of a seed, for each count."""
    oracle = MemoryStore()
    await oracle.open()
    found = []
    if 0 in counts:
        found.append(await contents(oracle, SCOPE))
    for number, writes in enumerate(Stream(seed).commits(counts[-1]), start=1):
        await oracle.commit(writes)
        if number in counts:
            found.append(await contents(oracle, SCOPE))
    return found


async def contents_of(path: Path) -> dict[str, Any]:
    store = SqliteStore(path)
    await store.open()
    try:
        return await contents(store, SCOPE)
    finally:
        await store.close()


def run_child(path: Path, seed: int, at_once: int, kill_at: int, kill_after_ack: int | None) -> int:
    """How many commits the child acknowledged before it died."""
    arguments = [str(argument) for argument in (path, seed, COMMITS, at_once, kill_at)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.crash_child", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        acknowledged = []
        for line in child.stdout:
            acknowledged.append(int(line))
            if len(acknowledged) == kill_after_ack:
                child.kill()
    assert child.returncode == -9, "the child was meant to be killed"
    assert acknowledged == list(range(1, len(acknowledged) + 1))
    return len(acknowledged)


async def check(path: Path, seed: int, acknowledged: int, under_way: int) -> None:
    found = await contents_of(path)
    allowed = await oracle_after(seed, range(acknowledged, min(acknowledged + under_way, COMMITS) + 1))
    assert found in allowed, f"seed {seed}: not what {acknowledged} acknowledged commits leave"


@pytest.mark.parametrize(("seed", "acknowledged"), [(1, 1), (2, 2), (3, 40), (4, 150)])
async def test_a_process_killed_after_an_acknowledgement_loses_nothing(
    tmp_path: Path, seed: int, acknowledged: int
) -> None:
    path = tmp_path / "store.db"
    count = run_child(path, seed, 1, 0, acknowledged)
    assert count >= acknowledged
    await check(path, seed, count, 1)


@pytest.mark.parametrize(("seed", "steps"), [(5, 50), (6, 5_000), (7, 40_003), (8, 90_017)])
async def test_a_process_killed_within_a_transaction_leaves_none_of_it(tmp_path: Path, seed: int, steps: int) -> None:
    path = tmp_path / "store.db"
    await check(path, seed, run_child(path, seed, 1, steps, None), 1)


@pytest.mark.parametrize(("seed", "steps", "acknowledged"), [(9, 0, 30), (10, 30_011, None)])
async def test_commits_that_share_a_transaction_are_there_together_or_not_at_all(
    tmp_path: Path, seed: int, steps: int, acknowledged: int | None
) -> None:
    path = tmp_path / "store.db"
    await check(path, seed, run_child(path, seed, 8, steps, acknowledged), 8)


async def test_a_log_cut_anywhere_holds_whole_commits(tmp_path: Path) -> None:
    """What a power failure leaves: some beginning of the log, or a log with rubbish at its end."""
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    for writes in Stream(11).commits(12):
        await store.commit(writes)
    database, log = ((tmp_path / name).read_bytes() for name in ("store.db", "store.db-wal"))
    await store.close()
    # The schema itself is in the log: before its commit there is no store at all.
    allowed = await oracle_after(11, range(13))
    seen = []
    for cut in range(len(log), len(log) // 2, -len(log) // 24):
        for rubbish in (b"", b"\xa5" * 3000):
            folder = tmp_path / f"{cut}-{len(rubbish)}"
            folder.mkdir()
            (folder / "store.db").write_bytes(database)
            (folder / "store.db-wal").write_bytes(log[:cut] + rubbish)
            found = await contents_of(folder / "store.db")
            assert found in allowed, f"cut at {cut} of {len(log)}"
            seen.append(allowed.index(found))
            shutil.rmtree(folder)
    assert seen[0] == 12
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) > 3
