"""What is generated for each case, byte for byte, and at work.

After a change on purpose: pytest tests/codegen --update-golden.
"""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from restate_codegen.generate import Options, generate
from restate_codegen.inputs import Inputs, Read, read_inputs
from restate_protocol import codec
from restate_protocol.callers import CallOptions, ContextCaller
from restate_protocol.contract.read import read_contract
from restate_protocol.errors import TypedError
from restate_protocol.services import HandlerDescriptor, ServiceDescriptor
from restate_protocol.status import StatusCode
from restate_sdk.services import deploy

from tests.codegen.harness import CASES, EVERY, FLAVOURS, LoadCase, expected_files


def read_case(case: str) -> Read:
    return read_inputs(Inputs((CASES / case / "protos",)))


def update(folder: Path, files: dict[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


class RecordingCaller(ContextCaller):
    """Keeps what clients ask for."""

    def __init__(self) -> None:
        self.calls: list[tuple[HandlerDescriptor[Any, Any], Any]] = []

    def _restate_call(self, handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Any:
        self.calls.append((handler, request))

    def _restate_send(self, handler: HandlerDescriptor[Any, Any], request: Any, options: CallOptions) -> Any:
        self.calls.append((handler, request))


def services_of(modules: Mapping[str, Any]) -> list[tuple[Any, ServiceDescriptor]]:
    clients = [(name, module) for name, module in modules.items() if name.endswith("_restate")]
    return [
        (module, value)
        for _, module in clients
        for value in vars(module).values()
        if isinstance(value, ServiceDescriptor)
    ]


def implement(handlers: Any) -> Any:
    """An instance of a generated handler class whose methods do nothing."""

    async def method(self: Any, ctx: Any, request: Any) -> None:
        return None

    methods = dict.fromkeys(handlers.__abstractmethods__, method)
    return type("Implemented", (handlers,), methods)()


def test_every_case_is_in_the_table() -> None:
    assert sorted(FLAVOURS) == sorted(path.name for path in CASES.iterdir())


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_the_output_is_as_expected(case: str, flavour: str, request: pytest.FixtureRequest) -> None:
    folder = CASES / case / "expected" / flavour
    read = read_case(case)
    files = generate(read.descriptor_set, read.files, Options(messages=flavour.replace("_", "-")))
    if request.config.getoption("--update-golden", default=False):
        update(folder, files)
    on_disk = expected_files(folder)
    assert list(files) == list(on_disk)
    for path, text in files.items():
        assert text == on_disk[path], path


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_the_generated_descriptors_say_what_the_contract_says(case: str, flavour: str, load_case: LoadCase) -> None:
    contract = read_contract(read_case(case).descriptor_set)
    found = services_of(load_case(case, flavour))
    assert sorted(service.name for _, service in found) == sorted(service.name for service in contract.services)
    for _, service in found:
        (alone,) = read_contract(service.file_set(), [service.name]).services
        assert alone == contract.service(service.name)
        assert (service.kind, service.key_type) == (alone.kind, alone.key_type)
        assert [one.name for one in service.handlers] == [one.name for one in alone.handlers]
        for ours, theirs in zip(service.handlers, alone.handlers, strict=True):
            assert (ours.mode, ours.service) == (theirs.mode, service.name)
            assert (codec.full_name(ours.request), codec.full_name(ours.response)) == (theirs.request, theirs.response)
            assert tuple(error.detail_type for error in ours.errors) == theirs.errors


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_clients_pass_each_rpc_to_their_caller(case: str, flavour: str, load_case: LoadCase) -> None:
    for module, service in services_of(load_case(case, flavour)):
        caller = RecordingCaller()
        client = getattr(module, f"{service.name.rpartition('.')[2]}Client")(caller)
        for handler in service.handlers:
            getattr(client, handler.python_name)(handler.request())
            getattr(client, handler.python_name).send(handler.request())
        handlers = [handler for handler, _ in caller.calls]
        assert handlers == [handler for handler in service.handlers for _ in range(2)]


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_handlers_can_be_implemented_and_deployed(case: str, flavour: str, load_case: LoadCase) -> None:
    found = services_of(load_case(case, flavour))
    handlers = [implement(getattr(module, f"{service.name.rpartition('.')[2]}Handlers")) for module, service in found]
    deployment = deploy(handlers, "v1")
    assert {service.name for service in deployment.services} == {service.name for _, service in found}


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_state_and_promise_fields_can_be_encoded_one_by_one(case: str, flavour: str, load_case: LoadCase) -> None:
    for name, module in load_case(case, flavour).items():
        if not name.endswith("_restate_handlers"):
            continue
        for entry in [value for key, value in vars(module).items() if "_STATE_" in key or "_PROMISE_" in key]:
            value = getattr(entry.message(), entry.attribute)
            if value is not None:
                data = codec.encode(entry.message(**{entry.attribute: value}))
                assert getattr(codec.decode(entry.message, data), entry.attribute) == value


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_typed_errors_are_classes_of_their_messages(case: str, flavour: str, load_case: LoadCase) -> None:
    for _, service in services_of(load_case(case, flavour)):
        for handler in service.handlers:
            for error in handler.errors:
                assert issubclass(error, TypedError)
                assert codec.full_name(error.detail_class) == error.detail_type
                raised = error(error.detail_class())
                assert (raised.code, raised.message) == (StatusCode.FAILED_PRECONDITION, error.detail_type)


@pytest.mark.parametrize("flavour", ["protobuf_py", "betterproto"])
def test_an_error_is_one_class_wherever_it_is_named(flavour: str, load_case: LoadCase) -> None:
    modules = load_case("shop", flavour)
    full = modules["shop.v1.cart_restate"].CartFullError
    assert modules["common.v1.errors_restate"].CartFullError is full
    assert modules["common.v1.errors_restate"].NotFoundError.detail_type == "common.v1.NotFoundError"
    assert full in modules["shop.v1.cart_restate"].CART_OBJECT.handler("AddTicket").errors


@pytest.mark.parametrize("flavour", ["protobuf_py", "betterproto"])
def test_comments_are_docstrings(flavour: str, load_case: LoadCase) -> None:
    module = load_case("greeter", flavour)["greeter.v1.greeter_restate"]
    assert inspect.getdoc(module.GreeterClient) == "Greets people, and counts how often."
    assert inspect.getdoc(module.GreeterClient.count) == "How often this name was greeted."
    assert inspect.getdoc(module.GreeterHandlers.greet) == "Greets once more."


def test_comments_with_quotes_and_backslashes_come_through(load_case: LoadCase) -> None:
    module = load_case("nasty", "protobuf_py")["nasty.v1.nasty_names_restate"]
    first = 'A "quoted" comment with """three quotes""", a back\\slash and a \\N{BULLET}.'
    text = f'{first}\n  Indented.\n\nIt ends with a "quote"'
    assert inspect.getdoc(module.ImportClient) == text
    assert module.ImportClient.class_.__doc__ == 'behind "it"'


def test_a_name_the_module_does_not_have_is_an_attribute_error(load_case: LoadCase) -> None:
    module = load_case("greeter", "protobuf_py")["greeter.v1.greeter_restate"]
    with pytest.raises(AttributeError, match=r"greeter\.v1\.greeter_restate' has no attribute 'Greter'"):
        _ = module.Greter


def test_callers_need_no_handler_sdk() -> None:
    """Clients, services and errors of a generated module load with restate_sdk out of reach."""
    program = (
        "import sys; sys.modules['restate_sdk'] = None\n"
        "from protobuf_py.greeter.v1.greeter_restate import GREETER, GreeterClient\n"
        "assert GREETER.handler('Greet').request\n"
        "try:\n    from protobuf_py.greeter.v1.greeter_restate import GreeterHandlers\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    folder = CASES / "greeter" / "expected"
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "restate_sdk" in done.stdout


STAR = """\
import sys
{hide}
from output.shop.v1.cart_restate import *
print(sorted(name for name in dir() if not name.startswith("_") and name != "sys"))
print([name for name in sys.modules if name.startswith("restate_sdk") and sys.modules[name]] != [])
"""
CLIENT_HALF = ["CART_OBJECT", "CartFullError", "CartObjectClient", "SoldOutError", "TooExpensiveError"]
HANDLER_HALF = [
    "CartObjectContext",
    "CartObjectHandlers",
    "CartObjectSharedContext",
    "CartObjectSharedStateFields",
    "CartObjectStateFields",
]


@pytest.mark.parametrize("flavour", ["protobuf_py", "betterproto", "google"])
@pytest.mark.parametrize(
    ("hide", "names"),
    [("", sorted(CLIENT_HALF + HANDLER_HALF)), ("sys.modules['restate_sdk'] = None", CLIENT_HALF)],
    ids=["with the SDK", "without it"],
)
def test_a_star_import_gives_handlers_where_the_sdk_is(
    flavour: str, hide: str, names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "output").symlink_to(CASES / "shop" / "expected" / flavour)
    command = [sys.executable, "-B", "-c", STAR.format(hide=hide)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(names), str(not hide)]


@pytest.mark.parametrize(("case", "flavour"), EVERY)
def test_what_a_module_says_it_has_it_has(case: str, flavour: str, load_case: LoadCase) -> None:
    for name, module in load_case(case, flavour).items():
        if name.endswith("_restate"):
            names = module.__all__
            assert len(set(names)) == len(names)
            assert [one for one in names if not hasattr(module, one)] == []
