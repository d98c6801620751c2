"""The stubs in the repository are what `make generate` makes of the protos in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import restate_protocol.betterproto
import restate_protocol.gen
import restate_protocol.google
from protobuf.wkt import FileDescriptorSet
from restate_codegen.own_stubs import betterproto_stubs, bundled_files, google_stubs
from restate_codegen.protoc import compile_protos
from restate_protocol.file_sets import bundled_file

from tests.codegen.harness import HERE, expected_files

ROOT = HERE.parents[1]


def test_the_stubs_of_our_protos_are_fresh(tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "BUF_CACHE_DIR": str(tmp_path)}
    command = [str(scripts / "buf"), "generate", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = Path(restate_protocol.gen.__path__[0])
    assert expected_files(tmp_path / "protos/src/restate_protocol/gen") == expected_files(folder)


def test_the_bundled_messages_for_betterproto_are_fresh() -> None:
    folder = Path(restate_protocol.betterproto.__path__[0]) / "gen"
    assert dict(sorted(betterproto_stubs().items())) == expected_files(folder)


def test_the_bundled_messages_for_google_are_fresh() -> None:
    folder = Path(restate_protocol.google.__path__[0]) / "gen"
    assert dict(sorted(google_stubs().items())) == expected_files(folder)


def test_every_bundled_message_of_google_can_be_imported() -> None:
    """In a process of its own: what is imported stays in the pool."""
    modules = [path.removesuffix(".py").replace("/", ".") for path in google_stubs() if path.endswith("_pb2.py")]
    program = f"import importlib\nfor one in {modules}: importlib.import_module('restate_protocol.google.gen.' + one)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "buf.validate.validate_pb2" in modules


def test_bundled_descriptors_are_those_of_the_bundled_protos() -> None:
    files = FileDescriptorSet.from_binary(
        compile_protos([], ["restate/v1/options.proto", "buf/validate/validate.proto", *bundled_files()]).descriptor_set
    )
    for file in files.file:
        ours = bundled_file(file.name).proto
        assert [one.name for one in ours.message_type] == [one.name for one in file.message_type], file.name
        assert list(ours.dependency) == list(file.dependency), file.name
