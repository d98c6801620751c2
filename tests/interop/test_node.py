"""Stock clients of Node.js: @connectrpc/connect-node in each of its protocols, and @grpc/grpc-js."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import HERE, Interop, Tools
from tests.interop.expected import SCENARIOS

_BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

PROTOCOLS = ["connect", "connect-json", "grpc", "grpc-web"]


@pytest.fixture(scope="session")
def programs(tools: Tools, contracts: Path) -> Path:
    """The folder with connect.mjs and grpc_js.mjs, built with stubs of the stock plugins."""
    for source in (HERE / "node").iterdir():
        shutil.copy(source, contracts)
    (contracts / "node_modules").symlink_to(tools.folder / "node" / "node_modules")
    tools.run("buf", "generate", cwd=contracts)
    for name in ("connect", "grpc_js"):
        options = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning", f"--banner:js={_BANNER}"]
        esbuild = ["node", "node_modules/esbuild/bin/esbuild", f"{name}.ts", f"--outfile={name}.mjs"]
        tools.run(*esbuild, *options, cwd=contracts)
    return contracts


@pytest.fixture(scope="session")
def connect(tools: Tools, programs: Path, interop: Interop) -> dict[str, dict[str, Any]]:
    """What connect-node saw, by protocol."""
    return {protocol: _run_connect(tools, programs, interop, protocol) for protocol in PROTOCOLS}


@pytest.fixture(scope="session")
def grpc_js(tools: Tools, programs: Path, interop: Interop) -> dict[str, Any]:
    """What grpc-js saw."""
    return _outcome(tools.run("node", "grpc_js.mjs", str(interop.ingress), "grpc-js", cwd=programs).stdout)


def _run_connect(tools: Tools, programs: Path, interop: Interop, protocol: str) -> dict[str, Any]:
    ports = (str(interop.ingress), str(interop.http))
    return _outcome(tools.run("node", "connect.mjs", *ports, protocol, protocol, cwd=programs).stdout)


def _outcome(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_connect_node(connect: dict[str, dict[str, Any]], protocol: str, scenario: str) -> None:
    assert connect[protocol][scenario] == SCENARIOS[scenario]


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_grpc_js(grpc_js: dict[str, Any], scenario: str) -> None:
    assert grpc_js[scenario] == SCENARIOS[scenario]
