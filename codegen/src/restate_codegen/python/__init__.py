"""The generator for Python: `_pb` messages in a flavour, `_restate` clients, `_restate_handlers` handler stubs."""
