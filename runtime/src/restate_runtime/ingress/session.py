"""One stream of restate.ingress.v1.Ingress/Session: requests in, answers out. No socket, no gRPC.

A call, send or attach is an asker of the engine, without a task; the rest are tasks that run the Control. Of each
request there is one answer, which frees its credit, unless it is dropped. Before it, `accepted` tells the invocation
of a call or attach, if its result is not there ACCEPTED_AFTER_S after the invocation was durable: so a fast call costs
one answer, and who waits has the id soon. Invariant: an invocation goes on whatever becomes of its caller.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from protobuf import Oneof
from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.ingress.v1 import ingress_pb as pb
from restate_protocol.ids import invocation_id_text
from restate_protocol.immutable import immutable
from restate_protocol.journal import Result
from restate_protocol.status import StatusCode

from ..engine.api import Accepted, EngineApi
from . import session_answers
from .admission import Admission
from .answers import Answers
from .control import Control, attach_response, call_response, send_response
from .control_calls import Form, Metadata, call_of, send_of
from .control_targets import invocation_of
from .errors import Answer, Failed, Refused, answer_of
from .session_answers import Outbox
from .waiting import payload_of

#: How long a result may take before the caller is told of its invocation, in seconds.
ACCEPTED_AFTER_S = 0.02

#: The most asks in one message, or as many as there are credits where those are more: each is begun, or refused, before
#: anything else happens.
MAX_ASKS_IN_MESSAGE = 10_000

_log = structlog.get_logger(__name__)


@immutable
class SessionLimits:
    """What one stream may do.

    Args:
        credits: how many requests may wait for their answers at once.
        buffer_bytes: how many bytes of answers may wait to be written before no more requests are read.
    """

    credits: int = 1_000
    buffer_bytes: int = 8 * 1024 * 1024


DEFAULT_SESSION_LIMITS = SessionLimits()


class Alarm(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """It will not."""


class Timing(Protocol):
    """The part of an event loop that sessions use."""

    def time(self) -> float:
        """Seconds, from some moment on."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Alarm:
        """Calls after so many seconds."""


class BrokenSession(Exception):
    """The caller does what no answer can tell: the stream ends."""


class Ask:
    """A request that waits for its answer. Implements Asker."""

    __slots__ = ("alarm", "form", "invocation_id", "kind", "new", "number", "over", "release", "session")

    def __init__(self, session: Session, number: int, kind: str) -> None:
        self.session = session
        self.number = number
        self.kind = kind
        self.form: Form | None = None
        self.release: Callable[[], object] | None = None
        self.alarm: Alarm | None = None
        self.invocation_id: bytes | None = None
        self.new = False
        self.over = False

    # Asker

    def accepted(self, invocation_id: bytes, new: bool) -> None:
        self.invocation_id = invocation_id
        self.new = new
        if self.kind == "send":
            self.session.answer(self, Oneof("send", send_response(invocation_id, new)))
        else:
            self.session.tell_later(self)

    def done(self) -> None:
        raise AssertionError("only invocations are asked for")

    def resolved(self, result: Result) -> None:
        try:
            data = payload_of(result)
            message = self._response(data)
        except (Failed, Refused) as error:
            self.session.fail(self, error)
            return
        self.session.answer(self, Oneof(self.kind, message), len(data))

    def refused(self, error: TerminalError) -> None:
        self.session.fail(self, error)

    def dropped(self) -> None:
        """The session dropped it, and knows."""

    def _response(self, data: bytes) -> pb.CallResponse | pb.AttachResponse:
        assert self.invocation_id is not None, "a result follows its acceptance"
        if self.form is None:
            return attach_response(self.invocation_id, data)
        return call_response(self.form, self.invocation_id, self.new, data)


class _Caller:
    """The caller of the Control for one request."""

    __slots__ = ("_ask",)

    #: Nothing of the stream's own metadata goes with a request: its headers say all.
    metadata: Metadata = ()

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def accepted(self, accepted: Accepted) -> None:
        self._ask.accepted(accepted.invocation_id, accepted.new)


