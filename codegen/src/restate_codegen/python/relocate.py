"""Moves modules that Google's compilers wrote into the output package: their imports become relative.

The modules are parsed, and only the spans of what has to change are replaced. (protoletariat, made for this, does not
run with protobuf 6 and newer.)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from restate_codegen.errors import GeneratorError
from restate_codegen.writer import Source


@dataclass(frozen=True, slots=True)
class _Change:
    node: ast.stmt | ast.expr
    text: str


class Relocation:
    """Where modules go.

    Args:
        modules: module as the compiler names it (`shop.v1.cart_pb2`) -> where it is: relative to the root of the
            output with a leading dot, or absolute.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    def python(self, text: str, source: Source, prologue: list[str]) -> str:
        """A `_pb2.py`, as it is written into the output.

        Args:
            text: what protoc wrote.
            source: the module to be.
            prologue: lines that come before the imports.
        """
        tree = _parse(text, source)
        docstring = tree.body[0]
        changes = [*self._imports(tree, source), *_calls(tree)]
        moved = _spliced(text, changes).splitlines()
        after = docstring.end_lineno or 0
        return "\n".join([*moved[:after], *prologue, *moved[after:], ""])

    def stub(self, text: str, source: Source) -> str:
        """A `_pb2.pyi`, as it is written into the output."""
        return _spliced(text, list(self._imports(_parse(text, source), source)))

    def _imports(self, tree: ast.Module, source: Source) -> Iterator[_Change]:
        for node in tree.body:
            match node:
                case ast.ImportFrom(module=str() as package, names=[ast.alias(name="*")]) if package in self._modules:
                    yield _Change(node, f"from {source.relative(self._modules[package])} import *")
                case ast.ImportFrom(module=str() as package, names=[ast.alias(name=name, asname=str() as local)]):
                    yield from self._import(node, f"{package}.{name}", local, source)
                case ast.Import(names=[ast.alias(name=name, asname=str() as local)]):
                    yield from self._import(node, name, local, source)
                case ast.Assign(targets=[ast.Name(id=local)], value=ast.Call(args=[ast.Constant(value=str() as name)])):
                    yield from self._import(node, name, local, source)  # importlib.import_module, where it is a keyword

    def _import(self, node: ast.stmt, module: str, local: str, source: Source) -> Iterator[_Change]:
        place = self._modules.get(module)
        if place is not None:
            package, _, name = source.relative(place).rpartition(".")
            dots = "." if place.startswith(".") and not package.strip(".") else ""
            yield _Change(node, f"from {package}{dots} import {name} as {local}")


def _calls(tree: ast.Module) -> Iterator[_Change]:
    """Classes say that they are of the module they are in, and clashes in the pool are explained."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="BuildTopDescriptorsAndMessages"), args=[_, module, _]):
                yield _Change(module, "__name__")
            case ast.Call(func=ast.Attribute(attr="AddSerializedFile") as function):
                yield _Change(function, "_add_file")


def _parse(text: str, source: Source) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise GeneratorError(
            f"protoc wrote Python that cannot be read for {source.path}: {error}. Is something in it called like a"
            " keyword of Python? Rename it, or use --messages protobuf-py."
        ) from error


def _spliced(text: str, changes: list[_Change]) -> str:
    data = text.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for change in sorted(changes, key=lambda one: (one.node.lineno, one.node.col_offset), reverse=True):
        node = change.node
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        data = data[:begin] + change.text.encode() + data[end:]
    return data.decode()
