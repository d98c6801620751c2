"""Runs an example as its README says, in real processes on free ports, in a copy of its folder.

Readiness is awaited, never slept for: runtime and endpoint print that they are ready, and where.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from restate_protocol.gen.restate.admin.v1.admin_pb import GetJournalRequest, GetJournalResponse

SCRIPTS = Path(sysconfig.get_path("scripts"))
READY_SECONDS = 60
PORTS = ("ingress_grpc", "ingress_http", "admin_grpc", "admin_http")


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {READY_SECONDS} s in vain for {what}"
        time.sleep(0.02)


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
    ports: dict[str, str] = field(default_factory=dict)
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
            **{f"RESTATE_{name.upper()}_PORT": self.ports.get(name, "0") for name in PORTS},
            "EXAMPLE_LOG": str(self.folder / "effects.log"),
        }

    def start(self, **env: str) -> tuple[Process, Process]:
        """Runtime and endpoint, ready to be called; the settings are the endpoint's."""
        endpoint = self._begin_endpoint(env)  # both at once: each takes a while
        runtime = self.start_runtime()
        self._endpoint_is_ready(endpoint)
        self.register()
        return runtime, endpoint

    def keep_addresses(self) -> None:
        """A runtime that is started again listens where the last one did."""
        self.ports = {name: address.rpartition(":")[2] for name, address in self.addresses.items()}

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
        process = self._begin_endpoint(env)
        self._endpoint_is_ready(process)
        return process

    def _begin_endpoint(self, env: dict[str, str]) -> Process:
        program = f"from app import app; app.serve(port={self.endpoint_port})"
        return self._start("endpoint", [sys.executable, "-c", program], env)

    def _endpoint_is_ready(self, process: Process) -> None:
        self.endpoint_port = int(process.line("Serving on ").rpartition(":")[2])

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

    def begin(self, *arguments: str) -> Process:
        """`python client.py`, which is not waited for."""
        return self._start("client", [sys.executable, "client.py", *arguments], {})

    def curl(self, method: str, request: Mapping[str, object]) -> Any:
        """POST of JSON to the HTTP ingress, as `curl` does it; its answer.

        Raises:
            urllib.error.HTTPError: it was refused, or the handler failed.
        """
        return self._post(method, request)[0]

    def send(self, method: str, request: Mapping[str, object]) -> str:
        """The same with `restate-send: true`; gives the invocation's id."""
        return self._post(method, request, restate_send="true")[1]

    def _post(self, method: str, request: Mapping[str, object], **more: str) -> tuple[Any, str]:
        url = f"http://{self.addresses['ingress_http']}/{method}"
        headers = {"content-type": "application/json", **{name.replace("_", "-"): more[name] for name in more}}
        post = urllib.request.Request(url, json.dumps(request).encode(), headers)
        with urllib.request.urlopen(post, timeout=READY_SECONDS) as answer:
            return json.load(answer), answer.headers["restate-invocation-id"]

    def journal(self, invocation_id: str) -> list[str]:
        """The types of the entries in the journal of an invocation."""
        # What `restate-cli invocations journal` does, without starting a process each time.
        with grpc.insecure_channel(self.addresses["admin_grpc"]) as channel:
            get_journal = channel.unary_unary(
                "/restate.admin.v1.Admin/GetJournal",
                request_serializer=GetJournalRequest.to_binary,
                response_deserializer=GetJournalResponse.from_binary,
            )
            entries = get_journal(GetJournalRequest(id=invocation_id), timeout=READY_SECONDS).entries
        return [entry.type for entry in entries]

    def until_journaled(self, invocation_id: str, *types: str) -> None:
        """Waits until the journal of an invocation ends with these entries."""
        wanted = list(types)
        until(lambda: self.journal(invocation_id)[-len(wanted) :] == wanted, f"{invocation_id} to have {wanted}")

    def until_effect(self, beginning: str) -> str:
        """Waits until a handler did to the world what begins so; the whole line."""
        until(lambda: any(line.startswith(beginning) for line in self.effects()), f"the effect {beginning!r}")
        return next(line for line in self.effects() if line.startswith(beginning))

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


@functools.cache
def generate(example: Path, into: Path) -> Path:
    """A copy of an example with generated code, made once."""
    folder = into / example.name
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("gen", "__pycache__", "test_*"))
    command = [str(SCRIPTS / "restate-codegen"), "generate", "protos", "--out", "gen"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def generated_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are that have been generated."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def generated(request: pytest.FixtureRequest, generated_examples: Path, tmp_path: Path) -> Path:
    """A copy of the test's example, with generated code."""
    folder = generate(request.path.parent, generated_examples)
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.fixture
def example(generated: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """The test's example; the test may import `gen`, and starts what it needs."""
    monkeypatch.syspath_prepend(str(generated))
    _forget_generated()
    one = Example(generated)
    yield one
    one.stop()
    _forget_generated()
