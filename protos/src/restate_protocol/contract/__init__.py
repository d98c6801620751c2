"""The contract: services, handlers and their options, read from descriptors and checked once for everybody.

The generator reads it before it writes a line, the runtime before it registers a deployment; both refuse the same
things in the same words. Import `read` to read one, `model` for what comes out, `problems` for what is wrong.
"""
