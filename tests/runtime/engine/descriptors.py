"""The descriptor set of `tests/protos/bench`, compiled once a process."""

from __future__ import annotations

import functools
import importlib.resources
import tempfile
from pathlib import Path

from grpc_tools import protoc
from restate_protocol.bundled import include_dirs

PROTOS = Path(__file__).parents[2] / "protos"


@functools.cache
def bench_descriptor_set() -> bytes:
    """A serialized google.protobuf.FileDescriptorSet with imports."""
    google = importlib.resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        code = protoc.main(
            [
                "protoc",
                f"-I{PROTOS}",
                *(f"-I{one}" for one in include_dirs()),
                f"-I{google}",
                "--include_imports",
                f"--descriptor_set_out={out}",
                "bench/v1/bench.proto",
            ]
        )
        assert code == 0
        return out.read_bytes()
