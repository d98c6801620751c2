"""Every example type checks as a user would check it: strictly, with the code generated for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.conftest import generate

HERE = Path(__file__).parent
EXAMPLES = sorted(path.parent.name for path in HERE.glob("*/app.py"))


def programs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.py"))


@pytest.fixture
def folders(generated_examples: Path) -> list[Path]:
    """All examples, with generated code."""
    return [generate(HERE / name, generated_examples) for name in EXAMPLES]


def test_apps_and_clients_are_well_typed_for_mypy(folders: list[Path], tmp_path: Path) -> None:
    # One cache for all: what they have in common is read once.
    strict = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "--config-file="]
    for folder in folders:
        done = subprocess.run([*strict, *programs(folder)], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{folder.name}: {done.stdout}{done.stderr}"


def test_apps_and_clients_are_well_typed_for_pyright(folders: list[Path], generated_examples: Path) -> None:
    # One run for all: each folder is a root of its own, so that each finds its own `gen`.
    config = generated_examples / "pyrightconfig.json"
    roots = [{"root": folder.name} for folder in folders]
    config.write_text(json.dumps({"include": [f"{name}/*.py" for name in EXAMPLES], "executionEnvironments": roots}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)]
    done = subprocess.run(command, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == sum(len(programs(folder)) for folder in folders)


def test_every_example_is_listed_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text()
    assert [name for name in EXAMPLES if f"]({name}/)" not in readme] == []
