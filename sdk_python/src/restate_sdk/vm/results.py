"""Results on their way to the handler: taken strictly in the journal's order, one at a time, and no further than asked.

Invariant: what was shown, and in which order, depends only on the order in which results came and on what the handler
waited for. So a replay of the same journal shows the same.
"""

from __future__ import annotations

from collections import deque

from restate_protocol.awaiting import Combinator
from restate_protocol.journal import Completion, Failure, Notification, Result, Signal

from .awaiting import Group, Results, Seen, Tree, leaves, settlement

_ALL = (Combinator.ALL_COMPLETED, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)


class ResultQueue:
    """Results that came, and those of them that the handler was shown."""

    __slots__ = ("_group", "_open_leaves", "_pending", "_place", "_seen")

    def __init__(self) -> None:
        self._pending: deque[tuple[int, Result]] = deque()
        self._seen: dict[int, Seen] = {}
        self._place = 0
        self._group: Group | None = None
        self._open_leaves: set[int] = set()

    @property
    def seen(self) -> Results:
        """What the handler was shown."""
        return self._seen

    def pending(self) -> frozenset[int]:
        """Handles whose results came and were not shown yet."""
        return frozenset(handle for handle, _ in self._pending)

    def take(self, notification: Notification) -> None:
        """A notification came."""
        match notification:
            case Completion():
                self.add(notification.command, notification.result)
            case Signal(target=int() as number):
                self.add(-number, notification.result)
            case Signal():
                pass  # a named signal: no operation of this version waits for one

    def add(self, handle: int, result: Result) -> None:
        """A result came; it is shown when its turn comes."""
        self._pending.append((handle, result))

    def show(self, handle: int, result: Result) -> None:
        """A result that the handler sees at once."""
        self._place += 1
        self._seen[handle] = Seen(self._place, result)

    def poll(self, tree: Tree) -> bool:
        """Shows results in order until the tree is settled. Whether it is."""
        if isinstance(tree, Group):
            return self._poll_group(tree)
        while tree not in self._seen:
            if self._show_next() is None:
                return False
        return True

    def _poll_group(self, group: Group) -> bool:
        if self._group is not group:
            if settlement(group, self._seen) is not None:
                return True
            self._group = group
            self._open_leaves = {leaf for leaf in leaves(group) if leaf not in self._seen}
        while (handle := self._show_next()) is not None:
            if handle in self._open_leaves and self._decides(group, handle):
                self._group = None
                return True
        return False

    def _decides(self, group: Group, handle: int) -> bool:
        """Whether the group is settled now that this leaf is. Most fan-outs need no look at every leaf."""
        self._open_leaves.discard(handle)
        if self._open_leaves and group.combinator in _ALL and self._is_flat_success(group, handle):
            return False
        return settlement(group, self._seen) is not None

    def _is_flat_success(self, group: Group, handle: int) -> bool:
        return handle in group.children and not isinstance(self._seen[handle].result, Failure)

    def _show_next(self) -> int | None:
        """Shows the next result. A second one of the same handle changes nothing."""
        if not self._pending:
            return None
        handle, result = self._pending.popleft()
        if handle not in self._seen:
            self.show(handle, result)
        return handle
