"""Loading the app that `restate-runtime dev` is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from restate_runtime.cli.dev import DevError, find_app
from restate_runtime.cli.dev_child import load

HANDLERS = """
from restate_protocol.services import HandlerDescriptor, HandlerMode, ServiceDescriptor, ServiceKind
from restate_protocol.gen.restate.admin.v1.admin_pb import GetTraceRequest, GetTraceResponse
from restate_sdk.stub import Context, Handlers
import restate_sdk

_DO = HandlerDescriptor("a.v1.A", "Do", "do", HandlerMode.SERVICE, GetTraceRequest, GetTraceResponse)

class A(Handlers):
    __restate_service__ = ServiceDescriptor("a.v1.A", ServiceKind.SERVICE, (_DO,), None, lambda: b"")
    __restate_contexts__ = {"do": Context}
    async def do(self, ctx, request, /): return GetTraceResponse()
"""


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name in ("devapp", "beside"):
            del sys.modules[name]


def app(folder: Path, text: str) -> Path:
    path = folder / "devapp.py"
    path.write_text(text)
    return path


def test_the_one_endpoint_is_found_and_may_have_two_names(tmp_path: Path) -> None:
    endpoint = load(app(tmp_path, HANDLERS + "app = restate_sdk.Endpoint(A())\nsame = app\n"), "")
    assert endpoint is not None
    assert endpoint.services == ["a.v1.A"]


def test_the_folder_of_the_app_comes_first_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(HANDLERS)
    assert (
        load(app(tmp_path, "import beside\nfrom restate_sdk import Endpoint\nx = Endpoint(beside.A())\n"), "")
        is not None
    )


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("x = 1\n", "", "makes no Endpoint; write: app = restate_sdk.Endpoint"),
        ("a = restate_sdk.Endpoint(A())\nb = restate_sdk.Endpoint(A())\n", "", "several Endpoints (a, b); say which"),
        ("a = restate_sdk.Endpoint(A())\n", "b", "no Endpoint 'b'; it has a"),
        ("x = 1\n", "x", "no Endpoint 'x'; it has none"),
        ("def broken(:\n", "", "SyntaxError"),
        ("raise ValueError('boom')\n", "", "ValueError: boom"),
        ("raise SystemExit(3)\n", "", "devapp.py does not load"),
        ("restate_sdk.Endpoint()\n", "", "devapp.py does not load"),
    ],
)
def test_what_is_wrong_with_an_app_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, name: str, told: str
) -> None:
    assert load(app(tmp_path, HANDLERS + text), name) is None
    shown = capsys.readouterr().err
    assert told in shown
    assert "dev_child.py" not in shown


def test_of_several_endpoints_one_is_chosen_by_name(tmp_path: Path) -> None:
    text = HANDLERS + "a = restate_sdk.Endpoint(A())\nb = restate_sdk.Endpoint(A(), version_label='b')\n"
    chosen = load(app(tmp_path, text), "b")
    assert chosen is not None
    assert chosen is sys.modules["devapp"].b


def test_an_app_is_named_by_file_and_variable(tmp_path: Path) -> None:
    path = app(tmp_path, "")
    assert (find_app(str(path)).dev_name, find_app(f"{path}:b").dev_name) == ("devapp", "devapp-b")
    for target in (str(tmp_path / "none.py"), str(tmp_path), "app"):
        with pytest.raises(DevError, match="give the one that makes the Endpoint"):
            find_app(target)
