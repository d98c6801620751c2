"""protoc-gen-restate: the same generator as a protoc plugin, for buf and protoc. Request in, response out.

Options: `lang=python`, `messages=protobuf-py|betterproto|google`. Under buf it needs `strategy: all`, because options
name messages of other packages.
"""

from __future__ import annotations

import sys

from protobuf import maximum_supported_edition, minimum_supported_edition
from protobuf.wkt import FileDescriptorSet
from protobuf.wkt.google.protobuf.compiler.plugin_pb import CodeGeneratorRequest, CodeGeneratorResponse
from restate_protocol.contract.problems import ContractError

from .generate import GeneratorError, Options, generate

_FEATURES = CodeGeneratorResponse.Feature.PROTO3_OPTIONAL | CodeGeneratorResponse.Feature.SUPPORTS_EDITIONS


def respond(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Generates what protoc asks for; what is wrong with the protos is in the response's error."""
    response = CodeGeneratorResponse(
        supported_features=int(_FEATURES),
        minimum_edition=minimum_supported_edition,
        maximum_edition=maximum_supported_edition,
    )
    try:
        options = _options(request.parameter)
        descriptor_set = FileDescriptorSet(file=request.proto_file).to_binary()
        files = generate(descriptor_set, request.file_to_generate, options)
    except ContractError as error:
        response.error = "\n" + str(error)
    except GeneratorError as error:
        response.error = str(error)
    else:
        response.file = [CodeGeneratorResponse.File(name=path, content=text) for path, text in files.items()]
    return response


def _options(parameter: str) -> Options:
    values = dict(part.partition("=")[::2] for part in parameter.split(",") if part)
    unknown = values.keys() - {"lang", "messages"}
    if unknown:
        raise GeneratorError(f"unknown option {', '.join(sorted(unknown))}. Known: lang, messages.")
    return Options(**values)


def main() -> None:
    """Entry point of the script."""
    request = CodeGeneratorRequest.from_binary(sys.stdin.buffer.read())
    sys.stdout.buffer.write(respond(request).to_binary())
