"""Stubs that grpcio-tools made, with nothing of ours in the client's process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import HERE, Interop, Tools
from tests.interop.expected import SCENARIOS

SERVING = 1


@pytest.fixture(scope="session")
def seen(tools: Tools, contracts: Path, interop: Interop) -> dict[str, Any]:
    """What the program saw."""
    out = contracts / "stock"
    out.mkdir()
    roots = [contracts / "protos", contracts / "third_party"]
    ours = ("restate", "buf", "interop")
    protos = [str(path.relative_to(root)) for root in roots for path in root.rglob("*.proto")]
    wanted = [path for path in protos if path.startswith(ours)]
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{root}" for root in roots)]
    tools.run(*command, f"--python_out={out}", f"--grpc_python_out={out}", *wanted)
    program = [sys.executable, str(HERE / "stock_python.py"), str(out), str(interop.ingress), "stock-python"]
    outcome: dict[str, Any] = json.loads(tools.run(*program).stdout)
    return outcome


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_grpcio(seen: dict[str, Any], scenario: str) -> None:
    assert seen[scenario] == SCENARIOS[scenario]


@pytest.mark.e2e
def test_grpcio_health_of_the_runtime_and_of_a_service(seen: dict[str, Any]) -> None:
    assert seen["health"] == [SERVING, SERVING]
