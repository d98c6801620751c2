"""Stock clients in a real browser, on a page of another origin: Connect, gRPC-Web, GET, and what CORS lets through."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import HERE, PROTOS, SCRIPTS, Interop, Tools
from tests.interop.pages import Pages

BIG = "9007199254740993"

CONNECT: dict[str, object] = {
    "echo": ["zażółć ☕", BIG, 2, [0, 255], {"a": 1}],
    "idempotency": [["accepted", "previously-accepted"], "7", True],
    "typed_error": [9, "the amount is too high", "too much", BIG, "handler"],
    "unknown_service": 12,
    "private": 7,
    "deadline": 4,
    # What the clients say about themselves does not reach the handler.
    "metadata": ["hello", ["x-plain"]],
    "lookup": True,
    "peek": "I see you",
}
GRPC_WEB = {name: CONNECT[name] for name in ("idempotency", "typed_error", "peek")} | {
    "session": [12, "Session is a stream in both directions, which HTTP/1.1 does not carry; open it on the gRPC port"],
    "large": 300_000,
}
SUITES: dict[str, dict[str, object]] = {
    "connect": CONNECT,
    "connect-json": CONNECT,
    "connect-get": CONNECT,
    "connect-grpc-web": CONNECT,
    "connect-grpc-web-json": CONNECT,
    "grpc-web-text": GRPC_WEB,
    "grpc-web-binary": GRPC_WEB,
    "fetch": {
        "openapi": "3.1.0",
        "health": "serving",
        "get": [200, "I see you", "accepted"],
        "forbidden_header": "TypeError",
    },
    "methods": {"get": 1},
}


@pytest.fixture(scope="module")
def pages(tools: Tools, contracts: Path) -> Iterator[Pages]:
    """The page, built with stubs of the stock plugin, and served."""
    folder = contracts.parent / "page"
    shutil.copytree(contracts, folder, ignore=shutil.ignore_patterns("node_modules", "es", "ts", "*.mjs"))
    for source in (HERE / "node").iterdir():
        shutil.copy(source, folder)
    (folder / "node_modules").symlink_to(tools.folder / "node" / "node_modules")
    tools.run("buf", "generate", cwd=folder)
    options = ["--bundle", "--platform=browser", "--format=esm", "--log-level=warning", "--outfile=page.js"]
    tools.run("node", "node_modules/esbuild/bin/esbuild", "browser.ts", *options, cwd=folder)
    pages = Pages(folder / "page.js")
    with pages.serving():
        yield pages


@pytest.fixture(scope="module")
def seen(program: str, pages: Pages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a page saw whose origin may call."""
    yield from _seen(program, pages, tmp_path_factory.mktemp("browser"), pages.origin)


def _seen(program: str, pages: Pages, folder: Path, origins: str) -> Iterator[dict[str, Any]]:
    command = [str(SCRIPTS / "restate-codegen"), "generate", str(PROTOS), "--out", "gen"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    shutil.copy(HERE / "app.py", folder)
    world = Interop(folder)
    try:
        world.runtime(RESTATE_CORS_ALLOWED_ORIGINS=origins)
        world.endpoint()
        yield json.loads(pages.opened(program, f"runtime=http://127.0.0.1:{world.http}", folder / "profile"))
    finally:
        world.close()


@pytest.mark.e2e
@pytest.mark.parametrize("suite", SUITES)
def test_a_page_of_an_origin_that_is_allowed(seen: dict[str, Any], suite: str) -> None:
    assert seen[suite] == SUITES[suite]


@pytest.mark.e2e
def test_a_page_of_another_origin_sees_nothing(program: str, pages: Pages, tmp_path: Path) -> None:
    for seen in _seen(program, pages, tmp_path, "https://app.example"):
        assert seen["fetch"]["health"] == {"unexpected": "TypeError: Failed to fetch"}
        for suite in ("connect", "connect-grpc-web"):
            assert "Failed to fetch" in seen[suite]["peek"]["unexpected"]
        assert "unexpected" in seen["grpc-web-text"]["peek"]
