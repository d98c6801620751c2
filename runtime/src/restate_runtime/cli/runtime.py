"""restate-runtime: runs a runtime, alone (`start`) or with an app that is being written (`dev`).

What people read goes to stdout, logs and traces go to stderr. Exit codes: 0 stopped when told to; 1 cannot run, with
one line that says why; 2 wrong usage.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any

import typer
from restate_protocol.collecting import collect_less
from restate_protocol.errors import RestateError
from restate_protocol.polling import prefer_pollers

from restate_runtime.config import Settings, markdown

from .announce import announce
from .flags import with_settings
from .output import show_error

#: Where `dev` keeps its journal, beside the app.
DEV_DB = ".restate/dev.db"

app = typer.Typer(
    help="Runs a runtime.",
    epilog="Exit codes: 0 stopped when told to, 1 cannot run, 2 wrong usage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
@with_settings({})
def start(*, settings: Settings) -> None:
    """Runs a runtime until SIGTERM or SIGINT, then lets what runs finish."""
    from restate_runtime.server import serve

    _prepare(settings)
    _run(lambda: serve(settings, ready=lambda _, ports: announce(settings.host, ports)))


@app.command()
@with_settings({"db": DEV_DB, "trace_console": "on", "drain_grace_ms": "1000", "log_level": "warning"})
def dev(
    *,
    target: Annotated[str, typer.Argument(metavar="APP", help="app.py, or app.py:name.")],
    settings: Settings,
) -> None:
    """Runs a runtime and an app beside it; restarts the app when a .py or .proto file changes."""
    from .dev import DevError, DevServer, find_app, quiet_forks

    try:
        found = find_app(target)
    except DevError as error:
        show_error(str(error))
        raise typer.Exit(2) from None
    if settings.db == DEV_DB:
        settings = replace(settings, db=str(found.prepare(DEV_DB)))
    quiet_forks()
    _prepare(settings)
    _run(DevServer(found, settings).run)


@app.command("settings")
def settings_page() -> None:
    """Prints the reference of all settings, in Markdown."""
    sys.stdout.write(markdown())


def _prepare(settings: Settings) -> None:
    from restate_runtime.telemetry.logging import configure_logging

    configure_logging(settings.log_format, settings.log_level)


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs to the end on the fastest loop there is; what goes wrong is one line and exit code 1."""
    collect_less()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (RestateError, OSError) as error:
        show_error(str(error))
        raise typer.Exit(1) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    with contextlib.suppress(ImportError):
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return None


def main() -> None:
    """Entry point of restate-runtime."""
    prefer_pollers(os.environ)  # before anything imports gRPC, which reads it then
    app()


if __name__ == "__main__":
    main()
