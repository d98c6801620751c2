"""What all commands of restate-cli share: the way to the runtime, errors as lines and exit codes, common arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from protobuf import Message

from .admin_client import AdminClient, CliError, Res
from .output import show_error

P = ParamSpec("P")
T = TypeVar("T")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="inv_…")]

STATUSES = "scheduled, queued, ready, running, backing-off, suspended, paused or completed"


def explained(command: Callable[P, T]) -> Callable[P, T]:
    """Turns a CliError into lines on stderr and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except CliError as error:
            show_error(str(error), error.hint)
            raise typer.Exit(error.exit_code) from None

    return run


def call(context: typer.Context, method: str, request: Message[Any], response: type[Res]) -> Res:
    """Calls the admin API that the context names."""
    with AdminClient(context.obj) as client:
        return client.call(method, request, response)
