"""The table and the catalogue say the same, and every case of the catalogue is tested or says why not."""

from __future__ import annotations

import ast
from pathlib import Path

from .catalogue import CASES, NOT_APPLICABLE, NOT_YET, ids_of
from .table import ids_in_readme


def named_cases() -> set[str]:
    """The cases that test functions are named after."""
    found: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.AsyncFunctionDef):
                found.update(ids_of(node.name))
    return found


def test_the_table_has_the_cases_of_the_catalogue() -> None:
    assert ids_in_readme() == list(CASES)


def test_every_case_is_tested_or_says_why_not() -> None:
    assert named_cases() | NOT_APPLICABLE.keys() | NOT_YET.keys() == CASES.keys()


def test_no_case_is_both_tested_and_left_out() -> None:
    assert named_cases() & (NOT_APPLICABLE.keys() | NOT_YET.keys()) == set()
    assert NOT_APPLICABLE.keys() & NOT_YET.keys() == set()
