"""A client that stock tools make from GET /openapi.json: it compiles, and its calls work."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.interop.conftest import HERE, Interop, Tools

_TSCONFIG = {
    "compilerOptions": {
        "noEmit": True,
        "strict": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": [],
    },
    "files": ["globals.d.ts", "openapi_client.ts"],
}


@pytest.mark.e2e
def test_a_client_made_from_the_document(tools: Tools, interop: Interop, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(tools.folder / "node" / "node_modules")
    shutil.copy(HERE / "node" / "openapi_client.ts", tmp_path)
    (tmp_path / "tsconfig.json").write_text(json.dumps(_TSCONFIG))
    (tmp_path / "globals.d.ts").write_text("declare const process: { argv: string[] };\n")
    with urllib.request.urlopen(f"http://127.0.0.1:{interop.http}/openapi.json") as reply:
        (tmp_path / "openapi.json").write_bytes(reply.read())
    tools.run("node", "node_modules/openapi-typescript/bin/cli.js", "openapi.json", "-o", "openapi.ts", cwd=tmp_path)
    tools.run("node", "node_modules/typescript/bin/tsc", "--project", ".", cwd=tmp_path)
    bundle = ["--bundle", "--platform=node", "--format=esm", "--outfile=client.mjs"]
    tools.run("node", "node_modules/esbuild/bin/esbuild", "openapi_client.ts", *bundle, cwd=tmp_path)
    seen = json.loads(tools.run("node", "client.mjs", str(interop.http), cwd=tmp_path).stdout)
    assert seen == {
        "echo": {
            "text": "hi",
            "big": "9007199254740993",
            "color": "COLOR_BLUE",
            "data": "AP8=",
            "counts": {"a": 1},
            "word": "chosen",
            "at": "2026-11-22T10:00:00Z",
        },
        "statuses": ["accepted", "previously-accepted"],
        "total": "7",
        "code": "failed_precondition",
        "detail": {"reason": "too much", "amount": "5"},
        "peek": "I see you",
    }
