"""Options of handlers that a test sets for all of them, whatever the contract says. Changes no contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from restate_protocol.contract.model import Handler, RetryPolicy

from ..core.target import Resolve, Target


@dataclass(frozen=True, slots=True)
class Overrides:
    """What all handlers get. None: as the contract says.

    Args:
        inactivity_timeout: how long an attempt may be blocked before it suspends. 0: at every await, so that
            every await replays.
        abort_timeout: how long after that an attempt that does not suspend is ended.
        lazy_state: whether state is read on demand.
        retry: the policy of every handler whose contract has the default one.
    """

    inactivity_timeout: timedelta | None = None
    abort_timeout: timedelta | None = None
    lazy_state: bool | None = None
    retry: RetryPolicy | None = None

    def applied(self, handler: Handler) -> Handler:
        """The handler with what is overridden."""
        if self.inactivity_timeout is not None:
            handler = replace(handler, inactivity_ms=_ms(self.inactivity_timeout))
        if self.abort_timeout is not None:
            handler = replace(handler, abort_ms=_ms(self.abort_timeout))
        if self.lazy_state is not None:
            handler = replace(handler, lazy_state=self.lazy_state)
        if self.retry is not None and handler.retry == RetryPolicy():
            handler = replace(handler, retry=self.retry)
        return handler

    def resolving(self, resolve: Resolve) -> Resolve:
        """Resolves as `resolve` does, with what is overridden."""
        if self == Overrides():
            return resolve

        def overridden(service: str, handler: str, deployment_id: str | None) -> Target | None:
            target = resolve(service, handler, deployment_id)
            return None if target is None else replace(target, handler=self.applied(target.handler))

        return overridden


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
