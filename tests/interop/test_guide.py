"""Every command of docs/guides/clients.md prints what the guide says, typed in an empty folder with the contract."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.interop.conftest import HERE, ROOT, SCRIPTS, Interop, Tools
from tests.interop.guide import Command, File, clients

GREETER = ROOT / "examples" / "greeter"
CLIENTS = clients()


@pytest.fixture(scope="session")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interop]:
    """The greeter runs."""
    folder = tmp_path_factory.mktemp("greeter")
    command = [str(SCRIPTS / "restate-codegen"), "generate", str(GREETER / "protos"), "--out", "gen"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    source = (GREETER / "app.py").read_text().replace("app.serve()", "app.serve(port=int(__import__('sys').argv[1]))")
    (folder / "app.py").write_text(source)
    world = Interop(folder)
    world.runtime()
    world.endpoint()
    yield world
    world.close()


def _here(text: str, world: Interop) -> str:
    """The text with the ports of this world."""
    return text.replace("localhost:8080", f"localhost:{world.ingress}").replace(
        "localhost:8081", f"localhost:{world.http}"
    )


def _installed(line: str, tools: Tools, folder: Path) -> bool:
    """Takes what an install command names from what is installed and pinned; False: it is no install command."""
    words = line.split()
    if words[:2] == ["pip", "install"]:
        assert all(distribution(name).version for name in words[2:])
        return True
    if words[:2] != ["npm", "install"]:
        return False
    pinned = json.loads((HERE / "node" / "package.json").read_text())
    assert set(words[2:]) <= {**pinned["dependencies"], **pinned["devDependencies"]}.keys()
    (folder / "node_modules").symlink_to(tools.folder / "node" / "node_modules")
    return True


@pytest.mark.e2e
@pytest.mark.parametrize("client", CLIENTS)
def test_the_guide_is_true_for(client: str, tools: Tools, greeter: Interop, tmp_path: Path) -> None:
    shutil.copytree(GREETER / "protos", tmp_path / "protos")
    for step in CLIENTS[client]:
        match step:
            case File(name, text):
                (tmp_path / name).write_text(_here(text, greeter))
            case Command(line) if not _installed(line, tools, tmp_path):
                done = tools.run("sh", "-c", _here(line, greeter), cwd=tmp_path, check=False)
                output = done.stdout + done.stderr
                assert step.shows(output), f"$ {line}\n{output}"


def test_the_guide_has_every_client_that_is_promised() -> None:
    assert list(CLIENTS) == [
        "curl",
        "grpcurl",
        "buf curl",
        "Python, generated client",
        "Python, generated client, blocking",
        "Python, grpcio",
        "Node.js, Connect",
        "Node.js, grpc-js",
        "Browser, Connect",
    ]
