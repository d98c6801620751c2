"""Random numbers of a handler: the same in every attempt, because only the handler itself draws them.

What draws where a replay would not draw again (in the function of a run, in a thread, in a task that is not the
handler's) would shift every later number, so it is refused, also through a reference taken before.
"""

from __future__ import annotations

import random

from .attempt import Attempt


class HandlerRandom(random.Random):
    """See the module. Every method of `random.Random` draws through these two."""

    _attempt: Attempt

    @classmethod
    def of(cls, attempt: Attempt, seed: int) -> HandlerRandom:
        """The numbers of one attempt."""
        made = cls(seed)
        made._attempt = attempt
        return made

    def random(self) -> float:
        """The next number in [0, 1).

        Raises:
            MisuseError: not the handler asks.
        """
        self._attempt.check()
        return super().random()

    def getrandbits(self, k: int, /) -> int:
        """The next k bits.

        Raises:
            MisuseError: not the handler asks.
        """
        self._attempt.check()
        return super().getrandbits(k)
