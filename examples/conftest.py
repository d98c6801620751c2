"""Runs an example as its README says, in real processes on free ports, in a copy of its folder.

Readiness is awaited, never slept for: runtime and endpoint print that they are ready, and where.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))
READY_SECONDS = 60


class Process:
    """One process of an example. Its output goes to a file, and into the message of whatever fails."""

    def __init__(self, name: str, command: list[str], folder: Path, env: dict[str, str]) -> None:
        self.name = name
        self._output = folder / f"{name}.out"
        with self._output.open("a") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )

    def line(self, beginning: str) -> str:
        """The rest of the next printed line that begins so.

        Raises:
            AssertionError: the process ended before.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
        raise AssertionError(f"{self.name} ended with {self._process.wait()}:\n{self._output.read_text()}")

    def wait(self) -> int:
        """Its exit code; negative: the signal that killed it."""
        return self._process.wait(READY_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def output(self) -> str:
        """What it wrote to stderr."""
        return self._output.read_text()


@dataclass(slots=True)
class Example:
    """An example in a folder of its own, with generated code."""

    folder: Path
    addresses: dict[str, str] = field(default_factory=dict)
    endpoint_port: int = 0
    processes: list[Process] = field(default_factory=list)

    @property
    def ingress(self) -> str:
        """host:port of the gRPC ingress of the runtime that was started last."""
        return self.addresses["ingress_grpc"]

    @property
    def env(self) -> dict[str, str]:
        """What tells the processes where everything is."""
        return {
            "RESTATE_INGRESS": self.addresses.get("ingress_grpc", ""),
            "RESTATE_ADMIN": self.addresses.get("admin_grpc", ""),
            "RESTATE_DB": str(self.folder / "restate.db"),
            **{f"RESTATE_{name}_PORT": "0" for name in ("INGRESS_GRPC", "INGRESS_HTTP", "ADMIN_GRPC", "ADMIN_HTTP")},
            "EXAMPLE_LOG": str(self.folder / "effects.log"),
        }

    def start_runtime(self) -> Process:
        """`restate-runtime start`, on free ports."""
        process = self._start("runtime", [str(SCRIPTS / "restate-runtime"), "start"], {})
        self.addresses = dict(pair.split("=", 1) for pair in process.line("ready ").split())
        return process

    def start_dev(self, service: str) -> Process:
        """`restate-runtime dev app.py`, on free ports, until it prints how to call the service."""
        process = self._start("dev", [str(SCRIPTS / "restate-runtime"), "dev", "app.py"], {})
        self.addresses = dict(pair.split("=", 1) for pair in process.line("ready ").split())
        process.line(service)
        return process

    def start_endpoint(self, **env: str) -> Process:
        """`python app.py`, but on a free port; on the same one when it is started again."""
        program = f"from app import app; app.serve(port={self.endpoint_port})"
        process = self._start("endpoint", [sys.executable, "-c", program], env)
        self.endpoint_port = int(process.line("Serving on ").rpartition(":")[2])
        return process

    def register(self) -> None:
        """`restate-cli deployments register`."""
        self.cli("deployments", "register", f"127.0.0.1:{self.endpoint_port}")

    def cli(self, *arguments: str) -> str:
        """What `restate-cli` prints."""
        return self._run([str(SCRIPTS / "restate-cli"), *arguments])

    def client(self, *arguments: str) -> list[str]:
        """The lines that `python client.py` prints."""
        return self.program("client.py", *arguments)

    def program(self, *command: str) -> list[str]:
        """The lines that `python` prints for this program of the example."""
        return self._run([sys.executable, *command]).splitlines()

    def curl(self, method: str, request: dict[str, object]) -> Any:
        """POST of JSON to the HTTP ingress, as `curl` does it; its answer."""
        url = f"http://{self.addresses['ingress_http']}/{method}"
        headers = {"content-type": "application/json"}
        post = urllib.request.Request(url, json.dumps(request).encode(), headers)
        with urllib.request.urlopen(post, timeout=READY_SECONDS) as answer:
            return json.load(answer)

    def journal(self, invocation_id: str) -> list[str]:
        """The types of the entries in the journal of an invocation."""
        return [entry["type"] for entry in json.loads(self.cli("invocations", "journal", invocation_id, "--json"))]

    def effects(self) -> list[str]:
        """What the handlers did to the world, in order."""
        log = self.folder / "effects.log"
        return log.read_text().splitlines() if log.exists() else []

    def stop(self) -> None:
        """Ends what still runs."""
        for process in self.processes:
            process.kill()

    def _start(self, name: str, command: list[str], env: dict[str, str]) -> Process:
        process = Process(name, command, self.folder, {**self.env, **env})
        self.processes.append(process)
        return process

    def _run(self, command: list[str]) -> str:
        env = {**os.environ, **self.env}
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=READY_SECONDS)
        assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *(one.output() for one in self.processes)])
        return done.stdout


def _forget_generated() -> None:
    for name in [name for name in sys.modules if name == "gen" or name.startswith("gen.")]:
        del sys.modules[name]


@pytest.fixture
def generated(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the test's example, with generated code."""
    folder = tmp_path / request.path.parent.name
    shutil.copytree(request.path.parent, folder, ignore=shutil.ignore_patterns("gen", "__pycache__", "test_*"))
    command = [str(SCRIPTS / "restate-codegen"), "generate", "protos", "--out", "gen"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def example(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """The test's example; the test may import `gen`, and starts what it needs."""
    monkeypatch.syspath_prepend(str(generated))
    _forget_generated()
    one = Example(generated)
    yield one
    one.stop()
    _forget_generated()
