"""The .proto files that come with us: where they are, and which of their names belong to us.

`restate/`, `buf/validate/`, `google/rpc/` and `google/type/` can be imported by any contract with no extra work.
They are data of this package; in a source checkout they are read from where they are written.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent

#: Files below these folders are bundled; `google/protobuf/` comes with every protoc.
BUNDLED = (
    "restate/v1/",
    "restate/protocol/v1/",
    "restate/ingress/v1/",
    "restate/admin/v1/",
    "buf/validate/",
    "google/protobuf/",
    "google/rpc/",
    "google/type/",
)


def is_bundled(file: str) -> bool:
    """Whether an imported file of this name comes with us and is nobody's contract."""
    return file.startswith(BUNDLED)


def include_dirs() -> tuple[Path, ...]:
    """The folders to give to protoc as -I, so that the bundled files are found."""
    packaged = _HERE / "proto"
    if packaged.is_dir():
        return (packaged,)
    checkout = _HERE.parents[1]
    return (checkout, checkout / "third_party")
