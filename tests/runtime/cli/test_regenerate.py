"""Generating again from what the generator recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from restate_codegen.cli import app
from restate_runtime.cli.regenerate import RegenerateError, find_records, regenerate
from typer.testing import CliRunner

PROTO = """
syntax = "proto3";
package greeter.v1;
service Greeter { rpc Greet(GreetRequest) returns (GreetResponse); }
message GreetRequest { string name = 1; }
message GreetResponse { string message = 1; }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "protos" / "greeter" / "v1").mkdir(parents=True)
    (tmp_path / "protos" / "greeter" / "v1" / "greeter.proto").write_text(PROTO)
    result = CliRunner().invoke(app, ["generate", str(tmp_path / "protos"), "--out", str(tmp_path / "gen")])
    assert result.exit_code == 0, result.output
    return tmp_path


def test_unchanged_protos_change_nothing(folder: Path) -> None:
    (recorded,) = find_records(folder)
    before = {path: path.stat().st_mtime_ns for path in recorded.files}
    assert regenerate(recorded) == 0
    assert {path: path.stat().st_mtime_ns for path in recorded.files} == before


def test_a_changed_proto_changes_the_code(folder: Path) -> None:
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    proto.write_text(PROTO.replace("string name = 1;", "string name = 1; string greeting = 2;"))
    (recorded,) = find_records(folder)
    assert regenerate(recorded) > 0
    assert "greeting" in (folder / "gen" / "greeter" / "v1" / "greeter_pb.py").read_text()
    (again,) = find_records(folder)
    assert again.inputs.folders == (folder / "protos",)


@pytest.mark.parametrize("messages", ["betterproto", "google"])
def test_the_recorded_flavour_of_messages_stays(folder: Path, messages: str) -> None:
    arguments = ["generate", str(folder / "protos"), "--out", str(folder / "gen"), "--messages", messages]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (recorded,) = find_records(folder)
    before = {path: path.read_text() for path in recorded.files}
    assert regenerate(recorded) == 0
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    proto.write_text(PROTO.replace("string name = 1;", "string name = 1; string greeting = 2;"))
    assert regenerate(recorded) > 0
    (again,) = find_records(folder)
    assert again.record["messages"] == messages
    assert [path for path in again.files if before[path] != path.read_text()]


def test_a_broken_proto_is_told_with_its_place_and_changes_nothing(folder: Path) -> None:
    proto = folder / "protos" / "greeter" / "v1" / "greeter.proto"
    proto.write_text(PROTO.replace("string name", "strin name"))
    (recorded,) = find_records(folder)
    before = {path: path.read_text() for path in recorded.files}
    with pytest.raises(RegenerateError, match=r"greeter\.proto:5"):
        regenerate(recorded)
    assert {path: path.read_text() for path in recorded.files} == before


def test_protos_that_are_gone_are_an_error(folder: Path) -> None:
    (folder / "protos" / "greeter" / "v1" / "greeter.proto").unlink()
    with pytest.raises(RegenerateError, match=r"no \.proto file"):
        regenerate(find_records(folder)[0])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}', '{"files": ["a"]'])
def test_a_record_that_is_none_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "gen").mkdir()
    (tmp_path / "gen" / ".restate-codegen.json").write_text(text)
    assert find_records(tmp_path) == []
