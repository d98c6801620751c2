"""Results on their way to the handler: taken strictly in the journal's order, one at a time, and no further than asked.

Invariant: what was shown, and in which order, depends only on the order in which results came and on what the handler
waited for. So a replay of the same journal shows the same.
"""

from __future__ import annotations

from collections import deque

from restate_protocol.awaiting import Combinator, OnSignal
from restate_protocol.journal import Cancelled, Completion, Failure, Notification, Result, Signal

from .awaiting import Deadline, Group, Handle, Results, Seen, Tree, leaves, settlement

_ALL = (Combinator.ALL_COMPLETED, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)


class ResultQueue:
    """Results that came, and those of them that the handler was shown.

    A cancellation waits in the same queue: it is taken in its turn, and ends the wait that takes it.
    """

    __slots__ = (
        "_arrived",
        "_group",
        "_open_leaves",
        "_pending",
        "_place",
        "_seen",
        "cancellation",
        "cancellations",
        "taken",
    )

    def __init__(self) -> None:
        self._pending: deque[tuple[Handle | None, Result]] = deque()  # None: a cancellation
        self._seen: dict[Handle, Seen] = {}
        self._place = 0
        self._group: Group | None = None
        self._open_leaves: set[Handle] = set()
        self._arrived: dict[str, int] = {}
        self.cancellation: Failure | None = None  # the one that ended the last poll
        self.cancellations = 0  # those that came and were not taken yet
        self.taken = 0  # how many results and cancellations were taken in their turn

    @property
    def seen(self) -> Results:
        """What the handler was shown."""
        return self._seen

    def pending(self) -> frozenset[Handle]:
        """Handles whose results came and were not shown yet."""
        return frozenset(handle for handle, _ in self._pending if handle is not None)

    def take(self, notification: Notification) -> None:
        """A notification came."""
        match notification:
            case Completion():
                self.add(notification.command, notification.result)
            case Signal(target=int() as number):
                self.add(-number, notification.result)
            case Signal(target=str() as name):
                self._arrived[name] = number = self._arrived.get(name, 0) + 1
                self.add(OnSignal(name, number), notification.result)
            case Cancelled():
                self.cancellations += 1
                self._pending.append((None, Failure(notification.code, notification.message)))
            case _:
                pass

    def take_cancellation(self) -> Failure | None:
        """The cancellation that ended the last poll, if one did."""
        found, self.cancellation = self.cancellation, None
        return found

    def put_back_cancellation(self) -> bool:
        """Leaves the cancellation that ended the last poll to the next one. Whether there was one."""
        cancellation = self.take_cancellation()
        if cancellation is None:
            return False
        self.cancellations += 1
        self.taken -= 1
        self._pending.appendleft((None, cancellation))
        return True

    def add(self, handle: Handle, result: Result) -> None:
        """A result came; it is shown when its turn comes."""
        self._pending.append((handle, result))

    def coming(self, handle: Handle) -> Result | None:
        """The result of a handle that came and was not shown yet."""
        return next((result for one, result in self._pending if one == handle), None)

    def show(self, handle: Handle, result: Result) -> None:
        """A result that the handler sees at once."""
        self._place += 1
        self._seen[handle] = Seen(self._place, result)

    def poll(self, tree: Tree) -> bool:
        """Shows results in order until the tree is settled. Whether it is; not so where a cancellation came first."""
        if type(tree) is not int:  # nearly all are commands
            if isinstance(tree, Group):
                return self._poll_group(tree)
            if isinstance(tree, Deadline):
                tree = tree.timer
        seen = self._seen
        while tree not in seen:
            if not self._pending or self._show_next() is None:
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

    def _decides(self, group: Group, handle: Handle) -> bool:
        """Whether the group is settled now that this leaf is. Most fan-outs need no look at every leaf."""
        self._open_leaves.discard(handle)
        if self._open_leaves and group.combinator in _ALL and self._is_flat_success(group, handle):
            return False
        return settlement(group, self._seen) is not None

    def _is_flat_success(self, group: Group, handle: Handle) -> bool:
        return handle in group.children and not isinstance(self._seen[handle].result, Failure)

    def _show_next(self) -> Handle | None:
        """Shows the next result, None where there is none. A second one of the same handle changes nothing."""
        if not self._pending:
            return None
        handle, result = self._pending.popleft()
        self.taken += 1
        if handle is None:
            assert isinstance(result, Failure)
            self.cancellation = result
            self.cancellations -= 1
            self._group = None
            return None
        if handle not in self._seen:
            self.show(handle, result)
        return handle
