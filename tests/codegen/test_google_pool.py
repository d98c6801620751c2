"""Google's messages live in one pool for each process: teams' own `_pb2` modules, ours and bundled ones beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc_tools
import pytest
from grpc_tools import protoc
from restate_protocol.bundled import include_dirs
from restate_protocol.google.pool import require_protobuf

from tests.codegen.harness import CASES

OURS = "from google_flavour.common.v1 import money_pb as ours"
THEIRS = "from common.v1 import money_pb2 as theirs"
MONEY = 'syntax = "proto3"; package common.v1; message Money { string currency = 1; int64 amount = 2; }'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the output for a contract."""
    (tmp_path / "google_flavour").symlink_to(CASES / "shop" / "expected" / "google")
    return tmp_path


def run(folder: Path, *lines: str) -> str:
    """What a program prints, or its last line of error."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def own_pb2(folder: Path, protos: Path, name: str) -> None:
    """What a team makes by itself, with protoc."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    imports = [f"-I{one}" for one in (protos, *include_dirs(), well_known)]
    assert protoc.main(["protoc", *imports, f"--python_out={folder}", name]) == 0


@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)])
def test_the_same_file_generated_twice_gives_the_same_classes(folder: Path, order: tuple[str, str]) -> None:
    own_pb2(folder, CASES / "shop" / "protos", "common/v1/money.proto")
    assert run(folder, *order, "print(ours.Money is theirs.Money)") == "True"


def test_options_are_part_of_the_same_file(folder: Path) -> None:
    """A file that imports our options: teams make `restate/v1/options_pb2` themselves, too."""
    for name in ("common/v1/money.proto", "common/v1/errors.proto", "restate/v1/options.proto"):
        own_pb2(folder, CASES / "shop" / "protos", name)
    lines = ("from google_flavour.common.v1 import errors_pb as ours", "from common.v1 import errors_pb2 as theirs")
    for order in (lines, lines[::-1]):
        assert run(folder, *order, "print(ours.TooExpensive is theirs.TooExpensive)") == "True"


@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)])
def test_the_same_name_with_other_contents_is_an_error(folder: Path, order: tuple[str, str]) -> None:
    (folder / "protos/common/v1").mkdir(parents=True)
    (folder / "protos/common/v1/money.proto").write_text(MONEY.replace("amount", "cents"), encoding="utf-8")
    own_pb2(folder, folder / "protos", "common/v1/money.proto")
    said = run(folder, *order)
    assert said.startswith("TypeError: ")
    assert "common/v1/money.proto" in said
    if order[0] is THEIRS:  # the second one tells, and only ours can say what to do
        assert "generate both from the same file" in said


def test_the_same_messages_under_another_file_name_are_an_error(folder: Path) -> None:
    (folder / "money.proto").write_text(MONEY, encoding="utf-8")
    own_pb2(folder, folder, "money.proto")
    said = run(folder, "import money_pb2", OURS)
    assert "TypeError: common/v1/money.proto was loaded before with other contents or under another name" in said
    assert "give protoc the same folder for imports" in said


@pytest.mark.parametrize("first", [0, 1])
def test_bundled_messages_are_those_of_the_package_that_usually_brings_them(folder: Path, first: int) -> None:
    lines = [
        "from restate_protocol.google.gen.google.rpc.status_pb2 import Status as ours",
        "from google.rpc.status_pb2 import Status as theirs",
    ]
    assert run(folder, lines[first], lines[1 - first], "print(ours is theirs)") == "True"


def test_bundled_messages_need_no_other_package(folder: Path) -> None:
    """Without googleapis-common-protos they come from us, with all they import."""
    hide = "import sys; sys.modules['google.rpc'] = sys.modules['google.type'] = None"
    lines = (
        "from restate_protocol.google.gen.google.rpc.status_pb2 import Status",
        "from restate_protocol.google.gen.google.type.interval_pb2 import Interval",
        "from restate_protocol.google.gen.buf.validate.validate_pb2 import FieldRules",
        "print(Status(code=5), Status.DESCRIPTOR.file.name, FieldRules.DESCRIPTOR.full_name)",
    )
    assert run(folder, hide, *lines) == "code: 5\n google/rpc/status.proto buf.validate.FieldRules"


def test_without_protobuf_it_says_what_to_install(folder: Path) -> None:
    said = run(folder, "import sys; sys.modules['google.protobuf'] = None", OURS)
    assert said.startswith("ModuleNotFoundError: google_flavour.common.v1.money_pb2 has messages of Google's protobuf")
    assert said.endswith("which is not installed. Run: pip install 'restate-grpc-protocol[google]'")


def test_clients_of_bundled_messages_alone_say_it_too(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(CASES / "types" / "expected" / "google")
    said = run(tmp_path, "import sys; sys.modules['google.protobuf'] = None", "import out.types.v1.types_restate")
    assert "needs protobuf 7.35.1 or newer, which is not installed" in said


def test_other_flavours_need_no_protobuf() -> None:
    hide = "import sys; sys.modules['google.protobuf'] = None"
    lines = (
        "from protobuf_py.greeter.v1.greeter_restate import GreeterClient, GreeterHandlers",
        "from protobuf_py.greeter.v1.greeter_pb import GreetRequest",
        "from restate_protocol import codec",
        "print(codec.encode(GreetRequest(name='Ada')))",
    )
    assert run(CASES / "greeter" / "expected", hide, *lines) == r"b'\n\x03Ada'"


def test_an_older_protobuf_is_refused_with_a_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.protobuf.__version__", "6.33.6rc1")
    mend = r"needs protobuf 7\.35\.1 or newer; 6\.33\.6rc1 is installed\. Run: pip install"
    with pytest.raises(ImportError, match=mend):
        require_protobuf("gen.shop.v1.cart_pb2", "7.35.1")


@pytest.mark.parametrize("installed", ["7.35.1", "7.36.0", "8.0.0rc2"])
def test_the_same_or_a_newer_protobuf_will_do(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("google.protobuf.__version__", installed)
    require_protobuf("gen.shop.v1.cart_pb2", "7.35.1")
