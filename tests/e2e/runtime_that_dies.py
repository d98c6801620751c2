"""A real runtime that kills itself with -9 right before or right after one of its commits.

Run: python runtime_that_dies.py DB before|after N [flags of restate-runtime as RESTATE_… variables]. The commit that
counts is the Nth since the file `DB.armed` exists, so that registration is not counted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path

from restate_runtime import config, server
from restate_runtime.core.decision import Write
from restate_runtime.store.sqlite.store import SqliteStore


class DyingStore(SqliteStore):
    """Counts commits, and dies at one."""

    def __init__(self, db: str, when: str, at: int) -> None:
        super().__init__(db)
        self._armed = Path(db + ".armed")
        self._when, self._at, self._count = when, at, 0

    def commit(self, writes: Sequence[Write]) -> Awaitable[None]:
        if self._armed.exists():
            self._count += 1
        self._die("before")
        return self._durable(super().commit(writes))

    async def _durable(self, done: Awaitable[None]) -> None:
        await done
        self._die("after")

    def _die(self, moment: str) -> None:
        if self._when == moment and self._count == self._at and self._armed.exists():
            os.kill(os.getpid(), signal.SIGKILL)


async def main(db: str, when: str, at: int) -> None:
    settings = config.load({"db": db}, os.environ)
    made = server.Server(settings, DyingStore(db, when, at))
    try:
        ports = await made.start()
    except Exception:
        await made.stop()
        raise
    print(f"ready ingress_grpc={ports.ingress_grpc} admin_grpc={ports.admin_grpc}", flush=True)
    await made.engine.failed


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
