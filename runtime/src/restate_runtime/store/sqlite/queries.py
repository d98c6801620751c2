"""The statements of queries.sql by name, and the migrations in order. No SQL of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_HEADING = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries() -> Mapping[str, str]:
    """Every statement by name. `{name}` in one stands for the text of another."""
    text = files(__package__).joinpath("queries.sql").read_text("utf-8")
    _, *found = _HEADING.split(text)
    named = {name: _without_comments(body) for name, body in zip(found[::2], found[1::2], strict=True)}
    return MappingProxyType({name: body.replace("{record}", named["record"]) for name, body in named.items()})


@cache
def migrations() -> tuple[str, ...]:
    """The scripts that bring a file from version n to n + 1, for every n from 0."""
    folder = files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    numbers = [int(name.split("_")[0]) for name in names]
    if numbers != list(range(1, len(names) + 1)):
        raise AssertionError(f"migrations are not numbered from 1 without a gap: {names}")
    return tuple(folder.joinpath(name).read_text("utf-8") for name in names)


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip()
