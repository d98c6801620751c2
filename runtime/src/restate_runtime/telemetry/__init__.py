"""Traces and logs of a runtime. Nothing here decides anything, and nothing here is on the way of an invocation."""
