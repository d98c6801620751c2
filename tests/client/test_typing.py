"""Type checkers see what each caller gets: `typed/calls.py` holds the claims, mypy and pyright judge them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CALLS = Path(__file__).parent / "typed" / "calls.py"


def test_mypy_agrees_with_every_claim(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(CALLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pyright_agrees_with_every_claim(tmp_path: Path) -> None:
    (tmp_path / CALLS.name).write_bytes(CALLS.read_bytes())
    config = tmp_path / "pyrightconfig.json"
    settings = {
        "include": [CALLS.name],  # it ignores absolute paths
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
