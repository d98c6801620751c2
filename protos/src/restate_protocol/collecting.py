"""How Python looks for cyclic garbage in our processes.

By default it looks after every 700 new objects, which a call under load makes several times over, and looks through all
that came since the start each time the heap grew by a quarter. Our own programs look after 10,000, and not at what was
there before the first call: `make bench` shows the difference. The choice is the process's, so only programs make it,
never a library on import, and only where nobody chose before.
"""

from __future__ import annotations

import gc

_PYTHONS_OWN = (700, 2_000)  # of 3.11 to 3.12, and of later versions
NEW_OBJECTS = 10_000


def collect_less() -> None:
    """Looks less often, and not at what is there now. Call it once everything is imported."""
    first, *others = gc.get_threshold()
    if first in _PYTHONS_OWN:
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS, *others)
