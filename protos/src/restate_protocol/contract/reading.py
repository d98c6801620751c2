"""One reading of a contract: the descriptors, the places of everything in the source, and the problems so far.

Rules live beside this module; they call `problem` and go on, so that all problems are told at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from protobuf import DescEnum, DescField, DescFile, DescMessage, DescMethod, DescService, Registry

from restate_protocol.gen.restate.v1.options_pb import ext_field, ext_handler, ext_service

from .model import DEFAULTS, Defaults
from .problems import Problem

Element = DescFile | DescService | DescMethod | DescMessage | DescField | DescEnum

#: Source paths of the three options, from the element that carries them.
SERVICE_OPTION = (3, ext_service.desc().number)
HANDLER_OPTION = (4, ext_handler.desc().number)
FIELD_OPTION = (8, ext_field.desc().number)

_NAME = (1,)


class _Named(Protocol):
    name: str


@dataclass(slots=True)
class Reading:
    """What rules see.

    Args:
        registry: everything in the descriptor set.
        files: names of the files that are the user's, as opposed to bundled or merely imported ones.
        defaults: what handlers have that neither they nor their services say.
        problems: what is wrong so far.
    """

    registry: Registry
    files: Collection[str]
    defaults: Defaults = DEFAULTS
    problems: list[Problem] = field(default_factory=list)
    _spans: dict[str, dict[tuple[int, ...], tuple[int, int]]] = field(default_factory=dict)

    def problem(self, element: Element, message: str, mend: str, *option: int) -> None:
        """Notes a problem at an element, or at one of its options when the source says where that is."""
        line, column = self._position(element, option)
        self.problems.append(Problem(file_of(element).name, line, column, message, mend))

    def is_users(self, element: Element) -> bool:
        """Whether the element is in one of the user's files."""
        return file_of(element).name in self.files

    def _position(self, element: Element, option: tuple[int, ...]) -> tuple[int, int]:
        spans = self._spans_of(file_of(element))
        path = path_of(element)
        for length in range(len(option), 0, -1):
            if found := _first_within(spans, path + option[:length]):
                return found
        return spans.get(path + _NAME) or spans.get(path) or (0, 0)

    def _spans_of(self, file: DescFile) -> dict[tuple[int, ...], tuple[int, int]]:
        known = self._spans.get(file.name)
        if known is None:
            known = self._spans[file.name] = _read_spans(file)
        return known


def file_of(element: Element) -> DescFile:
    """The file an element is defined in."""
    match element:
        case DescFile():
            return element
        case DescMethod() | DescField():
            return file_of(element.parent)
        case _:
            return element.file


def path_of(element: Element) -> tuple[int, ...]:
    """The path of an element in its file's SourceCodeInfo."""
    match element:
        case DescFile():
            return ()
        case DescService():
            return (6, _index(element.file.proto.service, element.name))
        case DescMethod():
            return (*path_of(element.parent), 2, _index(element.parent.proto.method, element.name))
        case DescField():
            return (*path_of(element.parent), 2, _index(element.parent.proto.field, element.name))
        case DescMessage(parent=None):
            return (4, _index(element.file.proto.message_type, element.name))
        case DescMessage(parent=DescMessage() as parent):
            return (*path_of(parent), 3, _index(parent.proto.nested_type, element.name))
        case DescEnum(parent=None):
            return (5, _index(element.file.proto.enum_type, element.name))
        case DescEnum(parent=DescMessage() as parent):
            return (*path_of(parent), 4, _index(parent.proto.enum_type, element.name))
    raise AssertionError(f"no path for {element!r}")


def _index(protos: Sequence[_Named], name: str) -> int:
    return next(index for index, proto in enumerate(protos) if proto.name == name)


def _first_within(spans: dict[tuple[int, ...], tuple[int, int]], path: tuple[int, ...]) -> tuple[int, int] | None:
    """Where the element of this path is, or else the first of what it contains."""
    inner = [span for one, span in spans.items() if one[: len(path)] == path]
    return spans.get(path) or min(inner, default=None)


def _read_spans(file: DescFile) -> dict[tuple[int, ...], tuple[int, int]]:
    """Path -> line and column from 1. Where a path occurs twice, the first place counts."""
    spans: dict[tuple[int, ...], tuple[int, int]] = {}
    info = file.proto.source_code_info
    for location in info.location if info is not None else ():
        spans.setdefault(tuple(location.path), (location.span[0] + 1, location.span[1] + 1))
    return spans