class Session:
    """See the module.

    Args:
        admission: the rules.
        engine: where calls go.
        control: does what is no call, send or attach.
        limits: what the stream may do.
        answers: counts.
        timing: the event loop, but for tests.
    """

    def __init__(
        self,
        admission: Admission,
        engine: EngineApi,
        control: Control,
        limits: SessionLimits,
        answers: Answers,
        timing: Timing,
    ) -> None:
        self.outbox = Outbox(limits.buffer_bytes)
        self.draining = False
        self._admission = admission
        self._engine = engine
        self._control = {path.rpartition("/")[2]: method for path, method in control.methods().items()}
        self._credits = limits.credits
        self._answers = answers
        self._timing = timing
        self._asks: dict[int, Ask] = {}
        self._last = 0
        self._untold: deque[tuple[float, Ask]] = deque()
        self._telling: Alarm | None = None

    def __len__(self) -> int:
        """How many requests wait for their answers."""
        return len(self._asks)

    def take(self, request: pb.SessionRequest) -> None:
        """Begins what is asked for.

        Raises:
            BrokenSession: an id is not larger than all before, or there are too many asks.
        """
        limit = max(MAX_ASKS_IN_MESSAGE, self._credits)
        if len(request.asks) > limit:
            raise BrokenSession(f"the message has {len(request.asks)} asks; at most {limit} are taken at once")
        for ask in request.asks:
            wanted = ask.request
            if wanted is not None and wanted.field == "drop":
                self._drop(ask.id)
                continue
            if ask.id <= self._last:
                message = f"the request has the id {ask.id}; ids begin at 1 and grow, and {self._last} was used"
                raise BrokenSession(message)
            self._last = ask.id
            self._begin(ask, wanted)

    def close(self) -> None:
        """The caller is gone: nobody waits any more."""
        asks, self._asks = self._asks, {}
        for ask in asks.values():
            self._let_go(ask)
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def drain(self) -> None:
        """Takes no more requests; those that wait may get their answers."""
        self.draining = True
        self.outbox.ready.set()

    def send_away(self) -> None:
        """Answers all that wait with UNAVAILABLE."""
        for ask in list(self._asks.values()):
            what = "it" if ask.invocation_id is None else invocation_id_text(ask.invocation_id)
            message = f"the runtime stops; {what} goes on after its restart if it was accepted: attach or ask again"
            release = ask.release
            self.fail(ask, Refused(StatusCode.UNAVAILABLE, message))
            if release is not None:
                release()

    # Begin

    def _begin(self, given: pb.SessionAsk, wanted: Oneof[Any, Any] | None) -> None:
        kind = "" if wanted is None else wanted.field
        ask = Ask(self, given.id, kind)
        problem = self._problem(given, wanted)
        self._asks[given.id] = ask
        if problem is not None:
            self._say_no(ask, problem)
            return
        assert wanted is not None
        if given.has_field("timeout_ms"):
            ask.alarm = self._timing.call_later(given.timeout_ms / 1_000, self._too_late, ask)
        try:
            self._start(ask, kind, wanted.value)
        except Exception as error:
            self.fail(ask, error)

    def _problem(self, given: pb.SessionAsk, wanted: Oneof[Any, Any] | None) -> Answer | None:
        """Why a request is not begun, if so."""
        if self.draining:
            message = "the runtime stops; nothing was started: ask again on another stream"
            return answer_of(Refused(StatusCode.UNAVAILABLE, message))
        if len(self._asks) >= self._credits:
            return session_answers.no_credit(self._credits)
        if wanted is None:
            message = "the ask has no request that this runtime knows"
            return answer_of(Refused(StatusCode.INVALID_ARGUMENT, message))
        if given.has_field("timeout_ms") and given.timeout_ms == 0:
            return answer_of(Refused(StatusCode.DEADLINE_EXCEEDED, "the timeout is 0; nothing was started"))
        return None

    def _start(self, ask: Ask, kind: str, request: Any) -> None:
        if kind == "call":
            asked = call_of(request, self._admission, ())
            ask.form = asked.form
            ask.release = self._engine.begin(asked.order.submission, ask, wait=True)
        elif kind == "send":
            submission = send_of(request, self._admission, ()).order.submission
            ask.release = self._engine.begin(submission, ask, wait=False)
        elif kind == "attach" and not request.json:
            ask.release = self._engine.begin_attach(invocation_of(request, self._admission), ask)
        else:
            method = self._control["".join(word.capitalize() for word in kind.split("_"))]
            task = asyncio.ensure_future(method.call(request, _Caller(ask)))
            ask.release = task.cancel
            task.add_done_callback(lambda task: self._ran(ask, task))

    def _ran(self, ask: Ask, task: asyncio.Future[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.fail(ask, error)
        else:
            message = task.result()
            self.answer(ask, Oneof(ask.kind, message), len(getattr(message, "payload", b"")))

    # End

    def answer(self, ask: Ask, message: Oneof[Any, Any], size: int = 0) -> None:
        """The answer to a request."""
        if self._end(ask):
            self._answers.ok += 1
            self.outbox.put(ask.number, message, size)

    def fail(self, ask: Ask, error: Exception) -> None:
        """An error is the answer."""
        if not isinstance(error, Refused | Failed | TerminalError):
            _log.error("a session failed", exc_info=error)
            error = Refused(StatusCode.INTERNAL, f"the runtime failed ({type(error).__name__}); its log says more")
        self._say_no(ask, answer_of(error))

    def _say_no(self, ask: Ask, answer: Answer) -> None:
        if self._end(ask):
            self._answers.note(answer)
            which = answer.invocation_id
            if ask.invocation_id is not None:
                which = invocation_id_text(ask.invocation_id)
            self.outbox.put(ask.number, *session_answers.error(answer, which))

    def _end(self, ask: Ask) -> bool:
        """Frees the credit; False where the request was over already."""
        if ask.over:
            return False
        ask.over = True
        ask.release = None
        self._asks.pop(ask.number, None)
        if ask.alarm is not None:
            ask.alarm.cancel()
        return True

    def _drop(self, number: int) -> None:
        ask = self._asks.pop(number, None)
        if ask is not None:
            self._let_go(ask)
            self.outbox.ready.set()

    def _too_late(self, ask: Ask) -> None:
        release = ask.release
        message = "the caller's timeout passed; what was accepted goes on"
        self.fail(ask, Refused(StatusCode.DEADLINE_EXCEEDED, message))
        if release is not None:
            release()

    def _let_go(self, ask: Ask) -> None:
        """Nobody waits for it any more."""
        release = ask.release
        self._end(ask)
        if release is not None:
            release()

    # Accepted

    def tell_later(self, ask: Ask) -> None:
        """The invocation is durable: its caller hears of it soon, unless the answer is there before."""
        if ask.over:
            return
        self._untold.append((self._timing.time() + ACCEPTED_AFTER_S, ask))
        if self._telling is None:
            self._telling = self._timing.call_later(ACCEPTED_AFTER_S, self._tell)

    def _tell(self) -> None:
        now = self._timing.time()
        untold = self._untold
        while untold and (untold[0][1].over or untold[0][0] <= now):
            ask = untold.popleft()[1]
            if not ask.over and ask.invocation_id is not None:
                self.outbox.put(ask.number, session_answers.accepted(ask.invocation_id, ask.new))
        self._telling = None
        if untold:
            self._telling = self._timing.call_later(untold[0][0] - now, self._tell)
