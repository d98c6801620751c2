"""The processes of the demo and the folder they run in.

Invariants: every process that was started is known here, and `Place.stop` ends it. Readiness is awaited, never slept
for: each process says when it is ready, and commands run to their end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .checks import DemoError
from .terminal import show, show_command

SCRIPTS = Path(sysconfig.get_path("scripts"))
EXAMPLES = Path(__file__).parent.parent
PORTS = ("INGRESS_GRPC", "INGRESS_HTTP", "ADMIN_GRPC", "ADMIN_HTTP")


def program(name: str) -> str | None:
    """Where a program is: in this environment or, if not there, on the PATH."""
    if name == "python":
        return sys.executable
    return str(SCRIPTS / name) if (SCRIPTS / name).exists() else shutil.which(name)


class Process:
    """A process that was started.

    Args:
        command: what it runs, for messages.
        popen: the process; its stdout is a pipe of text.
    """

    def __init__(self, command: str, popen: subprocess.Popen[str]) -> None:
        self._command = command
        self._popen = popen

    def ready(self, beginning: str) -> str:
        """Waits for the line with this beginning, shows it, and gives the rest of it.

        Raises:
            DemoError: the process ended before.
        """
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if line.startswith(beginning):
                show(line)
                return line.removeprefix(beginning).strip()
        raise DemoError(f"{self._command} ended with {self._popen.wait()} before it was ready")

    def finish(self) -> str:
        """Waits for its end; gives what it printed.

        Raises:
            DemoError: it ended with an error.
        """
        output, _ = self._popen.communicate()
        if self._popen.returncode != 0:
            raise DemoError(f"{self._command} ended with {self._popen.returncode}: {output}")
        return output

    def goes_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """kill -9, shown."""
        show_command("", ["kill", "-9", str(self._popen.pid)])
        self.end()

    def end(self) -> None:
        """Ends it, if it still runs."""
        assert self._popen.stdout is not None
        self._popen.kill()
        self._popen.wait()
        self._popen.stdout.close()


class Place:
    """A folder with a copy of the examples, and the processes that run in it.

    Args:
        folder: an empty folder.
        names: the examples to copy.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self.folder = folder
        self.env: dict[str, str] = {f"RESTATE_{port}_PORT": "0" for port in PORTS}
        self.env["RESTATE_DB"] = str(folder / "restate.db")
        self._processes: list[Process] = []
        for name in names:
            shutil.copytree(EXAMPLES / name, folder / name, ignore=shutil.ignore_patterns("gen", ".*", "__pycache__"))

    def start(self, where: str, *command: str, env: Mapping[str, str] | None = None) -> Process:
        """Starts a process, and shows the command.

        Args:
            where: the example in whose folder it runs; empty: above them.
            command: the program and its arguments.
            env: what to set for this process alone.
        """
        settings = [f"{name}={value}" for name, value in (env or {}).items()]
        show_command(where, [*settings, *command])
        return self._started(where, command, env or {})

    def run(self, where: str, *command: str) -> str:
        """Runs a command to its end; shows it and what it prints."""
        output = self.start(where, *command).finish()
        show(output)
        return output

    def run_side_by_side(self, commands: Iterable[tuple[str, ...]]) -> None:
        """Runs commands to their ends, all at once; shows them in order. The first word of each is where it runs."""
        started = [(command, self._started(command[0], command[1:], {})) for command in commands]
        for command, process in started:
            show_command(command[0], command[1:])
            show(process.finish())

    def ask(self, *questions: tuple[str, ...]) -> list[Any]:
        """What `restate-cli … --json` answers to these commands, asked at once. Shows nothing."""
        started = [self._started("", ("restate-cli", *question, "--json"), {}) for question in questions]
        return [json.loads(process.finish()) for process in started]

    def effects(self, name: str) -> list[str]:
        """What the handlers of an example did to the world, in order."""
        log = self.folder / name / "effects.log"
        return log.read_text().splitlines() if log.exists() else []

    def errors(self) -> str:
        """What all processes wrote to stderr."""
        log = self.folder / "stderr.log"
        return log.read_text() if log.exists() else ""

    def stop(self) -> None:
        """Ends whatever still runs."""
        for process in self._processes:
            process.end()

    def _started(self, where: str, command: tuple[str, ...], env: Mapping[str, str]) -> Process:
        folder = self.folder / where
        with (self.folder / "stderr.log").open("a") as errors:
            popen = subprocess.Popen(
                [program(command[0]) or command[0], *command[1:]],
                cwd=folder,
                env={**os.environ, **self.env, "EXAMPLE_LOG": str(folder / "effects.log"), **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._processes.append(Process(command[0], popen))
        return self._processes[-1]
