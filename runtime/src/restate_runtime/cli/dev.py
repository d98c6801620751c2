"""restate-runtime dev: a runtime in this process, the app in a child process, and a watch on its files.

The child imports the app and dials in; each load replaces one development deployment, so what is in flight goes on
with the new code. A child that does not load, or ends, is reported; nothing is lost, and the next change tries again.

Invariant: at most one child at a time, and none outlives this process: it ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from restate_protocol.errors import RestateError
from watchfiles import Change, awatch

from restate_runtime.config import Settings

from .announce import addresses, announce
from .regenerate import Recorded, RegenerateError, find_records, regenerate
from .samples import call_lines

if TYPE_CHECKING:
    from restate_runtime.server import Ports, Server

#: Seconds that a child gets to end by itself.
CHILD_GRACE_S = 5.0

_WATCHED = frozenset({".py", ".proto"})
_PASSED_OVER = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", ".restate", ".pytest_cache"})


_FORKS = "GRPC_ENABLE_FORK_SUPPORT"


class DevError(RestateError):
    """There is no such app."""


@dataclass(frozen=True, slots=True)
class App:
    """An app as named on the command line.

    Args:
        path: the file, absolute.
        name: the variable with the Endpoint; empty: the only one there is.
    """

    path: Path
    name: str

    @property
    def dev_name(self) -> str:
        """The name of its development deployment: one for each app."""
        return f"{self.path.stem}-{self.name}" if self.name else self.path.stem

    def prepare(self, file: str) -> Path:
        """Makes the folder of a file beside the app, and gives its path."""
        path = self.path.parent / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def find_app(target: str) -> App:
    """The app in `app.py` or `app.py:name`.

    Raises:
        DevError: there is no such file.
    """
    path_text, _, name = target.partition(":")
    path = Path(path_text)
    if path.suffix != ".py" or not path.is_file():
        raise DevError(f"there is no Python file {path_text}; give the one that makes the Endpoint, such as app.py")
    return App(path.resolve(), name)


def say(text: str) -> None:
    """Tells the developer."""
    print(text, flush=True)


class DevServer:
    """See the module."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._child: asyncio.subprocess.Process | None = None
        self._calls = ""
        self._generated: dict[Path, int] = {}

    async def run(self) -> None:
        """Runs until SIGTERM or SIGINT.

        Raises:
            RestateError: the runtime cannot run.
        """
        from restate_runtime.server import serve

        tasks: list[asyncio.Task[None]] = []

        def ready(server: Server, ports: Ports) -> None:
            announce(self._settings.host, ports)
            shown = addresses(self._settings.host, ports)
            server.registry.on_change(lambda: self._show_calls(server, shown))
            tasks.append(asyncio.create_task(self._develop(shown["admin_grpc"]), name="dev"))

        async def drained() -> None:
            # The app before the sessions: it would tell of a runtime that is gone.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_child()

        await serve(self._settings, ready=ready, drained=drained)

    async def _develop(self, admin: str) -> None:
        """Keeps the app running, whatever happens to its files."""
        try:
            async with asyncio.TaskGroup() as group:
                changes: asyncio.Queue[set[Path]] = asyncio.Queue()
                group.create_task(self._watch(changes))
                await asyncio.sleep(0)  # the watch begins before the app is read, so that no change is missed
                await self._restart(admin, group)
                while True:
                    if await self._concerns_app(await changes.get()):
                        await self._restart(admin, group)
        except Exception as error:
            say(f"error: the app is not watched any more: {error}. Start again.")
            raise

    # The child

    async def _restart(self, admin: str, group: asyncio.TaskGroup) -> None:
        await self._stop_child()
        # A reachable host for a child on this machine, whatever the runtime listens on.
        address = admin.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "restate_runtime.cli.dev_child",
            str(self._app.path),
            self._app.name,
            address,
            self._app.dev_name,
            stdin=asyncio.subprocess.PIPE,
            env=_without_fork_setting(),
        )
        group.create_task(self._watch_child(self._child))

    async def _watch_child(self, child: asyncio.subprocess.Process) -> None:
        code = await child.wait()
        if child is self._child:
            say(f"the app ended (exit code {code}); it is started again when a file changes")

    async def _stop_child(self) -> None:
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), CHILD_GRACE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    # Files

    async def _watch(self, changes: asyncio.Queue[set[Path]]) -> None:
        """Tells of files that somebody else changed, a batch at a time."""
        folder = self._app.path.parent
        folders = {folder, *(one for record in find_records(folder) for one in record.inputs.folders)}
        async for batch in awatch(*_outermost(folders), watch_filter=_is_watched, debounce=200, step=50):
            changed = {Path(path) for _, path in batch}
            others = {path for path in changed if self._generated.get(path) != _modified(path)}
            if others:
                changes.put_nowait(others)

    async def _concerns_app(self, changed: set[Path]) -> bool:
        """Generates again where a contract changed. True: the app is to be loaded again."""
        names = ", ".join(sorted(path.name for path in changed)[:3])
        say(f"changed: {names}{' …' if len(changed) > 3 else ''}")
        generated = 0
        if any(path.suffix == ".proto" for path in changed):
            generated = await asyncio.to_thread(self._regenerate)
        return generated > 0 or any(path.suffix == ".py" for path in changed)

    def _regenerate(self) -> int:
        total = 0
        for recorded in find_records(self._app.path.parent):
            try:
                count = regenerate(recorded)
            except RegenerateError as error:
                say(f"{error}\nnothing was generated in {recorded.out}; the app goes on with what was there")
                continue
            say(f"generated {recorded.out}: {count} files changed")
            self._remember(recorded)
            total += count
        return total

    def _remember(self, recorded: Recorded) -> None:
        """So that our own writing is not taken for a change."""
        again = next((one for one in find_records(recorded.out) if one.out == recorded.out), recorded)
        self._generated.update({path: _modified(path) for path in again.files})

    # What to call

    def _show_calls(self, server: Server, shown: dict[str, str]) -> None:
        ours = next((one for one in server.registry.deployments() if one.dev_name == self._app.dev_name), None)
        loaded = None if ours is None else server.registry.deployment(ours.id)
        if loaded is None:
            return
        calls = "\n".join(call_lines(loaded.services.values(), loaded.schema, shown))
        say("reloaded" if calls == self._calls else f"\n{calls}\n")
        self._calls = calls


def quiet_forks() -> None:
    """Before gRPC is loaded: starting a child must not run its fork handlers, which warn on stderr."""
    os.environ.setdefault(_FORKS, "0")


def _without_fork_setting() -> dict[str, str]:
    """The environment for the app, which may need to fork."""
    return {name: value for name, value in os.environ.items() if (name, value) != (_FORKS, "0")}


def _outermost(folders: set[Path]) -> list[Path]:
    """Folders without those that lie in others: each file is watched once."""
    return sorted(one for one in folders if not any(other in one.parents for other in folders))


def _is_watched(_: Change, path: str) -> bool:
    one = Path(path)
    return one.suffix in _WATCHED and not _PASSED_OVER.intersection(one.parts)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
