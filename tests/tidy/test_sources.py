"""Rules for source files that no linter has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from .repository import ROOT, files, functions, name_of, text_of, tree_of

MAX_FILE_LINES = 700
MAX_FUNCTION_LINES = 70

_VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}
_MAY_SLEEP = ("tests/e2e/processes.py", "examples/")
_SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s(OR\s\w+\s)?INTO|UPDATE\s\w+\sSET|DELETE\sFROM|CREATE\sTABLE)\b", re.DOTALL
)
# Skips, with the reason, what needs tools that no registry gave; never in CI.
_MAY_SKIP = "tests/interop/conftest.py"
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b|pytest\.(mark\.)?(skip|xfail)\b")


def test_no_file_is_longer_than_one_reads() -> None:
    long = {name_of(path): len(text_of(path).splitlines()) for path in files(".py", ".proto", ".sql")}
    assert {name: lines for name, lines in long.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_one_reads() -> None:
    long = [
        f"{name_of(path)}:{one.lineno} {one.name} has {_length(one)} lines"
        for path in files(".py")
        for one in functions(path)
        if _length(one) > MAX_FUNCTION_LINES
    ]
    assert long == []


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_files_are_named_after_what_they_hold() -> None:
    assert [name_of(path) for path in files(".py", ".sql", ".proto") if path.stem in _VAGUE] == []


def test_modules_say_what_they_hold() -> None:
    silent = [
        name_of(path)
        for path in files(".py")
        if "/src/" in name_of(path) and tree_of(path).body and ast.get_docstring(tree_of(path)) is None
    ]
    assert silent == []


def test_tests_wait_for_events_and_never_for_time() -> None:
    sleepy = [
        f"{name_of(path)}:{line}"
        for path in files(".py")
        if name_of(path).startswith("tests/") and not name_of(path).startswith(_MAY_SLEEP)
        for line in _blocking_sleeps(path)
    ]
    assert sleepy == []


def _blocking_sleeps(path: Path) -> Iterator[int]:
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                yield node.lineno
            case ast.ImportFrom(module="time", names=names) if any(one.name == "sleep" for one in names):
                yield node.lineno


def test_sql_is_in_sql_files() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in files(".py")
        if name_of(path).startswith("runtime/")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value)
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    exempt = (name_of(Path(__file__)), _MAY_SKIP)
    left = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in files(".py", ".proto", ".sql", ".md")
        if name_of(path) not in exempt
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if _UNFINISHED.search(line)
    ]
    assert left == []


def test_the_licence_is_there_and_every_distribution_names_it() -> None:
    assert "Apache License" in text_of(ROOT / "LICENSE")
    manifests = [path for path in files(".toml") if path.name == "pyproject.toml" and path.parent != ROOT]
    assert len(manifests) >= 5
    assert [name_of(path) for path in manifests if 'license = "Apache-2.0"' not in text_of(path)] == []
