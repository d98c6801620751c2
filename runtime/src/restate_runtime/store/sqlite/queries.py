"""The statements of queries.sql by name, and the migrations in order. No SQL of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEADING = re.compile(r"^-- (?:name: (\w+)|macro: (\w+)\(([\w, ]*)\))\n", re.MULTILINE)

_USE = re.compile(r"@(\w+)\(([^()@]*)\)")


@dataclass(frozen=True, slots=True)
class Macro:
    """A piece of SQL that many statements hold, with `{name}` where an argument goes."""

    parameters: tuple[str, ...]
    body: str

    def expand(self, arguments: str) -> str:
        """The text with these arguments, which are separated by commas."""
        return self.body.format(**dict(zip(self.parameters, _split(arguments), strict=True)))


@cache
def queries() -> Mapping[str, str]:
    """Every statement by name, macros expanded."""
    text = files(__package__).joinpath("queries.sql").read_text("utf-8")
    macros: dict[str, Macro] = {}
    named: dict[str, str] = {}
    _, *found = _HEADING.split(text)
    for name, macro, parameters, body in zip(found[::4], found[1::4], found[2::4], found[3::4], strict=True):
        if name:
            named[name] = _without_comments(body)
        else:
            macros[macro] = Macro(_split(parameters), _without_comments(body))
    return MappingProxyType({name: _expanded(body, macros) for name, body in named.items()})


@cache
def migrations() -> tuple[str, ...]:
    """The scripts that bring a file from version n to n + 1, for every n from 0."""
    folder = files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    numbers = [int(name.split("_")[0]) for name in names]
    if numbers != list(range(1, len(names) + 1)):
        raise AssertionError(f"migrations are not numbered from 1 without a gap: {names}")
    return tuple(folder.joinpath(name).read_text("utf-8") for name in names)


def _expanded(body: str, macros: Mapping[str, Macro]) -> str:
    """Innermost first, until none is left: macros may use others."""
    count = 1
    while count:
        body, count = _USE.subn(lambda use: macros[use[1]].expand(use[2]), body)
    return body


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip()
