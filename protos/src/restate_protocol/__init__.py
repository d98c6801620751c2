"""What runtime, SDK and clients share: stubs, journal entries, frames, ids, codec seam, status codes, errors.

Kept thin on purpose: importing it loads nothing. Import the module you need. Nothing here does I/O, reads a
clock or draws a random number; the pure state machines on both sides import it.
"""
