"""The replay machine: frames and operations in, frames and results out.

No I/O, no clock, no randomness, no tasks: the driver owns those. Same input, same output, always.
"""
