"""One Python file in the making: lines, indentation, docstrings, and imports that never collide.

`use` imports a symbol and gives the name to write; a name that is taken gets a trailing underscore. The names a
file defines itself are claimed first, so they are never the ones to change. No formatter runs afterwards: what is
printed here is what users read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

LINE_LENGTH = 100
_INDENT = "    "
#: Builtins that generated code writes; whatever else is called like them makes way.
_BUILTINS = ("bool", "bytes", "dict", "float", "int", "list", "property", "str", "tuple", "type")


#: An argument as it is written, or the items of a tuple.
Item = str | list[str]


@dataclass(frozen=True, slots=True, order=True)
class Symbol:
    """Something a module defines.

    Args:
        module: absolute, or relative to the root of the output with a leading dot (`.shop.v1.cart_pb`).
        name: may be dotted for nested classes (`Cart.Item`).
    """

    module: str
    name: str


class Source:
    """A Python file.

    Args:
        module: its own module, relative to the root of the output (`.shop.v1.cart_restate`).
        header: comment lines at the top.
        doc: the module docstring.
    """

    def __init__(self, module: str, header: Sequence[str], doc: str) -> None:
        self.module = module
        self._header = list(header)
        self._doc = doc
        self._lines: list[str] = []
        self._depth = 0
        self._taken: set[str] = {"annotations", *_BUILTINS}
        self._members: set[str] = set()
        self._imported: dict[Symbol, str] = {}

    @property
    def path(self) -> str:
        """Where the file goes, relative to the root of the output."""
        return self.module.removeprefix(".").replace(".", "/") + ".py"

    def define(self, *names: str) -> None:
        """Takes names that this file defines. Do this first: imports make way for them."""
        self._taken.update(names)

    def members(self, *names: str) -> None:
        """Takes names that classes of this file use for their members, and so hide within them."""
        self._members.update(names)
        self._taken.update(names)

    def claim(self, name: str) -> str:
        """Takes a name, with underscores added where it is taken."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def builtin(self, name: str) -> str:
        """The name to write for a builtin: itself, unless a member hides it."""
        return self._import(Symbol("builtins", name)) if name in self._members else name

    def use(self, symbol: Symbol) -> str:
        """The name to write for a symbol of another module, which gets imported."""
        first, dot, rest = symbol.name.partition(".")
        return self._import(Symbol(symbol.module, first)) + dot + rest

    def line(self, text: str = "") -> None:
        """One line, indented."""
        self._lines.append(_INDENT * self._depth + text if text else "")

    def blank(self, count: int = 1) -> None:
        """At least this many empty lines."""
        while self._lines and any(self._lines[-count:]):
            self._lines.append("")

    def block(self, header: str) -> AbstractContextManager[None]:
        """A header line, and an indented block below it."""
        self.line(header)
        return self._indented()

    def call(self, head: str, arguments: Sequence[Item], brackets: str = "()") -> None:
        """`head(a, b)` on one line when it fits, else one argument a line. Lists among the arguments become tuples."""
        self._listed(head + brackets[0], arguments, brackets[1])

    def function(self, head: str, parameters: Sequence[str], result: str) -> AbstractContextManager[None]:
        """`head(a, b) -> result:` and an indented block below it."""
        self._listed(f"{head}(", parameters, f") -> {result}:")
        return self._indented()

    def _listed(self, head: str, items: Sequence[Item], tail: str) -> None:
        flat = f"{head}{', '.join(map(_flat, items))}{tail}"
        if len(flat) + self._depth * len(_INDENT) <= LINE_LENGTH:
            self.line(flat)
            return
        with self.block(head):
            for item in items:
                if isinstance(item, str):
                    self.line(f"{item},")
                else:
                    self._listed("(", item, ")," if len(item) != 1 else ",),")
        self.line(tail)

    @contextmanager
    def _indented(self) -> Iterator[None]:
        self._depth += 1
        yield
        self._depth -= 1

    def docstring(self, text: str) -> None:
        """A docstring; backslashes and quotes in the text do no harm."""
        for line in _quoted(text):
            self.line(line)

    def text(self) -> str:
        """The whole file."""
        lines = [*self._header, *_quoted(self._doc), "", "from __future__ import annotations", ""]
        lines += self._import_lines()
        if self._lines and self._lines[0].startswith(("class ", "def ", "@")):
            lines.append("")
        return "\n".join([*lines, *self._lines]).rstrip("\n") + "\n"

    def _import(self, symbol: Symbol) -> str:
        known = self._imported.get(symbol)
        if known is None:
            known = self._imported[symbol] = self.claim(symbol.name)
        return known

    def _import_lines(self) -> list[str]:
        by_module: dict[str, list[str]] = {}
        for symbol, local in sorted(self._imported.items()):
            written = symbol.name if local == symbol.name else f"{symbol.name} as {local}"
            by_module.setdefault(self.relative(symbol.module), []).append(written)
        lines: list[str] = []
        for group in _groups(by_module):
            lines += [line for module in group for line in from_import(module, by_module[module])]
            lines.append("")
        return lines

    def relative(self, module: str) -> str:
        """How this file writes another module of the output; absolute modules stay."""
        if not module.startswith("."):
            return module
        here = self.module.removeprefix(".").split(".")[:-1]
        there = module.removeprefix(".").split(".")
        shared = 0
        while shared < min(len(here), len(there) - 1) and here[shared] == there[shared]:
            shared += 1
        return "." * (len(here) - shared + 1) + ".".join(there[shared:])


def _flat(item: Item) -> str:
    if isinstance(item, str):
        return item
    return f"({', '.join(item)}{',' if len(item) == 1 else ''})"


def from_import(module: str, names: Sequence[str]) -> list[str]:
    """`from module import a, b`, in several lines where it would be too long."""
    flat = f"from {module} import {', '.join(names)}"
    if len(flat) <= LINE_LENGTH:
        return [flat]
    return [f"from {module} import (", *(f"{_INDENT}{name}," for name in names), ")"]


def _groups(modules: dict[str, list[str]]) -> Iterator[list[str]]:
    """Standard library, others, relative ones: in this order, each sorted."""
    standard = [one for one in modules if one.partition(".")[0] in sys.stdlib_module_names]
    relative = [one for one in modules if one.startswith(".")]
    others = [one for one in modules if one not in standard and one not in relative]
    for group in (sorted(standard), sorted(others), sorted(relative, key=_farthest_first)):
        if group:
            yield group


def _farthest_first(module: str) -> tuple[int, str]:
    dots = len(module) - len(module.lstrip("."))
    return -dots, module


def _quoted(text: str) -> list[str]:
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if "\n" in escaped:
        return [*f'"""{escaped}'.split("\n"), '"""']
    return [f'"""{escaped[:-1]}\\""""' if escaped.endswith('"') else f'"""{escaped}"""']
