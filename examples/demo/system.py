"""The runtime and the apps of the examples as one system: start it, ask it, call it with JSON."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .checks import DemoError, Json
from .processes import Place, Process, program
from .terminal import show, show_command

#: How long the demo waits for anything that should be so soon, in seconds.
PATIENCE_S = 30


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runtime tells about one invocation: its record, its journal and the spans of its trace."""

    invocation: Json
    journal: Sequence[Json]
    spans: Sequence[Json]


class System:
    """The processes that serve.

    Args:
        place: where they run.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._ports: dict[str, int] = {}
        self._addresses: dict[str, str] = {}

    @property
    def ingress(self) -> str:
        """host:port of the gRPC ingress."""
        return self._addresses["ingress_grpc"]

    def start_runtime(self) -> Process:
        """Starts the runtime on free ports and tells the other commands where it is."""
        process = self.place.start("", "restate-runtime", "start")
        self._addresses = dict(pair.split("=", 1) for pair in process.ready("ready ").split())
        self.place.env |= {"RESTATE_INGRESS": self.ingress, "RESTATE_ADMIN": self._addresses["admin_grpc"]}
        return process

    def start_app(self, name: str, **env: str) -> Process:
        """Starts the app of an example: on a free port, or on the one it had before. It is not awaited."""
        serve = f"from app import app; app.serve(port={self._ports.get(name, 0)})"
        return self.place.start(name, "python", "-c", serve, env=env)

    def app_is_ready(self, name: str, app: Process) -> None:
        """Waits until an app serves."""
        self._ports[name] = int(app.ready("Serving on ").rpartition(":")[2])

    def register(self) -> None:
        """Registers every app with the runtime."""
        command = ("", "restate-cli", "deployments", "register")
        self.place.run_side_by_side((*command, f"127.0.0.1:{port}") for port in self._ports.values())

    def post(self, where: str, method: str, request: Json) -> Any:
        """POSTs JSON to the HTTP ingress; its answer."""
        return json.loads(self._http(where, method, request))

    def send(self, where: str, method: str, request: Json) -> str:
        """The same without waiting for the result; gives the id of the invocation, which is in the answer's headers."""
        answer = self._http(where, method, request, "-i", "-H", "restate-send: true")
        headers = dict(line.lower().split(": ", 1) for line in answer.splitlines() if ": " in line)
        return headers["restate-invocation-id"]

    def _http(self, where: str, method: str, request: Json, *flags: str) -> str:
        url = f"http://{self._addresses['ingress_http']}/{method}"
        all_flags = ("-sS", *flags, "-H", "content-type: application/json", "-d", json.dumps(request))
        if program("curl") is not None:
            return self.place.run(where, "curl", *all_flags, url)
        return without_curl(all_flags, url)

    def invocation(self, service: str) -> str:
        """The id of the newest invocation of a service, once there is one."""
        command = ("invocations", "list", "--service", service)
        [newest, *_] = self.until(f"{service} is called", lambda: self.place.ask(command)[0], bool)
        return str(newest["id"])

    def journal(self, invocation: str) -> Any:
        """The journal of an invocation."""
        return self.place.ask(("invocations", "journal", invocation))[0]

    def evidence(self, invocation: str) -> Evidence:
        """All that the runtime tells about an invocation."""
        return Evidence(*self.place.ask(*(("invocations", what, invocation) for what in ("get", "journal", "trace"))))

    def until(self, what: str, look: Callable[[], Any], satisfied: Callable[[Any], object]) -> Any:
        """Looks until it is so; gives what was seen then.

        Raises:
            DemoError: it did not come to be.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not satisfied(seen := look()):
            if time.monotonic() > deadline:
                raise DemoError(f"waited {PATIENCE_S} s in vain until {what}; last seen: {seen!r}")
        return seen


def without_curl(flags: Sequence[str], url: str) -> str:
    """Sends what `curl` with these flags would send; gives what it would print."""
    show("(no curl here: Python's urllib sends the same request)")
    show_command("", ["curl", *flags, url])
    values = [(flag, value) for flag, value in pairwise(flags) if flag in ("-H", "-d")]
    headers = dict(value.split(": ", 1) for flag, value in values if flag == "-H")
    [data] = [value.encode() for flag, value in values if flag == "-d"]
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=PATIENCE_S) as answer:
        head = f"HTTP/1.1 {answer.status}\n{answer.headers}" if "-i" in flags else ""
        text: str = head + answer.read().decode()
    show(text)
    return text
