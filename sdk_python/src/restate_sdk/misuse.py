"""What MisuseError says: what was used where replay could not repeat it, why, and the call to use instead."""

from __future__ import annotations

_INSTEAD = (
    "Use `restate_sdk.gather`, `select`, `race` and `as_completed` to wait for several durable futures,"
    " `restate_sdk.timeout` for time limits, ctx.sleep to wait, and ctx.run for everything else"
)

IN_A_TASK = (
    "the context or one of its futures was used in a callback, or in a task that this handler did not make, where the"
    f" order of steps would differ on replay. {_INSTEAD}"
)
IN_A_THREAD = f"the context or one of its futures was used in a thread. {_INSTEAD}"
IN_A_RUN = (
    "the context was used inside a ctx.run function. A run is one step: do everything else before or after it, in the"
    " handler itself"
)
CANCELLED = (
    "a wait for a durable future was cancelled by something else than the handler's own steps (a timer, a thread),"
    f" which would differ on replay. {_INSTEAD}"
)
WOKEN = (
    "a task of the handler went on while its others wait, and no durable result was the reason (I/O, a timer or a"
    f" thread was), so that the order of steps would differ on replay. {_INSTEAD}"
)
AS_COMPLETED = (
    "asyncio.as_completed was given coroutines, which it starts in an order that differs from process to process. Use"
    " `restate_sdk.as_completed` with durable futures, or give it tasks of asyncio.create_task"
)
TWO_INVOCATIONS = (
    "a context or a future of another invocation was used: those of one invocation belong to its handler alone. Pass"
    " values instead"
)


def shared_write(what: str) -> str:
    """A write of state in a handler that only reads."""
    return (
        f"{what} was called in a shared handler, which runs beside others of its key and only reads state. Write in an"
        " exclusive handler, or in a workflow's run handler, and call or send to it from here"
    )


def timer(what: str) -> str:
    """A timer of asyncio around steps of the handler."""
    return (
        f"{what} has a time limit that is not durable: it starts again with each attempt, and would fire at another"
        " step on replay. Use `restate_sdk.timeout(future, timedelta(...))` around durable futures, and"
        " ctx.run(..., timeout=...) or a timeout inside the function for one step"
    )


def beside(what: str) -> str:
    """A task in a timer or a thread, while others wait for durable futures."""
    return (
        f"a task of the handler is in {what} while others wait for durable futures: which goes on first would differ"
        " on replay. Use ctx.sleep to wait, and ctx.run for everything else"
    )


def future(method: str) -> str:
    """A durable future where asyncio wants one of its own."""
    return (
        f"a durable future was used as a future of asyncio (.{method}), as asyncio.wait does. Use"
        " `restate_sdk.select`, `race`, `as_completed` or `gather`, or give asyncio tasks that await it"
    )


def value(what: str, given: object, wanted: str, why: object) -> str:
    """A value that an operation cannot write. The same code would give it again."""
    return (
        f"{what} was given a {type(given).__name__}, which cannot be journaled: it takes {wanted} ({why}). Give it such"
        " a value, then resume the invocation"
    )


def response(handler: str, given: object, wanted: str, why: object = None) -> str:
    """A handler that did not return its response."""
    because = "" if why is None else f", which cannot be encoded ({why})"
    return (
        f"{handler} must return a {wanted}, and returned {type(given).__name__}{because}. Return a {wanted}, then"
        " resume the invocation"
    )
