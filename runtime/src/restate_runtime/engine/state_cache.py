"""State of hot objects and workflows, so that starting a handler needs no read.

Invariant: what is cached for a key is what is committed. Only the start of an exclusive or run handler fills it,
because nobody else writes that key then; commits of others pass through `apply`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..core.decision import ClearState, PutState, Write
from ..core.world import Key

DEFAULT_KEYS_MAX = 10_000


class StateCache:
    """At most `keys_max` keys, the least recently started dropped first."""

    def __init__(self, keys_max: int = DEFAULT_KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._states: OrderedDict[Key, dict[int, bytes]] = OrderedDict()

    def get(self, key: Key) -> dict[int, bytes] | None:
        """The committed state of a key, if it is cached."""
        state = self._states.get(key)
        if state is not None:
            self._states.move_to_end(key)
        return state

    def fill(self, key: Key, state: dict[int, bytes]) -> None:
        """What the store has, read while nobody writes the key."""
        self._states[key] = state
        if len(self._states) > self._keys_max:
            self._states.popitem(last=False)

    def apply(self, writes: Iterable[Write]) -> None:
        """These writes were committed."""
        for write in writes:
            if isinstance(write, PutState):
                self._put(write)
            elif isinstance(write, ClearState):
                state = self._states.get((write.service, write.key))
                if state is not None:
                    state.clear()

    def drop(self, key: Key) -> None:
        """All state of the key was removed with its workflow."""
        self._states.pop(key, None)

    def _put(self, write: PutState) -> None:
        state = self._states.get((write.service, write.key))
        if state is None:
            return
        if write.value is None:
            state.pop(write.number, None)
        else:
            state[write.number] = write.value
