"""Real processes for tests: started, waited for by what they say, killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE_S = 30.0


_given: set[int] = set()


def free_port() -> int:
    """A port that nobody listens on now, and that this process was not given before."""
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s in vain for {what}"
        time.sleep(0.01)


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Process:
    """One process with its output in a file."""

    command: list[str]
    folder: Path
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {**os.environ, "PYTHONUNBUFFERED": "1", **self.env}
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(self.command, cwd=self.folder, env=env, stdout=out, stderr=subprocess.STDOUT)

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.popen is not None, f"{self.command} was not started"
        return self.popen

    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def kill(self) -> None:
        """-9, and waits until it is gone."""
        if self.alive():
            self.running.send_signal(signal.SIGKILL)
        self.running.wait()

    def terminate(self) -> int:
        """SIGTERM; gives the exit code."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(PATIENCE_S)

    def wait_dead(self) -> int:
        """Waits until it ends by itself; gives the exit code."""
        return self.running.wait(PATIENCE_S)


@dataclass
class World:
    """A runtime and an endpoint in a folder of their own."""

    folder: Path
    ingress: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)
    service: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)

    @property
    def marks_file(self) -> Path:
        return self.folder / "marks.log"

    @property
    def db(self) -> Path:
        return self.folder / "restate.db"

    def marks(self) -> list[str]:
        return self.marks_file.read_text().splitlines() if self.marks_file.exists() else []

    def env(self) -> dict[str, str]:
        return {
            "RESTATE_INGRESS_GRPC_PORT": str(self.ingress),
            "RESTATE_INGRESS_HTTP_PORT": str(self.http),
            "RESTATE_ADMIN_GRPC_PORT": str(self.admin),
            "RESTATE_ADMIN_HTTP_PORT": "0",
            "RESTATE_DRAIN_GRACE_MS": "2000",
        }

    def runtime(self, *, dies: tuple[str, int] | None = None, **settings: str) -> Process:
        """A runtime on the folder's database that listens."""
        if dies is None:
            command = [_script("restate-runtime"), "start", "--db", str(self.db)]
        else:
            command = [sys.executable, str(HERE / "runtime_that_dies.py"), str(self.db), dies[0], str(dies[1])]
        process = self._started(command, "runtime", {**self.env(), **settings})
        wait_for(lambda: (listens(self.ingress) and listens(self.http)) or not process.alive(), "the runtime to listen")
        assert process.alive(), process.log.read_text()
        return process

    def endpoint(self, kill_at: str = "") -> Process:
        """The app as a service endpoint that listens."""
        env = {"MARKS": str(self.marks_file), "KILL_AT": kill_at}
        process = self._started([sys.executable, str(HERE / "app.py"), str(self.service)], "endpoint", env)
        wait_for(lambda: listens(self.service) or not process.alive(), "the endpoint to listen")
        assert process.alive(), process.log.read_text()
        return process

    def arm(self) -> None:
        """Commits count from here, for a runtime that dies at one."""
        Path(str(self.db) + ".armed").touch()

    def register(self) -> None:
        """restate-cli deployments register."""
        done = self.cli("deployments", "register", f"127.0.0.1:{self.service}")
        assert done.returncode == 0, done.stderr

    def cli(self, *args: str) -> subprocess.CompletedProcess[str]:
        """restate-cli on the runtime, with what it printed."""
        command = [_script("restate-cli"), "--admin", f"127.0.0.1:{self.admin}", *args]
        return subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def _started(self, command: list[str], name: str, env: dict[str, str]) -> Process:
        process = Process(command, self.folder, self.folder / f"{name}.log", env)
        process.start()
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Kills whatever still runs."""
        for process in self.processes:
            process.kill()


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)
