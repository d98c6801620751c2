"""The child of `restate-runtime dev`: imports the app and dials the runtime.

Run as `python -m restate_runtime.cli.dev_child FILE NAME ADMIN DEV_NAME`. This is the one module of the runtime that
imports restate_sdk, and only here: the app has it. It ends when stdin does, so it never outlives its parent.

Exit codes: 0 told to end; 1 the app does not load, or has no Endpoint to serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restate_sdk import Endpoint

#: Seconds for attempts to end by themselves; those that do not run again on the new code.
GRACE_S = 0.5


class NoEndpoint(Exception):
    """The module has no Endpoint, or several; the message says what to do."""


def load_app(path: Path) -> ModuleType:
    """Imports the file under its own name, its folder first on sys.path. Raises what the file raises."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def find_endpoint(module: ModuleType, name: str, file: str) -> Endpoint:
    """The endpoint of this name, or the only one there is.

    Raises:
        NoEndpoint: there is none, there are several, or the name is something else.
    """
    from restate_sdk import Endpoint

    found = {key: value for key, value in vars(module).items() if isinstance(value, Endpoint)}
    if name:
        if name not in found:
            raise NoEndpoint(f"{file} has no Endpoint {name!r}; it has {_names(found)}")
        return found[name]
    distinct = list({id(one): one for one in found.values()}.values())
    if not distinct:
        raise NoEndpoint(f"{file} makes no Endpoint; write: app = restate_sdk.Endpoint(MyHandlers())")
    if len(distinct) > 1:
        raise NoEndpoint(f"{file} has several Endpoints ({_names(found)}); say which: {file}:{next(iter(found))}")
    return distinct[0]


def _names(found: dict[str, Endpoint]) -> str:
    return ", ".join(sorted(found)) or "none"


async def dial(endpoint: Endpoint, admin: str, dev_name: str) -> None:
    """Works for the runtime until stdin ends or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Ctrl-C reaches the whole group; the parent decides what follows from it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop.add_reader(sys.stdin, lambda: _on_input(stop))
    running = await endpoint.dial_async(admin, dev_name=dev_name)
    await stop.wait()
    loop.remove_reader(sys.stdin)
    await running.stop(GRACE_S)


def _on_input(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1_024):
        stop.set()


def load(path: Path, name: str) -> Endpoint | None:
    """The endpoint of the app; None where there is none, which is told on stderr."""
    try:
        return find_endpoint(load_app(path), name, path.name)
    except NoEndpoint as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
    except (Exception, SystemExit) as error:
        # The frames of this module and of importlib say nothing to the author of the app.
        shown = traceback.TracebackException.from_exception(error)
        shown.stack = traceback.StackSummary.from_list(
            [frame for frame in shown.stack if frame.filename != __file__ and not frame.filename.startswith("<frozen")]
        )
        print("".join(shown.format()), end="", file=sys.stderr, flush=True)
        print(f"error: {path.name} does not load", file=sys.stderr, flush=True)
    return None


def main() -> None:
    """Entry point of the child."""
    file, name, admin, dev_name = sys.argv[1:]
    endpoint = load(Path(file), name)
    if endpoint is None:
        raise SystemExit(1)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(dial(endpoint, admin, dev_name))


if __name__ == "__main__":
    main()
