"""grpcurl, buf curl and curl, as people type them."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import Interop, Tools

pytestmark = pytest.mark.e2e


class Curl:
    """One way to call, with the options that differ between the programs."""

    name = ""

    def __init__(self, tools: Tools, interop: Interop, contracts: Path) -> None:
        self.tools = tools
        self.interop = interop
        self.contracts = contracts

    def call(self, method: str, body: object, **headers: str) -> Any:
        """The response, decoded from JSON."""
        raise AssertionError("each program calls in its own way")

    def failure(self, method: str, body: object) -> str:
        """Everything that is printed for a call that fails."""
        raise AssertionError("each program calls in its own way")


class Grpcurl(Curl):
    name = "grpcurl"

    def call(self, method: str, body: object, **headers: str) -> Any:
        return json.loads(self._run(method, body, headers, check=True))

    def failure(self, method: str, body: object) -> str:
        return self._run(method, body, {}, check=False)

    def _run(self, method: str, body: object, headers: dict[str, str], *, check: bool) -> str:
        options = [item for name, value in _dashed(headers) for item in ("-H", f"{name}: {value}")]
        address = f"127.0.0.1:{self.interop.ingress}"
        command = ["grpcurl", "-plaintext", *options, "-d", json.dumps(body), address, method]
        done = self.tools.run(*command, check=check)
        return done.stdout + done.stderr


class BufCurl(Curl):
    """With reflection over gRPC; over Connect it takes the contract from the workspace."""

    name = "buf curl"
    protocol = "grpc"

    def call(self, method: str, body: object, **headers: str) -> Any:
        return json.loads(self._run(method, body, headers, check=True).stdout)

    def failure(self, method: str, body: object) -> str:
        done = self._run(method, body, {}, check=False)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def _run(
        self, method: str, body: object, headers: dict[str, str], *, check: bool
    ) -> subprocess.CompletedProcess[str]:
        options = [item for name, value in _dashed(headers) for item in ("-H", f"{name}: {value}")]
        command = ["buf", "curl", *self._how(), *options, "-d", json.dumps(body), f"{self._base()}/{method}"]
        return self.tools.run(*command, cwd=self.contracts, check=check)

    def _how(self) -> list[str]:
        return ["--protocol", "grpc", "--http2-prior-knowledge"]

    def _base(self) -> str:
        return f"http://127.0.0.1:{self.interop.ingress}"


class BufCurlConnect(BufCurl):
    name = "buf curl (connect)"

    def _how(self) -> list[str]:
        return ["--protocol", "connect", "--schema", "."]

    def _base(self) -> str:
        return f"http://127.0.0.1:{self.interop.http}"


class PlainCurl(Curl):
    name = "curl"

    def call(self, method: str, body: object, **headers: str) -> Any:
        return json.loads(self._run(method, body, headers, "--fail-with-body"))

    def failure(self, method: str, body: object) -> str:
        return self._run(method, body, {})

    def _run(self, method: str, body: object, headers: dict[str, str], *options: str) -> str:
        given = [("content-type", "application/json"), *_dashed(headers)]
        told = [item for name, value in given for item in ("-H", f"{name}: {value}")]
        url = f"http://127.0.0.1:{self.interop.http}/{method}"
        return self.tools.run("curl", "-sS", *options, *told, "-d", json.dumps(body), url).stdout


def _dashed(headers: dict[str, str]) -> list[tuple[str, str]]:
    return [(name.replace("_", "-"), value) for name, value in headers.items()]


CURLS = [Grpcurl, BufCurl, BufCurlConnect, PlainCurl]


@pytest.fixture(params=CURLS, ids=[one.name for one in CURLS])
def curl(request: pytest.FixtureRequest, tools: Tools, interop: Interop, contracts: Path) -> Curl:
    """Each of the programs."""
    made: Curl = request.param(tools, interop, contracts)
    return made


EVERYTHING = {
    "text": "zażółć ☕",
    "big": "9007199254740993",
    "biggest": "18446744073709551615",
    "ratio": 0.1,
    "flag": True,
    "data": "AAH+/w==",
    "color": "COLOR_BLUE",
    "points": [{"x": -1, "y": 2}],
    "counts": {"a": 1},
    "maybe": 0,
    "word": "chosen",
    "at": "2026-09-21T14:13:20.123456789Z",
    "length": "90.000000005s",
}


def test_every_kind_of_field(curl: Curl) -> None:
    assert curl.call("interop.v1.Probe/Echo", {"everything": EVERYTHING}) == {"everything": EVERYTHING}


def test_an_object_keeps_its_state(curl: Curl) -> None:
    request = {"name": f"{curl.name}-counter", "amount": "2"}
    totals = [curl.call("interop.v1.Counter/Add", request)["total"] for _ in range(2)]
    assert totals == ["2", "4"]


def test_calls_with_one_idempotency_key_are_one_invocation(curl: Curl) -> None:
    request = {"name": f"{curl.name}-once", "amount": 7}
    answers = [curl.call("interop.v1.Counter/Add", request, idempotency_key=curl.name) for _ in range(2)]
    assert answers == [{"total": "7"}, {"total": "7"}]


def test_a_send_is_answered_at_once(curl: Curl) -> None:
    assert curl.call("interop.v1.Probe/Wait", {"board": f"{curl.name}-sent"}, restate_send="true") == {}


def test_a_typed_error_says_what_the_handler_said(curl: Curl) -> None:
    said = curl.failure("interop.v1.Probe/Refuse", {"amount": "5"})
    assert "the amount is too high" in said
    # buf curl shows a detail that it has no schema for as base64 of its bytes.
    assert "too much" in said or base64.b64encode(b"\n\x08too much\x10\x05").decode() in said


def test_a_missing_key_is_refused_by_name(curl: Curl) -> None:
    assert "name" in curl.failure("interop.v1.Counter/Add", {"amount": 1})


def test_a_private_handler_is_refused(curl: Curl) -> None:
    assert "interop.v1.Probe/Hidden is private" in curl.failure("interop.v1.Probe/Hidden", {})


def test_grpcurl_lists_and_describes_by_reflection(tools: Tools, interop: Interop) -> None:
    address = f"127.0.0.1:{interop.ingress}"
    services = tools.run("grpcurl", "-plaintext", address, "list").stdout.split()
    ours = [f"interop.v1.{name}" for name in ("Board", "Counter", "Probe", "Signup")]
    assert [name for name in services if not name.startswith("grpc.")] == [*ours, "restate.ingress.v1.Ingress"]
    described = tools.run("grpcurl", "-plaintext", address, "describe", "restate.ingress.v1.Ingress").stdout
    assert "rpc Attach ( .restate.ingress.v1.AttachRequest )" in described
    assert "rpc Add (" in tools.run("grpcurl", "-plaintext", address, "describe", "interop.v1.Counter").stdout


def test_grpcurl_asks_for_health(tools: Tools, interop: Interop) -> None:
    address = f"127.0.0.1:{interop.ingress}"
    request = '{"service":"interop.v1.Counter"}'
    said = tools.run("grpcurl", "-plaintext", "-d", request, address, "grpc.health.v1.Health/Check").stdout
    assert json.loads(said) == {"status": "SERVING"}
