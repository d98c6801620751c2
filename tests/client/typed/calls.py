# ruff: noqa: PGH003 - the checkers name their errors differently
"""What type checkers must see in calls through generated clients. Never run; `test_typing.py` checks it.

Each `# type: ignore` marks a mistake that must be an error: an unused one fails the check.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar, assert_type

import restate_client
from restate_client.connection import Connection
from restate_client.handles import BlockingHandle, BlockingSendHandle, Handle, KnownInvocation, SendHandle
from restate_client.retry import RetryPolicy
from restate_client.stub import Client, Method
from restate_client.sync import BlockingConnection
from restate_protocol.callers import Caller, ContextCaller
from restate_protocol.futures import CallFuture, DurableFuture
from restate_protocol.handles import InvocationHandle
from restate_protocol.services import HandlerDescriptor, HandlerMode


class Question:
    pass


class Answer:
    pass


C = TypeVar("C", bound=Caller)

_ASK = HandlerDescriptor("quiz.v1.Quiz", "Ask", "ask", HandlerMode.SERVICE, Question, Answer)


class QuizClient(Client[C], Generic[C]):
    @property
    def ask(self) -> Method[C, Question, Answer]:
        return self._method(_ASK)


class AContext(ContextCaller):
    """Stands for a generated context: a subclass of the tag."""


async def in_a_handler(ctx: AContext, tag: ContextCaller) -> None:
    assert_type(QuizClient(ctx).ask(Question()), CallFuture[Answer])
    assert_type(QuizClient(tag).ask(Question()), CallFuture[Answer])
    assert_type(await QuizClient(ctx).ask(Question(), idempotency_key="1", headers={"x-a": "b"}), Answer)
    sent = QuizClient(ctx).ask.send(Question(), delay=timedelta(minutes=1))
    assert_type(sent, DurableFuture[InvocationHandle[Answer]])
    assert_type((await sent).invocation_id, str)
    assert_type(QuizClient(ctx).ask.handle("inv_1"), InvocationHandle[Answer])
    assert_type(QuizClient(ctx).ask.handle(key=7, idempotency_key="1"), InvocationHandle[Answer])
    assert_type(await QuizClient(ctx).ask.handle("inv_1").attach(), Answer)
    QuizClient(ctx).ask.handle("inv_1", key="k")  # type: ignore
    QuizClient(ctx).ask(Question(), timeout=timedelta(seconds=1))  # type: ignore
    QuizClient(ctx).ask(Answer())  # type: ignore
    QuizClient(ctx).ask.send(Answer())  # type: ignore
    QuizClient(ctx).ask(request=Question())  # type: ignore


async def on_a_connection(connection: Connection) -> None:
    coroutine: Coroutine[Any, Any, Answer] = QuizClient(connection).ask(Question())
    assert_type(await coroutine, Answer)
    assert_type(await QuizClient(connection).ask(Question(), timeout=timedelta(seconds=1)), Answer)
    handle = await QuizClient(connection).ask.send(Question(), idempotency_key="1")
    assert_type(handle, SendHandle[Answer])
    assert_type(handle.invocation_id, str)
    assert_type(await handle.attach(), Answer)
    assert_type(await handle.output(), Answer | None)
    other = QuizClient(connection).ask.handle("inv_1")
    assert_type(other, Handle[Answer])
    assert_type(other.invocation_id, str | None)
    assert_type(QuizClient(connection).ask.handle(key="k"), Handle[Answer])
    assert_type(QuizClient(connection).ask.handle(idempotency_key="1"), Handle[Answer])
    assert_type(await other.attach(timeout=timedelta(seconds=1)), Answer)
    assert_type(await other.output(), Answer | None)
    assert_type(await other.lookup(), KnownInvocation)
    assert_type(await handle.lookup(), KnownInvocation)
    await other.reject_signal("approve", "no")
    await other.reject_signal("approve")  # type: ignore
    QuizClient(connection).ask.handle(1)  # type: ignore
    QuizClient(connection).ask.handle("inv_1", idempotency_key="1")  # type: ignore
    await handle.cancel()
    await handle.signal("approve", Answer(), timeout=timedelta(seconds=1))
    await handle.signal(Answer())  # type: ignore
    QuizClient(connection).ask("no message")  # type: ignore
    QuizClient(connection).ask.send("no message")  # type: ignore
    QuizClient(connection).ask(Question(), delay=timedelta(seconds=1))  # type: ignore


def on_a_blocking_connection(connection: BlockingConnection) -> None:
    assert_type(QuizClient(connection).ask(Question()), Answer)
    handle = QuizClient(connection).ask.send(Question(), delay=timedelta(minutes=1))
    assert_type(handle, BlockingSendHandle[Answer])
    assert_type(handle.invocation_id, str)
    other = QuizClient(connection).ask.handle(key="k", idempotency_key="1")
    assert_type(other, BlockingHandle[Answer])
    assert_type(QuizClient(connection).ask.handle("inv_1"), BlockingHandle[Answer])
    assert_type(other.attach(), Answer)
    assert_type(other.output(), Answer | None)
    assert_type(other.lookup(), KnownInvocation)
    other.reject_signal("approve", "no")
    QuizClient(connection).ask.handle(1)  # type: ignore
    assert_type(handle.attach(), Answer)
    assert_type(handle.output(), Answer | None)
    handle.cancel()
    handle.signal("approve", {"by": "ada"})
    handle.signal(Answer())  # type: ignore
    QuizClient(connection).ask(Answer())  # type: ignore
    QuizClient(connection).ask.send(Answer())  # type: ignore


async def options() -> None:
    assert_type(restate_client.connect("host", retry=None, timeout=timedelta(seconds=1), session=False), Connection)
    assert_type(
        restate_client.sync.connect("host", retry=RetryPolicy(max_attempts=3), keepalive=None), BlockingConnection
    )
    restate_client.sync.connect("host", session=False)  # type: ignore
    restate_client.connect("host", timeout=5)  # type: ignore
    restate_client.connect("host", retry=3)  # type: ignore


def on_nothing() -> None:
    QuizClient("localhost:8080")  # type: ignore
