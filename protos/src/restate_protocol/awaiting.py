"""What a blocked handler waits for, as a value: its bytes, and whether given results settle it.

The SDK sends the tree when it suspends; the runtime starts another attempt once the tree is settled. Both sides
use `settled`, so they cannot disagree.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

from .errors import FrameError
from .gen.restate.protocol.v1 import journal_pb as pb
from .immutable import immutable
from .journal import Failure, Result


class Combinator(enum.IntEnum):
    """When a group is settled."""

    FIRST_COMPLETED = 0
    ALL_COMPLETED = 1
    FIRST_SUCCEEDED_OR_ALL_FAILED = 2
    ALL_SUCCEEDED_OR_FIRST_FAILED = 3


@immutable
class OnCommand:
    """Leaf: the completion of command number `command`."""

    command: int


@immutable
class OnAwakeable:
    """Leaf: awakeable number `number`."""

    number: int


@immutable
class OnSignal:
    """Leaf: signal number `number` of this name, counted from 1 in the order in which they came."""

    name: str
    number: int = 1


Leaf: TypeAlias = OnCommand | OnAwakeable | OnSignal


@immutable
class Group:
    """Several of them, settled as the combinator says."""

    combinator: Combinator
    children: tuple[Leaf | Group, ...]


Awaiting: TypeAlias = Leaf | Group
Lookup: TypeAlias = Callable[[Leaf], Result | None]


def settled(tree: Awaiting, lookup: Lookup) -> bool:
    """Whether the results that `lookup` gives can decide the tree.

    In which order they came is not known here, and inside a nested race it can matter. Then the answer is yes: a
    handler woken early waits again for what is left of the tree, one woken late hangs.
    """
    return any(_possible(tree, lookup))


def _possible(tree: Awaiting, lookup: Lookup) -> tuple[bool, bool]:
    """Whether the tree can have succeeded, and whether it can have failed; neither while it is open."""
    if not isinstance(tree, Group):
        result = lookup(tree)
        return result is not None and not isinstance(result, Failure), isinstance(result, Failure)
    children = [_possible(child, lookup) for child in tree.children]
    succeeded, failed = [one[0] for one in children], [one[1] for one in children]
    match tree.combinator:
        case Combinator.FIRST_COMPLETED:
            return any(succeeded), any(failed)
        case Combinator.ALL_COMPLETED:
            return all(any(one) for one in children), False
        case Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED:
            return any(succeeded), all(failed)
        case Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED:
            return all(succeeded), any(failed)


def may_settle(tree: Awaiting, lookup: Lookup, hopeful: Callable[[Leaf], bool]) -> bool:
    """Whether an open tree can be settled at all, if of the leaves that have no result only the `hopeful` get one.

    What needs all of its children needs each to be hopeful, though a failure of one might settle it sooner.
    """
    if not isinstance(tree, Group):
        return lookup(tree) is not None or hopeful(tree)
    children = tree.children
    if tree.combinator is Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED:
        # What failed is no hope any more for what needs one success.
        children = tuple(one for one in children if isinstance(one, Group) or not isinstance(lookup(one), Failure))
    found = (may_settle(child, lookup, hopeful) for child in children)
    needs_all = tree.combinator in (Combinator.ALL_COMPLETED, Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED)
    return all(found) if needs_all else any(found)


def needs_success(tree: Awaiting) -> bool:
    """Whether failures alone can take the hope from the tree: some part of it waits for the first success."""
    if not isinstance(tree, Group):
        return False
    return tree.combinator is Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED or any(map(needs_success, tree.children))


def leaves(tree: Awaiting) -> list[Leaf]:
    """Every leaf of the tree, left to right."""
    if not isinstance(tree, Group):
        return [tree]
    return [leaf for child in tree.children for leaf in leaves(child)]


def to_pb(tree: Awaiting) -> pb.Await:
    """The stub of a tree; a lone leaf becomes a group of one."""
    group = tree if isinstance(tree, Group) else Group(Combinator.FIRST_COMPLETED, (tree,))
    children = group.children
    return pb.Await(
        combinator=pb.Await.Combinator(group.combinator),
        commands=[child.command for child in children if isinstance(child, OnCommand)],
        awakeables=[child.number for child in children if isinstance(child, OnAwakeable)],
        signals=[child.name for child in children if isinstance(child, OnSignal) and child.number == 1],
        later_signals=[
            pb.NumberedSignal(name=child.name, number=child.number)
            for child in children
            if isinstance(child, OnSignal) and child.number != 1
        ],
        children=[to_pb(child) for child in children if isinstance(child, Group)],
    )


def from_pb(message: pb.Await | None) -> Group:
    """The tree of a stub.

    Raises:
        FrameError: it waits for nothing, or for something this version does not know.
    """
    if message is None:
        raise FrameError("a suspension that awaits nothing")
    children: list[Leaf | Group] = [OnCommand(number) for number in message.commands]
    children += [OnAwakeable(number) for number in message.awakeables]
    children += [OnSignal(name) for name in message.signals]
    children += [OnSignal(one.name, one.number) for one in message.later_signals]
    children += [from_pb(child) for child in message.children]
    try:
        combinator = Combinator(int(message.combinator))
    except ValueError:
        raise FrameError(f"a combinator this version does not know: {int(message.combinator)}") from None
    if not children:
        raise FrameError("a suspension that awaits nothing")
    return Group(combinator, tuple(children))


def encode(tree: Awaiting) -> bytes:
    """The bytes of a tree, as stored with a suspended invocation."""
    return to_pb(tree).to_binary()


def decode(data: bytes) -> Group:
    """The tree in these bytes."""
    try:
        return from_pb(pb.Await.from_binary(data))
    except FrameError:
        raise
    except Exception as error:
        raise FrameError(f"not an await tree: {error}") from error
