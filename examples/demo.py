"""`make demo`: the main job in real processes, narrated. Generate, call, kill -9, start again, look at the trace.

It runs the role update of `examples/role_update` in a temporary folder and checks what it tells: it ends with 1 where
something is not as it says.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

EXAMPLE = Path(__file__).parent / "role_update"
SCRIPTS = Path(sysconfig.get_path("scripts"))
CALL = ("client.py", "ada", "editor", "read", "write", "delete")
CRASH = "permission ada write"
EXPECTED = ["role ada editor", "permission ada read", CRASH, CRASH, "permission ada delete"]


class DemoError(Exception):
    """Something is not as the demo tells it."""


class Demo:
    """The demo's processes, and what they are told.

    Args:
        folder: a copy of the example.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "effects.log"
        self.endpoint_port = 0
        self._env = {**os.environ, "EXAMPLE_LOG": str(self.log), "RESTATE_DB": str(folder / "restate.db")}
        for port in ("INGRESS_GRPC", "INGRESS_HTTP", "ADMIN_GRPC", "ADMIN_HTTP"):
            self._env[f"RESTATE_{port}_PORT"] = "0"
        self._running: list[subprocess.Popen[str]] = []

    def run(self, *command: str) -> str:
        """Runs a command to its end, shows it and what it prints."""
        show(command)
        done = subprocess.run(
            self._full(command),
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        print(indented(done.stdout), flush=True)
        if done.returncode != 0:
            raise DemoError(f"{command[0]} ended with {done.returncode}")
        return done.stdout

    def ask(self, *command: str) -> str:
        """Runs a command to its end and shows nothing."""
        return subprocess.run(
            self._full(command), cwd=self.folder, env=self._env, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def start(self, *command: str, ready: str = "", **env: str) -> tuple[subprocess.Popen[str], str]:
        """Starts a process and waits for the line that says it is ready; gives what follows in that line."""
        show((*(f"{name}={value!r}" for name, value in env.items()), *command))
        with (self.folder / "processes.log").open("a") as errors:
            process = subprocess.Popen(
                self._full(command),
                cwd=self.folder,
                env={**self._env, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._running.append(process)
        return process, said(process, ready) if ready else ""

    def start_runtime(self) -> subprocess.Popen[str]:
        """Starts the runtime on free ports and tells the other commands where it is."""
        process, addresses = self.start("restate-runtime", "start", ready="ready ")
        ports = dict(pair.split("=", 1) for pair in addresses.split())
        self._env |= {"RESTATE_INGRESS": ports["ingress_grpc"], "RESTATE_ADMIN": ports["admin_grpc"]}
        return process

    def start_endpoint(self, **env: str) -> subprocess.Popen[str]:
        """Starts the app on a free port, the same one each time."""
        program = f"from app import app; app.serve(port={self.endpoint_port})"
        process, address = self.start("python", "-c", program, ready="Serving on ", **env)
        self.endpoint_port = int(address.rpartition(":")[2])
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9."""
        show(("kill", "-9", str(process.pid)))
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Ends whatever still runs."""
        for process in self._running:
            process.kill()
            process.communicate()

    def _full(self, command: Sequence[str]) -> list[str]:
        program = sys.executable if command[0] == "python" else str(SCRIPTS / command[0])
        return [program, *command[1:]]


def say(text: str) -> None:
    print(f"\n{text}", flush=True)


def show(command: Sequence[str]) -> None:
    print(f"  $ {' '.join(command)}", flush=True)


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def said(process: subprocess.Popen[str], beginning: str) -> str:
    """What follows the beginning of the line that a process prints when it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            print(indented(line), flush=True)
            return line.removeprefix(beginning).strip()
    raise DemoError("a process ended before it was ready; processes.log in the demo's folder says why")


def until_killed(endpoint: subprocess.Popen[str], call: subprocess.Popen[str]) -> None:
    """Waits for the endpoint's end; the call that leads to it goes on after that."""
    while endpoint.poll() is None:
        if call.poll() is not None:
            raise DemoError("the call ended before the app was killed")
        with contextlib.suppress(subprocess.TimeoutExpired):
            endpoint.wait(0.1)


def first_half(demo: Demo) -> subprocess.Popen[str]:
    """Up to the crash; gives the runtime."""
    say("1. The contract is a plain .proto. Generate typed clients, handlers and messages from it.")
    demo.run("restate-codegen", "generate", "protos", "--out", "gen")
    say("2. Start the runtime, and the app as a service endpoint. The app will be killed after its third effect.")
    runtime = demo.start_runtime()
    endpoint = demo.start_endpoint(EXAMPLE_CRASH=CRASH)
    demo.run("restate-cli", "deployments", "register", f"127.0.0.1:{demo.endpoint_port}")
    say("3. Call it: one role, three permissions, four durable steps. The app dies (-9) in the third.")
    call, _ = demo.start("python", *CALL)
    until_killed(endpoint, call)
    print(f"    the app was killed by signal {-endpoint.returncode}", flush=True)
    return runtime


def second_half(demo: Demo, runtime: subprocess.Popen[str]) -> None:
    """From the crash to the end."""
    say("4. Kill the runtime too, in the middle of the call.")
    demo.kill(runtime)
    say("5. Start both again. The runtime knows where the call stood and goes on; the client asks again with its key.")
    demo.start_runtime()
    demo.start_endpoint()
    demo.run("python", *CALL)
    say("6. What was done to the world. The step under way ran again; those that were recorded did not.")
    print(indented(demo.log.read_text()), flush=True)
    if demo.log.read_text().splitlines() != EXPECTED:
        raise DemoError(f"expected {EXPECTED}")
    say("7. The trace, derived from the journal: both attempts, and every step.")
    [invocation] = json.loads(demo.ask("restate-cli", "invocations", "list", "--json"))
    demo.run("restate-cli", "invocations", "trace", invocation["id"])


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="restate-demo-") as temporary:
        folder = Path(temporary) / EXAMPLE.name
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("gen", "__pycache__", "test_*"))
        demo = Demo(folder)
        try:
            second_half(demo, first_half(demo))
        except DemoError as error:
            log = folder / "processes.log"
            print(f"error: {error}\n{log.read_text() if log.exists() else ''}", file=sys.stderr)
            return 1
        finally:
            demo.stop()
    say("Done. The application is in examples/role_update; README.md has the next steps.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
