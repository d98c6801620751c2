"""What a handler waits for, inside the machine: handles, groups of them, and when they settled.

A handle is the number of a command (0 and up), negative the number of an awakeable, or a numbered signal of a name.
Every result that the handler has seen carries its place in the order of results; that order alone decides races.
`to_protocol` gives the tree that the runtime keeps for a suspended invocation; it wakes the invocation whenever the
tree is settled, and too early rather than too late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from restate_protocol import awaiting as protocol
from restate_protocol.awaiting import Combinator, OnSignal
from restate_protocol.immutable import immutable
from restate_protocol.journal import Failure, Result

Handle: TypeAlias = int | OnSignal


@immutable
class Deadline:
    """A leaf that has failed once its timer is due: the timer of a timeout."""

    timer: int


@immutable
class Group:
    """Several trees, settled as the combinator says."""

    combinator: Combinator
    children: tuple[Tree, ...]


Tree: TypeAlias = Handle | Deadline | Group


@immutable
class Seen:
    """A result and its place in the order in which the handler saw results."""

    place: int
    result: Result


@immutable
class Settlement:
    """A tree is settled: since which place, and whether it succeeded."""

    place: int
    success: bool


Results: TypeAlias = Mapping[Handle, Seen]


def settlement(tree: Tree, seen: Results) -> Settlement | None:
    """When the tree settled, or None while it is open."""
    if not isinstance(tree, Group):
        if isinstance(tree, Deadline):
            due = seen.get(tree.timer)
            return None if due is None else Settlement(due.place, success=False)
        one = seen.get(tree)
        return None if one is None else Settlement(one.place, not isinstance(one.result, Failure))
    every = [settlement(child, seen) for child in tree.children]
    done = [one for one in every if one is not None]
    match tree.combinator:
        case Combinator.FIRST_COMPLETED:
            return _first(done)
        case Combinator.ALL_COMPLETED:
            return _last(done, len(every), success=True)
        case Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED:
            return _first([one for one in done if one.success]) or _last(done, len(every), success=False)
        case Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED:
            return _first([one for one in done if not one.success]) or _last(done, len(every), success=True)


def _first(done: list[Settlement]) -> Settlement | None:
    return min(done, key=lambda one: one.place, default=None)


def _last(done: list[Settlement], expected: int, *, success: bool) -> Settlement | None:
    if len(done) < expected:
        return None
    return Settlement(max((one.place for one in done), default=0), success)


def winner(tree: Group, seen: Results) -> int:
    """Index of the child that settled first; of several at one place, the leftmost."""
    places = [(one.place, index) for index, one in _settled_children(tree, seen)]
    return min(places)[1]


def first_failed(tree: Group, seen: Results) -> int | None:
    """Index of the child that failed first, or None where none failed."""
    return _first_index(tree, seen, success=False)


def first_succeeded(tree: Group, seen: Results) -> int | None:
    """Index of the child that succeeded first, or None where none did."""
    return _first_index(tree, seen, success=True)


def _first_index(tree: Group, seen: Results, *, success: bool) -> int | None:
    places = [(one.place, index) for index, one in _settled_children(tree, seen) if one.success is success]
    return min(places)[1] if places else None


def _settled_children(tree: Group, seen: Results) -> Iterator[tuple[int, Settlement]]:
    for index, child in enumerate(tree.children):
        one = settlement(child, seen)
        if one is not None:
            yield index, one


def open_part(tree: Tree, seen: Results) -> Tree:
    """An open tree without its settled children: they no longer decide anything."""
    if not isinstance(tree, Group):
        return tree
    kept = [child for child in tree.children if settlement(child, seen) is None]
    return Group(tree.combinator, tuple(open_part(child, seen) for child in kept))


def to_protocol(tree: Tree) -> protocol.Awaiting:
    """The tree as it travels in Suspended. It does not know deadlines: each that may decide wakes the invocation."""
    timers = tuple(dict.fromkeys(_hidden_timers(tree, first=True)))
    plain = _plain(tree)
    if not timers:
        return plain
    return protocol.Group(Combinator.FIRST_COMPLETED, (plain, *(protocol.OnCommand(timer) for timer in timers)))


def stable_hash(tree: Tree) -> int:
    """A hash that is the same in every process, unlike those of texts and enums."""
    match tree:
        case Group():
            return hash((int(tree.combinator), *map(stable_hash, tree.children)))
        case OnSignal():
            return hash((tree.number, *tree.name.encode()))
        case Deadline():
            return hash((tree.timer,))
        case _:
            return tree


def _plain(tree: Tree) -> protocol.Awaiting:
    match tree:
        case Group():
            return protocol.Group(tree.combinator, tuple(_plain(child) for child in tree.children))
        case OnSignal():
            return tree
        case Deadline():
            return protocol.OnCommand(tree.timer)
        case _:
            return protocol.OnCommand(tree) if tree >= 0 else protocol.OnAwakeable(-tree)


def _hidden_timers(tree: Tree, *, first: bool) -> Iterator[int]:
    """Timers of deadlines somewhere else than in a group, or groups of groups, that is settled with its first child."""
    if isinstance(tree, Deadline):
        if not first:
            yield tree.timer
    elif isinstance(tree, Group):
        first = first and tree.combinator is Combinator.FIRST_COMPLETED
        for child in tree.children:
            yield from _hidden_timers(child, first=first)


def leaves(tree: Tree) -> Iterator[Handle]:
    """Every handle of the tree, left to right."""
    if isinstance(tree, Group):
        for child in tree.children:
            yield from leaves(child)
    else:
        yield tree.timer if isinstance(tree, Deadline) else tree
