"""Documents are true as far as a program can tell: links resolve, code is code, and what exists is described."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from restate_protocol.contract.read import read_contract
from restate_protocol.gen.restate.v1 import options_pb
from restate_runtime.config import SETTINGS

from .repository import ROOT, documentation, documents, files, name_of, text_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"\b(restate-(?:cli|runtime|codegen))((?: [a-z][a-z-]*)*)")


@dataclass(frozen=True)
class Snippet:
    """A block of code in a document."""

    document: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name_of(self.document)}: {self.text.strip().splitlines()[0]}"


def snippets(*languages: str) -> list[Snippet]:
    return [
        Snippet(path, language, text)
        for path in documents()
        for language, text in _FENCE.findall(text_of(path))
        if language in languages
    ]


def prose(path: Path) -> str:
    return _FENCE.sub("", text_of(path))


# Links


def test_every_relative_link_leads_somewhere() -> None:
    broken = [f"{name_of(path)}: {link}" for path in files(".md") for link in _links(path) if not _resolves(path, link)]
    assert broken == []


def _links(path: Path) -> Iterator[str]:
    for link in _LINK.findall(prose(path)):
        if "://" not in link and not link.startswith("mailto:"):
            yield link


def _resolves(path: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    place = path if not target else (path.parent / target).resolve()
    if not place.exists():
        return False
    return not anchor or anchor in {_slug(line) for line in prose(place).splitlines() if line.startswith("#")}


def _slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    text = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower())
    return text.replace(" ", "-")


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        todo += [(path.parent / link.partition("#")[0]).resolve() for link in _links(path) if not link.startswith("#")]
    assert [name_of(path) for path in documents() if path not in seen] == []


# Code


def test_the_readme_shows_the_greeter_as_it_is() -> None:
    readme = text_of(ROOT / "README.md")
    for name in ("protos/greeter/v1/greeter.proto", "app.py"):
        assert text_of(ROOT / "examples/greeter" / name) in readme, f"README.md shows another examples/greeter/{name}"


def test_every_whole_proto_in_the_documents_is_a_right_contract(tmp_path: Path) -> None:
    from restate_codegen.inputs import Inputs, read_inputs

    whole = [one for one in snippets("proto") if one.text.startswith("syntax")]
    assert whole
    for number, snippet in enumerate(whole):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "shown.proto").write_text(snippet.text)
        assert read_contract(read_inputs(Inputs((folder,))).descriptor_set).services, str(snippet)


def test_python_in_the_documents_is_python() -> None:
    found = snippets("python")
    assert found
    for snippet in found:
        ast.parse(snippet.text, str(snippet), mode="exec", type_comments=False)


def test_code_of_the_concepts_is_code_of_the_examples() -> None:
    """So it is generated, type checked and run: each block is a piece of one file, as it stands there."""
    sources = {
        language: [_plain(text_of(path)) for path in files(suffix) if name_of(path).startswith("examples/")]
        for language, suffix in (("python", ".py"), ("proto", ".proto"))
    }
    concepts = [one for one in snippets(*sources) if name_of(one.document).startswith("docs/concepts/")]
    assert concepts
    invented = [str(one) for one in concepts if not any(_shows(one, source) for source in sources[one.language])]
    assert invented == []


def _plain(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _shows(snippet: Snippet, source: list[str]) -> bool:
    """Whether the block's lines follow one another in the source, at any indentation of the whole."""
    block = _plain(snippet.text)
    starts = [number for number, line in enumerate(source) if line.strip() == block[0].strip()]
    return any(_dedented(source[number : number + len(block)]) == _dedented(block) for number in starts)


def _dedented(lines: list[str]) -> list[str]:
    return textwrap.dedent("\n".join(lines)).splitlines()


# What exists is described


@dataclass(frozen=True)
class Command:
    """One command as one types it, its flags, and the commands below it."""

    name: str
    flags: tuple[str, ...]
    below: tuple[Command, ...]

    def all(self) -> Iterator[Command]:
        yield self
        for one in self.below:
            yield from one.all()

    def leads_to(self, words: list[str]) -> bool:
        """Whether the words lead to a command; what follows one are its arguments."""
        if not self.below or not words:
            return True
        found = [one for one in self.below if one.name == f"{self.name} {words[0]}"]
        return bool(found) and found[0].leads_to(words[1:])


def programs() -> dict[str, Command]:
    from restate_codegen.cli import app as codegen
    from restate_runtime.cli.operator import app as operator
    from restate_runtime.cli.runtime import app as runtime

    apps = {"restate-codegen": codegen, "restate-runtime": runtime, "restate-cli": operator}
    found = {name: _command(name, typer.main.get_command(app)) for name, app in apps.items()}
    assert all(len(one.below) > 1 for one in found.values())
    return found


def _command(name: str, command: Any) -> Command:
    """What typer made of an app; its own click, so that classes cannot be asked for."""
    flags = tuple(flag for one in command.params for flag in one.opts if flag.startswith("--"))
    below = getattr(command, "commands", {})
    return Command(name, flags, tuple(_command(f"{name} {word}", one) for word, one in below.items()))


def commands() -> list[Command]:
    return [one for program in programs().values() for one in program.all()]


def test_every_command_is_in_the_reference() -> None:
    reference = text_of(ROOT / "docs/reference/commands.md")
    assert [one.name for one in commands() if f"`{one.name}" not in reference] == []


def test_every_flag_is_in_the_documents() -> None:
    text = documentation()
    missing = [
        f"{one.name} {flag}" for one in commands() for flag in one.flags if not re.search(rf"{flag}(?![\w-])", text)
    ]
    assert missing == []


def test_the_documents_name_only_commands_that_exist() -> None:
    known = programs()
    wrong = [
        f"{name_of(path)}: {program}{words}"
        for path in files(".md")
        for program, words in _COMMAND.findall("\n".join(text for _, text in _FENCE.findall(text_of(path))))
        if not known[program].leads_to(words.split())
    ]
    assert wrong == []


@pytest.mark.parametrize("setting", [one.flag for one in SETTINGS])
def test_every_setting_is_in_the_reference(setting: str) -> None:
    assert f"| `{setting}` |" in text_of(ROOT / "docs/reference/settings.md")


def test_every_option_of_the_contract_is_in_the_guide() -> None:
    guide = text_of(ROOT / "docs/guides/contract.md")
    messages = (options_pb.ServiceOptions, options_pb.HandlerOptions, options_pb.RetryPolicy, options_pb.FieldOptions)
    names = {field.name for message in messages for field in message.desc().fields}
    assert sorted(name for name in names if f"`{name}`" not in guide) == []


def test_every_error_of_a_connection_is_in_the_guide() -> None:
    from restate_client import errors

    guide = text_of(ROOT / "docs/guides/calling.md")
    assert [name for name in errors.__all__ if f"`{name}`" not in guide] == []


# The changelog


def test_the_changelog_has_its_shape() -> None:
    lines = text_of(ROOT / "CHANGELOG.md").splitlines()
    assert lines[0] == "# Changelog"
    headings = [line for line in lines if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert all(re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", line) for line in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {line.removeprefix("### ") for line in lines if line.startswith("### ")} <= kinds
