"""The stubs of the suite's protos, made by `restate-codegen` as users run it, once for each test process.

Importing this module makes `conformance_gen` importable; services and cases import it at their top. Nothing generated
is committed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).parent / "protos"

_FOLDER = tempfile.TemporaryDirectory(prefix="conformance-")


def _generate() -> None:
    command = [
        str(Path(sys.executable).parent / "restate-codegen"),
        "generate",
        str(PROTOS),
        "--out",
        "conformance_gen",
    ]
    subprocess.run(command, cwd=_FOLDER.name, check=True, capture_output=True)
    sys.path.insert(0, _FOLDER.name)


_generate()
