"""Generated code and programs on top of it pass `mypy --strict` and pyright. One run of each over everything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.codegen.harness import HERE

SCRIPTS = Path(sys.executable).parent


#: In messages of protobuf-py a field that is called like a builtin hides it from mypy; ours have no such trouble.
MYPY = """\
[mypy]
strict = True
warn_unreachable = True
[mypy-golden_nasty_protobuf_py.nasty.v1.nasty_names_pb]
ignore_errors = True
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All expected output as packages of different names, beside programs that use them."""
    folder = tmp_path_factory.mktemp("programs")
    for flavour in sorted(HERE.glob("cases/*/expected/*")):
        package = folder / f"golden_{flavour.parent.parent.name}_{flavour.name}"
        shutil.copytree(flavour, package, ignore=shutil.ignore_patterns("__pycache__"))
    for program in sorted((HERE / "typed").glob("*.py")):
        shutil.copy(program, folder)
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_generated_code_passes_mypy_strict(programs: Path) -> None:
    (programs / "mypy.ini").write_text(MYPY, encoding="utf-8")
    done = run([sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--no-incremental", "."], programs)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_generated_code_passes_pyright(programs: Path) -> None:
    settings = {
        "typeCheckingMode": "standard",
        "reportUnnecessaryTypeIgnoreComment": "error",
        "enableTypeIgnoreComments": False,
    }
    (programs / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    done = run([str(SCRIPTS / "pyright"), "--pythonpath", sys.executable], programs)
    assert done.returncode == 0, done.stdout + done.stderr
