"""What can go wrong besides the user's protos.

GeneratorError      an unknown choice, or a generator of messages that failed or is not there
"""

from __future__ import annotations


class GeneratorError(Exception):
    """Generation is not possible; the message says why and what to do."""
