from .protobuf_py import ProtobufPy


class BetterProto(ProtobufPy):
    name = "betterproto"
