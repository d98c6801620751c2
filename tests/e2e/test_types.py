"""The programs that import stubs generated for them are well typed, as their users would check them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("program", "protos"),
    [
        ("tests/e2e/app.py", "tests/protos"),
        ("tests/interop/app.py", "tests/interop/protos"),
        ("benchmarks/app.py", "benchmarks/protos"),
    ],
)
def test_a_program_is_well_typed_with_its_stubs(program: str, protos: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / program, tmp_path / "app.py")
    generator = str(Path(sys.executable).parent / "restate-codegen")
    subprocess.run(
        [generator, "generate", str(ROOT / protos), "--out", "gen"], cwd=tmp_path, check=True, capture_output=True
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "app.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
