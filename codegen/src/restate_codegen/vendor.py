"""Copies of the bundled protos, for tools that compile by themselves, such as buf."""

from __future__ import annotations

import shutil
from pathlib import Path

from restate_protocol.bundled import include_dirs

#: What contracts import, and what callers in other languages make stubs of; the other protocols are of no use to them.
_FOLDERS = ("restate/v1", "restate/ingress/v1", "buf/validate", "google/rpc", "google/type")


def vendor(folder: Path) -> list[Path]:
    """Copies the bundled protos into a folder, with the licence; gives the files."""
    sources = [path for root in include_dirs() for path in _bundled(root)]
    return sorted(_copy(root, path, folder) for root, path in sources)


def _bundled(root: Path) -> list[tuple[Path, Path]]:
    protos = [path for one in _FOLDERS for path in sorted((root / one).glob("*.proto"))]
    licence = [path for path in [root / "LICENSE"] if path.is_file()]
    return [(root, path) for path in protos + licence]


def _copy(root: Path, path: Path, folder: Path) -> Path:
    target = folder / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target
