"""Runs plugins of protoc that are Python modules: in a process of their own, because they change what they load."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse
from protobuf.wkt.google.protobuf.descriptor_pb import FileDescriptorProto

from restate_codegen.errors import GeneratorError


def run_plugin(
    name: str, module: str, parameter: str, files: Sequence[FileDescriptorProto], *wanted: str
) -> dict[str, str]:
    """Gives a plugin some files: path -> text.

    Args:
        name: what to call it in an error.
        module: what `python -m` starts.
        parameter: its options.
        files: every import among them, and before what imports it.
        wanted: the files to generate for; all where none is named.

    Raises:
        GeneratorError: it failed.
    """
    names = list(wanted) or [file.name for file in files]
    request = CodeGeneratorRequest(file_to_generate=names, parameter=parameter, proto_file=list(files))
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])}
    with tempfile.TemporaryDirectory(prefix="restate-codegen-") as scratch:  # some look around where they are started
        command = [sys.executable, "-m", module]
        done = subprocess.run(
            command, input=request.to_binary(), capture_output=True, check=False, cwd=scratch, env=environment
        )
    if done.returncode != 0:
        raise GeneratorError(f"{name} failed:\n{done.stderr.decode(errors='replace')}")
    response = CodeGeneratorResponse.from_binary(done.stdout)
    if response.error:
        raise GeneratorError(f"{name} failed:\n{response.error}")
    return {file.name: file.content for file in response.file}
