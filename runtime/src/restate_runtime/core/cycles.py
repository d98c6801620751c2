"""Wait cycles: invocations that are suspended on calls, which wait for a key that one of them holds.

None of them would ever go on, so the youngest of the calls that wait for a key in the cycle ends with ABORTED, which
names the cycle. A handler that calls itself on its own key is the smallest one.

Only a suspension can close a cycle: until then somebody in it still runs. So it is looked for there, and only where
the invocation is waited for and some invocation waits for a key. (One that waits for a first success can lose its last
hope while it is suspended: it is woken by failures, and looked at when it suspends again.)

Invariant: what may still go on by itself (what runs, is scheduled, paused, or waits for anything but calls) is never
part of a cycle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from restate_protocol import awaiting as aw
from restate_protocol import ids
from restate_protocol import journal as j
from restate_protocol.services import HandlerMode
from restate_protocol.status import StatusCode

from .completion import complete, complete_command
from .records import Status
from .turn import Turn, key_of
from .world import Hot, World


@dataclass(slots=True)
class _Graph:
    """Who waits for whom, as far as one invocation can reach.

    Args:
        trees: the suspended ones, and what they await.
        calls: of each suspended one: whom the commands that it awaits wait for.
        holders: of each one that waits for a key: who holds it.
        unknown: ids that must be in memory to know more.
    """

    trees: dict[bytes, tuple[Hot, aw.Awaiting]] = field(default_factory=dict)
    calls: dict[bytes, dict[int, bytes]] = field(default_factory=dict)
    holders: dict[bytes, bytes] = field(default_factory=dict)
    unknown: list[bytes] = field(default_factory=list)

    def next_of(self, one: bytes) -> Iterable[bytes]:
        """Whom an invocation waits for."""
        holder = self.holders.get(one)
        return self.calls.get(one, {}).values() if holder is None else (holder,)


def needed(world: World, hot: Hot, tree: aw.Awaiting) -> tuple[list[bytes], list[bytes]]:
    """What must be in memory before `hot` suspends on `tree`.

    Returns:
        ids that are needed to see whether there is a cycle, and invocations that may end because of it.
    """
    if not _concerned(world, hot):
        return [], []
    graph = _explore(world, hot, tree)
    return graph.unknown, list(graph.holders)


def break_all(turn: Turn, hot: Hot) -> None:
    """Ends a call of each cycle that this suspension closed."""
    while hot.record.status is Status.SUSPENDED and _concerned(turn.world, hot):
        cycle = _find(turn.world, hot)
        if cycle is None:
            return
        _break(turn, cycle)


def _concerned(world: World, hot: Hot) -> bool:
    """Whether anybody may wait for this invocation, and anybody for a key or for one that others wait for too."""
    if not world.queued and not hot.waiters and not any(isinstance(one, j.Attach) for one in hot.open.values()):
        return False
    record = hot.record
    if record.reply or hot.waiters:
        return True
    return record.mode is HandlerMode.EXCLUSIVE and len(world.queues.get(key_of(record), ())) > 1


def _explore(world: World, hot: Hot, tree: aw.Awaiting) -> _Graph:
    graph = _Graph()
    _suspended(graph, hot, tree)
    seen = {hot.record.id}
    left = list(graph.next_of(hot.record.id))
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        reached = world.invocations.get(one)
        if reached is None:
            if one not in world.absent:
                graph.unknown.append(one)
        elif reached.record.status is Status.QUEUED:
            graph.holders[one] = world.queues[key_of(reached.record)][0]
        elif reached.record.status is Status.SUSPENDED and reached.record.awaiting is not None:
            _suspended(graph, reached, aw.decode(reached.record.awaiting))
        left.extend(graph.next_of(one))
    return graph


def _suspended(graph: _Graph, hot: Hot, tree: aw.Awaiting) -> None:
    graph.trees[hot.record.id] = hot, tree
    calls: dict[int, bytes] = {}
    for leaf in aw.leaves(tree):
        command = hot.open.get(leaf.command) if isinstance(leaf, aw.OnCommand) else None
        if isinstance(command, j.Call | j.Attach) and isinstance(leaf, aw.OnCommand):
            calls[leaf.command] = command.invocation_id
    graph.calls[hot.record.id] = calls


def _find(world: World, hot: Hot) -> list[Hot] | None:
    """A cycle through this suspended invocation, from it on; None where there is none."""
    if hot.record.awaiting is None:
        return None
    graph = _explore(world, hot, aw.decode(hot.record.awaiting))
    stuck = _stuck(graph)
    begin = hot.record.id
    came_from: dict[bytes, bytes] = {}
    left = [begin] if begin in stuck else []
    while left:
        one = left.pop(0)
        for following in graph.next_of(one):
            if following == begin:
                return _path(world, came_from, begin, one)
            if following in stuck and following not in came_from:
                came_from[following] = one
                left.append(following)
    return None


def _path(world: World, came_from: dict[bytes, bytes], begin: bytes, end: bytes) -> list[Hot]:
    found = [end]
    while found[-1] != begin:
        found.append(came_from[found[-1]])
    return [world.invocations[one] for one in reversed(found)]


def _stuck(graph: _Graph) -> set[bytes]:
    """Those who can only go on if another of them does first."""
    stuck = {*graph.trees, *graph.holders}
    while True:
        free = {one for one in stuck if _may_go_on(graph, stuck, one)}
        if not free:
            return stuck
        stuck -= free


def _may_go_on(graph: _Graph, stuck: set[bytes], one: bytes) -> bool:
    holder = graph.holders.get(one)
    if holder is not None:
        return holder not in stuck
    calls = graph.calls[one]

    def hopeful(leaf: aw.Leaf) -> bool:
        callee = calls.get(leaf.command) if isinstance(leaf, aw.OnCommand) else None
        return callee is None or callee not in stuck

    hot, tree = graph.trees[one]
    return aw.may_settle(tree, hot.lookup, hopeful)


def _break(turn: Turn, cycle: list[Hot]) -> None:
    queued = [index for index, one in enumerate(cycle) if one.record.status is Status.QUEUED]
    index = max(queued, key=lambda index: cycle[index].record.queue_seq or 0, default=1 % len(cycle))
    victim, waiter = cycle[index], cycle[index - 1]
    names = " -> ".join(_name(one) for one in [waiter, *cycle[index:], *cycle[:index]])
    failure = j.Failure(StatusCode.ABORTED, f"a wait cycle, in which each waits for the next: {names}")
    own = victim.record.reply and victim.record.parent_id == waiter.record.id
    if own and victim.record.status is Status.QUEUED:
        complete(turn, victim, failure)
        return
    # It belongs to somebody else, or runs already: it goes on, and only the one who waits for it is told.
    for command, entry in list(waiter.open.items()):
        if isinstance(entry, j.Call | j.Attach) and entry.invocation_id == victim.record.id:
            complete_command(turn, waiter.record.id, command, failure)


def _name(hot: Hot) -> str:
    record = hot.record
    key = "" if record.key is None else f" of {record.key!r}"
    waits = ", which waits for its key" if record.status is Status.QUEUED else ""
    return f"{ids.invocation_id_text(record.id)} ({record.service}/{record.handler}{key}{waits})"
