"""Comments of a contract, where its descriptors were stored with them."""

from __future__ import annotations

from restate_protocol.contract.reading import Element, file_of, path_of


def comment_of(element: Element) -> str:
    """The comment above an element, else the one behind it, else nothing."""
    info = file_of(element).proto.source_code_info
    if info is None:
        return ""
    path = list(path_of(element))
    for location in info.location:
        if location.path == path:
            lines = (location.leading_comments or location.trailing_comments).splitlines()
            return "\n".join(line.removeprefix(" ").rstrip() for line in lines).strip()
    return ""
