"""What protoc and mypy-protobuf write, moved into the output package; odd files, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from restate_codegen.generate import GeneratorError, Options, generate
from restate_protocol.contract.problems import ContractError

from tests.codegen.harness import Compile

GOOGLE = Options(messages="google")


def write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        place = folder / "gen" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def run(folder: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


#: Each: the files, and a program that prints True.
ODD = {
    "a file with a dot and a dash in its name": (
        {"a-b/c.d-e.proto": "package a; message A { enum E { ZERO = 0; } E e = 1; }"},
        "import glob, importlib; (one,) = glob.glob('gen/**/*_pb.py', recursive=True)\n"
        "print(importlib.import_module(one[:-3].replace('/', '.')).A.ZERO == 0)",
    ),
    "public imports": (
        {
            "a/a.proto": 'package a; import public "b.proto"; message A { b.B b = 1; }',
            "b.proto": "package b; message B { string text = 1; }",
            "c/c.proto": 'package c; import "a/a.proto"; message C { b.B b = 1; }',
        },
        "from gen.a.a_pb2 import B; from gen.c.c_pb import C; print(C(b=B(text='x')).b.text == 'x')",
    ),
    "a package below google's": (
        {
            "google/ads/x.proto": "package google.ads; message A {}",
            "y.proto": 'package y; import "google/ads/x.proto"; message Y { google.ads.A a = 1; }',
        },
        "from gen.y_pb import Y; from gen.google.ads.x_pb import A; print(type(Y().a) is A)",
    ),
    "names that differ in JSON": (
        {"a.proto": 'package a; message A { string some_name = 1 [json_name = "other"]; string _x__y1z = 2; }'},
        "from gen.a_pb import A; from restate_protocol import codec\n"
        "print('\"other\"' in codec.to_json(A(some_name='x')))",
    ),
    "messages and values called like keywords": (
        {"a.proto": "package a; message None {} enum class { ZERO = 0; pass = 1; } message A { None None = 1; }"},
        "from gen.a_pb import None_, class_, A\n"
        "print(type(getattr(A(), 'None')) is None_ and class_.Value('pass') == 1)",
    ),
    "a comment with quotes": (
        {"a.proto": 'package a; // """ and \\ at the end "\nmessage A {}'},
        "from gen.a_pb import A; import ast; ast.parse(open('gen/a_pb2.pyi').read()); print(A() == A())",
    ),
    "extensions": (
        {
            "a.proto": 'syntax = "proto2"; package a; message A { extensions 100 to 200; }\n'
            "extend A { optional int32 more = 100; }"
        },
        "from gen.a_pb2 import A, more; a = A(); a.Extensions[more] = 7; print(a.Extensions[more] == 7)",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_can_be_imported(name: str, tmp_path: Path, compile_text: Compile) -> None:
    files, program = ODD[name]
    texts = {path: text if "syntax" in text else f'syntax = "proto3"; {text}' for path, text in files.items()}
    write(tmp_path, generate(compile_text(texts), list(texts), GOOGLE))
    assert run(tmp_path, program) == "True"


def test_classes_say_which_module_they_are_of(tmp_path: Path, compile_text: Compile) -> None:
    text = {"shop/v1/a.proto": 'syntax = "proto3"; package shop.v1; message A { string b = 1; }'}
    write(tmp_path, generate(compile_text(text), list(text), GOOGLE))
    program = (
        "import pickle; from gen.shop.v1.a_pb import A; print(A.__module__, pickle.loads(pickle.dumps(A(b='x'))).b)"
    )
    assert run(tmp_path, program) == "gen.shop.v1.a_pb2 x"


def test_nested_messages_called_like_keywords_are_refused(compile_text: Compile) -> None:
    text = 'syntax = "proto3";\nmessage A {\n  message None {}\n  enum is { ZERO = 0; }\n}'
    with pytest.raises(ContractError) as caught:
        generate(compile_text(text), ["a.proto"], GOOGLE)
    mend = (
        "is called like a keyword of Python, and is within another message. Rename it, or use --messages protobuf-py."
    )
    assert [str(one) for one in caught.value.problems] == [f"a.proto:3:11: A.None {mend}", f"a.proto:4:8: A.is {mend}"]


def test_what_protoc_makes_no_python_of_is_an_error_with_a_mend(compile_text: Compile) -> None:
    texts = {
        "import/a.proto": 'syntax = "proto3"; package a; message A {}',
        "b.proto": 'syntax = "proto3"; package b; import public "import/a.proto"; message B { a.A a = 1; }',
    }
    with pytest.raises(GeneratorError, match="called like a keyword of Python"):
        generate(compile_text(texts), list(texts), GOOGLE)
