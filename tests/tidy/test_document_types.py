"""Python in the documents is well typed, against the greeter and the contracts that the same document shows.

A block may leave out what was imported before it in its document, and the usual names of a handler or a caller.
Blocks of the concepts are pieces of examples, and are type checked there.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .repository import ROOT, name_of, text_of
from .test_documents import Snippet, snippets

# What readers take for granted: `app.py` of the greeter, and what the text around a block speaks of.
_PRELUDE = """\
# mypy: disable-error-code="no-redef, misc"
from typing import Any
import restate_client
import restate_sdk
from app import Greeter
from gen.greeter.v1.greeter_pb import *
from gen.greeter.v1.greeter_restate import *
from restate_sdk import *
restate: restate_client.Connection
ctx: Context
"""


def blocks() -> dict[Path, list[Snippet]]:
    """The Python blocks of each document that is no concept page."""
    found: dict[Path, list[Snippet]] = {}
    for one in snippets("python"):
        if not name_of(one.document).startswith("docs/concepts/"):
            found.setdefault(one.document, []).append(one)
    return found


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """The greeter's folder with generated code, and with that of the contracts that the documents show."""
    contracts = {"greeter": text_of(ROOT / "examples/greeter/protos/greeter/v1/greeter.proto")}
    contracts |= {f"shown{number}": one.text for number, one in enumerate(_other_contracts())}
    for name, text in contracts.items():
        folder = tmp_path / "protos" / name / "v1"
        folder.mkdir(parents=True)
        (folder / f"{name}.proto").write_text(text)
    (tmp_path / "app.py").write_text(text_of(ROOT / "examples/greeter/app.py"))
    command = [str(Path(sys.executable).parent / "restate-codegen"), "generate", "protos", "--out", "gen"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tmp_path


def _other_contracts() -> list[Snippet]:
    """Whole contracts in the documents that are not the greeter's."""
    return [one for one in snippets("proto") if one.text.startswith("syntax") and "package greeter.v1;" not in one.text]


def _module(document: Path, found: list[Snippet]) -> str:
    """A module of a document's blocks: imports at its top, each block in a function of its own."""
    shown = [f"shown{number}" for number, one in enumerate(_other_contracts()) if one.document == document]
    lines = [_PRELUDE]
    for name in shown:
        lines += [f"from gen.{name}.v1.{name}_pb import *", f"from gen.{name}.v1.{name}_restate import *"]
    for number, one in enumerate(found):
        imports = [node for node in ast.parse(one.text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        lines += [ast.unparse(node) for node in imports]
        lines += [f"async def block_{number}() -> Any:", textwrap.indent(one.text, "    ")]
    return "\n".join(lines)


def test_python_in_the_documents_is_well_typed(greeter: Path) -> None:
    found = blocks()
    assert found
    modules = {f"of_{document.stem.lower().replace('-', '_')}.py": document for document in found}
    for name, document in modules.items():
        (greeter / name).write_text(_module(document, found[document]))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", *modules]
    done = subprocess.run(command, cwd=greeter, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
