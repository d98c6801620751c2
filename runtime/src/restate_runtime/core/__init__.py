"""The runtime's pure half: what to write and what to do, given what happened.

No clock, no randomness, no I/O, no logging: times, ids and seeds are arguments. The engine commits the writes of
a decision before it performs the effects of that decision.
"""
