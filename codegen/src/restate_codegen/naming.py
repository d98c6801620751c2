"""From names in a contract to names in Python. Pure text.

One rule for keywords everywhere: a trailing underscore. Names on the wire are never touched.
"""

from __future__ import annotations

import keyword
import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_NOT_IDENTIFIER = re.compile(r"\W")


def identifier(name: str) -> str:
    """The name, with an underscore where it is a keyword (`class_`). `class_` itself becomes `class__`."""
    return f"{name}_" if keyword.iskeyword(name.rstrip("_")) else name


def snake_case(name: str) -> str:
    """AddTicket -> add_ticket, GetHTTPInfo -> get_http_info, Import -> import_."""
    return identifier(_words(name).lower())


def upper_case(name: str) -> str:
    """AddTicket -> ADD_TICKET."""
    return _words(name).upper()


def class_name(name: str) -> str:
    """The name as a class: as written, keywords (`None`) with an underscore."""
    return identifier(name)


def error_class_name(qualified_name: str) -> str:
    """SoldOut -> SoldOutError, ShopError -> ShopError, Cart.Full -> CartFullError.

    Args:
        qualified_name: the message's name without its package.
    """
    joined = qualified_name.replace(".", "")
    return joined if joined.endswith("Error") else f"{joined}Error"


def _words(name: str) -> str:
    """The words of a name, joined by underscores; those already there stay."""
    parts = (_WORD.findall(part) or [part] for part in _NOT_IDENTIFIER.sub("_", name).split("_"))
    return "_".join("_".join(words) for words in parts)
