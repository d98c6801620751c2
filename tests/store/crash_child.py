"""A process to be killed: applies the commits of a seed to a file and says on stdout which are acknowledged.

    python -m tests.store.crash_child FILE SEED COMMITS AT_ONCE KILL_AT

Several commits are under way at once, up to AT_ONCE. It kills itself in the middle of a transaction, after KILL_AT
steps of SQLite's machine; with 0 it never does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from restate_runtime.core.decision import Write
from restate_runtime.store.sqlite import SqliteStore

from .streams import Stream

_STEPS_A_CALL = 50


async def apply(store: SqliteStore, writes: list[Write], number: int) -> None:
    await store.commit(writes)
    os.write(1, b"%d\n" % number)


def kill_after(store: SqliteStore, steps: int) -> None:
    """Ends this process without warning while a statement runs."""
    left = steps // _STEPS_A_CALL

    def step() -> int:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert store._writer is not None
    store._writer._connection.set_progress_handler(step, _STEPS_A_CALL)


async def main(file: str, seed: int, commits: int, at_once: int, kill_at: int) -> None:
    store = SqliteStore(Path(file))
    await store.open()
    if kill_at:
        kill_after(store, kill_at)
    under_way: list[asyncio.Task[None]] = []
    for number, writes in enumerate(Stream(seed).commits(commits), start=1):
        under_way.append(asyncio.create_task(apply(store, writes, number)))
        await asyncio.sleep(0)  # let it read the records, which the stream changes again
        if len(under_way) == at_once:
            await under_way.pop(0)
    await asyncio.gather(*under_way)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(argument) for argument in sys.argv[2:])))
