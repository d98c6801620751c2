"""The two halves of an invocation record, by field name. Every store agrees with this.

Invariant: together they are exactly the fields of `Invocation`, in its order.
"""

from __future__ import annotations

import dataclasses

from restate_runtime.core.records import Invocation

_NAMES = tuple(field.name for field in dataclasses.fields(Invocation))

#: Where the half that changes begins.
_FIRST_CHANGING = _NAMES.index("status")

#: Set when the invocation is created, and never again.
FIXED = _NAMES[:_FIRST_CHANGING]

#: Written with every save.
CHANGING = _NAMES[_FIRST_CHANGING:]
