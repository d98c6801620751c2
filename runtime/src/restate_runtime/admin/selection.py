"""Which invocations a batch is about: the ids it names, or what its filters find. Reads only."""

from __future__ import annotations

from restate_protocol.errors import TerminalError
from restate_protocol.gen.restate.admin.v1 import admin_pb as pb
from restate_protocol.status import StatusCode

from .reading import LIVE, Reading, Wanted

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000

_UNDER_WAY = ("scheduled", "queued", *LIVE, "suspended", "paused")
_COMPLETED = ("completed",)

#: For each verb, the statuses that it is for.
STATUSES = {
    pb.BatchInvocationsRequest.Verb.CANCEL: _UNDER_WAY,
    pb.BatchInvocationsRequest.Verb.KILL: _UNDER_WAY,
    pb.BatchInvocationsRequest.Verb.PAUSE: tuple(status for status in _UNDER_WAY if status != "paused"),
    pb.BatchInvocationsRequest.Verb.RESUME: ("paused", "backing-off"),
    pb.BatchInvocationsRequest.Verb.RESTART: _COMPLETED,
    pb.BatchInvocationsRequest.Verb.PURGE: _COMPLETED,
    pb.BatchInvocationsRequest.Verb.PURGE_JOURNAL: _COMPLETED,
}


class Selection:
    """Finds the invocations of batches."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def of(self, request: pb.BatchInvocationsRequest) -> list[str]:
        """inv_… of each, every one once: as named, or newest first.

        Raises:
            TerminalError: INVALID_ARGUMENT: neither ids nor filters, or both; no such status; too many.
        """
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_LIMIT:
            _refuse(f"limit is {limit}; give at most {MAX_LIMIT}, and ask again for the rest")
        filtered = bool(request.service or request.handler or request.status or request.has_field("key"))
        if request.ids:
            return _named(request, limit, filtered)
        if not filtered:
            _refuse("the batch is about nothing: give ids, or one of service, handler, key and status")
        return await self._found(request, limit)

    async def _found(self, request: pb.BatchInvocationsRequest, limit: int) -> list[str]:
        key = request.key if request.has_field("key") else None
        found: list[pb.Invocation] = []
        for status in (request.status,) if request.status else STATUSES[request.verb]:
            found += await self._reading.matching(Wanted(request.service, request.handler, key, status, limit))
        found.sort(key=lambda one: one.created_at_ms, reverse=True)
        # One that went on between two reads may be in both.
        return list(dict.fromkeys(one.id for one in found))[:limit]


def _named(request: pb.BatchInvocationsRequest, limit: int, filtered: bool) -> list[str]:
    if filtered:
        _refuse("the batch has ids and filters; give one or the other")
    texts = list(dict.fromkeys(request.ids))
    if len(texts) > limit:
        _refuse(f"the batch names {len(texts)} invocations, the limit is {limit}; raise it, or split the batch")
    return texts


def _refuse(message: str) -> None:
    raise TerminalError(message, code=StatusCode.INVALID_ARGUMENT)
