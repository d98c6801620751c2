"""Google's protobuf messages, for contracts generated with `--messages google`.

`pool` is what generated `_pb2` modules stand on. `gen` has the bundled messages; import it only where protobuf is
installed. This module loads nothing.
"""
