"""The command `restate-codegen`. Messages go to standard error; the exit code is 0 only when everything was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from restate_protocol.bundled import include_dirs
from restate_protocol.contract.problems import ContractError

from .generate import DEFAULT_LANGUAGE, DEFAULT_MESSAGES, FLAVOURS, GeneratorError, Options, generate
from .inputs import Inputs, on_disk, read_inputs
from .output import OutputError, write_output
from .vendor import vendor

app = typer.Typer(
    name="restate-codegen",
    help="Handler stubs, contexts and typed clients from .proto files. Needs no protoc, no buf, no network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Folders = Annotated[
    list[Path],
    typer.Argument(exists=True, file_okay=False, help="Folders of .proto files; imports are relative to them."),
]
_Out = Annotated[Path, typer.Option("--out", file_okay=False, help="Folder for the generated package.")]
_Lang = Annotated[str, typer.Option("--lang", help="Language to generate: python.")]
_Messages = Annotated[str, typer.Option("--messages", help=f"Message library: {', '.join(FLAVOURS)}.")]
_Includes = Annotated[
    list[Path] | None,
    typer.Option("--include", exists=True, file_okay=False, help="More folders for imports; not generated for."),
]


@app.command(name="generate")
def generate_command(
    folders: _Folders,
    out: _Out,
    lang: _Lang = DEFAULT_LANGUAGE,
    messages: _Messages = DEFAULT_MESSAGES,
    include: _Includes = None,
) -> None:
    """Generates code for every .proto below the folders. On an error nothing is written or removed."""
    inputs = Inputs(tuple(folders), tuple(include or ()))
    try:
        options = Options(lang, messages)
        read = read_inputs(inputs)
        files = generate(read.descriptor_set, read.files, options)
        written = write_output(out, files, _record(inputs, options, out))
    except ContractError as error:
        _fail(str(on_disk(error, inputs.roots)))
    except (OutputError, GeneratorError) as error:
        _fail(f"restate-codegen: {error}")
    for warning in read.warnings:
        typer.echo(str(warning), err=True)
    typer.echo(f"{out}: {written.files} files, {written.changed} changed, {written.removed} removed", err=True)


@app.command(name="vendor")
def vendor_command(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Folder to copy into, such as third_party.")],
) -> None:
    """Copies the protos that contracts may import into a folder, for buf and other compilers."""
    try:
        copied = vendor(folder)
    except OSError as error:
        _fail(f"restate-codegen: {folder} cannot be written: {error}")
    typer.echo(f"{folder}: {len(copied)} files", err=True)


@app.command(name="proto-path")
def proto_path_command() -> None:
    """Prints the folders of the bundled protos, one a line, to be given to protoc as -I."""
    for folder in include_dirs():
        typer.echo(str(folder))


def _record(inputs: Inputs, options: Options, out: Path) -> dict[str, object]:
    """Inputs and flags, with paths relative to the output, so that the record is the same on every machine."""
    return {
        "inputs": [_relative(folder, out) for folder in inputs.folders],
        "include": [_relative(folder, out) for folder in inputs.includes],
        "lang": options.lang,
        "messages": options.messages,
    }


def _relative(folder: Path, out: Path) -> str:
    return Path(os.path.relpath(folder, out)).as_posix()


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(1)


def main() -> None:
    """Entry point of the script."""
    app()
