"""Commands as processes, followed line by line."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

FREE_PORTS = [f"--{name}-port=0" for name in ("ingress-grpc", "ingress-http", "admin-grpc", "admin-http")]


class Command:
    """A running command; its stdout and stderr come in one stream."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> re.Match[str]:
        """Reads on until a line matches. Raises AssertionError with all output where none does."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(line.decode().rstrip("\n"))
            if match := re.search(pattern, self.lines[-1]):
                return match
        raise AssertionError(f"no line matched {pattern!r}:\n" + "\n".join(self.lines))

    async def end(self) -> int:
        """Reads to the end; gives the exit code."""
        assert self.process.stdout is not None
        rest = await self.process.stdout.read()
        self.lines += rest.decode().splitlines()
        return await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.end()

    async def interrupt(self) -> int:
        """Ctrl-C, which reaches the command and its children alike; gives the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return await self.end()


@asynccontextmanager
async def runtime(folder: Path, *args: str) -> AsyncIterator[Command]:
    """restate-runtime in a folder, with these arguments; killed at the end if it is still there."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("RESTATE_", "OTEL_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "restate_runtime.cli.runtime", *args),
        cwd=folder,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
        start_new_session=True,  # a group of its own, as a shell makes it
    )
    command = Command(process)
    try:
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await command.end()
