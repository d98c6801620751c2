"""Regenerates restate_protocol.betterproto: the bundled messages for betterproto users. For developers of this
repository: `python -m restate_codegen.own_stubs` (`make generate`). The other stubs of ours come from `buf generate`.
"""

from __future__ import annotations

from pathlib import Path

import restate_protocol.betterproto
from protobuf.wkt import FileDescriptorSet
from restate_protocol.bundled import include_dirs

from .protoc import compile_protos
from .python.betterproto import HEADER, compile_files

_WELL_KNOWN = ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")


def bundled_files() -> list[str]:
    """The bundled protos whose messages can be fields of users' messages."""
    found = [f"google/protobuf/{name}.proto" for name in _WELL_KNOWN]
    for root in include_dirs():
        for folder in ("google/rpc", "google/type"):
            found += [path.relative_to(root).as_posix() for path in sorted((root / folder).glob("*.proto"))]
    return found


def betterproto_stubs() -> dict[str, str]:
    """Path below restate_protocol/betterproto/gen -> text."""
    compiled = compile_protos([], bundled_files())
    files = compile_files(FileDescriptorSet.from_binary(compiled.descriptor_set).file)
    return {path: HEADER + text for path, text in files.items()}


def main() -> None:
    """Writes them where they belong."""
    folder = Path(restate_protocol.betterproto.__file__).parent / "gen"
    for path, text in betterproto_stubs().items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
