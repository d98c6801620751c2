"""protoc-gen-restate under protoc and buf: the same files as the command writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse
from restate_codegen.inputs import Inputs, read_inputs
from restate_codegen.plugin import respond
from restate_codegen.vendor import vendor

from tests.codegen.harness import CASES, EVERY, Compile, expected_files

BUF = """\
version: v2
modules:
  - path: protos
  - path: third_party
"""
BUF_GEN = """\
version: v2
plugins:
  - local: protoc-gen-restate
    out: gen
    strategy: all
    opt: messages={flavour}
"""


def request_for(descriptor_set: bytes, files: list[str], parameter: str = "") -> CodeGeneratorRequest:
    protos = FileDescriptorSet.from_binary(descriptor_set).file
    return CodeGeneratorRequest(file_to_generate=files, parameter=parameter, proto_file=protos)


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_the_plugin_writes_what_the_command_writes(case: str, flavour: str) -> None:
    read = read_inputs(Inputs((CASES / case / "protos",)))
    parameter = f"lang=python,messages={flavour.replace('_', '-')}"
    response = respond(request_for(read.descriptor_set, list(read.files), parameter))
    assert not response.error
    files = {file.name: file.content for file in response.file}
    assert files == expected_files(CASES / case / "expected" / flavour)


def test_problems_are_the_response_not_a_crash(compile_text: Compile) -> None:
    data = compile_text('syntax = "proto3"; service A { rpc Do(stream V) returns (V); } message V {}')
    response = respond(request_for(data, ["a.proto"]))
    assert not response.file
    assert "a.proto:1:36: Do streams" in response.error


def test_unknown_options_are_refused(compile_text: Compile) -> None:
    response = respond(request_for(compile_text('syntax = "proto3";'), ["a.proto"], "flavor=x"))
    assert response.error == "unknown option flavor. Known: lang, messages."


def test_it_speaks_the_protocol_of_protoc_plugins(compile_text: Compile) -> None:
    request = request_for(compile_text('syntax = "proto3"; message A { optional int32 b = 1; }'), ["a.proto"])
    plugin = Path(sys.executable).with_name("protoc-gen-restate")
    done = subprocess.run([plugin], input=request.to_binary(), capture_output=True, check=True)
    response = CodeGeneratorResponse.from_binary(done.stdout)
    assert [file.name for file in response.file] == ["__init__.py", "a_pb.py"]
    assert response.supported_features == 3


@pytest.mark.parametrize("case", ["greeter", "shop", "types"])
@pytest.mark.parametrize("flavour", ["protobuf-py", "betterproto", "google"])
def test_buf_generates_the_same_files(case: str, flavour: str, tmp_path: Path) -> None:
    shutil.copytree(CASES / case / "protos", tmp_path / "protos")
    vendor(tmp_path / "third_party")
    (tmp_path / "buf.yaml").write_text(BUF, encoding="utf-8")
    (tmp_path / "buf.gen.yaml").write_text(BUF_GEN.format(flavour=flavour), encoding="utf-8")
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "BUF_CACHE_DIR": str(tmp_path)}
    command = [str(scripts / "buf"), "generate"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert expected_files(tmp_path / "gen") == expected_files(CASES / case / "expected" / flavour.replace("-", "_"))
