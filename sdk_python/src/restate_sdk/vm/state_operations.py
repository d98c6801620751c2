"""Operations on state: read from what the attempt knows, written through to it and to the journal."""

from __future__ import annotations

from typing import Any

from restate_protocol import journal
from restate_protocol.gen.restate.protocol.v1 import journal_pb
from restate_protocol.journal import Value

from .commands import Commands


class StateOperations(Commands):
    """State entries of the object or workflow."""

    __slots__ = ()

    def sys_get_state(self, number: int) -> int:
        """A state entry: Value, or Void where there is none. Settled at once, or by a completion if it is fetched."""
        self.check_open()
        if self._recording.left:
            recorded = self._replayed(journal.GetState(number))
            saw = recorded.result if isinstance(recorded, journal.GetState) else None
            handle = self._next - 1
        else:
            saw = self._state.get(number)
            handle = self._issue(journal.GetState(number, saw))
        if saw is not None:
            self._results.show(handle, saw)
        return handle

    def sys_set_state(self, number: int, value: bytes, message: type[Any] | None = None) -> None:
        """Sets a state entry."""
        self._check_size(value, f"state field {number}")
        known = self._recording.left and not self._state.lacks_replayed
        self._issue(journal.SetState(number, value), message)
        if not known:
            self._state.put(number, value)

    def sys_clear_state(self, number: int) -> None:
        """Removes a state entry."""
        known = self._recording.left and not self._state.lacks_replayed
        self._issue(journal.ClearState(number))
        if not known:
            self._state.put(number, None)

    def sys_clear_all_state(self) -> None:
        """Removes every state entry."""
        known = self._recording.left and not self._state.lacks_replayed
        self._issue(journal.ClearAllState())
        if not known:
            self._state.clear()

    def sys_state_keys(self) -> int:
        """Numbers of the state entries there are, as a StateKeys message. Settled at once unless fetched."""
        self.check_open()
        if self._recording.left:
            recorded = self._replayed(journal.GetStateKeys())
            saw = recorded.numbers if isinstance(recorded, journal.GetStateKeys) else None
            handle = self._next - 1
        else:
            saw = self._state.numbers()
            handle = self._issue(journal.GetStateKeys(saw))
        if saw is not None:
            self._results.show(handle, Value(journal_pb.StateKeys(numbers=list(saw)).to_binary()))
        return handle
