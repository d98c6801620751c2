"""Scalar types of protobuf as builtins of Python; the same in every flavour."""

from __future__ import annotations

from protobuf import ScalarType
from restate_protocol.contract.shapes import INTEGERS

SCALARS = {
    ScalarType.DOUBLE: "float",
    ScalarType.FLOAT: "float",
    ScalarType.BOOL: "bool",
    ScalarType.STRING: "str",
    ScalarType.BYTES: "bytes",
} | dict.fromkeys(INTEGERS, "int")
