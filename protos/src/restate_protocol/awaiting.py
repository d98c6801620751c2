"""What a blocked handler waits for, as a value: its bytes, and whether given results settle it.

The SDK sends the tree when it suspends; the runtime starts another attempt once the tree is settled. Both sides
use `settled`, so they cannot disagree.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from .errors import FrameError
from .gen.restate.protocol.v1 import journal_pb as pb
from .journal import Failure, Result


class Combinator(enum.IntEnum):
    """When a group is settled."""

    FIRST_COMPLETED = 0
    ALL_COMPLETED = 1
    FIRST_SUCCEEDED_OR_ALL_FAILED = 2
    ALL_SUCCEEDED_OR_FIRST_FAILED = 3


@dataclass(frozen=True, slots=True)
class OnCommand:
    """Leaf: the completion of command number `command`."""

    command: int


@dataclass(frozen=True, slots=True)
class OnAwakeable:
    """Leaf: awakeable number `number`."""

    number: int


@dataclass(frozen=True, slots=True)
class OnSignal:
    """Leaf: the next signal of this name."""

    name: str


Leaf: TypeAlias = OnCommand | OnAwakeable | OnSignal


@dataclass(frozen=True, slots=True)
class Group:
    """Several of them, settled as the combinator says."""

    combinator: Combinator
    children: tuple[Leaf | Group, ...]


Awaiting: TypeAlias = Leaf | Group
Lookup: TypeAlias = Callable[[Leaf], Result | None]


def settled(tree: Awaiting, lookup: Lookup) -> bool:
    """Whether the results that `lookup` gives decide the tree."""
    return outcome(tree, lookup) is not None


def outcome(tree: Awaiting, lookup: Lookup) -> bool | None:
    """True or False once the tree has succeeded or failed, None while it is open."""
    if not isinstance(tree, Group):
        result = lookup(tree)
        return None if result is None else not isinstance(result, Failure)
    outcomes = [outcome(child, lookup) for child in tree.children]
    match tree.combinator:
        case Combinator.FIRST_COMPLETED:
            return next((one for one in outcomes if one is not None), None)
        case Combinator.ALL_COMPLETED:
            return None if None in outcomes else True
        case Combinator.FIRST_SUCCEEDED_OR_ALL_FAILED:
            return True if True in outcomes else (None if None in outcomes else False)
        case Combinator.ALL_SUCCEEDED_OR_FIRST_FAILED:
            return False if False in outcomes else (None if None in outcomes else True)


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
        signals=[child.name for child in children if isinstance(child, OnSignal)],
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
