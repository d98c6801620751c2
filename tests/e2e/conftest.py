"""Stubs for the app of these tests, generated once; a folder with a runtime and an endpoint for each test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import World

PROTOS = Path(__file__).parents[1] / "protos"


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `gen`, made by the generator as users run it; importable in the test process."""
    folder = tmp_path_factory.mktemp("stubs")
    command = [str(Path(sys.executable).parent / "restate-codegen"), "generate", str(PROTOS), "--out", "gen"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    return folder


@pytest.fixture
def world(stubs: Path, tmp_path: Path) -> Iterator[World]:
    """Nothing runs yet; whatever is started is killed at the end."""
    (tmp_path / "gen").symlink_to(stubs / "gen")
    made = World(tmp_path)
    yield made
    made.close()
