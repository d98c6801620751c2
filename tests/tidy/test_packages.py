"""Public packages say exactly what is public."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

import pytest

from .repository import ROOT, tree_of

PUBLIC = {
    "restate_sdk": "sdk_python/src/restate_sdk/__init__.py",
    "restate_sdk.stub": "sdk_python/src/restate_sdk/stub.py",
    "restate_sdk.errors": "sdk_python/src/restate_sdk/errors.py",
    "restate_client": "clients/python/src/restate_client/__init__.py",
    "restate_client.stub": "clients/python/src/restate_client/stub.py",
    "restate_client.errors": "clients/python/src/restate_client/errors.py",
    "restate_client.sync": "clients/python/src/restate_client/sync.py",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_in_all_is_there_once(name: str) -> None:
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [one for one in module.__all__ if not hasattr(module, one)] == []


@pytest.mark.parametrize("name", ["restate_sdk", "restate_client"])
def test_everything_a_package_brings_together_is_in_all(name: str) -> None:
    module = importlib.import_module(name)
    assert set(_gathered(tree_of(ROOT / PUBLIC[name]))) - set(module.__all__) == set()


def _gathered(tree: ast.Module) -> Iterator[str]:
    """Names that an `__init__` takes from our own modules, under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("restate_")):
            yield from (one.asname or one.name for one in node.names if not (one.asname or one.name).startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_public_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    public = {one: getattr(module, one) for one in module.__all__}
    silent = [one for one, what in public.items() if isinstance(what, type) and not (what.__doc__ or "").strip()]
    assert silent == []
