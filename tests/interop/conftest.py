"""A runtime and an endpoint with the interop services, once for each test process, and the tools that call them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import Process, World, listens, wait_for
from tests.interop.pages import browser

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROTOS = HERE / "protos"
TOOLS = ROOT / ".tools" / "interop"
SCRIPTS = Path(sys.executable).parent


class Interop(World):
    """The interop services, served by real processes."""

    def endpoint(self, kill_at: str = "") -> Process:
        """app.py of this folder, registered."""
        assert not kill_at
        process = self._started([sys.executable, str(self.folder / "app.py"), str(self.service)], "endpoint", {})
        wait_for(lambda: listens(self.service) or not process.alive(), "the endpoint to listen")
        assert process.alive(), process.log.read_text()
        self.register()
        return process


@dataclass(frozen=True)
class Tools:
    """The clients that we did not write."""

    folder: Path

    def run(self, *command: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One command with the tools on its path."""
        path = f"{SCRIPTS}:{self.folder / 'bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, "PATH": path},
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The tools; without them the test is skipped with the reason, and fails in CI."""
    if not (TOOLS / "done").exists():
        missing = TOOLS / "missing"
        reason = missing.read_text().strip() if missing.exists() else "run `make interop-tools` first"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return Tools(TOOLS)


@pytest.fixture(scope="session")
def program(tools: Tools) -> str:
    """A browser; without one the test is skipped with the reason, and fails in CI."""
    found = browser()
    if found is None:
        reason = (TOOLS / "missing-browser").read_text().strip()
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def interop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interop]:
    """The services run."""
    folder = tmp_path_factory.mktemp("interop")
    command = [str(SCRIPTS / "restate-codegen"), "generate", str(PROTOS), "--out", "gen"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copy(HERE / "app.py", folder)
    world = Interop(folder)
    world.runtime()
    world.endpoint()
    yield world
    world.close()


@pytest.fixture(scope="session")
def contracts(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A buf workspace as the guide describes it: the users' protos, and what `restate-codegen vendor` copied."""
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copytree(PROTOS, folder / "protos")
    tools.run("restate-codegen", "vendor", "third_party", cwd=folder)
    (folder / "buf.yaml").write_text("version: v2\nmodules:\n  - path: protos\n  - path: third_party\n")
    return folder
