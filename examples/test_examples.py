"""Every example type checks as a user would check it: strictly, with the code generated for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXAMPLES = sorted(path.parent.name for path in HERE.glob("*/app.py"))


def run(folder: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=EXAMPLES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / str(request.param)
    shutil.copytree(HERE / request.param, copy, ignore=shutil.ignore_patterns("gen", "__pycache__", "test_*"))
    generate = [shutil.which("restate-codegen", path=str(Path(sys.executable).parent)), "generate", "protos"]
    subprocess.run([*map(str, generate), "--out", "gen"], cwd=copy, check=True, capture_output=True)
    return copy


def programs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


def test_apps_and_clients_are_well_typed_for_mypy(folder: Path, tmp_path: Path) -> None:
    strict = ("--strict", "--cache-dir", str(tmp_path / "cache"), "--config-file=")
    run(folder, "mypy", *strict, *programs(folder))


def test_apps_and_clients_are_well_typed_for_pyright(folder: Path) -> None:
    run(folder, "pyright", "--pythonpath", sys.executable, *programs(folder))


def test_every_example_is_listed_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text()
    assert [name for name in EXAMPLES if f"]({name}/)" not in readme] == []
