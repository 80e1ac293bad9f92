"""How often Python looks for garbage that refers to itself, in a server that answers for months.

As Python is set, every few hundred new objects begin a look, and now and then one walks all that
the program consists of: a tenth of a second in which nobody is answered. Most of what a request
makes goes without any look.
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 10_000  # new objects before the first look; Python's own is 700
_MIDDLE: Final = 20
_OLD: Final = 20


def settle() -> None:
    """What is here now stays: it is not looked at again. What comes is looked at more seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
