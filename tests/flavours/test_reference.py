"""What docs/reference/flavours.md says: its program runs, and its table is right."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from restate_codegen.generate import Options, generate
from restate_codegen.inputs import Inputs, read_inputs
from restate_runtime.testing import environment
from restate_sdk import Endpoint

from .depot import Flavour

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs/reference/flavours.md").read_text(encoding="utf-8")
Flavours = Mapping[str, Flavour]


async def test_the_program_with_messages_of_google_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_inputs(Inputs((ROOT / "examples/greeter/protos",)))
    for path, text in generate(read.descriptor_set, read.files, Options(messages="google")).items():
        place = tmp_path / "google_reference" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", REFERENCE, re.MULTILINE | re.DOTALL)
    text = program.replace("from gen.", "from google_reference.")
    (tmp_path / "google_reference_app.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    app = importlib.import_module("google_reference_app")
    restate = importlib.import_module("google_reference.greeter.v1.greeter_restate")
    async with environment(Endpoint(app.Greeter())) as env:
        client = restate.GreeterClient(env.connection)
        replies = [await client.greet(app.GreetRequest(name="Ada", greeting="Hi")) for _ in range(2)]
        assert (await client.count(app.CountRequest(name="Ada"))).count == 2
    assert [one.message for one in replies] == [f"Hi Ada for the {count}-th time." for count in (1, 2)]
    assert type(replies[0]) is app.GreetResponse
    assert "google_reference.greeter.v1.greeter_pb2" in sys.modules


def test_enums_are_as_the_table_says(flavours: Flavours) -> None:
    ours, dataclasses, google = (flavours[name].pb for name in ("protobuf-py", "betterproto", "google"))
    assert ours.Parcel.Size.LARGE == dataclasses.ParcelSize.LARGE == google.Parcel.Size.SIZE_LARGE == 1
    assert type(google.Parcel(size=1).size) is int


def test_what_is_not_set_is_as_the_table_says(flavours: Flavours) -> None:
    ours, dataclasses, google = (flavours[name].pb.Parcel() for name in ("protobuf-py", "betterproto", "google"))
    assert (ours.label, dataclasses.label) == (None, None)
    assert google.label == flavours["google"].pb.Parcel.Label()
    assert not google.HasField("label")
    assert (ours.floor, dataclasses.floor, google.floor) == (0, None, 0)
    assert not ours.has_field("floor")
    assert not google.HasField("floor")


def test_oneofs_are_as_the_table_says(flavours: Flavours) -> None:
    dataclasses, google = (flavours[name].pb.Parcel(letter="x") for name in ("betterproto", "google"))
    assert (dataclasses.letter, dataclasses.book) == ("x", None)
    assert google.WhichOneof("content") == "letter"
    ours = flavours["protobuf-py"].of(google)
    assert (ours.content.field, ours.content.value) == ("letter", "x")


def test_messages_are_set_as_the_table_says(flavours: Flavours) -> None:
    for name in ("protobuf-py", "betterproto"):
        parcel, label = flavours[name].pb.Parcel(), getattr(flavours[name].pb, "ParcelLabel", None)
        value = (label or flavours[name].pb.Parcel.Label)()
        parcel.label = value
        assert parcel.label is value
    google = flavours["google"].pb.Parcel()
    with pytest.raises(AttributeError):
        google.label = flavours["google"].pb.Parcel.Label()
    google.label.CopyFrom(flavours["google"].pb.Parcel.Label())
    assert google.HasField("label")


def test_misspelt_fields_are_noticed_where_the_table_says(flavours: Flavours) -> None:
    for name in ("protobuf-py", "google"):
        with pytest.raises(AttributeError):
            flavours[name].pb.Parcel().txet = "x"
    flavours["betterproto"].pb.Parcel().txet = "x"
