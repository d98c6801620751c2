"""Comments of a .proto, as text for docstrings."""

from __future__ import annotations

from protobuf import DescField, DescMessage, DescMethod, DescService
from protobuf.wkt.google.protobuf.descriptor_pb import SourceCodeInfo
from restate_protocol.contract.reading import file_of, path_of


def comment_of(element: DescService | DescMethod | DescMessage | DescField) -> str:
    """The comment above an element, else the one behind it, else nothing."""
    info = file_of(element).proto.source_code_info
    path = list(path_of(element))
    for location in info.location if info is not None else ():
        if location.path == path:
            return _clean(location)
    return ""


def _clean(location: SourceCodeInfo.Location) -> str:
    text = location.leading_comments or location.trailing_comments
    lines = [line.removeprefix(" ").rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip()
